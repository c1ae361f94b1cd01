"""Without a hidden layer the network is the perceptron's affine map: a generalised linear model."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression, LogisticRegression, PoissonRegressor, Ridge

from tests.tables import make, make_table

WEIGHTS = [None, np.random.default_rng(1).uniform(0.2, 2.0, 60)]
EXACT = {"hidden_layer_sizes": (), "solver": "lbfgs", "max_iter": 5000, "tol": 1e-9}


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("alpha", [0.3, 10.0])
@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_logistic_and_softmax_regression(kind, alpha, weight):
    """Classification without a hidden layer is LogisticRegression with C = 1 / alpha."""
    X, y = make_table(kind)
    model = make(kind, alpha=alpha, **EXACT).fit(X, y, sample_weight=weight)
    linear = LogisticRegression(C=1 / alpha, tol=1e-10, max_iter=5000).fit(X, y, weight)
    assert_allclose(model.predict_proba(X), linear.predict_proba(X), rtol=1e-2, atol=1e-4)
    coef = model.coefs_[0].T
    assert_allclose(coef, linear.coef_, rtol=1e-2, atol=2e-3)


@pytest.mark.parametrize("weight", WEIGHTS)
def test_a_logistic_regression_for_each_label(weight):
    """Multilabel classification without a hidden layer is a LogisticRegression a label."""
    X, y = make_table("multilabel")
    model = make("multilabel", alpha=1.0, **EXACT).fit(X, y, sample_weight=weight)
    for label in range(3):
        linear = LogisticRegression(tol=1e-10).fit(X, y[:, label], weight)
        expected = linear.predict_proba(X)[:, 1]
        assert_allclose(model.predict_proba(X)[:, label], expected, rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("alpha", [0.0, 0.5, 20.0])
def test_linear_and_ridge_regression(alpha, weight):
    """Regression without a hidden layer is LinearRegression, with a penalty Ridge."""
    X, y = make_table("regression")
    model = make("regression", alpha=alpha, **EXACT).fit(X, y, sample_weight=weight)
    linear = (Ridge(alpha) if alpha else LinearRegression()).fit(X, y, sample_weight=weight)
    assert_allclose(model.coefs_[0].T, np.atleast_2d(linear.coef_), rtol=1e-3, atol=1e-4)
    assert_allclose(model.predict(X), linear.predict(X), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("alpha", [0.0, 5.0])
def test_poisson_regression(alpha, weight):
    """The Poisson loss without a hidden layer is PoissonRegressor's model."""
    X, y = make_table("counts")
    model = make("counts", alpha=alpha, **EXACT).fit(X, y, sample_weight=weight)
    total = 60 if weight is None else weight.sum()
    linear = PoissonRegressor(alpha=alpha / total, tol=1e-9, max_iter=5000).fit(X, y, weight)
    assert_allclose(model.coefs_[0].ravel(), linear.coef_, rtol=1e-2, atol=1e-3)
    assert_allclose(model.predict(X), linear.predict(X), rtol=1e-3)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["regression", "regressions"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_the_other_solvers_arrive_there_too(solver, kind):
    """adam and sgd descend to the same Ridge regression, of several outputs too.

    lbfgs does not for several: there scikit-learn's line search is handed the mean of the outputs'
    errors with the gradient of their sum, and so is ours.
    """
    X, y = make_table(kind)
    options = {"max_iter": 2000, "n_iter_no_change": np.inf, "learning_rate_init": 0.01}
    model = make(kind, hidden_layer_sizes=(), solver=solver, alpha=1.0, **options).fit(X, y)
    assert_allclose(model.coefs_[0].T, np.atleast_2d(Ridge(1.0).fit(X, y).coef_), atol=2e-3)


@pytest.mark.parametrize("sizes", [(), [], np.array([], dtype=int)])
def test_ways_to_write_no_layer(sizes):
    """An empty tuple, list or array all mean no hidden layer."""
    X, y = make_table("multiclass")
    model = make("multiclass", **EXACT | {"hidden_layer_sizes": sizes}).fit(X, y)
    assert model.n_layers_ == 2
    assert [coef.shape for coef in model.coefs_] == [(5, 3)]
