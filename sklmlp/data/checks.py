"""Input checks of X and y: scikit-learn's, and what a network needs beyond them."""

import re
from contextlib import contextmanager

import numpy as np
import scipy.sparse as sp
from sklearn.utils import assert_all_finite, check_array, check_consistent_length
from sklearn.utils.validation import column_or_1d, validate_data

from sklmlp.caller import warn
from sklmlp.data.columns import (
    explain_not_finite,
    refuse_missing_labels,
    refuse_no_number,
    refuse_what_is_no_number,
)
from sklmlp.data.containers import plain
from sklmlp.data.sparse import with_checked_structure

FLOATS = [np.float64, np.float32]


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
