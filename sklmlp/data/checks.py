"""Input checks of X, y and sample weights: scikit-learn's, and what a network needs beyond them."""

import re
from contextlib import contextmanager
from numbers import Number

import numpy as np
import scipy.sparse as sp
import torch
from sklearn.utils import assert_all_finite, check_array, check_consistent_length
from sklearn.utils.validation import column_or_1d, validate_data

from sklmlp.caller import warn
from sklmlp.data.columns import (
    explain_not_finite,
    refuse_missing_labels,
    refuse_no_number,
    refuse_what_is_no_number,
)
from sklmlp.data.containers import plain, with_checked_structure

FLOATS = [np.float64, np.float32]

FEW_VALUES = 2**12
"""Looking at each of so few values takes less time than not to hear their sum overflow."""


def is_finite(values):
    """Tell whether all values are finite; False also where only their sum is not."""
    if values.size < FEW_VALUES:
        return np.isfinite(values).all()
    with np.errstate(over="ignore", invalid="ignore"):
        return np.isfinite(values.sum())


def is_plain_table(X):
    """Tell whether X is an array of finite floats in which `check_array` would find nothing."""
    return (
        type(X) is np.ndarray and X.ndim == 2 and X.size > 0 and X.dtype in FLOATS and is_finite(X)
    )


def is_plain_target(y):
    """Tell whether y is a vector of integers or finite floats, as `check_array` would leave it."""
    return (
        type(y) is np.ndarray
        and y.ndim == 1
        and y.size > 0
        and (y.dtype.kind in "biu" or (y.dtype in FLOATS and is_finite(y)))
    )


def check_X(estimator, X, computed_in, dtype=None, reset=False, name="X"):
    """Check a table of samples.

    Whatever `fit` takes with `reset=True` is taken again with `reset=False`.

    Parameters
    ----------
    estimator : estimator
        Learns the number and names of the features with `reset`, and knows them without.
    X : {array-like, sparse matrix, dataframe, tensor} of shape (n_samples, n_features)
    computed_in : dtype
        What the network computes in; integers that it cannot tell apart are warned of.
    dtype : dtype or list of dtype, default=None
        As `sklearn.utils.check_array` takes it. None keeps integers and floats as they are, and
        makes float64 of everything else.
    reset : bool, default=False
    name : str, default="X"
        The name of X in error messages.

    Returns
    -------
    X : ndarray, csr matrix or csc matrix
    """
    if is_plain_table(X) and _may_stay(X.dtype, dtype):
        with errors_that_name(name, "X"):
            return validate_data(estimator, X, reset=reset, skip_check_array=True)
    X = plain(X, name)
    with errors_that_name(name, "X"), np.errstate(all="ignore"):
        if sp.issparse(X):
            X, is_plain = with_checked_structure(X, name), True
        else:
            X, is_plain = refuse_what_is_no_number(X, estimator, name)
        warn_of_rounding(X, computed_in, name)
        if dtype is None:
            dtype = "numeric" if is_plain else FLOATS
        options = {"accept_sparse": ["csr", "csc"], "dtype": dtype}
        try:
            return validate_data(estimator, X, reset=reset, **options)
        except ValueError as error:
            better = explain_not_finite(error, X, estimator, **options)
            if better is None:
                raise
            raise better from error


def _may_stay(found, dtype):
    """Tell whether `check_array` leaves a float dtype as it is."""
    if dtype is None or isinstance(dtype, str):  # "numeric"
        return True
    return found in (dtype if isinstance(dtype, list) else [dtype])


def check_y(estimator, y, name="y"):
    """Check targets as far as it does not matter whether they are labels or numbers.

    Parameters
    ----------
    estimator : estimator
        Named in error messages.
    y : {array-like, sparse matrix, dataframe, tensor} of shape (n_samples,) or \
            (n_samples, n_outputs)
    name : str, default="y"

    Returns
    -------
    y : ndarray or csr matrix
        One column is one-dimensional.
    """
    if y is None:
        raise ValueError(
            f"This {type(estimator).__name__} estimator requires {name} to be passed, but the "
            f"target {name} is None."
        )
    if is_plain_target(y):
        return y
    y = plain(y, name)
    with errors_that_name(name), np.errstate(all="ignore"):
        if sp.issparse(y):
            y = with_checked_structure(y, name)
        else:
            refuse_missing_labels(y, name)
        y = check_array(
            y,
            accept_sparse="csr",
            ensure_2d=False,
            dtype=None,
            input_name=name,
            estimator=estimator,
        )
        return column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y


def check_numbers(estimator, y, name="y"):
    """Check targets of a regression, behind `check_y`.

    Parameters
    ----------
    estimator : estimator
        Named in error messages.
    y : ndarray or csr matrix
        Numbers written as text are read, as scikit-learn's regressors do.
    name : str, default="y"

    Returns
    -------
    y : ndarray of numbers that torch knows
    """
    if is_plain_target(y):
        return y
    if sp.issparse(y):
        raise TypeError(
            f"Sparse data was passed for {name}, but dense data is required. Use '.toarray()' to "
            "convert to a dense numpy array."
        )
    if y.dtype.kind not in "biufOSU":
        refuse_no_number(y, name)
        raise ValueError(f"{name} takes numbers, got values of dtype {y.dtype}.")
    refuse_no_number(y, name, text_too=False)
    with errors_that_name(name), np.errstate(all="ignore"):
        if y.dtype.kind in "OSU" or y.dtype.itemsize > 8:
            try:
                y = y.astype(np.float64)
            except ValueError as error:
                raise ValueError(
                    f"{name} has text: {error}. {type(estimator).__name__} takes numbers; labels "
                    "are for classifiers."
                ) from error
        assert_all_finite(y, input_name=name)
    return y


def check_same_length(X, y, names):
    """Raise ValueError, in scikit-learn's words and with both names, for unequal lengths."""
    try:
        check_consistent_length(X, y)
    except ValueError as error:
        raise ValueError(
            f"{error}: {names[0]} has {X.shape[0]} rows, and {names[1]} has {y.shape[0]}."
        ) from error


@contextmanager
def errors_that_name(name, known_as=None):
    """Let errors about an input name it.

    Parameters
    ----------
    name : str
        What the input is called, such as "y_val".
    known_as : str, default=None
        What the errors of scikit-learn call it, if they do.

    Raises
    ------
    ValueError, TypeError
        With the name; ValueError also instead of the OverflowError for integers that are too large
        for a float.
    """
    try:
        yield
    except OverflowError as error:
        raise ValueError(f"{name} has a number that is too large for a float: {error}.") from error
    except (ValueError, TypeError) as error:
        what, *data = str(error).split("\n", 1)  # behind a line break there may be data
        if known_as is not None:
            what = re.sub(rf"\b{known_as}\b", name, what)
        if name != "X" and not re.search(rf"\b{name}\b", what):
            what = f"{name}: {what}"
        message = "\n".join([what, *data])
        if message == str(error):
            raise
        raise (TypeError if isinstance(error, TypeError) else ValueError)(message) from error


def warn_of_rounding(X, dtype, name="X"):
    """Warn where integers of X are beyond what a floating dtype can tell apart."""
    values = getattr(X, "data", None) if sp.issparse(X) else X  # some sparse formats have none
    if getattr(getattr(values, "dtype", None), "kind", None) not in ("i", "u") or not values.size:
        return
    exact = 2 ** (np.finfo(dtype).nmant + 1)
    low, high = int(values.min()), int(values.max())
    if -exact <= low and high <= exact:
        return
    warn(
        f"{name} has integers from {low} to {high}; {np.dtype(dtype)} tells them apart up to "
        f"{exact} only. Subtract an offset, or encode identifiers.",
        UserWarning,
    )


ROOM = 2.0**32
"""Weights are multiplied by losses, and penalties divided by weights: both may be this large."""


def check_sample_weight(sample_weight, n_samples, name="sample_weight"):
    """Check sample weights.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), number or None
    n_samples : int
    name : str, default="sample_weight"
        Their name in error messages.

    Returns
    -------
    sample_weight : ndarray of float64 of shape (n_samples,), or None
        A copy.
    """
    if sample_weight is None:
        return None
    sample_weight = plain(sample_weight, name)
    with errors_that_name(name), np.errstate(all="ignore"):
        if isinstance(sample_weight, Number) or getattr(sample_weight, "ndim", 1) == 0:
            sample_weight = np.full(n_samples, float(sample_weight))
        refuse_no_number(sample_weight, name)
        weight = check_array(
            sample_weight, ensure_2d=False, dtype=np.float64, copy=True, input_name=name
        )
    if weight.ndim != 1:  # in scikit-learn's words, as what follows
        raise ValueError(
            f"Sample weights must be 1D array or scalar, got {weight.ndim}D array for {name}. "
            f"Expected either a scalar value or a 1D array of length {n_samples}."
        )
    if weight.shape != (n_samples,):
        raise ValueError(f"{name}.shape == {weight.shape}, expected {(n_samples,)}!")
    if (weight < 0).any():
        raise ValueError(f"Negative values in data passed to `{name}`.")
    return weight


def check_limits(weight, dtype, name="sample_weight"):
    """Raise ValueError where weights cannot be computed with, or where all of them are zero.

    Parameters
    ----------
    weight : ndarray of float64, not negative, or None
        The weights that a fit uses: those given, multiplied by those of classes.
    dtype : torch.dtype
        What the fit computes in.
    name : str, default="sample_weight"
        Where they come from, for error messages.
    """
    if weight is None:
        return
    limits = torch.finfo(dtype)
    least, most = limits.tiny * ROOM, limits.max / ROOM
    positive = weight[weight > 0]
    if not len(positive):
        raise ValueError(
            f"Sample weights must contain at least one non-zero number; with {name} all are zero."
        )
    with np.errstate(over="ignore"):
        total = positive.sum()
    if positive.min() < least or not total <= most:
        raise ValueError(
            f"{name} has weights from {positive.min():.3g} to {positive.max():.3g}. In "
            f"{str(dtype).removeprefix('torch.')} those that are not zero must be at least "
            f"{least:.2g}, and their sum at most {most:.2g}. Scale them."
        )


def checked_score(metric, y, prediction, sample_weight):
    """Score predictions by the user's own targets and weights, which are checked.

    Parameters
    ----------
    metric : callable
        `metric(y, prediction, sample_weight=weight)`; it checks the targets itself.
    y : array-like of shape (n,) or (n, n_outputs)
    prediction : {ndarray, sparse matrix} of shape (n,) or (n, n_outputs)
    sample_weight : array-like of shape (n,) or None

    Returns
    -------
    score : float
    """
    weight = check_sample_weight(sample_weight, prediction.shape[0])
    check_limits(weight, torch.float64)  # which scores are computed in
    return metric(plain(y, "y"), prediction, sample_weight=weight)


def check_split(training, validation):
    """Raise ValueError where a part of the split that `early_stopping` makes has no weight.

    Parameters
    ----------
    training, validation : ndarray or None
        The weights of each part.
    """
    for part, weight in (("training", training), ("validation", validation)):
        if weight is not None and not weight.any():
            raise ValueError(
                f"The sample weights of all {len(weight)} {part} samples are zero. Use another "
                "random_state or validation_fraction, pass X_val and y_val, or leave out the "
                "samples whose weight is zero."
            )
