"""The datasets of a stack's networks, gathered from as if they were one."""

import itertools

import numpy as np
import torch

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
