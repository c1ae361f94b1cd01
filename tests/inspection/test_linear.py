"""A stack of affine maps is one: against predictions and scikit-learn's linear regression."""

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import scale
from torch import nn

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.inspection import linear_equivalent
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.parametrize("hidden", [(), (4,), (6, 3, 5)])
def test_predictions_are_those_of_the_map(kind, hidden):
    """For every kind of target the map's logits give the network's predictions."""
    X, y = make_table(kind)
    mlp = make(kind, hidden_layer_sizes=hidden, activation=nn.Identity).fit(X, y)
    coef, intercept = linear_equivalent(mlp)
    assert coef.shape == (X.shape[1], mlp.n_outputs_)
    assert intercept.shape == (mlp.n_outputs_,)
    z = X @ coef + intercept
    if kind.startswith("regression"):
        np.testing.assert_allclose(np.reshape(mlp.predict(X), z.shape), z, rtol=1e-9)
    else:
        p = softmax(z, 1) if kind == "multiclass" else expit(z)
        np.testing.assert_allclose(mlp.predict_proba(X)[:, -z.shape[1] :], p, rtol=1e-9)


def test_a_deep_identity_network_learns_a_linear_regression():
    """Without penalty, the map is that of least squares."""
    X, y = load_diabetes(return_X_y=True)
    X, y = scale(X), scale(y)
    deep = MLPRegressor(
        hidden_layer_sizes=(12, 12), activation="identity", solver="lbfgs", alpha=0, tol=1e-9,
        max_iter=5000, random_state=0,
    ).fit(X, y)  # fmt: skip
    coef, intercept = linear_equivalent(deep)
    least_squares = LinearRegression().fit(X, y)
    np.testing.assert_allclose(coef.ravel(), least_squares.coef_, atol=1e-4)
    np.testing.assert_allclose(intercept, least_squares.intercept_, atol=1e-4)


def test_the_map_is_a_copy(digits):
    """Without hidden layers also, writing into it leaves the network alone."""
    mlp = MLPClassifier((), max_iter=2, random_state=0).fit(*digits)
    before = mlp.predict_proba(digits[0])
    for array in linear_equivalent(mlp):
        array[:] = 0
    np.testing.assert_array_equal(mlp.predict_proba(digits[0]), before)


@pytest.mark.parametrize("activation", ["relu", ["identity", "tanh"], lambda z: z])
def test_a_nonlinearity_does_not_collapse(digits, activation):
    """The error names the layer and its activation, and explains."""
    mlp = MLPClassifier((4, 4), activation=activation, max_iter=2).fit(*digits)
    with pytest.raises(ValueError, match=r"hidden layer \d is .* only without a nonlinearity"):
        linear_equivalent(mlp)
