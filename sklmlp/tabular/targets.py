"""Targets as numbers that categories are encoded by."""

from dataclasses import dataclass

import numpy as np
from sklearn.model_selection import KFold
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import type_of_target

from sklmlp.data import check_numbers

MOST_CLASSES = 10
"""With more classes than these there are no target encodings: each category has one for each."""

FOLDS = 5


@dataclass
class Targets:
    """Targets of the training rows.

    Parameters
    ----------
    values : ndarray of shape (n_samples, n_targets)
        Float64: the target of a regression, or indicators of classes, one of two classes.
    suffixes : list of str
        Of the names of encodings.
    folds : ndarray of int8 of shape (n_samples,)
        The fold of each row.
    """

    values: np.ndarray
    suffixes: list
    folds: np.ndarray


def numeric_targets(estimator, y, target_type, random_state):
    """Make numbers of targets.

    Parameters
    ----------
    estimator : estimator
        Named in error messages.
    y : ndarray or csr matrix
        As `sklmlp.data.check_y` returns it.
    target_type : {"auto", "continuous", "binary", "multiclass"}
        "auto" is what `sklearn.utils.multiclass.type_of_target` says, but that more than 10
        distinct numbers are no classes.
    random_state : int, RandomState instance or None
        Draws the folds.

    Returns
    -------
    targets : Targets or None
        None for several outputs, for more than 10 classes, and where y is constant.
    """
    if y.ndim == 2:
        return None
    classes, codes = np.unique(y, return_inverse=True)
    if target_type == "auto":
        if len(classes) <= MOST_CLASSES:
            target_type = type_of_target(y)
        else:
            target_type = "continuous" if y.dtype.kind in "biuf" else "multiclass"
    suffixes = ["_target"]
    if target_type == "continuous":
        values = check_numbers(estimator, y).astype(np.float64)[:, None]
    elif len(classes) == 2:
        values = codes.astype(np.float64)[:, None]
    else:
        values = (codes[:, None] == np.arange(len(classes))).astype(np.float64)
        suffixes = [f"_target_{label}" for label in classes.tolist()]
    if len(classes) < 2 or len(suffixes) > MOST_CLASSES:
        return None
    random_state = check_random_state(random_state)
    splitter = KFold(min(FOLDS, len(y)), shuffle=True, random_state=random_state)
    folds = np.empty(len(y), np.int8)
    for fold, (_, test) in enumerate(splitter.split(values)):
        folds[test] = fold
    return Targets(values, suffixes, folds)
