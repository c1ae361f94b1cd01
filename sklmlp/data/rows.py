"""Rows of one table as tensors, whole on the device or a batch at a time, and of several tables."""

import copy
import functools
import itertools
import warnings
from types import SimpleNamespace

import numpy as np
import scipy.sparse as sp
import torch

MOST_DENSE = 0.1
"""Sparse tables with a larger share of values than this are multiplied as dense ones."""


def as_tensor(array):
    """Return a CPU tensor over the memory of an array, without a copy where torch can.

    Read-only arrays (memory maps, arrays that joblib shares with its workers) are taken as they
    are: torch would warn of writes, and nothing in sklmlp writes into data.
    """
    if _is_extended(array.dtype):
        with np.errstate(over="ignore"):
            array = array.astype(np.float64)
    if any(stride < 0 for stride in array.strides) or not array.dtype.isnative:
        array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    if not array.flags.writeable and array.size:
        array = np.asarray(_announced_as_writable(array))
    return torch.from_numpy(np.asarray(array))


def _announced_as_writable(array):
    """Return an object over the memory of an array, which it keeps alive."""
    interface = array.__array_interface__
    address, _ = interface["data"]
    interface = {**interface, "data": (address, False)}
    return SimpleNamespace(array=array, __array_interface__=interface)


def _is_extended(dtype):
    """Tell whether numbers have more than double precision, which torch does not know."""
    return dtype.kind == "f" and dtype.itemsize > 8


class TensorRows:
    """Rows of a dense table that lies on the device as a whole."""

    def __init__(self, X, dtype, device):
        self.tensor = as_tensor(X).to(device, dtype)
        self.dtype, self.device, self.shape = dtype, self.tensor.device, X.shape

    is_multiplied_sparse, is_tensor, has_arrays = False, True, True

    def as_arrays(self):
        """Return the arrays that the compiled engine computes on, and their number."""
        return {"n_rows": self.shape[0], "x": self.tensor.numpy()}

    @property
    def nbytes(self):
        """The memory that they take."""
        return self.tensor.nbytes

    def share_memory(self, other):
        """Lie in the memory of other rows, if they are equal to these; whether they are."""
        is_equal = self.shape == other.shape and torch.equal(self.tensor, other.tensor)
        if is_equal:
            self.tensor = other.tensor
        return is_equal

    @staticmethod
    def joined(parts):
        """Return the rows of several tables, one after the other."""
        tensor = torch.cat([part.tensor for part in parts])
        both = copy.copy(parts[0])
        both.tensor, both.shape = tensor, tuple(tensor.shape)
        return both

    def index(self, order):
        """Return an order of rows, of any shape, as `take` takes one-dimensional parts of it."""
        return torch.from_numpy(order).to(self.device)

    def take(self, rows, out=None):
        """Return the rows of a slice or of a part of an `index`, (n, d), which may go to `out`."""
        if isinstance(rows, slice):
            return self.tensor[rows]
        return torch.index_select(self.tensor, 0, rows, out=out)


class ConvertedRows:
    """Rows that are densified, converted or sent to the device a batch at a time.

    For sparse and memory-mapped tables, and those that are larger than the GPU's memory.
    """

    def __init__(self, X, dtype, device):
        self.X = X.tocsr() if sp.issparse(X) else X
        self.dtype, self.device, self.shape = dtype, torch.device(device), X.shape

    is_tensor = False

    @property
    def has_arrays(self):
        """Whether `as_arrays` takes no more memory than a sparse table does."""
        return sp.issparse(self.X)

    def as_arrays(self):
        """Return the arrays that the compiled engine computes on, and their number."""
        dtype = torch.empty(0, dtype=self.dtype).numpy().dtype
        return {
            "n_rows": self.shape[0],
            "values": np.ascontiguousarray(self.X.data, dtype),
            "indices": np.ascontiguousarray(self.X.indices),
            "indptr": np.ascontiguousarray(self.X.indptr),
        }

    @property
    def nbytes(self):
        """The memory that the table takes of the process."""
        if sp.issparse(self.X):
            return self.X.data.nbytes + self.X.indices.nbytes
        return 0 if _is_memory_mapped(self.X) else self.X.nbytes

    @property
    def is_multiplied_sparse(self):
        """Whether affine maps of `take_sparse` are quicker than those of densified rows."""
        is_sparse = sp.issparse(self.X) and self.values_a_row <= MOST_DENSE * self.shape[1]
        return is_sparse and self.device.type == "cpu" and torch.backends.mkl.is_available()

    @property
    def values_a_row(self):
        """How many values of a sparse table's row are kept, on average."""
        return self.X.nnz / self.shape[0]

    def take_sparse(self, rows, with_transpose=False):
        """Return the rows of a slice or of a part of an `index`, (n, d), as CSR."""
        part = self.X[rows]
        if not with_transpose:
            return _csr(part, self.dtype)
        return _csr(part, self.dtype), _csr(part.T.tocsr(), self.dtype)

    def index(self, order):
        """Return an order of rows, of any shape, as `take` takes one-dimensional parts of it."""
        return order

    def take(self, rows, out=None):
        """Return the rows of a slice or of a part of an `index`, (n, d); also into `out`."""
        part = self.X[rows]
        part = as_tensor(part.toarray() if sp.issparse(part) else np.asarray(part))
        if self.device.type != "cpu":
            # from pinned memory the copy runs while the host gathers the next rows
            part = part.to(self.dtype).pin_memory()
        if out is None:
            return part.to(self.device, self.dtype, non_blocking=True)
        return out.copy_(part, non_blocking=True)


@functools.cache
def _hear_torch_out():
    """Torch warns once a process that its sparse tensors may change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.empty((1, 1), layout=torch.sparse_csr, device="cpu")


def _csr(matrix, dtype):
    """Return a SciPy matrix as a tensor; MKL counts in 32 bits."""
    _hear_torch_out()
    indices = [torch.from_numpy(a.astype(np.int32)) for a in (matrix.indptr, matrix.indices)]
    values = as_tensor(matrix.data).to(dtype)
    return torch.sparse_csr_tensor(
        *indices, values, matrix.shape, device="cpu", check_invariants=False
    )


def rows_of(X, dtype, device):
    """Return the rows of a validated table, on the device as a whole where that is no waste.

    A sparse table is never densified whole, a memory-mapped one never copied whole, and one that
    would take more than half of a GPU's free memory stays with the host.
    """
    itemsize = torch.empty(0, dtype=dtype).element_size()
    by_batch = (
        sp.issparse(X)
        or (_is_memory_mapped(X) and not _is_computed_in(X.dtype, dtype))
        or X.shape[0] * X.shape[1] * itemsize > room_on(torch.device(device))
    )
    return (ConvertedRows if by_batch else TensorRows)(X, dtype, device)


def _is_computed_in(array_dtype, dtype):
    """Tell whether a tensor of `dtype` may lie over the memory of an array."""
    if _is_extended(array_dtype):
        return False
    return as_tensor(np.empty(0, array_dtype)).dtype == dtype


def room_on(device):
    """Return how many bytes a table may take of a device's memory."""
    if device.type != "cuda":
        return float("inf")
    return torch.cuda.mem_get_info(device)[0] // 2


def input_dtype(X, dtype):
    """Return what `sklearn.utils.check_array` should make of X's dtype, for the `dtype` parameter.

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


JOIN_BYTES = 2**24
"""Different datasets of no more than this are copied into one, of which one call takes all rows."""


class MergedDatasets:
    """Rows and targets of several datasets; networks on the same rows share them.

    Parameters
    ----------
    datasets : list of Dataset
        One a network; where they have different rows, these lie on the device as a whole.

    Attributes
    ----------
    y : tensor of shape (n, ...)
        The targets of all datasets that differ, one after the other.
    first_row, first_y : ndarray of shape (K, 1) or None
        Where each network's rows and targets begin; None if it is 0 for all of them.
    sources : list of (rows, slice)
        Rows objects, and which networks take theirs from them.
    """

    def __init__(self, datasets):
        self.datasets = datasets
        targets = _distinct([dataset.y for dataset in datasets])
        self.y = targets[0] if len(targets) == 1 else torch.cat(targets)
        self.first_y = _starts([dataset.y for dataset in datasets], targets)
        rows = _distinct([dataset.rows for dataset in datasets], key=_memory)
        self.first_row = None
        if len(rows) == 1:
            self.sources = [(rows[0], slice(None))]
        elif sum(each.nbytes for each in rows) <= JOIN_BYTES:
            self.sources = [(rows[0].joined(rows), slice(None))]
            self.first_row = _starts([dataset.rows for dataset in datasets], rows, key=_memory)
        else:
            self.sources = list(_neighbours([dataset.rows for dataset in datasets]))

    def places(self, order):
        """Return where rows and targets of a stacked order lie."""
        rows = order if self.first_row is None else order + self.first_row
        return rows, order if self.first_y is None else order + self.first_y

    def select(self, indices):
        """Go on with some of the networks."""
        if len(self.sources) > 1:
            self.datasets = [self.datasets[k] for k in indices]
            self.sources = list(_neighbours([dataset.rows for dataset in self.datasets]))
        self.first_row, self.first_y = (
            None if first is None else first[indices] for first in (self.first_row, self.first_y)
        )


def share_memory(datasets):
    """Let datasets of equal rows have them in the same memory.

    A search cuts the same folds for each of its candidates.
    """
    known = []
    for rows in _distinct([dataset.rows for dataset in datasets]):
        if rows.is_tensor and not any(rows.share_memory(other) for other in known):
            known.append(rows)


def _memory(rows):
    """Return what tells rows apart: their memory, whichever object it is seen through."""
    if not rows.is_tensor:
        return id(rows)
    return rows.tensor.data_ptr(), rows.tensor.stride(), rows.shape


def _distinct(values, key=id):
    return list({key(value): value for value in values}.values())


def _starts(values, distinct, key=id):
    """Return where each value begins when the distinct ones lie one after the other."""
    if len(distinct) == 1:
        return None
    sizes = [value.shape[0] for value in distinct]
    starts = dict(zip(map(key, distinct), np.cumsum([0, *sizes[:-1]]), strict=True))
    return np.array([[starts[key(value)]] for value in values])


def _neighbours(rows):
    """Yield groups of networks next to each other on the same rows."""
    start = 0
    for _, run in itertools.groupby(rows, key=_memory):
        run = list(run)
        yield run[0], slice(start, start + len(run))
        start += len(run)
