"""Folds and epochs that there is time for."""

from sklmlp.search.automl.schedule import MARGIN, plan


def test_time_enough_leaves_the_schedule():
    """All folds, and all epochs."""
    assert plan(300, 0.01, 30, 5, 2) == (5, 30)


def test_the_first_candidate_leaves_time_for_others():
    """A fit of all folds takes a quarter of the time, if that is half of its epochs at least."""
    n_folds, max_iter = plan(60, 0.2, 30, 5, 2)
    assert n_folds == 5
    assert 15 <= max_iter < 30
    assert 3 * max_iter * 0.2 * MARGIN <= 15  # three rounds of two folds


def test_large_tables_take_fewer_epochs_then_fewer_folds():
    """At least seven epochs, as long as two folds are left; then one epoch is the least."""
    n_folds, max_iter = plan(60, 1.0, 30, 5, 2)
    assert (n_folds, max_iter) == (5, 10)
    n_folds, max_iter = plan(60, 3.0, 30, 5, 2)
    assert n_folds == 2
    assert max_iter >= 7
    assert plan(60, 100.0, 30, 5, 2) == (2, 1)
