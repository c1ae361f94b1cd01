"""Columns of a raw table: which are categories, what a column holds, its numbers and codes."""

import numpy as np
import scipy.sparse as sp

from sklmlp.data import column_of, is_frame, kind_of_type

_CATEGORICAL = {"category", "Categorical", "Enum", "dictionary"}
"""Names of dtypes of pandas, polars and Arrow, without what stands in their brackets."""

_KINDS = {"b": "boolean", "i": "number", "u": "number", "f": "number", "M": "date", "m": "date"}
_BOOLEAN = {bool, np.bool_}


def as_table(X, name="X"):
    """Return a frame, an array or a list as it is, and anything else as an array.

    Raises
    ------
    TypeError
        For a sparse matrix.
    """
    if sp.issparse(X):
        raise TypeError(
            f"Sparse data was passed for {name}, but dense data is required. Use '.toarray()' to "
            "convert to a dense numpy array, or MLPClassifier and MLPRegressor."
        )
    return X if hasattr(X, "shape") or isinstance(X, list) else np.asarray(X)


class Column:
    """The values of a column, and their kind.

    Parameters
    ----------
    X : ndarray or dataframe
    place : int

    Attributes
    ----------
    values : ndarray of shape (n_samples,)
        Of booleans, integers or floats, or else of Python objects.
    kind : str
        "number", "boolean" or "text"; "date", "mixed" (text among other values) or the name of
        another type for what no encoder of ours takes; "missing" where there is nothing but gaps.
    """

    def __init__(self, X, place):
        self.values = column_of(X, place)
        self._objects = None  # the distinct ones, and whether they are gaps
        if self.values.dtype.kind in _KINDS:
            self.kind = _KINDS[self.values.dtype.kind]
            if self.values.dtype.kind == "f" and np.isnan(self.values).all():
                self.kind = "missing"
            return
        self.values = self.values.astype(object, copy=False)
        objects = self.values.tolist()
        try:
            self._objects = {value: _is_gap(value) for value in set(objects)}
        except TypeError:  # of a list or another value without a hash
            self.kind = next(type(value).__name__ for value in objects if not type(value).__hash__)
            return
        self.kind = _kind_of({type(value) for value in self.distinct()})
        if self.kind in ("number", "missing"):
            self.values, self._objects = self._as_numbers(objects), None

    def _as_numbers(self, objects):
        """Return objects as integers if all are, and as float64 otherwise."""
        if all(hasattr(value, "__index__") for value in self._objects):
            whole = np.array(objects)
            if whole.dtype.kind in "iu":  # and not beyond 64 bits
                return whole
        return self.numbers()

    def numbers(self):
        """Return the values as booleans, integers or floats, with NaN for gaps."""
        if self._objects is None:
            return self.values
        of = {value: np.nan if gap else float(value) for value, gap in self._objects.items()}
        return self._mapped(of, np.float64)

    def is_finite(self):
        """Tell whether no value is infinite."""
        return self.values.dtype.kind != "f" or not np.isinf(self.values).any()

    def distinct(self):
        """Return the distinct values, without gaps, as a set of Python objects."""
        if self._objects is not None:
            return {value for value, is_gap in self._objects.items() if not is_gap}
        return {value for value in np.unique(self.values).tolist() if not _is_gap(value)}

    def levels(self):
        """Return the distinct values, sorted: Python's `str`, or booleans, integers or floats."""
        if self.kind == "text":
            return np.array(sorted(map(str, self.distinct())), dtype=object)
        return np.array(sorted(self.distinct()))

    def codes(self, levels):
        """Return the place of each value in `levels`; that behind the last one for all others."""
        code = {level: place for place, level in enumerate(levels.tolist())}
        if self._objects is not None:
            return self._mapped({v: code.get(v, len(code)) for v in self._objects}, np.intp)
        distinct, inverse = np.unique(self.values, return_inverse=True)
        return np.array([code.get(value, len(code)) for value in distinct.tolist()])[inverse]

    def _mapped(self, of, dtype):
        """Return what a dict makes of each object."""
        return np.fromiter(map(of.__getitem__, self.values.tolist()), dtype, len(self.values))


def declared_categories(X, categorical_features):
    """Tell for each column whether dtype or parameter declares it to be a category.

    Parameters
    ----------
    X : ndarray or dataframe
    categorical_features : "from_dtype", None or array-like of bool, int or str
        As `sklearn.ensemble.HistGradientBoostingClassifier` takes it.

    Returns
    -------
    is_declared : ndarray of bool of shape (n_features,)

    Raises
    ------
    ValueError
        For values of another type, columns that are not there, and names where X has none.
    """
    n_features = X.shape[1]
    is_declared = np.zeros(n_features, bool)
    if categorical_features is None:
        return is_declared
    if isinstance(categorical_features, str):
        if is_frame(X):
            dtypes = (str(dtype).partition("(")[0].partition("<")[0] for dtype in X.dtypes)
            is_declared[:] = [dtype in _CATEGORICAL for dtype in dtypes]
        return is_declared
    given = np.asarray(categorical_features)
    if given.size == 0:
        return is_declared
    types = {type(each).__name__ for each in given.ravel().tolist()}
    if given.ndim != 1 or types not in ({"bool"}, {"int"}, {"str"}):
        raise ValueError(
            "categorical_features must be an array-like of bool, int or str in one dimension, "
            f"got {', '.join(sorted(types))} in the shape {given.shape}."
        )
    if types == {"bool"}:
        if len(given) != n_features:
            raise ValueError(
                "categorical_features set as a boolean mask must have shape (n_features,) = "
                f"({n_features},), got {given.shape}."
            )
        return given.astype(bool)
    if types == {"int"}:
        if given.min() < 0 or given.max() >= n_features:
            raise ValueError(
                "categorical_features set as integer indices must be in [0, n_features - 1] = "
                f"[0, {n_features - 1}], got {given.tolist()}."
            )
        is_declared[given.astype(int)] = True
        return is_declared
    if not is_frame(X):
        raise ValueError(
            "categorical_features has names, and X has none: give integer indices or a boolean "
            "mask, or X as a dataframe."
        )
    names = list(X.columns)
    unknown = [name for name in given.tolist() if name not in names]
    if unknown:
        raise ValueError(
            f"categorical_features has names that are not columns of X: {unknown}. The columns "
            f"are {names}."
        )
    return np.array([name in set(given.tolist()) for name in names])


def _is_gap(value):
    return kind_of_type(type(value)) == "missing" or bool(value != value)


def _kind_of(types):
    """Return the kind of a column of objects of these types."""
    if not types:
        return "missing"
    if types <= _BOOLEAN:
        return "boolean"
    kinds = {"bytes" if issubclass(each, bytes) else kind_of_type(each) for each in types}
    if len(kinds) == 1:
        return kinds.pop()
    return "mixed" if "text" in kinds else min(kinds - {"number"})
