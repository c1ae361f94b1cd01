"""Learned vectors for the levels of categories (Guo & Berkhahn 2016, "Entity embeddings")."""

import numpy as np
import torch
from torch import nn


class LevelVectors(nn.Module):
    """A learned vector for each level of some categories, which starts at zero.

    A code that is no level, such as -1, has the vector 0: as if nothing had been learned of it.

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
