"""Losses against scikit-learn's metrics and SciPy, their gradients against finite differences."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import special, stats
from scipy.optimize import check_grad
from sklearn import metrics
from torch.nn import functional

from sklmlp.losses import LOSSES, TargetScaling, make_loss
from tests.pairwise import pairwise
from tests.tables import KINDS, make, make_table

N = 7
LEVELS = [0.9, 0.1, 0.5]
PARAMETERS = {
    "log_loss": {"label_smoothing": 0.2},
    "binary_log_loss": {"label_smoothing": 0.2},
    "focal": {"focal_gamma": 0.5},
    "binary_focal": {"focal_gamma": 0.5},
    "huber": {"huber_delta": 0.7},
    "quantile": {"quantile": 0.8},
}
SCALING = TargetScaling((3.0, -2.0, 0.5, 1.0), (2.0, 0.1, 30.0, 1.0))
CASES = [
    *[(name, {}) for name in LOSSES],
    *PARAMETERS.items(),
    ("quantile", {"quantile": LEVELS}),
    ("quantile", {"quantile": [0.3]}),
]
each_case = pytest.mark.parametrize(("name", "parameters"), CASES, ids=str)


def targets_and_logits(loss, name, n_targets, seed=0, stack=()):
    """Random logits, (*stack, N, k), and targets as the loss takes them; two classes at least."""
    exclusive = name in ("log_loss", "focal", "hinge")
    n_targets = max(n_targets, 2) if exclusive else n_targets
    if isinstance(loss.quantile, list):
        n_targets = 1
    rng = np.random.default_rng(seed)
    z = rng.normal(scale=2, size=(*stack, N, n_targets * loss.n_units))
    shape = *stack, N, n_targets
    if exclusive:
        y = rng.integers(0, n_targets, shape[:-1])
    elif name.startswith("binary"):
        y = rng.integers(0, 2, shape).astype(float)
    elif name == "poisson":
        y = rng.poisson(2, shape).astype(float)
    else:
        y = rng.gamma(2, size=shape) if name == "gamma" else rng.normal(size=shape)
    return torch.from_numpy(y), torch.from_numpy(z)


def by_column(metric, y, output):
    """The sum over columns of a metric of scikit-learn."""
    return sum(metric(a, b) for a, b in zip(y.T, output.T, strict=True))


def class_reference(name, y, z, label_smoothing=0.0, focal_gamma=2.0):
    """The mean loss of the rows by torch and scikit-learn, each yes or no on its own."""
    each = {"reduction": "none"}
    if name == "log_loss":
        return functional.cross_entropy(z, y, label_smoothing=label_smoothing).item()
    if name == "hinge":
        return class_reference("binary_hinge", functional.one_hot(y, z.shape[1]), z)
    if name == "binary_hinge":
        return by_column(lambda a, b: metrics.hinge_loss(a, b, labels=[0, 1]), y.numpy(), z.numpy())
    if name == "focal":
        error = functional.cross_entropy(z, y, **each)
        return ((1 - (-error).exp()) ** focal_gamma * error).mean().item()
    y = y * (1 - label_smoothing) + label_smoothing / 2
    error = functional.binary_cross_entropy_with_logits(z, y, **each)
    if name == "binary_focal":
        error = (1 - (-error).exp()) ** focal_gamma * error
    return error.sum(-1).mean().item()


def value_reference(name, y, z, huber_delta=1.0, quantile=0.5):
    """The mean loss of the rows by SciPy and scikit-learn."""
    if name == "poisson":
        return by_column(metrics.mean_poisson_deviance, y, np.exp(z)) / 2
    if name == "gamma":
        return by_column(metrics.mean_gamma_deviance, y, np.exp(z)) / 2
    if name == "huber":
        return special.huber(huber_delta, y - z).mean()
    if name == "gaussian":
        mean, log_variance = np.split(z, 2, axis=1)
        return -stats.norm.logpdf(y, mean, np.exp(log_variance / 2)).mean()
    if name != "quantile":
        return {
            "squared_error": lambda: metrics.mean_squared_error(y, z) / 2,
            "absolute_error": lambda: metrics.mean_absolute_error(y, z),
        }[name]()
    if isinstance(quantile, float):
        return metrics.mean_pinball_loss(y, z, alpha=quantile)
    rising = np.cumsum(np.column_stack([z[:, :1], np.log1p(np.exp(z[:, 1:]))]), axis=1)
    pairs = zip(rising.T, sorted(quantile), strict=True)
    return np.mean([metrics.mean_pinball_loss(y, q, alpha=level) for q, level in pairs])


@pytest.mark.parametrize("n_targets", [1, 3])
@each_case
def test_values(name, parameters, n_targets):
    """The mean over rows is that of torch, SciPy or scikit-learn."""
    loss = make_loss(name, parameters)
    y, z = targets_and_logits(loss, name, n_targets)
    if loss.name in ("log_loss", "focal", "hinge"):
        expected = class_reference(name, y, z, **parameters)
    else:
        expected = value_reference(name, y.numpy(), z.numpy(), **parameters)
    assert_allclose(loss.value(z, y).mean().item(), expected, rtol=1e-9)


@pytest.mark.parametrize("stack", [(), (3,)], ids=["alone", "stack"])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("n_targets", [1, 2, 4])
@each_case
def test_gradients(name, parameters, n_targets, seed, stack):
    """The gradient is the slope of the objective, by finite differences."""
    loss = make_loss(name, parameters)
    y, z = targets_and_logits(loss, name, n_targets, seed, stack)
    objective = loss.objective or loss.value

    def value(flat):
        return objective(torch.from_numpy(flat.reshape(z.shape)), y).sum().item()

    def slope(flat):
        return loss.gradient(torch.from_numpy(flat.reshape(z.shape).copy()), y).numpy().ravel()

    error = check_grad(value, slope, z.numpy().ravel(), epsilon=1e-7)
    assert error < 1e-5 * max(1, np.linalg.norm(slope(z.numpy())))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("delta", [1e-300, 1e300, [1e-300], [1e300]], ids=repr)
def test_a_huber_delta_that_the_dtype_cannot_hold(delta, dtype):
    """Too small a delta leaves a slope, and with too large a one all errors are squared."""
    loss, y = make_loss("huber", {"huber_delta": delta}), torch.zeros((2, 1), dtype=dtype)
    z = torch.tensor([[3.0], [-3.0]], dtype=dtype)
    slope = loss.gradient(z, y)
    if np.ravel(delta)[0] > 1:
        assert_allclose(slope, z)
        assert_allclose(loss.value(z, y), [4.5, 4.5])
    else:
        assert slope[0] > 0 > slope[1]


@pytest.mark.parametrize("name", ["squared_error", "huber", "quantile", "gaussian"])
def test_gradients_of_scaled_targets(name):
    """The gradient stays the slope of the objective; predictions are in units of y."""
    parameters = PARAMETERS.get(name, {})
    loss, plain = make_loss(name, parameters, SCALING), make_loss(name, parameters)
    y, z = targets_and_logits(loss, name, 4)

    def value(flat):
        return loss.objective(torch.from_numpy(flat.reshape(z.shape)), y).sum().item()

    def slope(flat):
        return loss.gradient(torch.from_numpy(flat.reshape(z.shape).copy()), y).numpy().ravel()

    assert check_grad(value, slope, z.numpy().ravel(), epsilon=1e-7) < 1e-5
    scale, center = np.array(SCALING.scale), np.array(SCALING.center)
    assert_allclose(loss.link(z), plain.link(z).numpy() * scale + center)
    if name == "gaussian":
        assert_allclose(loss.variance(z), plain.variance(z).numpy() * scale**2)
    if name == "huber":  # each target's delta in units of its scale
        bounds = loss.gradient(torch.full_like(z, 1e9), y)
        assert_allclose(bounds, np.broadcast_to(0.7 / scale, z.shape))


@each_case
def test_gradients_go_where_they_are_to_go(name, parameters):
    """A gradient into given memory, of whatever layout, is the gradient."""
    loss = make_loss(name, parameters)
    y, z = targets_and_logits(loss, name, 4)
    out = torch.full(z.T.shape, torch.nan, dtype=z.dtype).T
    assert loss.gradient(z, y, out=out).data_ptr() == out.data_ptr()
    assert_allclose(out, loss.gradient(z, y), rtol=1e-12, atol=1e-15)


@each_case
def test_links(name, parameters):
    """The link from logits to predictions is SciPy's or NumPy's function."""
    loss = make_loss(name, parameters)
    _, z = targets_and_logits(loss, name, 3)
    links = {
        "softmax": lambda z: special.softmax(z, axis=1),
        "logistic": special.expit,
        "identity": lambda z: z[:, :3],  # means come before variances
        "exp": np.exp,
        "ordered": lambda z: ordered(z, loss.quantile),
    }
    assert_allclose(loss.link(z).numpy(), links[loss.out_activation](z.numpy()), rtol=1e-12)


def ordered(z, levels):
    """Quantiles by the formula, one by one, in the order of the levels."""
    output, total = np.empty_like(z), 0
    for place, (level, column) in enumerate(zip(sorted(levels), z.T, strict=True)):
        total = total + np.log1p(np.exp(column)) if place else column
        output[:, levels.index(level)] = total
    return output


EXTREMES = [0.0, 1e-30, 1e-3, 1.0, 40.0, 88.0, 89.0, 709.0, 710.0, 1e4]
MAY_OVERFLOW = ("poisson", "gamma", "squared_error", "gaussian")
"""Losses with exponentials and squares: beyond logits of 40 and targets of 1e4."""


def extremes(loss, name, dtype):
    """(logits, targets) in all combinations: logits to 1e4, targets to the square root of the most.

    Of several logits of a row each takes each value.
    """
    is_index = name in ("log_loss", "focal", "hinge")
    limits = torch.finfo(dtype)
    positive = [limits.tiny, 1e-3, 1.0, 1e4, limits.max**0.5]
    targets = {"poisson": [0.0, *positive], "gamma": positive}.get(
        name, [0.0, *positive, *(-y for y in positive)]
    )
    if is_index or name.startswith("binary"):
        targets = [0, 1]
    targets = torch.tensor(targets, dtype=torch.int64 if is_index else dtype)
    values = torch.tensor([*EXTREMES, *(-z for z in EXTREMES)], dtype=dtype)
    k = 2 if is_index else loss.n_units
    z = torch.cartesian_prod(*[values] * k).reshape(-1, k)
    y = targets.repeat_interleave(len(z))
    return z.repeat(len(targets), 1), y if is_index else y.unsqueeze(1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@each_case
def test_no_logit_makes_a_loss_nan(name, parameters, dtype):
    """Values, slopes and predictions are never NaN, and finite but where a loss may overflow."""
    loss = make_loss(name, parameters)
    z, y = extremes(loss, name, dtype)
    rows, slope, prediction = loss.value(z, y), loss.gradient(z, y), loss.link(z)
    assert not any(each.isnan().any() for each in (rows, slope, prediction))
    moderate = torch.ones(len(z), dtype=bool)
    if name in MAY_OVERFLOW:
        moderate = (z.abs() <= 40).all(1) & (y.abs() <= 1e4).squeeze(1)
    assert moderate.sum() > 10
    assert all(each[moderate].isfinite().all() for each in (rows, slope, prediction))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("logit", [-1e4, -200.0, 200.0, 1e4])
@pytest.mark.parametrize("error", [0.0, 1.0, 1e15])
def test_the_gaussian_gradient_at_a_clamped_variance(error, logit, dtype):
    """Where the variance is clamped its slope is zero, whatever the error is there."""
    loss = make_loss("gaussian", {})
    slope = loss.gradient(torch.tensor([[error, logit]], dtype=dtype), torch.zeros(1, 1).to(dtype))
    is_clamped = abs(logit) > math.log(torch.finfo(dtype).max) / 2
    assert (slope[0, 1] == 0) == is_clamped
    assert slope.isfinite().all() or not is_clamped


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("focused", [{}, {"focal_gamma": 0.0}, {"focal_gamma": 0.5}], ids=str)
@pytest.mark.parametrize("name", ["log_loss", "binary_log_loss", "focal", "binary_focal"])
@pytest.mark.parametrize("logit", [-1e4, -800.0, -40.0, 40.0, 800.0, 1e4])
def test_extreme_logits_stay_finite(name, logit, focused, dtype):
    """Certainty, right or wrong, has a finite loss and gradient."""
    loss = make_loss(name, focused if "focal" in name else {})
    z = torch.tensor([[logit, 0.0]], dtype=dtype)
    for label in (0, 1):
        y = torch.eye(2, dtype=dtype)[[label]] if "binary" in name else torch.tensor([label])
        assert torch.isfinite(loss.value(z, y)).all()
        assert torch.isfinite(loss.gradient(z, y)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("log_variance", [-1e4, -200.0, 200.0, 1e4])
def test_extreme_variances_stay_finite(log_variance, dtype):
    """The variance of the Gaussian loss neither overflows nor vanishes."""
    loss, y = make_loss("gaussian", {}), torch.zeros((1, 1), dtype=dtype)
    z = torch.tensor([[1.0, log_variance]], dtype=dtype)
    assert torch.isfinite(loss.value(z, y)).all()
    assert torch.isfinite(loss.gradient(z, y)).all()
    assert 0 < loss.variance(z) < torch.inf


@pytest.mark.parametrize(
    ("name", "plain"), [("focal", "log_loss"), ("binary_focal", "binary_log_loss")]
)
def test_focal_without_focus_is_the_log_loss(name, plain):
    """With a gamma of 0 value and gradient are those of the log loss."""
    focal, log_loss = make_loss(name, {"focal_gamma": 0.0}), make_loss(plain, {})
    y, z = targets_and_logits(focal, name, 3)
    assert_allclose(focal.value(z, y), log_loss.value(z, y), rtol=1e-12)
    assert_allclose(focal.gradient(z, y), log_loss.gradient(z, y), rtol=1e-12)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("name", ["focal", "binary_focal"])
def test_the_focal_gradient_is_autograds(name, gamma):
    """The gradient is that of the paper's formula, differentiated by torch."""
    loss = make_loss(name, {"focal_gamma": gamma})
    y, z = targets_and_logits(loss, name, 3)
    z.requires_grad_()
    if name == "focal":
        p = z.softmax(-1).gather(1, y[:, None])
    else:
        p = torch.where(y > 0, z.sigmoid(), 1 - z.sigmoid())
    (-((1 - p) ** gamma) * p.log()).sum().backward()
    assert_allclose(loss.gradient(z.detach(), y), z.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_quantiles_never_cross(dtype):
    """However wild the logits, quantiles rise with their levels."""
    z = 100 * torch.randn((1000, 3), dtype=dtype, generator=torch.Generator().manual_seed(0))
    high, low, middle = make_loss("quantile", {"quantile": LEVELS}).link(z).T
    assert (low <= middle).all() and (middle <= high).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "kind, activation, weighted",
    pairwise(KINDS, ["identity", "logistic", "tanh", "relu", "gelu", "glu"], [False, True]),
)
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
