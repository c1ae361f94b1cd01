"""What a search does with its time, by a clock that goes on by a second with every fit."""

import numpy as np
import pytest

from sklmlp import MLPClassifier
from sklmlp.search import batches, evaluation, planning
from tests.search.test_cv import search, without_times
from tests.tables import make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class FakeTime:
    """A module `time` in which a fit takes a second, and nothing else takes any."""

    now = 0.0

    def time(self):
        return self.now

    monotonic = time


@pytest.fixture
def clock(monkeypatch):
    """The time of a search; a fit of an epoch takes a second."""
    fake, fit_and_score = FakeTime(), evaluation.fit_and_score

    def timed(*args, **kwargs):
        result = fit_and_score(*args, **kwargs)
        fake.now += 1
        return {**result, "fit_time": 1.0, "score_time": 0.0}

    for module in (planning, evaluation, batches):
        monkeypatch.setattr(module, "time", fake)
    monkeypatch.setattr(evaluation, "fit_and_score", timed)
    # networks do not look at the clock of the system, which is not that of the search
    monkeypatch.setattr("sklmlp.training.pausing.time", FakeTime())
    return fake


@pytest.fixture(scope="module")
def table():
    return make_table("multiclass")


def timed_search(max_time, **params):
    network = MLPClassifier(4, max_iter=9, random_state=0)
    space = {"alpha": [1e-3, 1e-2, 1e-1, 1.0], "hidden_layer_sizes": [(2,), (4,), (3, 3)]}
    defaults = {"n_trials": None, "max_time": max_time, "factor": 2, "batch_size": 4}
    return search(network, space, **{**defaults, **params})


@pytest.mark.parametrize("max_time", [40, 100])
def test_a_search_ends_in_time_and_can_be_repeated(table, clock, max_time):
    """It makes use of its time and no more, and `plan_` repeats it without a clock."""
    timed = timed_search(max_time, refit=False).fit(*table)
    assert max_time / 2 < clock.now <= max_time
    assert timed.plan_["n_epochs"] is None
    again = timed_search(None, n_trials=timed.plan_["n_trials"], refit=False).fit(*table)
    assert without_times(again.cv_results_) == without_times(timed.cv_results_)
    assert sum(timed.plan_["batch_sizes"]) == timed.plan_["n_trials"]


def test_what_is_not_reached_shortens_the_last_rung(table, clock):
    """Where no candidate can end in time, the best of those compared last is fitted as long."""
    timed = timed_search(9, min_epochs=2).fit(*table)
    n_epochs = timed.plan_["n_epochs"]
    assert n_epochs is not None
    assert 2 <= n_epochs < 9
    assert timed.cv_results_["n_epochs"][timed.best_index_] == n_epochs
    assert timed.best_estimator_.n_iter_ == n_epochs


@pytest.mark.filterwarnings("ignore:One or more of the .* scores are non-finite")
@pytest.mark.parametrize(
    "params",
    [
        {},
        {"scoring": ["accuracy", "neg_log_loss"], "refit": "accuracy", "return_train_score": True},
    ],
    ids=["one score", "several"],
)
def test_without_time_for_a_score_the_first_is_fitted(table, clock, params):
    """The estimator is fitted as it is given, for what is left, and a warning says so."""
    with pytest.warns(UserWarning, match=r"max_time=1 s.*or lower cv\. The first candidate is"):
        timed = timed_search(1, **params).fit(*table)
    assert timed.plan_["n_trials"] == 0
    assert timed.best_params_ == {}
    assert np.isnan(timed.best_score_)
    assert timed.cv_results_["n_epochs"].tolist() == [0]
    assert timed.score(*table) >= 0
    assert timed.best_estimator_.n_iter_ == 9


def test_without_time_for_a_score_and_no_refit_there_is_nothing(table, clock):
    """Then it is an error, which says what to change."""
    with pytest.raises(ValueError, match=r"max_time=1 s.*Raise max_time, or lower cv"):
        timed_search(1, refit=False).fit(*table)


def test_what_the_first_has_trained_is_not_lost(table, clock):
    """Where half of the time is not enough for its first rung, it goes on from where it is."""
    timed = timed_search(10, min_epochs=8, refit=False).fit(*table)
    assert timed.plan_["n_trials"] == 1
    assert timed.cv_results_["n_epochs"].tolist() == [timed.plan_["n_epochs"] or 9]
    assert timed.cv_results_["n_epochs"][0] > 1
    assert clock.now <= 10


def test_max_time_is_a_total(table, clock, tmp_path):
    """What earlier fits of a storage took is not there any more."""
    place = str(tmp_path / "study")
    timed_search(60, storage=place, refit=False).fit(*table)
    first = clock.now
    timed_search(60, storage=place, refit=False).fit(*table)
    assert clock.now - first <= 60 - first + 8
    timed_search(120, storage=place, refit=False).fit(*table)
    assert clock.now <= 120
