"""The gradient's norm by layer: against autograd over scikit-learn's weights."""

import numpy as np
import pytest
import sklearn.neural_network
import torch
from scipy.special import softmax
from sklearn.preprocessing import scale
from torch import nn

from sklmlp import MLPClassifier
from sklmlp.inspection import GradientFlowDisplay
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ACTIVATIONS = {"logistic": torch.sigmoid, "relu": torch.relu, "tanh": torch.tanh}


def expected_norms(coefs, intercepts, activation, X, y, loss):
    """Autograd over a network that is written out."""
    W = [torch.tensor(coef, requires_grad=True) for coef in coefs]
    h = torch.as_tensor(X)
    for i, (w, b) in enumerate(zip(W, intercepts, strict=True)):
        h = h @ w + torch.as_tensor(b)
        h = activation(h) if i < len(W) - 1 else h
    loss(h, torch.as_tensor(y)).backward()
    return [float(w.grad.norm()) for w in W]


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True, "scoring": "loss", "stratify": True},
        {"learning_rate": "cosine", "warmup_fraction": 0.2},
        {"solver": "sgd", "momentum": 0.5},
        {"solver": "nadam", "solver_params": {"momentum_decay": 0.01}},
        {"solver": "sgd", "max_grad_norm": 1.0},
    ],
)
def test_the_start_does_not_depend_on_how_the_fit_went_on(params, digits):
    """Options that make sense with others only leave the gradients of the start as they are."""
    X, y = digits
    fits = [MLPClassifier((7,), random_state=3, max_iter=2, **p).fit(X, y) for p in (params, {})]
    starts = [GradientFlowDisplay.from_estimator(fit, X, y).start for fit in fits]
    np.testing.assert_array_equal(*starts)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_norms_at_the_start_and_the_end(digits, activation, solver):
    """At the start they belong to the weights that scikit-learn draws, at the end to coefs_."""
    X, y = digits
    params = {"hidden_layer_sizes": (7, 5), "activation": activation, "random_state": 3}
    ours = MLPClassifier(**params, solver=solver, max_iter=4, early_stopping=solver == "sgd")
    display = GradientFlowDisplay.from_estimator(ours.fit(X, y), X, y)
    start = sklearn.neural_network.MLPClassifier(
        **params, solver="sgd", learning_rate_init=1e-300, max_iter=1
    ).fit(X, y)
    index = np.searchsorted(ours.classes_, y)
    f = ACTIVATIONS[activation]
    for norms, of in ((display.start, start), (display.end, ours)):
        loss = nn.functional.cross_entropy
        expected = expected_norms(of.coefs_, of.intercepts_, f, X, index, loss)
        np.testing.assert_allclose(norms, expected, rtol=1e-9)


def test_every_kind_of_target(kind):
    """Binary, multilabel and real targets have the gradient of their own loss."""
    X, y = make_table(kind)
    mlp = make(kind, activation="tanh").fit(X, y)
    end = GradientFlowDisplay.from_estimator(mlp, X, y).end
    h = np.tanh(X @ mlp.coefs_[0] + mlp.intercepts_[0])
    z = h @ mlp.coefs_[1] + mlp.intercepts_[1]
    if kind == "multiclass":
        error = softmax(z, 1) - (y[:, None] == mlp.classes_)
    elif kind.startswith("regression"):
        error = z - np.reshape(y, z.shape)
    else:
        yes = y[:, None] == mlp.classes_[1] if kind == "binary" else y
        error = 1 / (1 + np.exp(-z)) - yes
    np.testing.assert_allclose(end[1], np.linalg.norm(h.T @ error / len(X)), rtol=1e-9)


def test_rows_that_lack_a_class(digits):
    """Some rows are enough: the network's outputs are those of all classes of its fit."""
    X, y = digits
    mlp = MLPClassifier((6,), max_iter=3, random_state=0).fit(X, y)
    few = np.isin(y, ["a", "b"])
    display = GradientFlowDisplay.from_estimator(mlp, X[few], y[few])
    assert np.isfinite([display.start, display.end]).all()


def test_deep_sigmoid_vanishes_and_relu_does_not(digits):
    """At the start the first layer of ten gets next to nothing through sigmoids, and its share through ReLU."""  # noqa: E501
    X, y = scale(digits[0]), digits[1]
    first_over_last = {}
    for activation in ("logistic", "relu"):
        mlp = MLPClassifier((32,) * 10, activation=activation, max_iter=2, random_state=0)
        start = GradientFlowDisplay.from_estimator(mlp.fit(X, y), X, y).start
        first_over_last[activation] = start[0] / start[-1]
    assert first_over_last["logistic"] < 1e-5
    assert first_over_last["relu"] > 0.05


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_the_seed_must_be_an_integer(digits, random_state):
    """Nothing else gives the same weights again, and the error says so."""
    mlp = MLPClassifier((4,), max_iter=2, random_state=random_state).fit(*digits)
    with pytest.raises(ValueError, match="must be an integer for that; got random_state="):
        GradientFlowDisplay.from_estimator(mlp, *digits)


def test_labels_that_training_does_not_know_are_refused(digits):
    """An unknown label has no output unit."""
    X, y = digits
    mlp = MLPClassifier((4,), max_iter=2, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="classes not in"):
        GradientFlowDisplay.from_estimator(mlp, X, np.full(len(X), "z"))


def test_looking_changes_nothing(digits):
    """Neither the estimator nor NumPy's and torch's global generators move."""
    X, y = digits
    mlp = MLPClassifier((4,), max_iter=2, random_state=0).fit(X, y)
    before, known = mlp.predict_proba(X), dict(vars(mlp))
    states = np.random.get_state()[1].copy(), torch.get_rng_state()
    with torch.no_grad():
        GradientFlowDisplay.from_estimator(mlp, X, y)
    np.testing.assert_array_equal(mlp.predict_proba(X), before)
    assert vars(mlp) == known
    np.testing.assert_array_equal(np.random.get_state()[1], states[0])
    assert torch.equal(torch.get_rng_state(), states[1])
    assert all(p.grad is None for p in mlp.module_.parameters())
