"""What scikit-learn's checks let pass and a network must not learn from."""

import datetime
from contextlib import contextmanager

import numpy as np
import scipy.sparse as sp

from sklmlp.caller import warn

_NO_NUMBERS = (str, bytes, datetime.date, datetime.time, datetime.timedelta)
_NO_NUMBERS += (np.datetime64, np.timedelta64)


def refuse_text_and_dates(X):
    """Raise for text, dates and durations, which NumPy would read as numbers.

    Raises
    ------
    ValueError
        That names the dtype, or the column of a data frame.
    """
    if sp.issparse(X):
        return
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        for name, dtype in zip(X.columns, X.dtypes, strict=True):
            if _is_time(dtype):
                raise ValueError(_told(f"{dtype} in column {name!r}"))
        objects = [getattr(dtype, "kind", None) == "O" for dtype in X.dtypes]
        if not any(objects):
            return
        if hasattr(X, "iloc"):
            X = X.iloc[:, np.flatnonzero(objects)]
    try:
        array = X if isinstance(X, np.ndarray) else np.asarray(X)
    except (ValueError, TypeError, OverflowError):
        return  # scikit-learn has words for what is no array
    kind = getattr(array.dtype, "kind", None)
    if kind in ("M", "m", "S", "U"):
        raise ValueError(_told(array.dtype))
    if kind == "O":
        values = array.ravel()
        refused = [each for each in set(map(type, values)) if issubclass(each, _NO_NUMBERS)]
        if refused:
            value = next(each for each in values if type(each) in refused)
            raise ValueError(_told(f"{value!r:.80}"))


def _is_time(dtype):
    """Whether a column of a pandas or polars frame has dates or durations."""
    return (
        getattr(dtype, "kind", None) in ("M", "m") or getattr(dtype, "is_temporal", lambda: False)()
    )


def _told(what):
    return (
        f"X takes numbers, got {what}. Encode text and dates first, for example with "
        "sklearn.preprocessing.OneHotEncoder."
    )


@contextmanager
def too_large_is_a_value_error(name):
    """Let integers that no float holds be the ValueError that other numbers of no use are."""
    try:
        yield
    except OverflowError as error:
        raise ValueError(f"{name} has a number that is too large for a float: {error}.") from error


@contextmanager
def unsorted_is_told():
    """Let labels of several kinds, which have no order, be a TypeError that names `y`."""
    try:
        yield
    except TypeError as error:
        raise TypeError(f"y has labels that cannot be put in order: {error}.") from error


def warn_of_rounding(X, dtype):
    """Warn where integers of X are beyond what a floating dtype can tell apart."""
    values = getattr(X, "data", None) if sp.issparse(X) else X  # some sparse formats have none
    if getattr(getattr(values, "dtype", None), "kind", None) not in ("i", "u") or not values.size:
        return
    exact = 2 ** (np.finfo(dtype).nmant + 1)
    low, high = int(values.min()), int(values.max())
    if -exact <= low and high <= exact:
        return
    warn(
        f"X has integers from {low} to {high}; {np.dtype(dtype)} tells them apart up to {exact} "
        "only. Subtract an offset, or encode identifiers.",
        UserWarning,
    )


def check_weights(weight):
    """Raise where weights cannot be added, or where one is not to be divided by.

    Raises
    ------
    ValueError
        If all are 0, if there is another one below 1e-38, or if they sum to more than 1e38: the
        limits of float32.
    """
    limits = np.finfo(np.float32)
    positive = weight[weight > 0]
    if not len(positive):  # scikit-learn's words since its version 1.9
        raise ValueError("Sample weights must contain at least one non-zero number.")
    if positive.min() < limits.tiny or positive.sum(dtype=float) > limits.max:
        raise ValueError(
            f"sample_weight has values from {positive.min():g} to {positive.max():g}; those that "
            f"are not 0 must be {limits.tiny:.1e} or more, and sum to {limits.max:.1e} or less. "
            "Scale them."
        )
