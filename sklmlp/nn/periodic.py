"""Periodic embeddings of numbers, and embeddings of two kinds side by side.

Gorishniy, Rubachev & Babenko 2022, "On embeddings for numerical features in tabular deep learning",
sec. 3.3; with the phases and without the ReLU of Holzmüller, Grinsztajn & Steinwart 2024, "Better
by default", sec. 3 ("PBLD", whose D is the number itself, which the network sees anyway).
"""

import math

import torch
from torch import nn

from sklmlp.nn.piecewise import PiecewiseLinear

N_FREQUENCIES = 16


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
        See `sklmlp.nn.piecewise.pad_edges`.
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
