"""A directory: a fit that was killed goes on, and ends as if nothing had happened."""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest

from sklmlp.search.automl import folds
from tests.search.automl.test_estimators import make

N_TRIALS = 5


@pytest.fixture(scope="module")
def known():
    """The results of fits that nothing happened to, made when they are first needed."""
    return {}


@pytest.fixture
def whole(table, known):
    if not known:
        known["fit"] = make(n_trials=N_TRIALS).fit(*table[:2])
    return known["fit"]


@pytest.fixture
def interrupt_at(monkeypatch):
    """A function that makes the n-th fit of a fold from now on one in which Ctrl-C comes."""
    fit_fold = folds.fit_fold

    def interrupt_at(n):
        fits = iter(range(n))

        def counted(*args, **kwargs):
            if next(fits, None) is None:
                raise KeyboardInterrupt
            return fit_fold(*args, **kwargs)

        monkeypatch.setattr(folds, "fit_fold", counted)

    return interrupt_at


def assert_same(fit, whole, X):
    assert fit.cv_results_["params"] == whole.cv_results_["params"]
    for name in ("mean_test_score", "rung", "n_epochs"):
        np.testing.assert_array_equal(fit.cv_results_[name], whole.cv_results_[name])
    np.testing.assert_array_equal(fit.oof_prediction_, whole.oof_prediction_)
    np.testing.assert_array_equal(fit.predict_proba(X), whole.predict_proba(X))
    best = fit.best_estimator_.predict_proba(X)
    np.testing.assert_array_equal(best, whole.best_estimator_.predict_proba(X))


def test_a_directory_changes_nothing(table, whole, tmp_path):
    """The first fit is as without one, and the next finds its trials and its networks."""
    X, y, _ = table
    automl = make(n_trials=N_TRIALS, directory=tmp_path / "new" / "run")
    assert_same(automl.fit(X, y), whole, X)
    assert_same(automl.fit(X, y), whole, X)
    assert automl.plan_["batch_sizes"] == []


def test_more_trials_go_on(table, whole, tmp_path):
    """`n_trials` is a total over all fits in a directory."""
    X, y, _ = table
    make(n_trials=1, directory=tmp_path).fit(X, y)
    automl = make(n_trials=N_TRIALS, directory=tmp_path).fit(X, y)
    assert automl.plan_["batch_sizes"] == [1, 1, 2]
    assert_same(automl, whole, X)


@pytest.mark.parametrize("n", [0, 3, 7, 11])
def test_a_fit_goes_on_from_anywhere(table, whole, tmp_path, interrupt_at, n):
    """Wherever Ctrl-C came, the next fit with the same directory ends with the same result."""
    X, y, _ = table
    automl = make(n_trials=N_TRIALS, directory=tmp_path)
    interrupt_at(n)
    if n == 0:
        with pytest.raises(KeyboardInterrupt):
            automl.fit(X, y)
    else:
        with pytest.warns(UserWarning, match="interrupted by user after ."):
            automl.fit(X, y)
        assert automl.predict_proba(X).shape == (90, 3)
    interrupt_at(10**9)
    assert_same(automl.fit(X, y), whole, X)


KILLED = """
import os, signal, sys
import numpy as np, pandas as pd
from sklmlp.search.automl import folds
from sklmlp import AutoMLPClassifier
from sklmlp.tabular import defaults
defaults.max_iter = lambda n, size: 4
fit_fold, left = folds.fit_fold, iter(range(5))
def counted(*args, **kwargs):
    if next(left, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)
    return fit_fold(*args, **kwargs)
folds.fit_fold = counted
X = np.random.default_rng(0).normal(size=(60, 2))
AutoMLPClassifier(None, n_trials=3, cv=2, random_state=0, n_jobs=1, directory=sys.argv[1]).fit(
    X, (X[:, 0] > 0).astype(int)
)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="the system has no SIGKILL")
def test_a_kill_loses_the_batch_under_way_alone(tmp_path):
    """The first candidate and its networks are in the directory when the second batch is lost."""
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    killed = subprocess.run(command, capture_output=True, cwd=os.getcwd())
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert sorted(file.name for file in (tmp_path / "networks").iterdir()) == ["00000.joblib"]
    assert (tmp_path / "plan.json").exists()


def test_two_fits_share_a_directory(table, whole, tmp_path):
    """Each takes batches of its own, and both end with all candidates and their networks."""
    X, y, _ = table
    fits = [make(n_trials=N_TRIALS, directory=tmp_path) for _ in range(2)]
    threads = [threading.Thread(target=each.fit, args=(X, y)) for each in fits]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(sum(each.plan_["batch_sizes"]) for each in fits) == N_TRIALS
    for each in fits:
        assert each.cv_results_["params"][:3] == whole.cv_results_["params"][:3]
        assert len(each.cv_results_["params"]) == N_TRIALS
    np.testing.assert_array_equal(*(each.oof_prediction_ for each in fits))


def test_other_data_are_refused_by_name(table, tmp_path):
    """So are other settings."""
    X, y, _ = table
    make(n_trials=1, directory=tmp_path).fit(X, y)
    with pytest.raises(ValueError, match=r"other are y\. "):
        make(n_trials=1, directory=tmp_path).fit(X, np.roll(y, 1))
    with pytest.raises(ValueError, match=r"other are scoring, X\. "):
        make(n_trials=1, directory=tmp_path, scoring="accuracy").fit(X[::-1], y)
