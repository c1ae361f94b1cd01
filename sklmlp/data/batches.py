"""The rows of an epoch, batch by batch, in scikit-learn's order; for one network or a stack."""

from dataclasses import dataclass

import numpy as np
import torch

from sklmlp.data.rows import MergedDatasets, as_tensor, rows_of

ROWS_AT_A_TIME, VALUES_AT_A_TIME = 4096, 2**20
"""Limits of a chunk of L-BFGS and of validation: rows, and values, as wide tables may be sparse."""

GROUP_VALUES = 2**18
"""Batches are gathered together up to this many values, which a core's cache holds."""


@dataclass
class Dataset:
    """A training dataset: rows, encoded targets and weights.

    Parameters
    ----------
    rows : TensorRows or ConvertedRows
    y : tensor of shape (n,) or (n, k)
        On the device.
    weight : ndarray of shape (n,) or None
    index : ndarray of int or None
        The rows that take part; None for all of them.
    scaling : TargetScaling or None
        What targets were scaled by before they came here.
    """

    rows: object
    y: torch.Tensor
    weight: np.ndarray | None = None
    index: np.ndarray | None = None
    scaling: object = None

    @classmethod
    def of(cls, X, target, weight, dtype, device, scaling=None):
        """Put checked rows and encoded targets on a device.

        Parameters
        ----------
        X : ndarray or sparse matrix of shape (n, n_features)
        target : ndarray of shape (n,) or (n, k)
        weight : ndarray of shape (n,) or None
        dtype : torch.dtype
            Of rows and of targets that are no class indices.
        device : torch.device
        scaling : TargetScaling, default=None
            For the targets.
        """
        target = as_tensor(target if scaling is None else scaling.encode(target))
        is_index = target.dtype == torch.int64 and target.ndim == 1
        target = target.to(device, None if is_index else dtype)
        return cls(rows_of(X, dtype, device), target, weight, scaling=scaling)

    def __len__(self):
        return self.rows.shape[0] if self.index is None else len(self.index)

    @property
    def dtype(self):
        """What rows are computed in."""
        return self.rows.dtype

    def weights(self):
        """Return the weights of the rows that take part, or None."""
        return self.weight if self.weight is None or self.index is None else self.weight[self.index]

    def slices(self, takes_sparse=False):
        """Iterate over (x, y, weight) of consecutive chunks of rows; `weight` is a tensor or None.

        Where `takes_sparse`, x is CSR if that is multiplied faster.
        """
        weights, width, take = self.weights(), self.rows.shape[1], self.rows.take
        if takes_sparse and self.rows.is_multiplied_sparse:
            width, take = self.rows.values_a_row, self.rows.take_sparse
        size = int(max(1, min(ROWS_AT_A_TIME, VALUES_AT_A_TIME // max(width, 1))))
        for start in range(0, len(self), size):
            chunk = slice(start, min(start + size, len(self)))
            if self.index is None:
                x, y = take(chunk), self.y[chunk]
            else:
                x = take(self.rows.index(self.index[chunk]))
                y = self.y[torch.from_numpy(self.index[chunk]).to(self.y.device)]
            weight = None
            if weights is not None:
                weight = torch.as_tensor(weights[chunk], dtype=x.dtype, device=x.device)
            yield x, y, weight


@dataclass(slots=True)
class Batch:
    """What one step trains on. K is the number of networks; one network has no axis of it.

    Attributes
    ----------
    x, x_t : tensor of shape (n, d) and (d, n), or (K, n, d) and (K, d, n)
        The second is the first transposed; both are CSR where that is faster.
    y : tensor of shape (n,) or (n, k), or (K, n) or (K, n, k)
    scale : tensor of shape (), (n, 1) or (K, n, 1)
        What each row's gradient counts: its weight over the sum of the batch's.
    weight_sum : float, tensor of shape (K, 1) or None
        None where a batch has no weight.
    logits : tensor of shape (n, k) or (K, n, k)
        To be filled by the step with the logits before the update.
    squared_coefs : tensor of shape () or (K,)
        To be filled by the step with the sum of squared coefs before the update.
    """

    x: torch.Tensor
    x_t: torch.Tensor
    y: torch.Tensor
    scale: object
    weight_sum: object
    logits: torch.Tensor
    squared_coefs: torch.Tensor


class BatchGroup:
    """Consecutive batches, side by side in memory that one group after the other fills.

    Parameters
    ----------
    x : list of (tensor, tensor)
        Rows of each batch, and transposed.
    y, logits : tensor
        Of all rows of the group, shaped as a batch's.
    squared_coefs : tensor of shape (n_batches,) or (n_batches, K)
    size : int
        Rows of a batch; the last may have fewer.

    Attributes
    ----------
    batches : list of Batch
    share : tensor of shape (n,) or (K, n), or None
        A row's weight over its batch's mean weight.
    penalty_share : tensor of shape (n_batches,) or (n_batches, K), or None
        1 over a batch's mean weight.
    """

    def __init__(self, x, y, logits, squared_coefs, size):
        self.y, self.logits, self.squared_coefs = y, logits, squared_coefs
        self.share = self.penalty_share = None
        rows = logits.ndim - 2
        parts = zip(y.split(size, rows), logits.split(size, rows), squared_coefs, strict=True)
        self.batches = [
            Batch(*pair, y, z.new_full((), 1 / z.shape[rows]), float(z.shape[rows]), z, squared)
            for pair, (y, z, squared) in zip(x, parts, strict=True)
        ]


def _parts(x, size):
    """Cut a group's rows into batches, which are also given transposed."""
    return [(part, part.mT) for part in x.split(size, -2)]


def rows_of_a_batch(batch_size, n):
    """Return how many of n rows a full batch has, for the `batch_size` parameter."""
    return int(min(200 if batch_size == "auto" else batch_size, n))


@dataclass(frozen=True)
class BatchPlan:
    """What networks have to agree on for their batches to lie side by side.

    Parameters
    ----------
    n_batches, size : int
    last : int
        Rows of the last batch, rounded up to eights: folds differ by a row or two, and so the rows
        of all networks begin at full lines of the cache, see `stack_padded`.
    """

    n_batches: int
    size: int
    last: int

    @classmethod
    def of(cls, n, batch_size):
        """Return the shape of an epoch of n rows, for the `batch_size` parameter."""
        size = rows_of_a_batch(batch_size, n)
        n_batches = -(-n // size)
        last = -(-(n - (n_batches - 1) * size) // 8) * 8
        return cls(1, last, last) if n_batches == 1 else cls(n_batches, size, min(last, size))

    @property
    def n_rows(self):
        """Rows of an epoch, those without weight included."""
        return (self.n_batches - 1) * self.size + self.last


class Batches:
    """Endless epochs over a dataset, for one network or for a stack of them.

    Parameters
    ----------
    datasets : list of Dataset
        One a network, of `BatchPlan`s that are equal. The last batches of several are filled up
        with rows of no weight.
    batch_size : int or "auto"
    rngs : list of numpy.random.RandomState, or None
        Shuffle the rows before each epoch, the order of the epoch before, as scikit-learn does;
        None leaves them in place.
    n_outputs : int
        Logits of a row.
    sparse : bool, default=False
        Whether one network's step can multiply rows as CSR.
    """

    def __init__(self, datasets, batch_size, rngs, n_outputs, sparse=False):
        self.dataset, self.n_outputs = datasets[0], n_outputs
        self.counts, self.batch_size = [len(dataset) for dataset in datasets], batch_size
        self.sparse = sparse
        self.rngs, self.merged = rngs, MergedDatasets(datasets)
        self.weight = (
            None if self.dataset.weight is None else [dataset.weight for dataset in datasets]
        )
        self.order = [dataset.index for dataset in datasets]
        if rngs is not None or len(datasets) > 1:
            pairs = zip(self.order, self.counts, strict=True)
            self.order = [np.arange(n) if o is None else o for o, n in pairs]
        self._lay_out()

    def _lay_out(self):
        """Memory for a group of batches."""
        self.stack = () if len(self.order) == 1 else (len(self.order),)
        self.n = self.counts[0]
        self.size = rows_of_a_batch(self.batch_size, self.n)
        if self.stack:
            shape = BatchPlan.of(self.n, self.batch_size)
            self.n, self.size = shape.n_rows, shape.size
        k, d, n_outputs = len(self.order), self.dataset.rows.shape[1], self.n_outputs
        width = max(self.dataset.rows.values_a_row if self.sparse else d, n_outputs)
        together = max(1, int(GROUP_VALUES / (k * self.size * width)))
        n = self.group_rows = min(self.n, self.size * together)
        to = {"dtype": self.dataset.dtype, "device": self.dataset.y.device}
        self.logits = torch.empty(k * n * n_outputs, **to)
        self.squared_coefs = torch.zeros((-(-n // self.size), *self.stack), **to)
        self.groups = {}
        if self.order[0] is not None:
            self.x = None if self.sparse else torch.empty(k * n * d, **to)
            self.y = self.dataset.y.new_empty((k * n, *self.dataset.y.shape[1:]))

    def select(self, indices):
        """Go on with some of the networks."""
        self.order = [self.order[k] for k in indices]
        self.counts = [self.counts[k] for k in indices]
        self.rngs = self.rngs and [self.rngs[k] for k in indices]
        self.weight = self.weight and [self.weight[k] for k in indices]
        if indices:
            self.merged.select(indices)
            self._lay_out()

    def epoch(self):
        """Iterate over the groups of the next epoch; use each before the next is drawn."""
        for k, rng in enumerate(self.rngs or ()):
            permutation = np.arange(self.counts[k])
            rng.shuffle(permutation)
            self.order[k] = self.order[k][permutation]
        is_even = min(self.counts) == self.n
        weights = None if self.weight is None and is_even else self._weights()
        order = self._side_by_side(self.order) if self.stack else self.order[0]
        if order is not None:
            rows, targets = self.merged.places(order)
            order = index = self.dataset.rows.index(rows)
            if targets is not rows or isinstance(order, np.ndarray):  # rows that stay with the host
                index = torch.from_numpy(targets).to(self.dataset.y.device)
        for start in range(0, self.n, self.group_rows):
            rows = slice(start, min(start + self.group_rows, self.n))
            group = self._in_place(rows) if order is None else self._gathered(rows, order, index)
            if weights is not None:
                self._set_weights(group, rows, *weights)
            yield group

    def _side_by_side(self, values):
        """Something of each network's rows as one (K, n), with zeros where it has fewer."""
        together = np.zeros((len(values), self.n), values[0].dtype)
        for row, value in zip(together, values, strict=True):
            row[: len(value)] = value
        return together

    def _gathered(self, rows, order, index):
        """Return the rows of an order, copied."""
        order, index, n = order[..., rows], index[..., rows], rows.stop - rows.start
        if self.sparse:
            y = torch.index_select(self.dataset.y, 0, index, out=self.y[:n])
            return BatchGroup(self._sparse_parts(order, n), y, *self._results(n))
        group, x, y = self._group(n)
        for source, networks in self.merged.sources:
            part = order[networks] if self.stack else order
            start = (networks.start or 0) * n
            into = x[start : start + part.shape[0] * n] if self.stack else x
            source.take(part.reshape(-1), out=into)
        torch.index_select(self.merged.y, 0, index.reshape(-1), out=y)
        return group

    def _sparse_parts(self, order, n):
        parts = [order[start : start + self.size] for start in range(0, n, self.size)]
        return [self.dataset.rows.take_sparse(part, with_transpose=True) for part in parts]

    def _group(self, n):
        """Return the memory for n rows, for a whole group and as matrices of x and y."""
        if n not in self.groups:
            k, d = len(self.order), self.dataset.rows.shape[1]
            x, y = self.x[: k * n * d].view(k * n, d), self.y[: k * n]
            all_x, all_y = [part.view(*self.stack, n, *part.shape[1:]) for part in (x, y)]
            self.groups[n] = BatchGroup(_parts(all_x, self.size), all_y, *self._results(n)), x, y
        return self.groups[n]

    def _results(self, n):
        """Return what the steps of a group have to fill, and the size of a batch."""
        k, n_batches = len(self.order) * self.n_outputs, -(-n // self.size)
        # quicker than row by row: see `sklmlp.losses.softmax`
        logits = self.logits[: k * n].view(*self.stack, self.n_outputs, n).mT
        return logits, self.squared_coefs[:n_batches], self.size

    def _in_place(self, rows):
        """Return a group of rows as they lie in the dataset, without a copy."""
        n = rows.stop - rows.start
        if self.sparse:
            x = self._sparse_parts(np.arange(rows.start, rows.stop), n)
        else:
            x = _parts(self.dataset.rows.take(rows), self.size)
        return BatchGroup(x, self.dataset.y[rows], *self._results(n))

    def _weights(self):
        """Return each row's weight over its batch's sum and mean, each batch's 1 / mean and sum."""
        if self.weight is None:
            each = [np.ones(n) for n in self.counts]
        else:
            each = [w if o is None else w[o] for w, o in zip(self.weight, self.order, strict=True)]
        weight, counts = each[0], self.n
        if self.stack:
            weight, counts = self._side_by_side(each), np.array(self.counts)[:, None]
        starts = np.arange(0, self.n, self.size)
        sizes = np.diff(starts, append=self.n)
        total = np.add.reduceat(weight, starts, axis=-1)
        by_sum = np.divide(1, total, out=np.zeros_like(total), where=total > 0)
        by_mean = by_sum * np.minimum(counts - starts, self.size)
        scale, share = (weight * np.repeat(by, sizes, axis=-1) for by in (by_sum, by_mean))
        to = {"dtype": self.dataset.dtype, "device": self.dataset.y.device}
        sums = torch.as_tensor(total.T, **to).unsqueeze(-1) if self.stack else total
        return *(torch.as_tensor(values, **to) for values in (scale, share, by_mean.T)), sums

    def _set_weights(self, group, rows, scale, share, by_mean, total):
        """Give the batches of a group the weights of its rows."""
        first = rows.start // self.size
        group.share = share[..., rows]
        group.penalty_share = by_mean[first : first + len(group.batches)]
        scales = scale[..., rows].unsqueeze(-1).split(self.size, -2)
        for number, (batch, part) in enumerate(zip(group.batches, scales, strict=True), first):
            batch.scale = part
            if self.stack:
                batch.weight_sum = total[number]
            else:
                batch.weight_sum = float(total[number]) or None
