"""What each loss learns and predicts: against linear models, SciPy, and its own definition."""

import pickle
import re
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import optimize, special, stats
from sklearn.base import clone
from sklearn.linear_model import GammaRegressor, QuantileRegressor
from sklearn.metrics import d2_pinball_score, get_scorer, r2_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.svm import SVC

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.exceptions import DivergenceWarning
from tests.pairwise import pairwise

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 120
rng = np.random.default_rng(0)
X = rng.normal(size=(N, 3))
VALUES = X @ [1, -2, 0.5] + 0.5 + rng.standard_t(3, size=N)
BINARY = (VALUES > 0).astype(int)
CLASSES = np.digitize(VALUES, [-1, 1])
LABELS = np.column_stack([VALUES > 0, VALUES > 1, X[:, 0] > 0]).astype(int)
POSITIVE = np.exp(VALUES / 4)
LINEAR = {
    **{"hidden_layer_sizes": (), "solver": "lbfgs", "random_state": 0},
    **{"tol": 1e-9, "max_iter": 5000, "max_fun": 10**6},
}

MODELS = {
    "log loss": (MLPClassifier(), CLASSES),
    "smoothed": (MLPClassifier(label_smoothing=0.1), CLASSES),
    "binary, smoothed": (MLPClassifier(label_smoothing=0.1), BINARY),
    "multilabel, smoothed": (MLPClassifier(label_smoothing=0.1), LABELS),
    "focal": (MLPClassifier(loss="focal", focal_gamma=1.5), CLASSES),
    "binary, focal": (MLPClassifier(loss="focal"), BINARY),
    "multilabel, focal": (MLPClassifier(loss="focal"), LABELS),
    "hinge": (MLPClassifier(loss="hinge"), CLASSES),
    "binary, hinge": (MLPClassifier(loss="hinge"), BINARY),
    "multilabel, hinge": (MLPClassifier(loss="hinge"), LABELS),
    "squared_error": (MLPRegressor(), VALUES),
    "absolute_error": (MLPRegressor("absolute_error"), VALUES),
    "huber": (MLPRegressor("huber", huber_delta=0.5), VALUES),
    "poisson": (MLPRegressor("poisson"), POSITIVE),
    "gamma": (MLPRegressor("gamma"), POSITIVE),
    "quantile": (MLPRegressor("quantile", quantile=0.8), VALUES),
    "quantiles": (MLPRegressor("quantile", quantile=[0.9, 0.1, 0.5]), VALUES),
    "gaussian": (MLPRegressor("gaussian"), VALUES),
    "gaussian, two targets": (MLPRegressor("gaussian"), np.column_stack([VALUES, X[:, 0]])),
}


def small(name, **params):
    """A model of MODELS with few units and epochs, and its targets."""
    model, y = MODELS[name]
    defaults = {"hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0}
    return clone(model).set_params(**{**defaults, **params}), y


def all_predictions(model):
    """All that a fitted model predicts."""
    methods = ("predict", "predict_proba", "decision_function")
    found = [getattr(model, method)(X) for method in methods if hasattr(model, method)]
    if getattr(model, "loss", None) == "gaussian":
        found.append(model.predict(X, return_std=True)[1])
    return found


# Linear models


def test_gamma_without_hidden_layers_is_a_generalized_linear_model():
    """scikit-learn's penalty is `alpha / n`."""
    theirs = GammaRegressor(alpha=2 / N, tol=1e-10, max_iter=10**4).fit(X, POSITIVE)
    ours = MLPRegressor("gamma", alpha=2.0, **LINEAR).fit(X, POSITIVE)
    assert_allclose(ours.coefs_[0].ravel(), theirs.coef_, rtol=1e-4, atol=1e-6)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-4)


@pytest.mark.parametrize(
    ("params", "quantile"),
    [({"loss": "absolute_error"}, 0.5), ({"loss": "quantile", "quantile": 0.9}, 0.9)],
    ids=str,
)
def test_quantile_without_hidden_layers_is_quantile_regression(params, quantile):
    """The median is that of the absolute error too."""
    theirs = QuantileRegressor(quantile=quantile, alpha=0).fit(X, VALUES)
    ours = MLPRegressor(alpha=0.0, **params, **LINEAR).fit(X, VALUES)
    assert_allclose(ours.coefs_[0].ravel(), theirs.coef_, atol=5e-3)
    assert_allclose(ours.intercepts_[0], theirs.intercept_, atol=5e-3)


@pytest.mark.parametrize("C", [0.1, 1.0])
@pytest.mark.parametrize("y", [BINARY, CLASSES], ids=["binary", "multiclass"])
def test_hinge_without_hidden_layers_is_a_linear_support_vector_machine(y, C):
    """One against the rest, `alpha` is 1 / C, intercepts are not penalised: the same minimum."""
    theirs = OneVsRestClassifier(SVC(kernel="linear", C=C)).fit(X, y)
    coefs = np.column_stack([machine.coef_.ravel() for machine in theirs.estimators_])
    intercepts = np.array([machine.intercept_[0] for machine in theirs.estimators_])
    sign = np.where(y[:, None] == np.arange(3) if y is CLASSES else y[:, None] == 1, 1, -1)

    def objective(coefs, intercepts):
        slack = np.maximum(0, 1 - sign * (X @ coefs + intercepts))
        return C * slack.sum() + (coefs**2).sum() / 2

    ours = MLPClassifier(loss="hinge", alpha=1 / C, **LINEAR).fit(X, y)
    least = objective(coefs, intercepts)
    assert_allclose(objective(ours.coefs_[0], ours.intercepts_[0]), least, rtol=3e-3)
    assert (ours.predict(X) == theirs.predict(X)).mean() > 0.95


def log_softmax(z):
    return z - special.logsumexp(z, axis=1, keepdims=True)


def smoothed_loss(z):
    target = 0.8 * np.eye(3)[CLASSES] + 0.2 / 3
    return -(target * log_softmax(z)).sum(axis=1)


def focal_loss(z):
    log_p = log_softmax(z)[np.arange(N), CLASSES]
    return -((1 - np.exp(log_p)) ** 1.5) * log_p


def quantiles_loss(z):
    low, high = z[:, 0], z[:, 0] + np.log1p(np.exp(z[:, 1]))
    pairs = [(VALUES - low, 0.2), (VALUES - high, 0.7)]
    return sum(np.maximum(level * error, (level - 1) * error) for error, level in pairs)


WRITTEN_OUT = {
    "smoothed": (MLPClassifier(label_smoothing=0.2), CLASSES, smoothed_loss, 3),
    "focal": (MLPClassifier(loss="focal", focal_gamma=1.5), CLASSES, focal_loss, 3),
    "huber": (
        MLPRegressor("huber", huber_delta=0.5),
        VALUES,
        lambda z: special.huber(0.5, VALUES - z[:, 0]),
        1,
    ),
    "quantiles": (MLPRegressor("quantile", quantile=[0.7, 0.2]), VALUES, quantiles_loss, 2),
    "gaussian": (
        MLPRegressor("gaussian"),
        VALUES,
        lambda z: -stats.norm.logpdf(VALUES, z[:, 0], np.exp(z[:, 1] / 2)),
        2,
    ),
}


@pytest.mark.parametrize("name", WRITTEN_OUT)
def test_losses_without_hidden_layers_reach_scipys_minimum(name):
    """The penalised objective, written out, is as small where we end as where SciPy ends."""
    model, y, rows, k = WRITTEN_OUT[name]

    def objective(flat):
        coefs = flat[: 3 * k].reshape(3, k)
        return (rows(X @ coefs + flat[3 * k :]).sum() + 0.5 * (coefs**2).sum()) / N

    ours = clone(model).set_params(alpha=1.0, **LINEAR).fit(X, y)
    start = np.concatenate([ours.coefs_[0].ravel(), ours.intercepts_[0]])
    is_smooth = name != "quantiles"
    theirs = optimize.minimize(
        objective,
        np.zeros_like(start),
        method="BFGS" if is_smooth else "Powell",
        options={} if is_smooth else {"xtol": 1e-9, "ftol": 1e-12, "maxiter": 10**5},
    )
    assert_allclose(objective(start), theirs.fun, rtol=1e-6 if is_smooth else 1e-3)
    if is_smooth:
        got, expected = (X @ x[: 3 * k].reshape(3, k) + x[3 * k :] for x in (start, theirs.x))
        if isinstance(model, MLPClassifier):  # what is added to all logits alike is nothing
            got, expected = special.softmax(got, axis=1), special.softmax(expected, axis=1)
        assert_allclose(got, expected, atol=2e-3)


# Quantiles


@pytest.mark.parametrize("n_estimators", [1, 3])
def test_quantiles_cover_their_share_and_never_cross(n_estimators):
    """Each column has its share of the targets below it, in the order that was asked for."""
    levels = [0.5, 0.9, 0.1]
    model = MLPRegressor("quantile", (8,), quantile=levels, solver="lbfgs", random_state=0)
    prediction = model.set_params(n_estimators=n_estimators, max_iter=500).fit(X, VALUES).predict(X)
    assert prediction.shape == (N, 3)
    assert_allclose((VALUES[:, None] <= prediction).mean(axis=0), levels, atol=0.07)
    middle, high, low = prediction.T
    assert (low <= middle).all() and (middle <= high).all()


@pytest.mark.parametrize("quantile", [[0.5], (0.5,), np.array([0.5])], ids=repr)
def test_a_list_of_one_quantile_is_one_column(quantile):
    """A list is predicted as columns, however short and of whatever type."""
    model = MLPRegressor("quantile", (4,), quantile=quantile, max_iter=2).fit(X, VALUES)
    assert model.predict(X).shape == (N, 1)
    alone = clone(model).set_params(quantile=0.5, random_state=0).fit(X, VALUES)
    assert_allclose(
        model.set_params(random_state=0).fit(X, VALUES).predict(X)[:, 0], alone.predict(X)
    )


def test_one_quantile_of_several_targets():
    """A single quantile is learned of each target."""
    y = np.column_stack([VALUES, -VALUES])
    model = MLPRegressor("quantile", quantile=0.8, alpha=0.0, **LINEAR).fit(X, y)
    assert_allclose((y <= model.predict(X)).mean(axis=0), 0.8, atol=0.03)


# Mean and variance


def test_gaussian_learns_where_noise_is():
    """The standard deviation is the noise's, which differs from row to row."""
    noise = np.exp(X[:, 1] / 2)
    X_many = np.tile(X, (20, 1))
    y = X_many[:, 0] + np.tile(noise, 20) * np.random.default_rng(1).normal(size=20 * N)
    mean, std = MLPRegressor("gaussian", **LINEAR).fit(X_many, y).predict(X, return_std=True)
    assert_allclose(std, noise, rtol=0.15)
    assert_allclose(mean, X[:, 0], atol=0.3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_targets", [1, 2])
def test_return_std_is_shaped_and_typed_as_the_mean(n_targets, dtype):
    """Mean and standard deviation have one shape and X's dtype, and predict alone is the mean."""
    y = VALUES if n_targets == 1 else np.column_stack([VALUES, 10 * VALUES])
    model = MLPRegressor("gaussian", (4,), max_iter=3, random_state=0).fit(X.astype(dtype), y)
    mean, std = model.predict(X.astype(dtype), return_std=True)
    assert mean.shape == std.shape == y.shape
    assert mean.dtype == std.dtype == dtype
    assert_array_equal(mean, model.predict(X.astype(dtype)))
    logits = model.module_(torch.from_numpy(X.astype(dtype))).detach().numpy()
    assert_allclose(std.reshape(N, -1), np.exp(logits[:, n_targets:] / 2), rtol=1e-5)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_the_spread_between_networks_adds_to_the_variance(n_targets):
    """The variance of a mixture: the mean of its variances plus the variance of its means."""
    y = VALUES if n_targets == 1 else np.column_stack([VALUES, X[:, 0]])
    model = MLPRegressor("gaussian", (4,), n_estimators=3, max_iter=3, random_state=0).fit(X, y)
    pairs = [network.predict(X, return_std=True) for network in model.estimators_]
    means, stds = np.array(pairs).swapaxes(0, 1)
    mean, std = model.predict(X, return_std=True)
    assert_allclose(mean, means.mean(axis=0))
    assert_allclose(std**2, (stds**2 + means**2).mean(axis=0) - mean**2, rtol=1e-9)
    assert std.shape == y.shape


@pytest.mark.parametrize("n_estimators", [1, 2])
@pytest.mark.parametrize("loss", ["squared_error", "quantile", "huber"])
def test_return_std_of_another_loss_is_refused(loss, n_estimators):
    """Only the Gaussian loss learns a variance."""
    model = MLPRegressor(loss, (4,), max_iter=2, n_estimators=n_estimators).fit(X, VALUES)
    with pytest.raises(ValueError, match=f"loss='gaussian'; this one was fitted with loss='{loss}"):
        model.predict(X, return_std=True)


def test_a_constant_target_has_a_finite_standard_deviation():
    """Where the likelihood has no bound, the fit ends with finite numbers."""
    model = MLPRegressor("gaussian", **LINEAR).fit(X, np.zeros(N))
    mean, std = model.predict(X, return_std=True)
    assert np.isfinite(mean).all() and np.isfinite(std).all() and (std > 0).all()


# Decisions


@pytest.mark.parametrize("n_estimators", [1, 2])
@pytest.mark.parametrize(
    ("name", "shape"),
    [("binary, hinge", (N,)), ("hinge", (N, 3)), ("multilabel, hinge", (N, 3))],
)
def test_hinge_has_decisions_in_scikit_learns_shapes(name, shape, n_estimators):
    """Labels follow from the decision values, whose shapes are scikit-learn's."""
    model, y = small(name, n_estimators=n_estimators, max_iter=30)
    decision = model.fit(X, y).decision_function(X)
    assert decision.shape == shape
    expected = decision.argmax(axis=1) if name == "hinge" else (decision > 0).astype(int)
    assert_array_equal(model.predict(X), expected)


@pytest.mark.parametrize("method", ["predict_proba", "predict_log_proba"])
@pytest.mark.parametrize("fitted", [False, True])
def test_hinge_has_no_probabilities(method, fitted):
    """Asking for probabilities is an AttributeError that says what there is."""
    model, y = small("hinge")
    if fitted:
        model.fit(X, y)
    assert not hasattr(model, method)
    with pytest.raises(AttributeError, match=f"no attribute '{method}'") as error:
        getattr(model, method)
    assert "loss='hinge' has no probabilities; it has decision_function" in str(
        error.value.__cause__
    )


def test_other_losses_have_no_decision_function():
    """As in scikit-learn's MLPClassifier, which has predict_proba."""
    model, y = small("focal")
    assert not hasattr(model, "decision_function")
    assert not hasattr(model.fit(X, y), "decision_function")


def test_scorers_take_decisions():
    """ROC AUC is computed of decision values."""
    model, y = small("binary, hinge", max_iter=50)
    expected = stats.mannwhitneyu(
        *[model.fit(X, y).decision_function(X)[y == label] for label in (1, 0)]
    ).statistic / (y.sum() * (N - y.sum()))
    assert_allclose(get_scorer("roc_auc")(model, X, y), expected)


# Every loss


@pytest.mark.parametrize("n_estimators", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_round_trips(name, n_estimators):
    """A pickled model predicts the same, and a clone learns the same."""
    model, y = small(name, n_estimators=n_estimators)
    expected = all_predictions(model.fit(X, y))
    for other in (pickle.loads(pickle.dumps(model)), clone(model).fit(X, y)):
        for got, want in zip(all_predictions(other), expected, strict=True):
            assert_array_equal(got, want)


@pytest.mark.parametrize("n_estimators", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_a_fitted_model_answers_by_the_loss_it_was_fitted_with(name, n_estimators):
    """Parameters that are changed after a fit change no prediction and no score."""
    model, y = small(name, n_estimators=n_estimators)
    expected, score = model.fit(X, y).predict(X), model.score(X, y)
    if isinstance(model, MLPClassifier):
        methods = hasattr(model, "predict_proba"), hasattr(model, "decision_function")
        model.set_params(loss="log_loss" if model.loss == "hinge" else "hinge", label_smoothing=0.5)
        assert methods == (hasattr(model, "predict_proba"), hasattr(model, "decision_function"))
    else:
        model.set_params(loss="poisson" if model.loss != "poisson" else "gaussian", quantile=0.2)
    assert_array_equal(model.predict(X), expected)
    assert model.score(X, y) == score


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("name", MODELS)
def test_weights_are_repeated_rows(name, solver):
    """Where a batch holds all rows, weight 2 is the row twice and weight 0 its absence."""
    model, y = small(name, solver=solver, shuffle=False)
    weight = np.arange(N) % 3
    weighted = clone(model).set_params(batch_size=N).fit(X, y, weight)
    repeated = clone(model).set_params(batch_size=weight.sum())
    repeated.fit(X.repeat(weight, axis=0), y.repeat(weight, axis=0))
    for got, expected in zip(weighted.coefs_, repeated.coefs_, strict=True):
        assert_allclose(got, expected, rtol=1e-6, atol=1e-9)
    if solver == "lbfgs":  # an epoch's loss is a mean over rows, whatever their weights
        assert_allclose(weighted.loss_, repeated.loss_)


@pytest.mark.parametrize("name", MODELS)
def test_a_fit_goes_on(name):
    """Passes of partial_fit are the epochs of a fit, and a warm start adds its own."""
    model, y = small(name, max_iter=3, batch_size=N, shuffle=False)
    labels = [0, 1] if "binary" in name else [0, 1, 2]
    classes = {"classes": labels} if isinstance(model, MLPClassifier) else {}
    whole = clone(model).fit(X, y)
    by_pass = clone(model)
    for _ in range(3):
        by_pass.partial_fit(X, y, **classes)
    for got, expected in zip(by_pass.coefs_, whole.coefs_, strict=True):
        assert_allclose(got, expected, rtol=1e-9, atol=1e-12)
    model.set_params(warm_start=True, max_iter=2).fit(X, y).fit(X, y)
    assert len(model.loss_curve_) == 4


def test_losses_in_a_grid():
    """A search over losses compares them by their labels."""
    model = MLPClassifier((4,), solver="lbfgs", max_iter=30, random_state=0)
    grid = GridSearchCV(model, {"loss": ["log_loss", "focal", "hinge"]}, cv=2).fit(X, BINARY)
    assert (grid.cv_results_["mean_test_score"] > 0.7).all()


# Scores


@pytest.mark.parametrize(
    "name", [name for name, (m, _) in MODELS.items() if hasattr(m, "quantile")]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_score_is_that_of_the_loss(name, weighted):
    """R2, and for quantiles the D2 pinball score averaged over them."""
    model, y = small(name)
    weight = rng.uniform(size=N) if weighted else None
    prediction = model.fit(X, y).predict(X)
    if name.startswith("quantile"):
        levels = np.atleast_1d(model.quantile)
        expected = np.mean(
            [
                d2_pinball_score(y, q, alpha=level, sample_weight=weight)
                for q, level in zip(prediction.reshape(N, -1).T, levels, strict=True)
            ]
        )
    else:
        expected = r2_score(y, prediction, sample_weight=weight)
    assert_allclose(model.score(X, y, sample_weight=weight), expected)


@pytest.mark.parametrize("name", MODELS)
def test_early_stopping_watches_the_score(name):
    """The validation score is `score` on the samples that were kept from training.

    Of losses that R2 does not measure it is minus the validation loss.
    """
    model, y = small(name, early_stopping=True, max_iter=1)
    weight = rng.uniform(0.5, 2, N)
    model.fit(X, y, weight)
    draws = np.random.RandomState(0)
    for coef, intercept in zip(model.coefs_, model.intercepts_, strict=True):
        draws.uniform(size=coef.shape), draws.uniform(size=intercept.shape)
    stratify = y if y is BINARY else None
    held_out = train_test_split(np.arange(N), test_size=0.1, random_state=draws, stratify=stratify)
    part = held_out[1]
    expected = model.score(X[part], y[part], sample_weight=weight[part])
    if model.loss in ("gamma", "gaussian"):
        expected = -model.history_[0]["valid_loss"]
    assert_allclose(model.validation_scores_, [expected], rtol=1e-9)


# Refusals


@pytest.mark.parametrize(
    ("model", "y", "message"),
    [
        (MLPRegressor("poisson"), VALUES, "loss 'poisson', which takes y >= 0; the least is -"),
        (MLPRegressor("gamma"), np.arange(N), "loss 'gamma', which takes y > 0; the least is 0"),
        (MLPRegressor("huber", huber_delta=0), VALUES, "'huber_delta' parameter"),
        (MLPRegressor("quantile", quantile=1.0), VALUES, "'quantile' parameter"),
        (MLPRegressor("quantile", quantile=[0.5, 1]), VALUES, r"between 0 and 1.*got \[0.5, 1\]"),
        (MLPRegressor("quantile", quantile=[0.5, 0.5]), VALUES, r"distinct.*got \[0.5, 0.5\]"),
        (MLPRegressor("quantile", quantile=[]), VALUES, r"list of numbers, got \[\]"),
        (MLPRegressor("quantile", quantile=["a"]), VALUES, r"list of numbers, got \['a'\]"),
        (MLPRegressor("quantile", quantile="a"), VALUES, "'quantile' parameter"),
        (MLPRegressor("quantile", quantile=[[0.5]]), VALUES, r"numbers, got \[\[0.5\]\]"),
        (MLPRegressor("quantile", quantile=[0.1, 0.9]), LABELS, "for one target, and y has 3"),
        (MLPRegressor("absolute"), VALUES, "'loss' parameter.*'absolute'"),
        (MLPClassifier(loss="squared_hinge"), BINARY, "'loss' parameter.*'squared_hinge'"),
        (MLPClassifier(label_smoothing=1.0), BINARY, "'label_smoothing' parameter"),
        (MLPClassifier(focal_gamma=-1.0), BINARY, "'focal_gamma' parameter"),
        (
            MLPClassifier(loss="focal", label_smoothing=0.1),
            BINARY,
            "label_smoothing=0.1 has no effect with loss='focal'",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_loss_cannot_take_is_refused(model, y, message):
    """Values out of range are refused with what was received and what is expected."""
    with pytest.raises(ValueError, match=message):
        clone(model).fit(X, y)


# What is not finite


OVERFLOWING = {
    "poisson": (MLPRegressor("poisson"), POSITIVE, 1.0),
    "gamma": (MLPRegressor("gamma"), POSITIVE, 1.0),
    "scaled back": (MLPRegressor(normalize_y=True), VALUES, 1e36),
    "quantiles scaled back": (
        MLPRegressor("quantile", quantile=[0.5, 0.9], normalize_y=True),
        VALUES,
        1e36,
    ),
    "means scaled back": (MLPRegressor("gaussian", normalize_y=True), VALUES, 1e36),
}


@pytest.mark.parametrize("n_estimators", [1, 2])
@pytest.mark.parametrize("case", OVERFLOWING)
def test_predictions_that_overflow_are_refused(case, n_estimators):
    """Behind the link, and behind the scale, predictions are finite or an error that says which."""
    model, y, unit = OVERFLOWING[case]
    params = {"hidden_layer_sizes": (), "solver": "lbfgs", "random_state": 0}
    model = clone(model).set_params(n_estimators=n_estimators, **params).fit(X, unit * y)
    rows = X.astype(np.float32)
    assert np.isfinite(model.predict(rows)).all()
    rows[[3, 50]] = 1e4 * np.sign(model._networks[0].coefs_[0][:, 0])
    message = (
        r"^The prediction for 2 row\(s\) of X, the first of them row 3, is not finite: its values "
        r"overflow what float32 can compute with. Scale X as in training.$"
    )
    with pytest.raises(ValueError, match=message):
        model.predict(rows)


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_standard_deviations_that_overflow_are_refused(n_estimators):
    """A variance that float32 cannot hold is no standard deviation."""
    model = MLPRegressor("gaussian", normalize_y=True, n_estimators=n_estimators, **LINEAR)
    model.fit(X, 1e25 * VALUES)
    assert np.isfinite(model.predict(X, return_std=True)[1]).all()
    assert np.isfinite(model.predict(X.astype(np.float32))).all()
    message = rf"^The prediction for {N} row\(s\) of X, the first of them row 0, is not finite"
    with pytest.raises(ValueError, match=message):
        model.predict(X.astype(np.float32), return_std=True)


def test_the_mean_of_an_ensemble_that_overflows_is_refused():
    """Networks that each predict a finite number have no mean where their sum is too large."""
    model = MLPRegressor("poisson", (), n_estimators=2, max_iter=1, random_state=0)
    model.fit(X, POSITIVE)
    for network in model.estimators_:
        network.coefs_, network.intercepts_ = [np.zeros((3, 1))], [np.full(1, 709.5)]
        assert np.isfinite(network.predict(X)).all()
    with pytest.raises(ValueError, match="first of them row 0, is not finite"):
        model.predict(X)


def test_a_probability_of_zero_has_a_logarithm_of_minus_infinity():
    """As in scikit-learn it is no error, and no other method returns it."""
    model, y = small("log loss")
    model.fit(X, y).intercepts_[-1][:] = [0, 0, 1e4]
    assert_array_equal(model.predict_proba(X), np.tile([0.0, 0, 1], (N, 1)))
    assert_array_equal(model.predict_log_proba(X), np.tile([-np.inf, -np.inf, 0], (N, 1)))


VALUE_LOSSES = ("squared_error", "absolute_error", "huber", "poisson", "gamma", "quantile")


@pytest.mark.parametrize("own", [False, True], ids=["y", "y_val"])
@pytest.mark.parametrize("loss", [*VALUE_LOSSES, "gaussian"])
def test_targets_that_overflow_the_dtype_are_refused(loss, own):
    """What float64 holds and float32 does not is told, with its range and what to use."""
    y = POSITIVE.copy()
    y[7] = 1e300
    message = (
        rf"^y has values from {y.min():g} to 1e\+300, which overflow float32. Use "
        "normalize_y=True or dtype='float64'.$"
    )
    model = MLPRegressor(loss, (4,), dtype="float32", max_iter=2, random_state=0)
    with pytest.raises(ValueError, match=message):
        if own:
            model.set_params(early_stopping=True).fit(X, POSITIVE, X_val=X, y_val=y)
        else:
            model.fit(X, y)


@pytest.mark.parametrize("least", [1e-300, 1e-46])
def test_targets_of_gamma_that_become_zero_are_refused(least):
    """A target above 0 that float32 rounds to 0 has no deviance."""
    y = POSITIVE.copy()
    y[7] = least
    model = MLPRegressor("gamma", (4,), dtype="float32", max_iter=2, random_state=0)
    message = (
        rf"^The loss 'gamma' takes y > 0, and the least value of y, {least:g}, becomes 0 in "
        "float32. Use normalize_y=True or dtype='float64'.$"
    )
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert np.isfinite(model.set_params(dtype="float64").fit(X, y).loss_)
    y[7] = 1e-40  # which float32 holds, if with few digits
    assert np.isfinite(model.set_params(dtype="float32").fit(X, y).loss_)


@pytest.mark.filterwarnings("ignore::RuntimeWarning:scipy")
@pytest.mark.parametrize(
    "name, how, size",
    pairwise(
        MODELS, ["adam", "sgd", "adamw", "lbfgs", "partial_fit", "early stopping"], [1e3, 1e200]
    ),
)
def test_no_fit_ends_silently_with_what_is_not_finite(name, how, size):
    """Weights and loss are finite, or there is an error or a DivergenceWarning."""
    solver = how if how in ("sgd", "adamw", "lbfgs") else "adam"
    labels = [0, 1] if "binary" in name else [0, 1, 2]
    for dtype in ("float32", "float64"):
        model, y = small(name, solver=solver, dtype=dtype, early_stopping=how == "early stopping")
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                if how == "partial_fit":
                    classes = {"classes": labels} if isinstance(model, MLPClassifier) else {}
                    model.partial_fit(size * X, y, **classes).partial_fit(size * X, y)
                else:
                    model.fit(size * X, y)
            except ValueError as error:
                assert re.search("non-finite|infinity|too large", str(error)), error
                continue
        finite = [np.isfinite(a).all() for a in (*model.coefs_, *model.intercepts_, model.loss_)]
        assert all(finite) or any(w.category is DivergenceWarning for w in caught)


def test_a_prediction_that_overflows_in_early_stopping_is_a_divergence():
    """The score of predictions that are not finite is NaN, which ends the fit with a warning."""
    params = {"solver": "sgd", "learning_rate_init": 500.0, "n_iter_no_change": 100}
    model = MLPRegressor("gamma", (), early_stopping=True, random_state=0, **params)
    with pytest.warns(DivergenceWarning, match="the validation score became NaN in epoch"):
        model.fit(X, POSITIVE)
    assert np.isnan(model.validation_scores_[-1])
    assert np.isfinite(model.predict(X)).all()
