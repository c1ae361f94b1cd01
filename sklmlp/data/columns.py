"""Errors for columns without finite numbers: which they are, and what to do."""

import datetime

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_array

_DATES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
_KINDS = {"S": "text", "U": "text", "M": "date", "m": "date", "c": "complex", "V": "void"}
_MISSING = ("NoneType", "NAType", "NaTType")
_NO_NAN = {"NAType", "NaTType"}  # of pandas, which NumPy does not convert to NaN

MOST_NAMES = 200
"""An error lists no more columns than this."""


# Kinds of values -------------------------------------------------------------------------------


def _kind_of_types(types):
    """Return the kind of Python objects.

    Returns
    -------
    kind : str
        "number", "text", "date", "complex", the name of another type, or "missing" for numbers
        next to a value that marks what is missing and is no number.
    """
    kinds = {kind_of_type(each) for each in types} - {"missing"}
    for kind in ("text", "date", "complex"):
        if kind in kinds:
            return kind
    is_missing = any(each.__name__ in _NO_NAN for each in types)
    return min(kinds - {"number"}, default="missing" if is_missing else "number")


def kind_of_type(each):
    """Return the kind of one type: "number", "text", "date", "complex", "missing" or its name."""
    if issubclass(each, str | bytes):
        return "text"
    if each.__name__ in _MISSING:
        return "missing"
    if issubclass(each, _DATES):
        return "date"
    if issubclass(each, complex | np.complexfloating):
        return "complex"
    is_number = hasattr(each, "__float__") or hasattr(each, "__index__")
    return "number" if is_number else each.__name__


def _kind_of_array(array):
    if array.dtype.kind == "O":
        return _kind_of_types(set(map(type, array.ravel(order="K").tolist())))
    return _KINDS.get(array.dtype.kind, "number")


def _kind_of_column(X, place, dtype):
    """Return the kind of a column of a pandas or polars frame."""
    if hasattr(dtype, "categories") and hasattr(dtype, "ordered"):  # of pandas
        return _kind_of_array(np.asarray(dtype.categories))
    kind = getattr(dtype, "kind", None)
    if getattr(dtype, "type", None) is str:
        return "text"
    if kind is not None:
        return _kind_of_array(column_of(X, place)) if kind == "O" else _KINDS.get(kind, "number")
    if _asks(dtype, "is_temporal"):
        return "date"
    name = str(dtype).partition("(")[0]  # from here on of polars
    if _asks(dtype, "is_numeric") or name == "Boolean":
        return "number"
    if name in ("String", "Utf8", "Categorical", "Enum", "Binary"):
        return "text"
    return name if _asks(dtype, "is_nested") else _kind_of_array(column_of(X, place))


def _asks(dtype, question):
    return getattr(dtype, question, bool)()


def is_frame(X):
    """Tell whether X is a pandas or polars frame."""
    return hasattr(X, "columns") and hasattr(X, "dtypes")


def column_of(X, place):
    """Return a column of a frame or of a 2-D array, as an array."""
    if not is_frame(X):
        return X[:, place]
    return np.asarray(X.iloc[:, place] if hasattr(X, "iloc") else X[:, place])


def _is_plain(dtype):
    """Tell whether a column holds booleans, integers or floats that torch knows."""
    if isinstance(dtype, np.dtype):
        return dtype.kind in "biuf" and dtype.itemsize <= 8
    name = str(dtype)
    return name == "Boolean" or (_asks(dtype, "is_numeric") and not name.startswith("Decimal"))


# Columns without numbers -----------------------------------------------------------------------


def refuse_what_is_no_number(X, estimator, name):
    """Raise for columns of text, of dates and durations, and of other objects.

    Parameters
    ----------
    X : array-like or dataframe
        Not sparse.
    estimator : estimator
        Named in the error.
    name : str
        The name of X in the error.

    Returns
    -------
    X : array-like or dataframe
        The same; an array where it was a list.
    is_plain : bool
        Whether each column holds what `check_array` may leave as it is.

    Raises
    ------
    ValueError
        With all such columns, and with what to put before the estimator.
    TypeError
        For objects that are neither numbers nor text nor dates.
    """
    if is_frame(X):
        columns = enumerate(X.dtypes)
        kinds = [None if _is_plain(t) else _kind_of_column(X, i, t) for i, t in columns]
        is_plain = not any(kinds)
    else:
        try:
            array = np.asarray(X)
        except (ValueError, TypeError, OverflowError):
            return X, False  # scikit-learn has words for it
        if type(X) in (list, tuple):
            X = array
        is_plain = hasattr(X, "dtype") and _is_plain(X.dtype)
        if is_plain or array.ndim != 2 or _kind_of_array(array) in ("number", "complex"):
            return X, is_plain
        X, kinds = array, _kinds_in_array(array)
    found = {}
    for place, kind in enumerate(kinds):
        if kind not in (None, "number"):
            found.setdefault(kind, []).append(place)
    if "complex" in found:
        raise ValueError(f"Complex data not supported: {in_columns(X, found['complex'])}.")
    if "text" in found or "date" in found:
        raise ValueError(_advice(X, found, len(kinds), estimator, name))
    if "missing" in found:
        first = f"Input {name} contains NaN."
        advice = _advice_on_gaps(first, X, found["missing"], len(kinds), estimator)
        raise ValueError(advice.replace("fill them", "make columns of 'Float64' and fill them"))
    for kind, places in found.items():
        raise TypeError(
            f"{name} has values that are not numbers in {in_columns(X, places)}: float() argument "
            f"must be a string or a real number, not {kind!r}."
        )
    return X, is_plain


def _kinds_in_array(array):
    """Return the kinds of the columns of a 2-D array that are not all numbers."""
    columns = range(array.shape[1])
    if array.dtype.kind not in "SU":
        return [_kind_of_array(array[:, place]) for place in columns]
    # NumPy makes text of the numbers next to text: only what is no number was given as text
    kinds = ["number" if _is_number_as_text(array[:, place]) else "text" for place in columns]
    return kinds if "text" in kinds else ["text" for _ in columns]


def _is_number_as_text(values):
    try:
        values.astype(np.float64)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def _advice(X, found, n_columns, estimator, name):
    """Return what is said of columns of text and dates."""
    text, dates = found.get("text", []), found.get("date", [])
    sentences = [
        f"{name} has {what} in {in_columns(X, places, n_columns)}."
        for what, places in (("text", text), ("dates or durations", dates))
        if places
    ]
    sentences.append(f"{type(estimator).__name__} takes numbers only.")
    if dates:
        sentences.append("Make numbers of dates first, such as the days since a fixed date.")
    as_text = [place for place in text if _is_number_as_text(column_of(X, place))]
    if as_text:
        which = "them" if as_text == text else f"those in {in_columns(X, as_text)}"
        sentences.append(f"If they are numbers written as text, convert {which} to float.")
    if text and name == "X":
        line = _encoder(X, text, n_columns, estimator)
        sentences.append(f"Encode text before the estimator, for example:\n{line}")
    return " ".join(sentences)


def _encoder(X, text, n_columns, estimator):
    """Return a line of Python: a pipeline that encodes columns of text."""
    columns = [list(X.columns)[place] for place in text] if is_frame(X) else text
    if not all(isinstance(each, str) for each in columns) or len(set(columns)) < len(columns):
        columns = text  # integers are places
    encoder = f"TableEncoder({columns!r})"
    if len(text) == n_columns:
        encoder = 'OneHotEncoder(handle_unknown="ignore")'
    return f"make_pipeline({encoder}, {_as_code(estimator)})"


def _as_code(estimator):
    code = repr(estimator)
    return code if len(code) < 80 and "\n" not in code else f"{type(estimator).__name__}()"


def in_columns(X, places, n_columns=None):
    """Name columns by their names, or by their places where they have none.

    Parameters
    ----------
    X : ndarray or dataframe
    places : list of int
    n_columns : int, default=None
        Of how many columns they are, where that is to be said.

    Returns
    -------
    words : str
        Such as "columns 'age', 'city'", or "2 of 3 columns: 'age', 'city'".
    """
    names = list(X.columns) if is_frame(X) else range(X.shape[1])
    shown = ", ".join(repr(names[place]) for place in places[:MOST_NAMES])
    more = f" and {len(places) - MOST_NAMES} more" if len(places) > MOST_NAMES else ""
    share = "" if n_columns is None else f"{len(places)} of {n_columns} "
    one = len(places) == 1 and n_columns is None
    return f"{share}column{'' if one else 's'}{':' if share else ''} {shown}{more}"


# Values that are not finite --------------------------------------------------------------------


def explain_not_finite(error, X, estimator, **options):
    """Return a better error for values that are not finite, or None for other errors.

    Parameters
    ----------
    error : ValueError
        scikit-learn's, whose first line stays.
    X : array-like, sparse matrix or dataframe
    estimator : estimator
    **options : dict
        What X was checked with.
    """
    what = str(error).partition("\n")[0]
    is_missing = "contains NaN" in what
    if not is_missing and "contains infinity" not in what:
        return None
    X_checked = check_array(X, ensure_all_finite=False, **options)
    is_bad = np.isnan if is_missing else np.isinf
    if sp.issparse(X_checked):
        X_checked = X_checked.tocoo()
        places = np.unique(X_checked.col[is_bad(X_checked.data)]).tolist()
    else:
        places = np.flatnonzero(is_bad(X_checked).any(axis=0)).tolist()
    labelled = X if is_frame(X) else X_checked
    if not is_missing:
        where = in_columns(labelled, places, X_checked.shape[1])
        return ValueError(
            f"{what}\nSuch values are in {where}. {type(estimator).__name__} takes finite numbers "
            "only: scale the features, or replace infinite values."
        )
    return ValueError(_advice_on_gaps(what, labelled, places, X_checked.shape[1], estimator))


def _advice_on_gaps(first, X, places, n_columns, estimator):
    """Return what is said of columns with missing values."""
    scaler = "MaxAbsScaler()" if sp.issparse(X) else "StandardScaler()"
    return (
        f"{first}\nMissing values are in {in_columns(X, places, n_columns)}. "
        f"{type(estimator).__name__} takes none; fill them before it, for example:\n"
        f"make_pipeline(SimpleImputer(add_indicator=True), {scaler}, {_as_code(estimator)})"
    )


# Vectors ---------------------------------------------------------------------------------------


def refuse_missing_labels(y, name):
    """Raise ValueError for targets that are None or `pandas.NA`."""
    array = _array_or_none(y)
    if array is None or array.dtype.kind != "O":
        return
    n_missing = sum(type(value).__name__ in _MISSING for value in array.ravel().tolist())
    if n_missing:
        raise ValueError(
            f"Input {name} contains NaN.\nThe targets of {n_missing} samples are missing. Leave "
            "these samples out."
        )


def refuse_no_number(values, name, text_too=True):
    """Raise ValueError for text, unless it may be, and for dates and durations."""
    array = _array_or_none(values)
    kind = "number" if array is None else _kind_of_array(array)
    if kind == "date" or (kind == "text" and text_too):
        what = "text" if kind == "text" else "dates or durations"
        example = next(v for v in array.ravel() if kind_of_type(type(v)) == kind)
        raise ValueError(f"{name} takes numbers, got {what}, such as {str(example)!r}.")


def _array_or_none(values):
    try:
        return np.asarray(values)
    except (ValueError, TypeError, OverflowError):
        return None  # scikit-learn has words for it
