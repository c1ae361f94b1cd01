"""Losses against scikit-learn's metrics and SciPy, their gradients against finite differences."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import special
from scipy.optimize import check_grad
from sklearn.metrics import log_loss, mean_poisson_deviance, mean_squared_error

from sklmlp.losses import LOSSES
from tests.tables import KINDS, make, make_table

N = 7


def targets_and_logits(name, n_outputs, seed=0):
    """Random logits, (N, n_outputs), and targets as the loss takes them; two classes at least."""
    n_outputs = max(n_outputs, 2) if name == "log_loss" else n_outputs
    rng = np.random.default_rng(seed)
    z = rng.normal(scale=2, size=(N, n_outputs))
    y = {
        "log_loss": lambda: rng.integers(0, n_outputs, N),
        "binary_log_loss": lambda: rng.integers(0, 2, (N, n_outputs)).astype(float),
        "squared_error": lambda: rng.normal(size=(N, n_outputs)),
        "poisson": lambda: rng.poisson(2, (N, n_outputs)).astype(float),
    }[name]()
    return torch.from_numpy(y), torch.from_numpy(z)


def reference(name, y, z):
    """The mean loss of the rows by SciPy and scikit-learn, each multilabel column on its own."""
    if name == "log_loss":
        return log_loss(y, special.softmax(z, axis=1), labels=np.arange(z.shape[1]))
    if name == "binary_log_loss":
        pairs = zip(y.T, special.expit(z).T, strict=True)
        return sum(log_loss(column, p, labels=[0, 1]) for column, p in pairs)
    if name == "squared_error":
        return mean_squared_error(y, z) / 2
    pairs = zip(y.T, np.exp(z).T, strict=True)
    return sum(mean_poisson_deviance(column, mu) / 2 for column, mu in pairs)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("name", LOSSES)
def test_values(name, n_outputs):
    """The mean over rows is scikit-learn's metric of the same name."""
    y, z = targets_and_logits(name, n_outputs)
    expected = reference(name, y.numpy(), z.numpy())
    assert_allclose(LOSSES[name].rows(z, y).mean().item(), expected, rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("n_outputs", [1, 2, 4])
@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name, n_outputs, seed):
    """The gradient is the slope of the objective, by finite differences."""
    loss = LOSSES[name]
    y, z = targets_and_logits(name, n_outputs, seed)
    objective = loss.objective or loss.rows

    def value(flat):
        return objective(torch.from_numpy(flat.reshape(z.shape)), y).sum().item()

    def slope(flat):
        return loss.gradient(torch.from_numpy(flat.reshape(z.shape).copy()), y).numpy().ravel()

    assert check_grad(value, slope, z.numpy().ravel()) < 1e-4


@pytest.mark.parametrize("name", LOSSES)
def test_links(name):
    """The link from logits to answers is SciPy's function."""
    _, z = targets_and_logits(name, 3)
    expected = {
        "softmax": lambda z: special.softmax(z, axis=1),
        "logistic": special.expit,
        "identity": np.array,
        "exp": np.exp,
    }[LOSSES[name].out_activation](z.numpy())
    assert_allclose(LOSSES[name].link(z).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["log_loss", "binary_log_loss"])
@pytest.mark.parametrize("logit", [-1e4, -800.0, 800.0, 1e4])
def test_extreme_logits_stay_finite(name, logit):
    """Certainty, right or wrong, has a finite loss and gradient."""
    z = torch.tensor([[logit, 0.0]], dtype=torch.float64)
    for label in (0, 1):
        y = torch.tensor([label]) if name == "log_loss" else torch.eye(2)[[label]].double()
        assert torch.isfinite(LOSSES[name].rows(z, y)).all()
        assert torch.isfinite(LOSSES[name].gradient(z, y)).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu", "gelu", "glu"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_of_the_network(kind, activation, weighted):
    """One plain step of gradient descent goes down the penalised objective's finite differences."""
    X, y = make_table(kind, n_samples=20, n_features=3)
    weight = np.random.default_rng(1).uniform(0.5, 2, 20) if weighted else None
    alpha, rate = 0.3, 1e-3
    model = make(
        kind,
        activation=activation,
        hidden_layer_sizes=(4, 3),
        solver="sgd",
        momentum=0,
        learning_rate_init=rate,
        alpha=alpha,
        warm_start=True,
        max_iter=1,
        batch_size=20,
    ).fit(X, y, sample_weight=weight)
    before = [a.copy() for a in model.coefs_ + model.intercepts_]

    def objective(arrays):
        model.coefs_, model.intercepts_ = arrays[:3], arrays[3:]
        with torch.no_grad():
            z = model.module_(torch.from_numpy(X)).numpy()
        penalty = alpha / 2 * sum((coef**2).sum() for coef in model.coefs_)
        return (rows_objective(kind, y, z) @ w + penalty) / w.sum()

    w = np.ones(20) if weight is None else weight
    slopes = [np.empty_like(a) for a in before]
    for i, array in enumerate(before):
        for where in np.ndindex(array.shape):
            values = []
            for sign in (1, -1):
                moved = [a.copy() for a in before]
                moved[i][where] += sign * 1e-6
                values.append(objective(moved))
            slopes[i][where] = (values[0] - values[1]) / 2e-6
    model.coefs_, model.intercepts_ = [a.copy() for a in before[:3]], before[3:]
    model.fit(X, y, sample_weight=weight)
    for was, now, slope in zip(before, model.coefs_ + model.intercepts_, slopes, strict=True):
        assert_allclose((was - now) / rate, slope, rtol=1e-5, atol=1e-6)


def rows_objective(kind, y, z):
    """What is descended for each row, (n,), by SciPy: sums over outputs, half the deviance."""
    if kind == "multiclass":
        return special.logsumexp(z, axis=1) - z[np.arange(len(y)), y]
    y = y.reshape(z.shape)
    if kind in ("binary", "multilabel"):
        return -(y * special.log_expit(z) + (1 - y) * special.log_expit(-z)).sum(axis=1)
    if kind.startswith("regression"):
        return ((y - z) ** 2 / 2).sum(axis=1)
    return (special.xlogy(y, y) - y * z - y + np.exp(z)).sum(axis=1)
