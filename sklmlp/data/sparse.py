"""The structure of sparse matrices: an index out of range would be read from foreign memory."""

import numpy as np


def with_checked_structure(X, name):
    """Return a sparse matrix whose indices are known to be in range.

    SciPy's `check_format` changes the matrix that it looks at, and passes over index pointers that
    end at zero or below.

    Parameters
    ----------
    X : sparse matrix or sparse array of any format
    name : str
        Its name in error messages.

    Returns
    -------
    X : sparse matrix or sparse array
        The same one, or a COO matrix for formats that are neither compressed nor COO.

    Raises
    ------
    ValueError
        If the structure is broken.
    """
    if X.ndim != 2:
        return X  # scikit-learn refuses it
    if X.format in ("csr", "csc", "bsr"):
        fault = _fault_of_compressed(X)
    else:
        fault = _fault_of_lists(X) if X.format == "lil" else None
        if fault is None:
            X = X.tocoo()
            fault = _fault_of_coordinates(X)
    if fault is not None:
        raise ValueError(
            f"{name} is a sparse matrix with a broken structure: {fault}. Build it again from its "
            "rows, columns and values; SciPy does not check what is changed later."
        )
    return X


def _fault_of_compressed(X):
    """Return what is wrong with a CSR, CSC or BSR matrix, or None."""
    lengths = X.shape if X.format != "bsr" else tuple(np.floor_divide(X.shape, X.blocksize))
    n_major, n_minor = lengths[::-1] if X.format == "csc" else lengths
    indptr, indices = X.indptr, X.indices
    for array, what in ((indptr, "indptr"), (indices, "indices")):
        if array.ndim != 1 or array.dtype.kind not in "iu":
            return f"{what} is no vector of integers"
    if len(indptr) != n_major + 1:
        return f"indptr has {len(indptr)} values for shape {X.shape}"
    if indptr[0] != 0 or (indptr[1:] < indptr[:-1]).any():
        return "indptr does not rise from zero"
    if not len(indices) == len(X.data) >= indptr[-1]:
        return f"indptr ends at {indptr[-1]}, with {len(indices)} indices and {len(X.data)} values"
    minor = "rows" if X.format == "csc" else "columns"
    return _fault_of_indices(indices[: indptr[-1]], n_minor, minor)


def _fault_of_coordinates(X):
    if not len(X.row) == len(X.col) == len(X.data):
        return f"it has {len(X.row)} rows, {len(X.col)} columns and {len(X.data)} values"
    return _fault_of_indices(X.row, X.shape[0], "rows") or _fault_of_indices(
        X.col, X.shape[1], "columns"
    )


def _fault_of_lists(X):
    if len(X.rows) != X.shape[0] or list(map(len, X.rows)) != list(map(len, X.data)):
        return "its lists of columns and of values have other lengths"
    return None


def _fault_of_indices(indices, length, what):
    if not len(indices):
        return None
    low, high = indices.min(), indices.max()
    if low < 0 or high >= length:
        return f"its indices go from {low} to {high}, and it has {length} {what}"
    return None
