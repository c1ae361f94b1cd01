"""Folds and epochs that there is time for."""

from sklmlp.search.automl.schedule import MARGIN, plan


def test_time_enough_leaves_the_schedule():
    """All folds, and all epochs."""
    assert plan(300, 0.01, 30, 5, 2) == (5, 30)


def test_the_first_candidate_leaves_time_for_others():
    """With fewer folds a fit takes a quarter of the time at most, and all epochs."""
    n_folds, max_iter = plan(60, 0.2, 30, 5, 2)
    assert (n_folds, max_iter) == (4, 30)
    assert 2 * max_iter * 0.2 * MARGIN <= 15  # two rounds of two folds


def test_large_tables_take_fewer_epochs():
    """Two folds are the fewest; then the schedule is shorter, within half of the time."""
    n_folds, max_iter = plan(60, 1.0, 30, 5, 2)
    assert n_folds == 2
    assert max_iter == int(30 / MARGIN)
    assert plan(60, 100.0, 30, 5, 2) == (2, 1)
