"""Rows of a table as tensors: all of it on the device, or a batch at a time."""

import numpy as np
import scipy.sparse as sp
import torch


class _Writable:
    """The memory of an array, announced as writable; keeps the array alive."""

    def __init__(self, array):
        self.array = array
        self.__array_interface__ = {
            **array.__array_interface__,
            "data": (array.__array_interface__["data"][0], False),
        }


def as_tensor(array):
    """A CPU tensor over the memory of an array, without a copy wherever torch can express that.

    Read-only arrays (memory maps, arrays that joblib shares with its workers) are taken as they
    are: torch would warn of writes, and nothing in sklmlp writes into data.
    """
    if any(stride < 0 for stride in array.strides) or not array.dtype.isnative:
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    if not array.flags.writeable and array.size:
        array = np.asarray(_Writable(array))
    return torch.from_numpy(np.asarray(array))


class TensorRows:
    """Rows of a dense table that lies on the device as a whole."""

    def __init__(self, X, dtype, device):
        self.tensor = as_tensor(X).to(device, dtype)
        self.dtype, self.shape = dtype, X.shape

    def take(self, rows):
        """The rows of a slice or an index tensor, (n, d)."""
        if isinstance(rows, slice):
            return self.tensor[rows]
        return self.tensor.index_select(0, rows.to(self.tensor.device))


class ConvertedRows:
    """Rows that are densified or converted a batch at a time: sparse and memory-mapped tables."""

    def __init__(self, X, dtype, device):
        self.X = X.tocsr() if sp.issparse(X) else X
        self.dtype, self.device = dtype, device
        self.shape = X.shape

    def take(self, rows):
        """The rows of a slice or an index tensor, (n, d)."""
        part = self.X[rows if isinstance(rows, slice) else rows.cpu().numpy()]
        part = part.toarray() if sp.issparse(part) else np.asarray(part)
        return as_tensor(part).to(self.device, self.dtype)


def rows_of(X, dtype, device):
    """The rows of a validated table, kept whole where that costs no second copy of a file."""
    mapped = _is_memory_mapped(X) and as_tensor(X[:0]).dtype != dtype
    if sp.issparse(X) or mapped:
        return ConvertedRows(X, dtype, device)
    return TensorRows(X, dtype, device)


def input_dtype(X, dtype):
    """What `sklearn.utils.check_array` should make of X's dtype, for the `dtype` parameter.

    Memory-mapped numbers stay what they are: converting them would read the file into memory.
    """
    if _is_memory_mapped(X):
        return "numeric"
    return [np.float64, np.float32] if dtype == "auto" else np.dtype(dtype)


def _is_memory_mapped(X):
    while X is not None:
        if isinstance(X, np.memmap):
            return True
        X = getattr(X, "base", None)
    return False
