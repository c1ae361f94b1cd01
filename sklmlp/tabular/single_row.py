"""One row of a table, value by value: the machinery of columns takes longer than the network."""

import numpy as np

from sklmlp.data import kind_of_type
from sklmlp.tabular.numbers import smooth_clip

KINDS = {float: "number", int: "number", bool: "number", str: "text", type(None): "missing"}
"""Python's types of what columns hold; others are NumPy's, or need a closer look."""

LARGEST_WHOLE = 2.0**53
"""Beyond, a float may stand for several whole numbers, which may be several levels."""


def values_of_row(X):
    """Return the Python values of a table's only row, or None if it has several.

    Parameters
    ----------
    X : ndarray or dataframe
    """
    if len(X) != 1:
        return None
    if isinstance(X, np.ndarray):
        return X[0].tolist()
    return X.iloc[0].tolist() if hasattr(X, "iloc") else list(X.row(0))


def encode_row(values, outputs, categories, scales, parts, encoded):
    """Write what the values of a row become into the output.

    Parameters
    ----------
    values : list
        Of all columns.
    outputs : dict of {int: ndarray of int}
        The columns of the output that each column has.
    categories : list of CategoryEncoding or None
        Of all columns; None for numbers.
    scales : tuple of ndarray
        Center, spread and whether there is an indicator of gaps, of the columns of numbers.
    parts : tuple of ndarray
        The columns of the output for numbers, (1, n_scaled), and indicators, (1, n_gaps).
    encoded : ndarray of shape (1, n_features_out)

    Returns
    -------
    is_encoded : bool
        False if there is a value that has to be refused, or of a type that is looked up by columns.
    """
    x = []
    for place, places in outputs.items():
        value, encoding = values[place], categories[place]
        kind = KINDS.get(type(value)) or kind_of_type(type(value))
        if kind not in ("number", "text", "missing"):
            return False
        is_gap = kind == "missing" or value != value
        if encoding is None:
            if kind == "text":
                return False
            x.append(np.nan if is_gap else value)
        elif is_gap:
            encoded[0, places] = encoding.table[-1]
        elif not _can_be_a_level(value, encoding.is_text):
            return False
        else:
            encoded[0, places] = encoding.row(value)
    try:
        x = np.array(x, np.float64)
    except (TypeError, ValueError, OverflowError):
        return False
    if np.isinf(x).any():
        return False
    center, spread, has_gaps = scales
    is_scaled = spread > 0
    parts[0][0] = smooth_clip(x[is_scaled], center[is_scaled], spread[is_scaled])
    parts[1][0] = np.isnan(x[has_gaps])
    return True


def _can_be_a_level(value, is_text):
    """Tell whether a value that is no gap can be compared with levels as it is."""
    if is_text:
        return isinstance(value, str)
    return isinstance(value, bool | int | float | np.generic) and abs(value) < LARGEST_WHOLE
