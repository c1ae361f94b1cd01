"""Ctrl-C in the "sklmlp" backend ends the fits at once and leaves nothing behind."""

import os
import signal
import threading
import warnings

import joblib
import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_score,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.search.coordinator import FitCoordinator
from sklmlp.training.run import TrainingRun
from tests.tables import make_table

X, Y = make_table("multiclass", n_samples=90)
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(5000, 20)), RNG.integers(3, size=5000)  # takes L-BFGS long to learn
LONG = {"hidden_layer_sizes": (6,), "max_iter": 10**9, "tol": 0, "n_iter_no_change": np.inf}


@pytest.fixture
def ctrl_c(monkeypatch):
    """Ctrl-C, half a second after the first networks began to train; gives the epochs' losses."""
    losses, end_epochs = [], TrainingRun.end_epochs

    def press():
        os.kill(os.getpid(), signal.SIGINT)

    def ended(self, block, *args):
        losses.extend(block)
        end_epochs(self, block, *args)

    def watch(name):
        train = getattr(FitCoordinator, name)

        def trained(self, *args):
            with lock:
                if not timers:
                    timers.extend(threading.Timer(seconds, press) for seconds in (0.5, 10))
                    for timer in timers:  # one may come where Python cannot raise
                        timer.start()
            train(self, *args)

        monkeypatch.setattr(FitCoordinator, name, trained)

    timers, lock = [], threading.Lock()
    watch("_train_group")
    watch("_train_at_once")  # compiled networks wait for nobody
    monkeypatch.setattr(TrainingRun, "end_epochs", ended)
    yield losses
    for timer in timers:
        timer.cancel()


CASES = {
    "search": lambda: GridSearchCV(
        MLPClassifier(**LONG), {"alpha": [0, 1], "hidden_layer_sizes": [3, 4]}, cv=3
    ).fit(X, Y),
    "nested search": lambda: cross_validate(
        GridSearchCV(MLPClassifier(**LONG), {"alpha": [0, 1]}, cv=3), X, Y, cv=3
    ),
    "long epochs": lambda: GridSearchCV(
        MLPClassifier(**LONG | {"hidden_layer_sizes": (300, 300)}, batch_size=1),
        {"alpha": [0, 1]},
        cv=3,
    ).fit(np.tile(X, (500, 1)), np.tile(Y, 500)),
    "network by network": lambda: OneVsRestClassifier(
        MLPClassifier(**LONG, activation="prelu")
    ).fit(X, Y),
    "lbfgs": lambda: OneVsRestClassifier(
        MLPClassifier((50,), "tanh", solver="lbfgs", tol=0, max_iter=10**9, max_fun=10**9)
    ).fit(*NOISE),
}


@pytest.mark.parametrize("name", CASES)
def test_ctrl_c(name, ctrl_c):
    """KeyboardInterrupt reaches the caller, no thread is left, filters of warnings are back."""
    found, filters = warnings.filters, list(warnings.filters)
    with joblib.parallel_config(backend="sklmlp"), pytest.raises(KeyboardInterrupt):
        CASES[name]()
    if name == "long epochs":  # it does not wait for the end of one
        assert ctrl_c == []
    assert "sklmlp-task" not in {thread.name for thread in threading.enumerate()}
    assert warnings.filters is found
    assert found == filters


def test_a_search_after_ctrl_c(ctrl_c):
    """After Ctrl-C the backend serves the next search."""
    search = GridSearchCV(MLPClassifier(**LONG, random_state=0), {"alpha": [0, 1]}, cv=3)
    with joblib.parallel_config(backend="sklmlp"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(KeyboardInterrupt):
            search.fit(X, Y)
        search.set_params(estimator__max_iter=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.fixture
def ctrl_c_in_training(monkeypatch):
    """Ctrl-C after the first epoch or iteration of the first fit, and no more; gives the epochs."""
    epochs = []

    def is_out_of_time(run):
        epochs.append(run)
        if len(epochs) == 1:
            signal.raise_signal(signal.SIGINT)
        return False

    monkeypatch.setattr(TrainingRun, "is_out_of_time", property(is_out_of_time))
    return epochs


# with `max_time` Python is called after every epoch
SHORT = {"hidden_layer_sizes": (6,), "max_iter": 5, "max_time": 3600, "random_state": 0}
ALPHAS = {"alpha": [1e-4, 1.0]}
MANY = {
    "GridSearchCV": lambda mlp: GridSearchCV(mlp, ALPHAS, cv=2).fit(X, Y),
    "cross_validate": lambda mlp: cross_validate(mlp, X, Y, cv=2),
    "cross_val_score": lambda mlp: cross_val_score(mlp, X, Y, cv=2),
    "learning_curve": lambda mlp: learning_curve(mlp, X, Y, cv=2),
    "a pipeline in a search": lambda mlp: GridSearchCV(
        make_pipeline(StandardScaler(), mlp), {"standardscaler__with_mean": [True, False]}, cv=2
    ).fit(X, Y),
    "a search in a pipeline": lambda mlp: make_pipeline(
        StandardScaler(), GridSearchCV(mlp, ALPHAS, cv=2)
    ).fit(X, Y),
    "BaggingClassifier": lambda mlp: BaggingClassifier(mlp, n_estimators=2).fit(X, Y),
    "AdaBoostClassifier": lambda mlp: AdaBoostClassifier(mlp, n_estimators=2).fit(X, Y),
    "OneVsRestClassifier": lambda mlp: OneVsRestClassifier(mlp).fit(X, Y),
    "joblib": lambda mlp: joblib.Parallel()([joblib.delayed(mlp.fit)(X, Y)] * 2),
}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("name", MANY)
def test_ctrl_c_in_one_fit_of_many(name, solver, ctrl_c_in_training):
    """Ctrl-C in a fit of a search or an ensemble ends all of it, and no fold has half a score."""
    with pytest.raises(KeyboardInterrupt):
        MANY[name](MLPClassifier(**SHORT, solver=solver))
    assert len(ctrl_c_in_training) == 1


ONE = {
    "by itself": lambda mlp: mlp.fit(X, Y),
    "in a pipeline": lambda mlp: make_pipeline(StandardScaler(), mlp).fit(X, Y)[-1],
    "with another target": lambda mlp: TransformedTargetRegressor(mlp).fit(X, Y).regressor_,
}


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("name", ONE)
def test_ctrl_c_in_the_only_fit(name, solver, ctrl_c_in_training):
    """Ctrl-C in a fit that is no part of a search ends it with scikit-learn's warning."""
    with pytest.warns(UserWarning, match="^Training interrupted by user.$") as caught:
        model = ONE[name](MLPRegressor(**SHORT, solver=solver))
    assert model.n_iter_ == 1
    assert [each.filename for each in caught] == [__file__]
