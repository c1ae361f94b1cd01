"""Piecewise-linear embeddings of numbers: bins of a column, and the map that is learned over them.

Gorishniy, Rubachev & Babenko 2022, "On embeddings for numerical features in tabular deep learning",
sec. 3.2; version B of their package rtdl_num_embeddings.
"""

import numpy as np
import torch
from torch import nn

LEAST_WIDTH = 1e-6
"""Bins narrower than this share of a column's range are joined: their slopes would be noise."""


def bin_edges(column, n_bins):
    """Find the edges of a column's bins: quantiles, and every value that is met often.

    Of few distinct values each is an edge. Otherwise a value that more rows have than a bin would
    hold is an edge, so that it does not swallow the quantiles around it, and the others are
    quantiles of the remaining rows.

    Parameters
    ----------
    column : ndarray of shape (n,)
        Finite numbers.
    n_bins : int
        Bins at most.

    Returns
    -------
    edges : ndarray of shape (n_edges,), float32
        Rising, from the least to the largest value; one alone for a constant column.
    """
    values, counts = np.unique(column, return_counts=True)
    if len(values) > n_bins + 1:
        heavy = values[counts > len(column) / n_bins]
        rest = column[~np.isin(column, heavy)]
        levels = np.linspace(0, 1, max(2, n_bins + 1 - len(heavy)))
        values = np.union1d(heavy, np.quantile(rest, levels, method="inverted_cdf"))
    values = values.astype(np.float64)
    least, edges = LEAST_WIDTH * (values[-1] - values[0]), values[:1].tolist()
    for value in values[1:]:
        if value - edges[-1] > least:
            edges.append(value)
    return np.array(edges, dtype=np.float32)


def pad_edges(edges):
    """Put the edges of several columns side by side; an edge that repeats the last makes no bin.

    Parameters
    ----------
    edges : list of ndarray
        Of each column.

    Returns
    -------
    table : ndarray of shape (n_columns, n_edges), float32
    """
    longest = max([2, *map(len, edges)])
    rows = [np.pad(each, (0, longest - len(each)), mode="edge") for each in edges]
    return np.array(rows, dtype=np.float32).reshape(len(edges), longest)


class PiecewiseLinear(nn.Module):
    """A learned vector for each of some numbers, linear from one edge of its bins to the next.

    Of a number x in column j it is x w_j + c_j + P(x) V_j, where component t of P rises from 0 at
    the left edge of bin t to 1 at the right one. V starts at zero, so the map starts linear. What
    lies outside of all bins is clipped to them in P, and so extrapolated by x w alone.

    Parameters
    ----------
    edges : ndarray of shape (n_columns, n_edges)
        See `pad_edges`.
    size : int
        Length of the vectors.
    """

    def __init__(self, edges, size):
        super().__init__()
        edges = torch.from_numpy(np.array(edges, dtype=np.float32))
        n, n_edges = edges.shape
        width = edges.diff(dim=1)
        self.register_buffer("left", edges[:, None, :-1])  # (F, 1, T)
        self.register_buffer("per_width", torch.where(width > 0, 1 / width, 0.0)[:, None])
        bound = size**-0.5
        self.weight = nn.Parameter(torch.empty(n, 1, size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n, 1, size).uniform_(-bound, bound))
        self.bins = nn.Parameter(torch.zeros(n, n_edges - 1, size))

    def encode(self, x):
        """Return the components P of numbers, (n, F), as (F, n, T)."""
        return (x.T.unsqueeze(2) - self.left).mul_(self.per_width).clamp_(0, 1)

    def forward(self, x):
        """Embed numbers, (n, F), as (F, n, size)."""
        return torch.baddbmm(self.bias + x.T.unsqueeze(2) * self.weight, self.encode(x), self.bins)
