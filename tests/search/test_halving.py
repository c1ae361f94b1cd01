"""Which candidates go on, how they rank, and what time there is for them."""

import math

import numpy as np
import pytest
from scipy.stats import rankdata

from sklmlp.search.evaluation import Candidate
from sklmlp.search.halving import Rungs, next_rung, promote, ranks, rungs
from sklmlp.search.planning import Clock, epochs_that_fit, seconds_of_refit, seconds_of_rung


def test_rungs_grow_by_the_factor():
    """Each rung is the factor times longer, and the last ends where the fits end."""
    reached, n_epochs = [], 3
    while n_epochs is not None:
        reached.append(n_epochs)
        n_epochs = next_rung(n_epochs, 3, 200)
    assert reached == [3, 9, 27, 81]
    assert next_rung(3, 1.5, 200) == 5


@pytest.mark.parametrize("n", [1, 2, 3, 16, 17])
def test_the_better_third_goes_on(n):
    """Of n candidates those with the n / 3 greatest scores, rounded up, in their order."""
    scores = np.random.default_rng(0).permutation(n).astype(float).tolist()
    chosen = promote(scores, 3)
    assert chosen == sorted(np.argsort(scores)[n - math.ceil(n / 3) :].tolist())


def test_the_first_goes_on_in_any_case():
    """A candidate that is to go on does, unless it has failed."""
    assert promote([0.0, 1.0, 2.0], 3, always=[0]) == [0, 2]
    assert promote([math.nan, 1.0, 2.0], 3, always=[0]) == [2]


def test_failures_do_not_go_on():
    """NaN is no score, and where there is no other nobody goes on."""
    assert promote([math.nan, 0.0, math.nan], 3) == [1]
    assert promote([math.nan, math.nan], 3) == []


def test_equal_scores_go_by_their_order():
    """A tie is decided by who came first, so that a search is the same each time."""
    assert promote([1.0] * 6, 3) == [0, 1]


def test_a_batch_is_measured_by_earlier_ones():
    """Who is not in the better third of all that came to the rung does not go on."""
    assert promote([1.0, 2.0, 3.0], 3, earlier=[4.0, 5.0, 6.0]) == []
    assert promote([7.0, 2.0, 3.0], 3, earlier=[4.0, 5.0, 6.0]) == [0]


def test_ranks_within_a_rung_are_scipys():
    """In one rung ranks are `rankdata`'s, as in scikit-learn's searches; NaN comes last."""
    scores = np.array([0.3, 0.5, 0.5, math.nan, 0.1])
    expected = rankdata(-np.nan_to_num(scores, nan=-1), method="min")
    assert ranks(scores, [0] * 5) == expected.tolist()


def test_ranks_of_higher_rungs_come_first():
    """A candidate that went further ranks before one with a better score."""
    assert ranks(np.array([0.9, 0.1, 0.2, math.nan]), [0, 1, 1, 1]) == [4, 2, 1, 3]


def test_ended_fits_are_at_the_last_rung():
    """A candidate whose fits have ended by themselves is above all that paused."""
    assert rungs([1, 3, 2], [False, False, True]) == [0, 2, 3]
    assert rungs([1, 3, 2], [False, True, True]) == [0, 2, 2]
    assert rungs([1, 2], [False, False]) == [0, 1]


def trained(n_epochs, seconds, max_iter=100, is_final=False):
    """A candidate that took some seconds on two folds."""
    candidate = Candidate(0, {}, n_epochs=n_epochs, max_iter=max_iter, is_final=is_final)
    candidate.out = [{"fit_time": seconds / 2}] * 2
    return candidate


def test_a_rung_takes_what_its_epochs_took():
    """Two candidates of 1 and 2 seconds an epoch take 6 more for two epochs, on two cores 3."""
    pair = [trained(3, 3.0), trained(3, 6.0)]
    assert seconds_of_rung(pair, 5, parallelism=1) == pytest.approx(6)
    assert seconds_of_rung(pair, 5, parallelism=2) == pytest.approx(3)
    assert seconds_of_rung([*pair, trained(2, 9.0, is_final=True)], 5, 1) == pytest.approx(6)
    assert seconds_of_rung(pair[:1], None, 1) == pytest.approx(97)


def test_a_refit_takes_a_fold_s_time_and_more():
    """A refit is one fit, on the rows of all folds."""
    assert seconds_of_refit(trained(10, 8.0, is_final=True), None, 2, 1.5) == pytest.approx(6)
    assert seconds_of_refit(trained(10, 8.0), 20, 2, 1.5) == pytest.approx(12)


def test_epochs_are_as_many_as_fit():
    """One epoch more would not fit into the time, and these do."""
    pair = [trained(3, 3.0), trained(3, 6.0)]

    def needed(n):
        return seconds_of_rung(pair, n, 2) + seconds_of_refit(pair[1], n, 2, 1.2)

    n = epochs_that_fit(pair, 30.0, 2, 2, 1.2)
    assert needed(n) <= 30 < needed(n + 1)


def test_a_clock_counts_what_was_before():
    """Earlier fits of a storage have used up their part of the time."""
    clock = Clock(10.0, seconds_before=4.0)
    assert clock.left() == pytest.approx(6, abs=0.5)
    assert Clock(None).left() == math.inf
    assert Clock(None).deadline() is None


def test_rungs_may_be_given():
    """Comparisons come after the epochs that are listed, below the longest fit."""
    rungs = Rungs(3, 2, (6, 14))
    assert [rungs.after(n, 30) for n in (2, 6, 14)] == [6, 14, None]
    assert rungs.after(2, 6) is None


def test_the_share_of_a_batch_is_what_halving_trains():
    """Nine candidates: nine for 3 epochs of 27, three to 9, and one to the end."""
    assert Rungs(3, 3).share_of_full(27, 9) == (9 * 3 + 3 * 6 + 1 * 18) / (9 * 27)
    assert Rungs(3, None).share_of_full(27, 9) == 1
