"""A regression that has not reached the scale of its targets says so, and no other fit does."""

import re
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.preprocessing import scale

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.exceptions import DivergenceWarning, TrainingWarning, UnscaledTargetWarning

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.default_rng(0)
X = rng.normal(size=(1500, 6))
SIGNAL = np.tanh(X[:, 0]) + 0.5 * X[:, 1] * X[:, 2] + 0.3 * X[:, 3]
PRICES = np.exp(12 + 0.5 * (SIGNAL + 0.5 * rng.normal(size=1500)))
DIABETES = load_diabetes(return_X_y=True)
DIABETES = scale(DIABETES[0]), DIABETES[1]
FRIEDMAN = make_friedman1(800, noise=1, random_state=0)
LOSSES = ("squared_error", "absolute_error", "huber", "poisson", "gamma", "quantile", "gaussian")


def said(model, X, y, *weight):
    """What the training warnings of a fit are, and its R2."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, *weight)
    found = [w for w in caught if issubclass(w.category, TrainingWarning)]
    return [w.category for w in found], [str(w.message) for w in found]


def make(loss="squared_error", **params):
    return MLPRegressor(loss, **{"random_state": 0, "hidden_layer_sizes": (50,), **params})


UNREACHED = {
    "prices": (make(), PRICES),
    "prices, better than a constant": (make(learning_rate_init=0.02, max_iter=200), PRICES),
    "prices in an ensemble": (make(n_estimators=2, max_iter=20), PRICES),
    "prices by gaussian": (make("gaussian", early_stopping=True), PRICES),
    "prices by gamma": (make("gamma", early_stopping=True), PRICES),
    "prices by quantiles": (make("quantile", quantile=[0.1, 0.9]), PRICES),
    "prices by early stopping": (make("huber", early_stopping=True), PRICES),
    "years": (make(max_iter=20), 2000 + SIGNAL),
    "tiny": (make(), 1e-6 * SIGNAL),
    "tiny by lbfgs": (make(solver="lbfgs"), 1e-6 * SIGNAL),
    "tiny by poisson": (make("poisson"), 1e-11 * PRICES),
}


@pytest.mark.parametrize("case", UNREACHED)
def test_targets_out_of_reach(case):
    """The mean and the standard deviation of y are told, and the parameter to use."""
    model, y = UNREACHED[case]
    categories, messages = said(model, X, y)
    facts = rf"y has mean {np.mean(y):.3g} and standard deviation {np.std(y):.3g}"
    if model.early_stopping:  # of the rows that were not held out
        facts = r"y has mean \S+ and standard deviation \S+"
    message = (
        rf"The targets are not scaled: {facts}, and the predictions have not reached them\. Use "
        r"normalize_y=True, which scales targets for training and predictions back\."
    )
    assert categories.count(UnscaledTargetWarning) == 1
    assert any(re.fullmatch(message.replace("e+", r"e\+"), each) for each in messages)


@pytest.mark.parametrize("case", UNREACHED)
def test_normalize_y_reaches_them(case):
    """The parameter that the warning names does what it says."""
    model, y = UNREACHED[case]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = model.fit(X, y).score(X, y)
    model = make(model.loss, quantile=model.quantile, normalize_y=True, solver=model.solver)
    assert UnscaledTargetWarning not in said(model, X, y)[0]
    assert model.score(X, y) > max(before, 0.3)


def test_better_than_a_constant_is_not_reached():
    """The second case is one that explains a share of the variance."""
    model, y = UNREACHED["prices, better than a constant"]
    assert UnscaledTargetWarning in said(model, X, y)[0]
    assert 0 < model.score(X, y) < 0.6


def test_the_target_that_is_out_of_reach_is_named():
    """Of several targets it is the column that is told."""
    message = "not scaled: column 1 of y has mean"
    with pytest.warns(UnscaledTargetWarning, match=message):
        make().fit(X, np.column_stack([SIGNAL, PRICES]))


CONVERGED = {"max_iter": 4000, "learning_rate_init": 0.01}
CALM = {
    "adam": {**CONVERGED},
    "slowly": {"max_iter": 1500},
    "sgd": {"solver": "sgd", "learning_rate_init": 1e-5, "max_iter": 500},
    "lbfgs": {"solver": "lbfgs", "max_iter": 2000},
    "penalty": {"solver": "lbfgs", "max_iter": 2000, "alpha": 1000},
    "penalty by adam": {**CONVERGED, "alpha": 1000},
    "early stopping": {**CONVERGED, "early_stopping": True},
    "dropout": {**CONVERGED, "dropout": 0.2, "max_iter": 300},
    "batch normalization": {**CONVERGED, "normalization": "batch", "max_iter": 300},
    "linear": {"hidden_layer_sizes": (), "solver": "lbfgs"},
}


@pytest.mark.filterwarnings("ignore:lbfgs failed")
@pytest.mark.parametrize("params", CALM.values(), ids=CALM)
@pytest.mark.parametrize("table", [DIABETES, (FRIEDMAN[0], 10 * FRIEDMAN[1])], ids=["diab", "fri"])
def test_fits_that_reach_their_targets_are_silent(table, params):
    """Targets with a mean and a standard deviation of about a hundred are none to warn of."""
    assert UnscaledTargetWarning not in said(make(**params), *table)[0]


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_silent_at_its_minimum(loss):
    """Whatever is minimised, its minimum leaves nothing to shift and to stretch."""
    options = {"huber_delta": 30} if loss == "huber" else {}
    model = make(loss, solver="lbfgs", max_iter=1000, alpha=1, **options)
    assert UnscaledTargetWarning not in said(model, *DIABETES)[0]


def test_noise_is_silent_once_its_mean_is_reached():
    """Where there is nothing to learn but the mean, that is enough."""
    y = 100 + 50 * np.random.default_rng(1).normal(size=1500)
    assert UnscaledTargetWarning not in said(make(solver="lbfgs", max_iter=30), X, y)[0]


@pytest.mark.parametrize("params", [{"max_iter": 1}, {"max_iter": 1, "normalize_y": True}])
def test_scaled_targets_are_never_told_of(params):
    """A fit of one epoch has learned little, but not because of its targets."""
    y = SIGNAL if "normalize_y" not in params else PRICES
    assert UnscaledTargetWarning not in said(make(**params), X, y)[0]


def test_labels_are_no_targets_to_scale():
    """A label that few rows have has a small standard deviation, and nothing to scale."""
    y = np.zeros((1500, 2), int)
    y[0], y[1, 0] = 1, 1
    found = said(MLPClassifier((4,), max_iter=3, random_state=0), X, y)[0]
    assert UnscaledTargetWarning not in found


def test_rows_without_weight_are_no_targets():
    """Weights decide which targets are looked at."""
    y, weight = SIGNAL.copy(), np.ones(1500)
    y[:100], weight[:100] = 1e6, 0
    assert UnscaledTargetWarning not in said(make(max_iter=5), X, y, weight)[0]


def test_a_divergence_names_unscaled_targets():
    """Weights that are not finite, and losses that are not, come with the parameter to use."""
    hint = r"The targets are not scaled \(y has mean .* deviation .*\): use normalize_y=True\.$"
    with pytest.raises(ValueError, match=f"^Solver produced non-finite.*{hint}"):
        make(solver="sgd").fit(X, PRICES)
    with pytest.warns(DivergenceWarning, match=f"^Training diverged: the training loss is.*{hint}"):
        make(dtype="float32").fit(X, 1e20 * PRICES)
