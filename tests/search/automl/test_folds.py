"""The folds of AutoML: which rows, and what a fit of one gives."""

import warnings

import numpy as np
import pytest
from sklearn.model_selection import GroupKFold, StratifiedKFold

from sklmlp.search.automl.folds import make_folds, split


def rows(n=30):
    return np.arange(n)[:, None], np.zeros(n)


def test_a_number_of_folds_keeps_the_proportions_of_classes():
    """They are scikit-learn's shuffled and stratified folds."""
    X, y = rows()
    classes = np.arange(30) % 3
    expected = StratifiedKFold(5, shuffle=True, random_state=7).split(X, classes)
    for (a, b), (c, d) in zip(split(5, X, y, None, classes, 7), expected, strict=True):
        np.testing.assert_array_equal(np.sort(a), c)
        np.testing.assert_array_equal(b, d)


def test_a_class_of_one_row_is_trained_on_in_all_folds():
    """Nobody can be judged by a class that nobody has seen."""
    X, y = rows(21)
    classes = np.append(np.arange(20) % 2, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = split(5, X, y, None, classes, 0)
    assert all(20 in training for training, _ in splits)
    assert sorted(np.concatenate([held_out for _, held_out in splits])) == list(range(20))


@pytest.mark.parametrize("classes", [None, np.arange(30) % 2])
def test_groups_stay_together(classes):
    """No group is on both sides, and there are no more folds than groups."""
    X, y = rows()
    groups = np.repeat(np.arange(4), [10, 8, 7, 5])
    splits = split(5, X, y, groups, classes, 0)
    assert len(splits) == 4
    for training, held_out in splits:
        assert not set(groups[training]) & set(groups[held_out])


def test_a_splitter_is_used_as_it_is():
    """So is a list of splits."""
    X, y = rows()
    groups = np.arange(30) // 10
    expected = list(GroupKFold(3).split(X, y, groups))
    for cv in (GroupKFold(3), expected):
        for (a, b), (c, d) in zip(split(cv, X, y, groups, None, 0), expected, strict=True):
            np.testing.assert_array_equal(a, c)
            np.testing.assert_array_equal(b, d)


def test_folds_without_weight_are_left_out():
    """A fold whose held-out rows weigh nothing judges nothing."""
    X, y = rows()
    splits = [(np.arange(10, 30), np.arange(10)), (np.arange(20), np.arange(20, 30))]
    folds = make_folds(X, y, (np.arange(30) >= 10).astype(float), splits)
    assert [fold.index.tolist() for fold in folds] == [list(range(20, 30))]
