"""Containers that NumPy would misread: masked arrays, torch tensors, broken sparse matrices."""

import numpy as np
import torch

_WAYS_OUT = {
    "X": (
        "Fill them, or let an imputer do it: make_pipeline(SimpleImputer(add_indicator=True), "
        "StandardScaler(), ...) with X.filled(np.nan)."
    ),
    "y": "Leave these samples out: X[~y.mask], y[~y.mask].",
    "sample_weight": "Give these samples the weight zero: sample_weight.filled(0).",
}


def plain(values, name):
    """Return values as something that NumPy reads rightly.

    Parameters
    ----------
    values : object
        A tensor is detached from its gradient and copied from its device where it has to be.
        bfloat16 and smaller floats, which NumPy does not know, become float32. A masked array
        of which nothing is masked is the array in it.
    name : str
        The name of the values in error messages.

    Raises
    ------
    ValueError
        If something is masked, or a tensor is sparse, nested or without values.
    """
    if isinstance(values, np.ma.MaskedArray):
        return _unmasked(values, name)
    if isinstance(values, torch.Tensor):
        return _as_array(values, name)
    if type(values) in (list, tuple) and any(
        isinstance(each, np.ma.MaskedArray | torch.Tensor) for each in values
    ):
        return [plain(each, name) for each in values]
    return values


def _unmasked(values, name):
    n_masked = int(np.ma.getmaskarray(values).sum())
    if not n_masked:
        return values.data
    kind = name.removesuffix("_val")
    way_out = _WAYS_OUT.get(kind, "Fill them.")
    if kind != name:
        way_out = way_out.replace(kind, name)
    raise ValueError(
        f"{name} has {n_masked} masked values, which would be used as if they were not masked. "
        f"{way_out}"
    )


def _as_array(tensor, name):
    if tensor.layout != torch.strided or tensor.is_nested or tensor.is_meta:
        raise ValueError(
            f"{name} must be a dense tensor with values, got layout {tensor.layout} on "
            f"{tensor.device}. Sparse matrices may be those of scipy.sparse."
        )
    if tensor.is_floating_point() and tensor.dtype not in (
        torch.float16, torch.float32, torch.float64,
    ):  # fmt: skip
        tensor = tensor.float()
    return tensor.numpy(force=True)


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
