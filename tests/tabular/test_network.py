"""The course of a fit: its lengths, the weights that are kept, and dropout."""

import pytest

from sklmlp.optim.schedules import coslog
from sklmlp.tabular.network import Budget, StoppingAtEnds, best_end, ends_of_cycles, flat_cos


@pytest.mark.parametrize("max_iter", [15, 30, 60])
def test_ends_are_where_the_rate_is_zero(max_iter):
    """Four of them, the last at the end."""
    ends = ends_of_cycles(max_iter)
    assert len(ends) == 4 and ends[-1] == max_iter
    assert [coslog(end / max_iter) for end in ends] == pytest.approx([0] * 4, abs=1e-12)


@pytest.mark.parametrize("max_iter, ends", [(1, [1]), (2, [1, 2]), (8, [1, 2, 4, 8])])
def test_short_fits_have_fewer_ends(max_iter, ends):
    """There is one at least."""
    assert ends_of_cycles(max_iter) == ends


BUDGETS = {
    "enough": (Budget(100.0, 1.2, 0.0), 0.1, 30),
    "for fit and refit": (Budget(10.0, 1.0, 0.5), 0.5, 8),
    "for the fit alone": (Budget(4.0, 1.0, 0.0), 0.5, 6),
    "for one epoch": (Budget(0.1, 1.0, 0.0), 0.5, 1),
    "without a refit": (Budget(10.0, 0.0, 0.0), 0.5, 17),
}


@pytest.mark.parametrize("budget, seconds, n_epochs", BUDGETS.values(), ids=BUDGETS)
def test_a_budget_says_how_many_epochs(budget, seconds, n_epochs):
    """Of 30 that were planned; a refit that is too short is left out."""
    assert budget.n_epochs(seconds, 30) == n_epochs


def test_dropout_stays_for_half_of_the_time():
    """And falls to nothing."""
    assert [flat_cos(t) for t in (0, 0.5, 0.75, 1)] == pytest.approx([1, 1, 0.5, 0])


class Numbers:
    """A network whose snapshot is the number of the epoch."""

    n = 0

    def snapshot(self):
        return self.n


def course(scores, ends):
    network, stopping = Numbers(), StoppingAtEnds(ends=ends)
    stopping.start(True, network)
    for network.n, score in enumerate(scores, 1):
        stopping.add_epochs([1.0], 10)
        stopping.update_from_score(score, 0.0, network)
    return stopping


SCORES = [5.0, 1, 9, 2, 9, 3, 9, 2]


@pytest.mark.parametrize("n_done, best", [(1, 1), (2, 2), (3, 2), (5, 4), (7, 6), (8, 6)])
def test_weights_are_kept_at_ends(n_done, best):
    """However good those in between are; before the first end all count."""
    ends = [2, 4, 6, 8]
    stopping = course(SCORES[:n_done], ends)
    assert stopping.best == best == best_end(SCORES[:n_done], ends)
    assert stopping.validation_scores == SCORES[:n_done]
    assert stopping.best_validation_score == SCORES[best - 1]
