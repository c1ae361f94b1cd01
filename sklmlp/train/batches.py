"""The rows of an epoch, batch by batch, in scikit-learn's order."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch


@dataclass
class Table:
    """A training table: rows, encoded targets and weights.

    Parameters
    ----------
    rows : TensorRows or ConvertedRows
    y : tensor of shape (n,) or (n, k)
        On the device.
    weight : ndarray of shape (n,) or None
    index : ndarray of int or None
        The rows that take part; None for all of them.
    """

    rows: object
    y: torch.Tensor
    weight: np.ndarray | None = None
    index: np.ndarray | None = None

    def __len__(self):
        return self.rows.shape[0] if self.index is None else len(self.index)

    def weights(self):
        """The weights of the rows that take part, or None."""
        return self.weight if self.weight is None or self.index is None else self.weight[self.index]

    def take(self, where):
        """(x, y, weight, sum of weights) of a slice or an index array."""
        rows = where if isinstance(where, slice) else torch.from_numpy(where)
        x = self.rows.take(rows)
        y = self.y[rows if isinstance(rows, slice) else rows.to(self.y.device)]
        if self.weight is None:
            return x, y, None, float(len(x))
        weight = self.weight[where]
        on_device = torch.as_tensor(weight, dtype=x.dtype, device=x.device)
        return x, y, on_device, float(weight.sum())

    def slices(self, size, order=None):
        """`take` on consecutive runs of `size` rows, of `order` if given, else of the table."""
        order = self.index if order is None else order
        for start in range(0, len(self), size):
            run = slice(start, min(start + size, len(self)))
            yield self.take(run if order is None else order[run])


class Batches:
    """Endless epochs over a table.

    Parameters
    ----------
    table : Table
    batch_size : int or "auto"
    rng : numpy.random.RandomState or None
        Shuffles the rows before each epoch, the order of the epoch before, as scikit-learn does;
        None leaves them in place.
    """

    def __init__(self, table, batch_size, rng):
        n = len(table)
        if batch_size == "auto":
            batch_size = min(200, n)
        elif batch_size > n:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be "
                f"clipped: batch_size={batch_size} for {n} samples.",
                stacklevel=2,
            )
        self.table, self.size, self.rng = table, min(batch_size, n), rng
        self.order = table.index
        if rng is not None and self.order is None:
            self.order = np.arange(n)

    def epoch(self):
        """The batches of one epoch."""
        if self.rng is not None:
            permutation = np.arange(len(self.table))
            self.rng.shuffle(permutation)
            self.order = self.order[permutation]
        return self.table.slices(self.size, self.order)
