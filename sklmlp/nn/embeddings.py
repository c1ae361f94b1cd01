"""Embeddings: of numbers piecewise-linear ones, over bins, and periodic ones; vectors of levels.

Gorishniy, Rubachev & Babenko 2022, "On embeddings for numerical features in tabular deep learning".
The piecewise-linear ones are of sec. 3.2, in version B of their package rtdl_num_embeddings. The
periodic ones are of sec. 3.3, with the phases and without the ReLU of Holzmüller, Grinsztajn &
Steinwart 2024, "Better by default", sec. 3 ("PBLD", whose D is the number itself, which the network
sees anyway).
"""

import math

import numpy as np
import torch
from torch import nn

LEAST_WIDTH = 1e-6
"""Bins narrower than this share of a column's range are joined: their slopes would be noise."""

N_FREQUENCIES = 16
"""Cosines of each number in a periodic embedding."""


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


class Periodic(nn.Module):
    """A learned vector for each of some numbers: an affine map of cosines of learned frequencies.

    Of a number x in column j it is cos(2 pi x f_j + p_j) V_j + c_j. Frequencies f start from a
    normal distribution and phases p from all angles.

    Parameters
    ----------
    n_columns : int
    size : int
        Length of the vectors.
    frequency_scale : float
        Standard deviation of the frequencies to start from.
    """

    def __init__(self, n_columns, size, frequency_scale):
        super().__init__()
        shape, bound = (n_columns, 1, N_FREQUENCIES), N_FREQUENCIES**-0.5
        self.frequencies = nn.Parameter(torch.randn(shape) * frequency_scale)
        self.phases = nn.Parameter(torch.empty(shape).uniform_(-math.pi, math.pi))
        weight = torch.empty(n_columns, N_FREQUENCIES, size).uniform_(-bound, bound)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.empty(n_columns, 1, size).uniform_(-bound, bound))

    def forward(self, x):
        """Embed numbers, (n, F), as (F, n, size)."""
        angles = 2 * math.pi * x.T.unsqueeze(2) * self.frequencies + self.phases  # (F, n, m)
        return torch.baddbmm(self.bias, angles.cos(), self.weight)


class SideBySide(nn.Module):
    """Piecewise-linear and periodic embeddings of the same numbers, one behind the other."""

    def __init__(self, piecewise, periodic):
        super().__init__()
        self.piecewise, self.periodic = piecewise, periodic

    def forward(self, x):
        """Embed numbers, (n, F), as (F, n, size)."""
        return torch.cat([self.piecewise(x), self.periodic(x)], 2)


def make_front(kind, edges, size, frequency_scale):
    """Make what embeds numbers.

    Parameters
    ----------
    kind : {"piecewise", "periodic", "both"}
    edges : ndarray of shape (n_columns, n_edges)
        See `pad_edges`.
    size : int
        Length of the vectors of each kind.
    frequency_scale : float
        See `Periodic`.

    Returns
    -------
    front : torch.nn.Module or None
        None where there is no column.
    size : int
        Length of the vectors.
    """
    if not len(edges):
        return None, 0
    if kind == "piecewise":
        return PiecewiseLinear(edges, size), size
    periodic = Periodic(len(edges), size, frequency_scale)
    if kind == "periodic":
        return periodic, size
    return SideBySide(PiecewiseLinear(edges, size), periodic), 2 * size


class LevelVectors(nn.Module):
    """A learned vector for each level of some categories, which starts at zero.

    Guo & Berkhahn 2016, "Entity embeddings of categorical variables". A code that is no level, such
    as -1, has the vector 0: as if nothing had been learned of it.

    Parameters
    ----------
    n_levels : array-like of int of shape (n_categories,)
        Levels of each category.
    size : int
        Length of the vectors.
    """

    def __init__(self, n_levels, size):
        super().__init__()
        first = np.concatenate([[0], np.cumsum(n_levels)])
        self.register_buffer("first", torch.tensor(first, dtype=torch.float32))  # rows of vectors
        self.vectors = nn.Parameter(torch.zeros(int(first[-1]), size))

    def forward(self, codes):
        """Look up codes, whole numbers of shape (n, n_categories), as (n, n_categories, size)."""
        is_level = (codes >= 0) & (codes < self.first.diff())
        rows = torch.where(is_level, codes + self.first[:-1], 0).long()
        return self.vectors[rows] * is_level.unsqueeze(2)
