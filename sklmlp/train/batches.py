"""The rows of an epoch, batch by batch, in scikit-learn's order; for one network or a stack."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch

ROWS_AT_A_TIME, VALUES_AT_A_TIME = 4096, 2**20
"""Rows of L-BFGS and of validation come in runs of no more than this: wide tables may be sparse."""

GATHER_AT_ONCE = 2**20
"""An epoch of at most this many values is put in order by one gather; a larger one batchwise."""


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

    @property
    def dtype(self):
        """What rows are computed in."""
        return self.rows.dtype

    def weights(self):
        """The weights of the rows that take part, or None."""
        return self.weight if self.weight is None or self.index is None else self.weight[self.index]

    def slices(self):
        """(x, y, weight) of consecutive runs of rows; `weight` is a tensor or None."""
        weights = self.weights()
        size = max(1, min(ROWS_AT_A_TIME, VALUES_AT_A_TIME // self.rows.shape[1]))
        for start in range(0, len(self), size):
            run = slice(start, min(start + size, len(self)))
            if self.index is None:
                x, y = self.rows.take(run), self.y[run]
            else:
                x = self.rows.take(self.rows.index(self.index[run]))
                y = self.y[torch.from_numpy(self.index[run]).to(self.y.device)]
            weight = None
            if weights is not None:
                weight = torch.as_tensor(weights[run], dtype=x.dtype, device=x.device)
            yield x, y, weight


@dataclass(slots=True)
class Batch:
    """What one step trains on. K is the number of networks; one network has no axis of it.

    Attributes
    ----------
    x : tensor of shape (n, d) or (K, n, d)
    y : tensor of shape (n,) or (n, k), or (K, n) or (K, n, k)
    scale : float or tensor of shape (n, 1) or (K, n, 1)
        What each row's gradient counts: its weight over the sum of the batch's.
    weight_sum : float, tensor of shape (K, 1) or None
        None where a batch has no weight.
    start, number : int
        Where the batch begins in the epoch, and how many were before it.
    """

    x: torch.Tensor
    y: torch.Tensor
    scale: object
    weight_sum: object
    start: int
    number: int


class Batches:
    """Endless epochs over a table, for one network or for a stack of them.

    Parameters
    ----------
    tables : list of Table
        One a network, of the same rows and equally many of them.
    batch_size : int or "auto"
    rngs : list of numpy.random.RandomState, or None
        Shuffle the rows before each epoch, the order of the epoch before, as scikit-learn does;
        None leaves them in place.
    """

    def __init__(self, tables, batch_size, rngs):
        self.table, self.n = tables[0], len(tables[0])
        if batch_size == "auto":
            batch_size = min(200, self.n)
        elif batch_size > self.n:
            warnings.warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going to be "
                f"clipped: batch_size={batch_size} for {self.n} samples.",
                stacklevel=2,
            )
        self.size, self.rngs = min(batch_size, self.n), rngs
        self.weight = None if self.table.weight is None else [table.weight for table in tables]
        self.order = [table.index for table in tables]
        if rngs is not None or len(tables) > 1:
            self.order = [np.arange(self.n) if o is None else o for o in self.order]

    def keep(self, which):
        """Go on with some of the networks."""
        self.order = [self.order[k] for k in which]
        self.rngs = self.rngs and [self.rngs[k] for k in which]
        self.weight = self.weight and [self.weight[k] for k in which]

    def epoch(self):
        """The next epoch.

        Returns
        -------
        y : tensor of shape (n,) or (n, k), or (K, n) or (K, n, k)
            All targets in order.
        weight : tensor of shape (n,) or (K, n), or None
        batches : iterator of Batch
        """
        self._shuffle()
        order, y = self.order[0], self.table.y
        if len(self.order) > 1:
            order = np.stack(self.order)  # (K, n)
        if order is not None:
            index = torch.from_numpy(order).to(y.device)
            y = y.index_select(0, index.view(-1)).view(*order.shape, *y.shape[1:])
        weight = None
        if self.weight is not None:
            each = [w if o is None else w[o] for w, o in zip(self.weight, self.order, strict=True)]
            weight = np.stack(each) if len(each) > 1 else each[0]
        return y, weight, self._batches(order, y, weight)

    def _shuffle(self):
        for k, rng in enumerate(self.rngs or ()):
            permutation = np.arange(self.n)
            rng.shuffle(permutation)
            self.order[k] = self.order[k][permutation]

    def _batches(self, order, y, weight):
        rows, d = self.table.rows, self.table.rows.shape[1]
        index = at_once = None
        if order is not None:
            index = rows.index(order)
            if order.size * d <= GATHER_AT_ONCE:
                at_once = rows.take(index).view(*order.shape, d)
        for number, start in enumerate(range(0, self.n, self.size)):
            run = slice(start, min(start + self.size, self.n))
            if at_once is not None:
                x = at_once[..., run, :]
            elif order is None:
                x = rows.take(run)
            else:
                x = rows.take(index[..., run]).view(*order.shape[:-1], -1, d)
            y_batch = y[:, run] if len(self.order) > 1 else y[run]
            n = run.stop - run.start
            scale, weight_sum = 1.0 / n, float(n)
            if weight is not None:
                scale, weight_sum = _scale(weight[..., run], x)
            yield Batch(x, y_batch, scale, weight_sum, start, number)


def _scale(weight, like):
    """Weights over their sum, (..., n, 1), and the sums: a float, or (K, 1)."""
    total = weight.sum(-1, keepdims=True)
    share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
    scale = torch.as_tensor(share, dtype=like.dtype, device=like.device).unsqueeze(-1)
    if weight.ndim == 1:
        return scale, float(total[0]) or None
    return scale, torch.as_tensor(total, dtype=like.dtype, device=like.device)
