"""Fits that pause and go on: they come out as if they had never paused, bit for bit."""

import pickle
import time
import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier, MLPRegressor, TabularMLPClassifier, TabularMLPRegressor
from sklmlp.training import NotTrainedError, Pauses, use_pauses
from tests.tables import make_table

MLP = MLPClassifier((6,), max_iter=7, random_state=0, tol=0, learning_rate_init=0.01)

MODELS = {
    "compiled": (MLP, {}),
    "schedule": (MLP, {"learning_rate": "cosine", "warmup_fraction": 0.2}),
    "early stopping": (MLP, {"early_stopping": True, "validation_fraction": 0.3}),
    "early stopping by the loss": (MLP, {"early_stopping": True, "scoring": "loss"}),
    "converged": (MLP, {"tol": 1e9, "n_iter_no_change": 2}),
    "adaptive": (
        MLP,
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1},
    ),
    "invscaling": (MLP, {"solver": "sgd", "learning_rate": "invscaling"}),
    "adamw": (MLP, {"solver": "adamw", "solver_params": {"weight_decay": 0.1}}),
    "torch's": (MLP, {"solver": "nadam"}),
    "muon": (MLP, {"solver": "muon"}),
    "by autograd": (MLP, {"activation": "softmax"}),
    "random slopes": (MLP, {"activation": "rrelu"}),
    "dropout and batch norm": (MLP, {"dropout": 0.3, "normalization": "batch", "residual": True}),
    "stacked": (MLP, {"n_estimators": 3, "matmul_precision": "high"}),
    "by hand": (MLP, {"matmul_precision": "high"}),
    "ensemble": (MLP, {"n_estimators": 3, "early_stopping": True}),
    "no shuffling": (MLP, {"shuffle": False}),
    "regressor": (
        MLPRegressor(hidden_layer_sizes=6, max_iter=7, random_state=0),
        {"normalize_y": True},
    ),
    "L-BFGS": (MLP, {"solver": "lbfgs"}),
}


def in_rungs(estimator, X, y, rungs):
    """Fit again and again, each time for longer, as a search does; the last time to the end."""
    kept = None
    for n_epochs in [*rungs, None]:
        estimator = clone(estimator)
        with use_pauses(Pauses(n_epochs, kept=kept)) as pauses:
            estimator.fit(X, y)
        kept = pickle.loads(pickle.dumps(pauses.kept))  # it may come from another process
    return estimator


def same(one, other):
    """Assert that two fits have the same weights, curves and histories, to the last bit."""
    ones, others = ([*getattr(each, "estimators_", [each])] for each in (one, other))
    for a, b in zip(ones, others, strict=True):
        assert a.n_iter_ == b.n_iter_
        for name in ("coefs_", "intercepts_"):
            for left, right in zip(getattr(a, name), getattr(b, name), strict=True):
                np.testing.assert_array_equal(left, right)
        for name in ("loss_curve_", "validation_scores_", "loss_", "t_"):
            assert getattr(a, name, None) == getattr(b, name, None)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_fit_that_paused_is_the_same(name):
    """Each way to train goes on from a pause as if there had been none."""
    estimator, params = MODELS[name]
    estimator = clone(estimator).set_params(**params)
    X, y = make_table("regression" if isinstance(estimator, MLPRegressor) else "multiclass")
    same(in_rungs(estimator, X, y, [2, 3, 5]), clone(estimator).fit(X, y))


@pytest.mark.parametrize("cls", [TabularMLPClassifier, TabularMLPRegressor])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_tabular_fit_that_paused_is_the_same(cls):
    """So does the network of a raw table, with its dropout, its cycles and its refit."""
    X, y = make_table("binary" if cls is TabularMLPClassifier else "regression", 120)
    params = {"n_estimators": 2, "n_bins": 4, "max_iter": 9, "dropout": 0.2, "random_state": 0}
    estimator = cls(hidden_layer_sizes=(8,), **params)
    paused, whole = in_rungs(estimator, X, y, [2, 4]), clone(estimator).fit(X, y)
    assert paused.best_iteration_ == whole.best_iteration_
    assert paused.history_[-1]["train_loss"] == whole.history_[-1]["train_loss"]
    np.testing.assert_array_equal(paused.predict(X), whole.predict(X))
    if cls is TabularMLPClassifier:
        np.testing.assert_array_equal(paused.predict_proba(X), whole.predict_proba(X))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_networks_of_a_meta_estimator_go_on_one_by_one():
    """Several fits in one are told apart by their order."""
    X, y = make_table("multiclass")
    estimator = make_pipeline(StandardScaler(), OneVsRestClassifier(MLP))
    paused, whole = in_rungs(estimator, X, y, [2]), clone(estimator).fit(X, y)
    for one, other in zip(paused[-1].estimators_, whole[-1].estimators_, strict=True):
        same(one, other)


def test_it_has_trained_no_epoch_twice(monkeypatch):
    """A fit that goes on trains the epochs that are missing alone."""
    X, y = make_table("multiclass")
    estimator = clone(MLP).set_params(max_iter=6)
    with use_pauses(Pauses(4)) as first:
        estimator.fit(X, y)
    assert (first.n_done, first.max_iter, first.has_paused) == (4, 6, True)
    seconds = [record["seconds"] for record in estimator.history_]
    with use_pauses(Pauses(5, kept=first.kept)):
        again = clone(estimator).fit(X, y)
    assert [record["seconds"] for record in again.history_[:4]] == seconds
    assert len(again.history_) == 5


def test_other_rows_start_anew():
    """A state is taken up on the rows that it belongs to, and on no others."""
    X, y = make_table("multiclass")
    with use_pauses(Pauses(3)) as pauses:
        clone(MLP).fit(X, y)
    with use_pauses(Pauses(4, kept=pauses.kept)):
        paused = clone(MLP).fit(X + 1, y)
    with use_pauses(Pauses(4)):
        same(paused, clone(MLP).fit(X + 1, y))


def test_a_pause_is_no_reason_to_warn():
    """A fit that pauses says neither that it ended too early nor that it has learned nothing."""
    X, y = make_table("multiclass")
    with warnings.catch_warnings(), use_pauses(Pauses(1)):
        warnings.simplefilter("error")
        clone(MLP).set_params(learning_rate_init=1e-9).fit(X, y)


def test_a_deadline_ends_an_epoch():
    """At the deadline networks pause, and say that they were cut."""
    X, y = make_table("multiclass")
    with use_pauses(Pauses(10**8, deadline=time.time())) as pauses:
        estimator = clone(MLP).set_params(max_iter=10**9, n_iter_no_change=np.inf).fit(X, y)
    assert pauses.was_cut
    assert 0 < estimator.n_iter_ < 10**6


def test_a_look_counts_parameters_and_keeps_the_run():
    """The number of parameters and the run are known without an epoch."""
    X, y = make_table("multiclass")
    with use_pauses(Pauses(only_looks=True)) as pauses, pytest.raises(NotTrainedError):
        clone(MLP).fit(X, y)
    assert pauses.n_parameters == 5 * 6 + 6 + 6 * 3 + 3
    (run,) = pauses.runs
    assert (run.network.spec.hidden, len(run.dataset)) == ((6,), len(X))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_fits_with_callbacks_start_anew():
    """Callbacks have states of their own, so a fit with one is done from the start each time."""
    from skorch.callbacks import Callback

    seen = []

    class Counter(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(len(net.history))

    X, y = make_table("multiclass")
    estimator = clone(MLP).set_params(callbacks=[Counter()])
    same(in_rungs(estimator, X, y, [2, 3]), clone(estimator).fit(X, y))
    assert len(seen) == 2 + 3 + 7 + 7
