"""The backend where fits are compiled: each trains in a thread of its own, and none waits."""

import threading

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import BaggingClassifier
from sklearn.model_selection import GridSearchCV, cross_validate

from sklmlp import MLPClassifier, native
from sklmlp.search.coordinator import RUNNING_AT_ONCE, FitCoordinator
from sklmlp.training.steps import CompiledStep
from tests.search.test_backend import (
    ALPHAS,
    GRIDS,
    SMALL,
    X,
    Y,
    assert_same_search,
    candidates,
    together,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklmlp.exceptions.TrainingWarning"),
    pytest.mark.skipif(not native.is_available(), reason="needs the compiled engine"),
]


@pytest.fixture
def steps(monkeypatch):
    """Note the threads and the number of fits that train at once; no job may wait."""
    found, lock, train = (
        {"threads": set(), "now": 0, "most": 0, "shares": []},
        threading.Lock(),
        (CompiledStep.train_epochs),
    )

    def counted(self, *args):
        with lock:
            found["threads"].add(threading.current_thread())
            found["shares"].append(self.n_threads)
            found["now"] += 1
            found["most"] = max(found["most"], found["now"])
        try:
            return train(self, *args)
        finally:
            with lock:
                found["now"] -= 1

    def waits(*args):
        raise AssertionError("a compiled fit waits")

    monkeypatch.setattr(CompiledStep, "train_epochs", counted)
    monkeypatch.setattr(FitCoordinator, "_train_group", waits)
    return found


@pytest.mark.parametrize("name", GRIDS)
def test_a_search_is_that_in_sequence(name, steps):
    """Scores and the refitted model are those of the same search without the backend."""
    search = GridSearchCV(MLPClassifier(**SMALL), candidates(GRIDS[name]), cv=2)
    expected = clone(search).fit(X, Y)
    with together():
        got = search.fit(X, Y)
    assert_same_search(got, expected)


def test_fits_take_one_thread_each(steps):
    """As many fits train as there are cores, each on one thread that is not the caller's."""
    with together():
        GridSearchCV(MLPClassifier(**SMALL), ALPHAS, cv=3, refit=False).fit(X, Y)
    assert set(steps["shares"]) == {1}
    assert threading.current_thread() not in steps["threads"]
    assert 1 <= steps["most"] <= RUNNING_AT_ONCE


def test_a_fit_beside_others_has_the_bits_of_one_alone():
    """Which fits train at the same time changes no bit of a network."""
    expected = MLPClassifier(**SMALL).fit(X, Y)
    with joblib.parallel_config(backend="sklmlp"):
        found = cross_validate(
            MLPClassifier(**SMALL), X, Y, cv=[(np.arange(len(X)), [0, 1])] * 6,
            return_estimator=True,
        )["estimator"]  # fmt: skip
    for model in found:
        np.testing.assert_array_equal(model.coefs_[0], expected.coefs_[0])


def test_ensembles_and_bags_within_tasks(steps):
    """A task that fits several networks itself trains them in its own thread."""
    with together():
        scores = cross_validate(
            BaggingClassifier(MLPClassifier(n_estimators=2, **SMALL), 2, random_state=0), X, Y, cv=2
        )
    assert np.isfinite(scores["test_score"]).all()
    assert set(steps["shares"]) == {1}


def test_an_error_ends_the_search():
    """What goes wrong in one fit is raised where `fit` was called."""
    search = GridSearchCV(MLPClassifier(**SMALL), {"alpha": [0.1, 1e300]}, error_score="raise")
    with together(), pytest.raises(ValueError, match="out of the range of float32"):
        search.fit(X.astype(np.float32), Y)


def test_a_thread_goes_on_with_the_next_task():
    """Starting one for each task would take a third of the time of short fits."""
    threads = []

    def fit(seed):
        threads.append(threading.current_thread())
        MLPClassifier(4, max_iter=2, random_state=seed).fit(X, Y)

    with together(n_jobs=2):
        joblib.Parallel()(joblib.delayed(fit)(seed) for seed in range(20))
    assert len(threads) == 20
    assert len(set(threads)) < 10
