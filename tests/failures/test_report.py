"""A fit that fails to learn says why, and no other fit says anything."""

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.preprocessing import scale

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.exceptions import (
    ConstantFeaturesWarning,
    DeadUnitsWarning,
    DivergenceWarning,
    LearningRateWarning,
    NothingLearntWarning,
    StoppedTooEarlyWarning,
    TrainingWarning,
    UnscaledFeaturesWarning,
    VanishingSignalWarning,
)
from sklmlp.failures import report as diagnosis
from tests.tables import KINDS, make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def said(model, X, y, **options):
    """The classes of the training warnings of a fit."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X, y, **options)
    return [w.category for w in caught if issubclass(w.category, TrainingWarning)]


def dead(z):
    """Zero wherever it may be evaluated here, so that no unit lives."""
    return torch.relu(z - 1e6)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", KINDS)
def test_learning_is_silent(kind, solver):
    """A fit that learns warns of nothing, and is not looked at."""
    X, y = make_table(kind, n_samples=200)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(diagnosis, "observe", None)
        model = make(kind, solver=solver, learning_rate_init=0.05, max_iter=60)
        assert said(model, X, y) == []


@pytest.mark.parametrize("kind", KINDS)
def test_noise(kind):
    """Of a table with nothing to learn it is said that nothing was, without a reason."""
    _, y = make_table(kind, n_samples=2000)
    X = np.random.default_rng(1).normal(size=(2000, 3))
    model = make(kind, hidden_layer_sizes=(1,), max_iter=200, alpha=1.0, learning_rate_init=0.01)
    with pytest.warns(NothingLearntWarning, match="no better than a constant prediction") as caught:
        model.fit(X, y)
    reasons = [w.category for w in caught if issubclass(w.category, TrainingWarning)]
    assert reasons == [NothingLearntWarning]


@pytest.mark.parametrize("kind", ["binary", "multilabel", "regression", "counts"])
def test_one_target_is_no_failure(kind):
    """Nothing is said where all rows have the same target."""
    X, y = make_table(kind)
    assert said(make(kind), 1000 * X, np.ones_like(y)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_dead_units(kind):
    """A hidden layer without a living unit is named."""
    X, y = make_table(kind, n_samples=400)
    model = make(kind, hidden_layer_sizes=(8, 8), activation=["tanh", dead], max_iter=60)
    with pytest.warns(DeadUnitsWarning, match="All units of hidden layer 2 are zero for all rows"):
        model.set_params(learning_rate_init=0.01).fit(X, y)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_constant_features(solver, kind):
    """Rows that are all the same are told of."""
    _, y = make_table(kind)
    model = make(kind, solver=solver, max_iter=60)
    with pytest.warns(ConstantFeaturesWarning, match="All 4 features are constant"):
        model.fit(np.full((60, 4), 0.5), y)


@pytest.mark.parametrize(
    "mean, sizes, says",
    [
        (2000, [1, 1, 1, 1, 1], r"2e\+03 and standard deviation 1\."),
        (0, [1e-4, 1e-4, 1e-4, 5e-5, 1e-4], r"standard deviation 5e-05\."),
        (0, [1, 1, 1, 1e4, 1], r"standard deviation 1e\+04\."),
    ],
)
@pytest.mark.parametrize("named", [False, True])
def test_unscaled_features(mean, sizes, says, named):
    """The feature that is farthest from standardized is named, with its mean and scale."""
    X, y = make_table("regression", n_samples=300)
    X = scale(X) * sizes
    X[:, 3] += mean
    if named:
        X = pd.DataFrame(X, columns=["age", "size", "rooms", "year", "tax"])
    what = "'year'" if named else "feature 3"
    message = f"not scaled: {what} has mean .*{says} Networks .*StandardScaler"
    with pytest.warns(UnscaledFeaturesWarning, match=message):
        make("regression", max_iter=20).fit(X, y)


def test_a_loss_that_rose():
    """A loss that ends above its beginning is a divergence, with the rate to try."""
    X, y = make_table("regression", n_samples=200)
    params = {"solver": "sgd", "learning_rate_init": 0.2, "max_iter": 5, "tol": 0}
    model = make("regression", activation="identity", momentum=0.0, **params)
    with pytest.warns(DivergenceWarning, match=r"loss rose from .* to .*learning_rate_init=0.02\."):
        model.fit(4 * X, y)
    assert issubclass(DivergenceWarning, ConvergenceWarning)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("n_estimators", [1, 3])
def test_a_diverged_score(n_estimators):
    """A validation score of NaN is a divergence; an ensemble tells of it once."""
    X, y = make_table("regression", n_samples=100)
    model = make(
        "regression", activation="identity", solver="sgd", learning_rate_init=100.0,
        early_stopping=True, max_iter=1000, n_iter_no_change=1000, n_estimators=n_estimators,
    )  # fmt: skip
    assert said(model, X, y).count(DivergenceWarning) == 1
    with pytest.warns(DivergenceWarning, match=r"score became NaN.*learning_rate_init=10\."):
        model.fit(X, y)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_weights_that_are_not_finite():
    """scikit-learn's error of weights that are not finite says which rate to try."""
    X, y = make_table("regression")
    model = make("regression", solver="sgd", learning_rate_init=1e3, max_iter=500)
    with pytest.raises(ValueError, match=r"non-finite parameter.*try learning_rate_init=100\."):
        model.fit(100 * X, y)


def test_once_an_ensemble():
    """However many networks fail, each reason is told once."""
    X, y = make_table("binary", n_samples=400)
    model = make("binary", n_estimators=3, activation=dead, max_iter=60, learning_rate_init=0.01)
    assert said(model, 100 * X, y) == [DeadUnitsWarning, UnscaledFeaturesWarning]


def test_each_is_a_class_of_its_own():
    """One reason can be ignored while another is raised, and all of them at once."""
    X, y = make_table("binary", n_samples=400)
    model = make("binary", activation=dead, max_iter=60, learning_rate_init=0.01)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("error", TrainingWarning)
        warnings.simplefilter("ignore", DeadUnitsWarning)
        with pytest.raises(UnscaledFeaturesWarning):
            model.fit(100 * X, y)
        warnings.simplefilter("ignore", TrainingWarning)
        model.fit(100 * X, y)


def test_one_pass_is_no_failure():
    """`partial_fit` says nothing: it has only begun."""
    _, y = make_table("regression")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make("regression").partial_fit(np.ones((60, 2)), y)


DIGITS = load_digits(return_X_y=True)
DIGITS = scale(DIGITS[0]), DIGITS[1]
DIABETES = tuple(map(scale, load_diabetes(return_X_y=True)))
SICK = [
    ({"learning_rate_init": 1e-7}, LearningRateWarning, "init=1e-07 is too low"),
    ({"learning_rate_init": 1e-7, "solver": "sgd"}, LearningRateWarning, "init=1e-07 is too low"),
    (
        {"learning_rate_init": 100.0, "activation": "tanh"},
        LearningRateWarning,
        "init=100 is too high",
    ),
    (
        {"hidden_layer_sizes": (32,) * 8, "activation": "logistic"},
        VanishingSignalWarning,
        "signal vanishes between the layers: from hidden layer 1 to 8",
    ),
    ({"alpha": 1e5}, NothingLearntWarning, "alpha=100000 has shrunk the weights"),
    (
        {"max_iter": 1, "learning_rate_init": 1e-5},
        StoppedTooEarlyWarning,
        "max_iter=1 ended the fit after 1 epochs, before it had learned anything",
    ),
]


SICK = [
    (cls, *case)
    for cls in (MLPClassifier, MLPRegressor)
    for case in SICK
    # the same setting diverges, or has an effect too small, on the other table
    if (cls, case[0].get("learning_rate_init")) != (MLPClassifier, 100.0)
    and (cls, "alpha" in case[0]) != (MLPRegressor, True)
]


@pytest.mark.parametrize("cls, params, category, says", SICK, ids=lambda value: str(value)[:40])
def test_a_fit_no_better_than_a_constant_says_why(cls, params, category, says):
    """Each reason is named, alone, with the fact."""
    table = DIGITS if cls is MLPClassifier else DIABETES
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        cls(**{"max_iter": 40, "random_state": 0, **params}).fit(*table)
    (told,) = (w for w in caught if issubclass(w.category, TrainingWarning))
    assert told.category is category
    assert says in str(told.message)
    assert "The model is no better than a constant prediction: its training loss is " in str(
        told.message
    )


HEALTHY = [
    {},
    {"early_stopping": True, "scoring": "loss"},
    {"solver": "lbfgs"},
    {"n_estimators": 2},
    {"activation": "tanh", "hidden_layer_sizes": (16, 16), "dropout": 0.2},
    {"dtype": "float32", "learning_rate_init": 0.01},
]
LOSSES_OF = {
    MLPClassifier: ["log_loss", "focal", "hinge"],
    MLPRegressor: ["squared_error", "absolute_error", "huber", "gaussian", "quantile"],
}


@pytest.mark.parametrize("params", HEALTHY, ids=str)
@pytest.mark.parametrize("cls, loss", [(cls, loss) for cls in LOSSES_OF for loss in LOSSES_OF[cls]])
def test_a_fit_that_learns_is_silent(cls, loss, params):
    """Whatever the loss and the way of training."""
    table = DIGITS if cls is MLPClassifier else DIABETES
    model = cls(**{"hidden_layer_sizes": (32,), "max_iter": 40, "random_state": 0, **params})
    assert said(model.set_params(loss=loss), *table) == []


def test_most_units_of_a_layer_are_dead():
    """A layer need not be dead as a whole to be named."""
    X, y = make_table("regression", n_samples=400)
    model = make("regression", hidden_layer_sizes=(10,), max_iter=20).fit(X, y)
    model.set_params(warm_start=True, learning_rate_init=1e-9)
    model.intercepts_[0][1:] = -100.0
    model.coefs_[1][:] = 0.0
    with pytest.warns(DeadUnitsWarning, match="90% of the units of hidden layer 1 are zero"):
        model.fit(X, y)


@pytest.mark.parametrize(
    "table, seed", [*itertools.product([load_iris], [0, 1, 3, 4]), (load_digits, 0)]
)
def test_early_stopping_by_a_score_that_stands_still(table, seed):
    """A fit that stops while its validation loss falls names the way to stop by the loss."""
    model = MLPClassifier(early_stopping=True, random_state=seed)
    with pytest.warns(StoppedTooEarlyWarning) as caught:
        model.fit(*table(return_X_y=True))
    losses = [epoch["valid_loss"] for epoch in model.history_]
    kept = losses[int(np.argmax(model.validation_scores_))]
    (told,) = (w for w in caught if issubclass(w.category, TrainingWarning))
    assert str(told.message) == (
        f"Early stopping ended the fit after {model.n_iter_} epochs because the validation score "
        "stood still, while the validation loss was still falling: from "
        f"{kept:.3g} at the weights that are kept to {losses[-1]:.3g}. "
        'Use scoring="loss" to stop by the loss.'
    )


def test_features_beyond_squaring():
    """Features of 1e300 are unscaled ones, and no arithmetic of the diagnosis overflows."""
    X, y = load_iris(return_X_y=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        got = said(MLPClassifier(random_state=0, max_iter=30), X * 1e300, y)
    assert got == [UnscaledFeaturesWarning]


def test_sparse_rows_stay_sparse(monkeypatch):
    """The diagnosis of a sparse table says what that of the dense one does, and stays sparse."""
    X, y = make_table("binary", n_samples=300, n_features=40)
    X = np.where(np.abs(X) > 2, 1000 * X, 0)
    model = make("binary", activation="tanh", alpha=1e5, max_iter=20)
    with pytest.warns(TrainingWarning) as dense:
        model.fit(X, y)
    look = diagnosis.observe

    def without_take(fit, sample):
        with monkeypatch.context() as patch:
            patch.setattr(type(sample.rows), "take", None)
            return look(fit, sample)

    monkeypatch.setattr(diagnosis, "observe", without_take)
    with pytest.warns(TrainingWarning) as sparse:
        model.fit(sp.csr_matrix(X), y)
    messages = [
        [str(w.message) for w in caught if issubclass(w.category, UnscaledFeaturesWarning)]
        for caught in (dense, sparse)
    ]
    assert messages[0] and messages[0] == messages[1]


LOSSES = [
    *((kind, {}) for kind in KINDS),
    ("binary", {"loss": "focal"}),
    ("multiclass", {"loss": "focal"}),
    ("binary", {"loss": "hinge"}),
    ("multilabel", {"loss": "hinge"}),
    ("multiclass", {"label_smoothing": 0.2}),
    ("multilabel", {"label_smoothing": 0.2}),
    ("regressions", {"loss": "absolute_error"}),
    ("regressions", {"loss": "huber", "huber_delta": 0.3}),
    ("regressions", {"loss": "gaussian"}),
    ("regressions", {"loss": "quantile", "quantile": 0.9}),
    ("regression", {"loss": "quantile", "quantile": [0.9, 0.1, 0.5]}),
]


@pytest.mark.parametrize("kind, params", LOSSES, ids=str)
def test_loss_of_a_constant(kind, params, monkeypatch):
    """The constant that a network has to beat is the best one, by SciPy's search."""
    X, y = make_table(kind, n_samples=80)
    runs = []
    monkeypatch.setattr("sklmlp.base.warn_of_failed_learning", lambda r, names: runs.extend(r))
    weight = np.linspace(0.5, 2, 80)
    model = make(kind, **params).fit(X, y, weight)
    (run,) = runs
    loss, targets = model._spec.loss_function, run.dataset.y

    def of(z):
        z = torch.as_tensor(z).expand(80, model.n_outputs_)
        return np.average(loss.value(z, targets).numpy(), weights=weight)

    found = diagnosis.constant_prediction(run, run.dataset)[1]
    options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 20_000, "maxfev": 20_000}
    searches = [
        minimize(of, np.full(model.n_outputs_, start), method="Nelder-Mead", options=options)
        for start in (-0.9, 0.0, 0.3)
    ]
    assert_allclose(found, min(search.fun for search in searches), rtol=1e-3)
    if kind in ("binary", "multiclass") and not params:
        dummy = DummyClassifier(strategy="prior").fit(X, y, weight)
        expected = log_loss(y, dummy.predict_proba(X), sample_weight=weight)
        assert_allclose(found, expected)
