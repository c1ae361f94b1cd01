"""Checks of tables and targets: what is plainly valid takes a shorter way to the same end."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.utils import check_array

from sklmlp.data import ClassTargets, accuracy, check_X, check_y, is_plain_table, is_plain_target
from tests.tables import make_table

X, y = make_table("multiclass")
TABLES = {
    "float64": (np.asarray(X, np.float64), None),
    "float32": (np.asarray(X, np.float32), [np.float64, np.float32]),
    "to be converted": (np.asarray(X, np.float32), np.float64),
    "columns first": (np.asfortranarray(X, np.float64), None),
    "every second row": (np.asarray(X, np.float64)[::2], None),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_plain_table_comes_out_as_of_check_array(name):
    """Values, dtype and order are those that scikit-learn's `check_array` leaves or makes."""
    table, dtype = TABLES[name]
    checked = check_X(LogisticRegression(), table, np.float64, dtype, reset=True)
    expected = check_array(table, dtype="numeric" if dtype is None else dtype)
    np.testing.assert_array_equal(checked, expected, strict=True)
    assert checked.strides == expected.strides
    assert (checked is table) == (expected is table)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("shape", [(3, 2), (3000, 2)])
def test_a_table_with_values_that_are_not_finite_is_not_plain(value, shape):
    """It goes through scikit-learn's checks, which have the error."""
    table = np.ones(shape)
    table[1, 1] = value
    assert not is_plain_table(table)
    assert not is_plain_target(table[:, 1])


def test_a_plain_table_teaches_and_is_held_to_the_number_of_features():
    """A table of another width than the one of `reset=True` is scikit-learn's error."""
    estimator = LogisticRegression()
    check_X(estimator, np.ones((3, 2)), np.float64, reset=True)
    assert estimator.n_features_in_ == 2
    with pytest.raises(ValueError, match="X has 3 features, but LogisticRegression is expecting 2"):
        check_X(estimator, np.ones((3, 3)), np.float64)


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool", "float32"])
def test_a_plain_target_comes_out_as_of_check_array(dtype):
    """It is the same object, as scikit-learn's `check_array` gives it."""
    target = y.astype(dtype)
    assert is_plain_target(target)
    assert check_y(LogisticRegression(), target) is target
    assert check_array(target, ensure_2d=False, dtype=None) is target


@pytest.mark.parametrize("labels", [y, y == 1, y.astype(np.uint8) * 7, np.zeros_like(y)])
def test_classes_of_integers_are_those_of_the_same_labels_in_a_list(labels):
    """A list goes through scikit-learn's `type_of_target` and `LabelBinarizer`."""
    plain, listed = ClassTargets.learn(labels), ClassTargets.learn(labels.tolist())
    np.testing.assert_array_equal(plain.classes_, listed.classes_)
    assert plain.kind_and_form == listed.kind_and_form


@pytest.mark.parametrize("weight", [None, np.linspace(0, 1, len(y))])
@pytest.mark.parametrize("kind", [int, bool, str])
def test_accuracy_is_scikit_learns(kind, weight):
    """Of integers, of booleans, and of labels that have to be checked."""
    true, predicted = y.astype(kind), np.roll(y, 1).astype(kind)
    expected = accuracy_score(true, predicted, sample_weight=weight)
    assert accuracy(true, predicted, weight) == expected
    assert accuracy(true.tolist(), predicted, weight) == expected


def test_accuracy_of_other_lengths_is_scikit_learns_error():
    """Labels and predictions that do not belong together are refused."""
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        accuracy(y[:-1], y, None)
