"""An architecture as a row of finite choices, for methods that learn how good each option is."""

from functools import cached_property

import numpy as np
import torch

MOST_LEVELS = 6
"""Widths of a layer between which such a method decides; others count as the nearest of them."""


class Grid:
    """The choices of depth, of the width of each layer and of activations.

    Parameters
    ----------
    pool : Pool

    Attributes
    ----------
    levels : list of ndarray of int
        The widths between which each layer chooses, in ascending order.
    is_tied : bool
        Whether an architecture has the same activation in all layers, which is one choice then.
    sizes : list of int
        The number of options of each choice: depth, widths, activation of each layer or of all.
    choices : ndarray of int of shape (n, n_choices)
        What each member of the pool has chosen, -1 where its depth leaves nothing to choose.
    """

    def __init__(self, pool):
        self.pool, n_layers = pool, len(pool.widths)
        self.is_tied = all(len(set(each.activations)) <= 1 for each in pool.architectures)
        self.levels = [
            _levels([a.widths[i] for a in pool.architectures if len(a.widths) > i])
            for i in range(n_layers)
        ]
        n_activations = [len(pool.activations)] * (1 if self.is_tied else n_layers)
        self.sizes = [len(pool.depths), *map(len, self.levels), *n_activations]
        self.choices = np.array([self._row(each) for each in pool.architectures])

    def _row(self, architecture):
        row = np.full(len(self.sizes), -1)
        row[0] = self.pool.depths.index(len(architecture.widths))
        for i, width in enumerate(architecture.widths):
            row[1 + i] = np.abs(np.log(self.levels[i] / width)).argmin()
        after = 1 + len(self.levels)
        activations = architecture.activations[:1] if self.is_tied else architecture.activations
        row[after : after + len(activations)] = activations
        return row

    def log_odds(self, log_probabilities):
        """Return how much likelier each member is than by chance.

        Were it the probability itself, a network would be the less likely the more layers, and
        with them choices, it has.

        Parameters
        ----------
        log_probabilities : sequence of ndarray of shape (size,)
            Of the options of each choice.

        Returns
        -------
        log_odds : ndarray of shape (n,)
            sum_l log(p_l(c_l) n_l) over the choices that a member has made.
        """
        odds = np.zeros(len(self.choices))
        for column, log_p in zip(self.choices.T, log_probabilities, strict=True):
            odds += np.where(column >= 0, np.asarray(log_p)[np.maximum(column, 0)], 0.0)
        return odds + np.where(self.choices >= 0, np.log(self.sizes), 0.0).sum(1)

    @cached_property
    def masks(self):
        """For each layer, which units each level has: tensors of shape (n_levels, most units)."""
        return [
            torch.from_numpy(np.arange(levels[-1]) < levels[:, None]).float()
            for levels in self.levels
        ]

    def mixture(self, weights):
        """Return what `Supernet.mixed_logits` takes, from weights of options.

        Parameters
        ----------
        weights : sequence of tensor of shape (size,)
            One for each choice.

        Returns
        -------
        of_depth, masks, of_activation : tensor, list of tensor, list of tensor
        """
        of_depth, rest = weights[0], weights[1:]
        n_layers = len(self.levels)
        masks = [
            share @ mask.to(share.device, share.dtype)  # FBNetV2, eq. 3
            for share, mask in zip(rest[:n_layers], self.masks, strict=True)
        ]
        of_activation = rest[n_layers:]
        return of_depth, masks, list(of_activation) * (n_layers if self.is_tied else 1)


def _levels(widths):
    """Return the widths themselves where they are few, else levels from the least to the most."""
    known = np.unique(widths)
    if len(known) <= MOST_LEVELS:
        return known
    return np.unique(np.geomspace(known[0], known[-1], MOST_LEVELS).round().astype(int))
