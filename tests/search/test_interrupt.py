"""Ctrl-C in the "sklmlp" backend ends the fits at once and leaves nothing behind."""

import os
import signal
import threading
import time
import warnings

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.multiclass import OneVsRestClassifier

from sklmlp import MLPClassifier
from sklmlp.search.meeting import Meeting
from tests.tables import make_table

X, Y = make_table("multiclass", n_samples=90)
RNG = np.random.default_rng(0)
NOISE = RNG.normal(size=(5000, 20)), RNG.integers(3, size=5000)  # takes L-BFGS long to learn
LONG = {"hidden_layer_sizes": (6,), "max_iter": 10**9, "tol": 0, "n_iter_no_change": np.inf}


@pytest.fixture
def ctrl_c(monkeypatch):
    """Ctrl-C, half a second after the first networks began to train; gives when."""
    times, lead = [], Meeting._lead

    def press():
        times.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    def led(self, leader):
        if not timers:
            timers.append(threading.Timer(0.5, press))
            timers[0].start()
        lead(self, leader)

    timers = []
    monkeypatch.setattr(Meeting, "_lead", led)
    yield times
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
        MLPClassifier(**LONG, batch_size=1), {"alpha": [0, 1]}, cv=3
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
    """KeyboardInterrupt reaches the caller within a second, no thread is left, filters are back."""
    filters = list(warnings.filters)
    with joblib.parallel_config(backend="sklmlp"), pytest.raises(KeyboardInterrupt):
        CASES[name]()
    assert time.monotonic() - ctrl_c[0] < 2  # one second where nobody else computes
    assert "sklmlp-task" not in {thread.name for thread in threading.enumerate()}
    assert list(warnings.filters) == filters


def test_a_search_after_ctrl_c(ctrl_c):
    """After Ctrl-C the backend serves the next search."""
    search = GridSearchCV(MLPClassifier(**LONG, random_state=0), {"alpha": [0, 1]}, cv=3)
    with joblib.parallel_config(backend="sklmlp"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(KeyboardInterrupt):
            search.fit(X, Y)
        search.set_params(estimator__max_iter=2).fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
