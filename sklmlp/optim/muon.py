"""Muon for the matrices that members share, and Adam for all other numbers of a network.

Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks",
https://kellerjordan.github.io/posts/muon/.
"""

import math
from itertools import groupby
from typing import NamedTuple

import torch

from sklmlp.compat import fused_adam
from sklmlp.optim.adam_sgd import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the odd polynomial that draws singular values toward 1, from below .01 on in five steps."""

N_STEPS = 5


def orthogonalized(matrix):
    """Draw the singular values of a matrix toward 1, by Newton-Schulz iterations.

    Parameters
    ----------
    matrix : tensor of shape (m, n)

    Returns
    -------
    matrix : tensor of shape (m, n)
        With about the same singular vectors, and singular values of .7 to 1.2.
    """
    a, b, c = COEFFICIENTS
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (torch.linalg.vector_norm(x) + 1e-7)
    for _ in range(N_STEPS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if matrix.shape[0] > matrix.shape[1] else x


class _Part(NamedTuple):
    """Neighboring numbers of the flat tensor that are updated by one rule."""

    where: slice
    shape: tuple | None
    """Of a matrix for Muon; None for Adam."""
    factor: float
    """The part's rate over the optimizer's."""

    def as_numbers(self):
        """Return where it starts, its rows and columns, and the factor, as the engine takes it."""
        shape = self.shape or (self.where.stop - self.where.start, 0)
        return self.where.start, *shape, self.factor


class Muon(Optimizer):
    """Muon with Nesterov momentum for some matrices, Adam for the rest.

    A matrix W of gradient G, with momentum m and O the orthogonalized m or look-ahead:

        m <- .95 m + .05 G,   W <- (1 - lr wd) W - lr sqrt(max(1, n_out / n_in)) O(.95 m + .05 G)

    Parameters
    ----------
    network : Network
    matrices, scales : list of torch.nn.Parameter
        What Muon updates, (n_in, n_out) each; and what Adam updates at `scale_factor` times the
        rate. Adam updates all else.
    lr : float
        Adam's rate.
    matrix_factor, scale_factor : float
        The rate of `matrices` and of `scales` over Adam's.
    weight_decay : float, default=0.01
        Of `matrices` alone, decoupled.

    Examples
    --------
    It updates the matrix that members of a network of tables share, at five times the rate:

    >>> import numpy as np
    >>> import torch
    >>> from sklmlp.nn import Network, Spec, TiedNetwork, initial_weights
    >>> from sklmlp.optim import Muon
    >>> params = {"edges": np.empty((0, 2)), "blocks": [0, 1], "hidden_layer_sizes": (4,)}
    >>> spec = Spec(2, 1, (), (), "squared_error", module=TiedNetwork, module_params=params)
    >>> weights = initial_weights(spec, np.random.RandomState(0), np.float32, None)
    >>> network = Network(spec, weights, torch.float32, torch.device("cpu"))
    >>> tied = network.module
    >>> muon = Muon(network, tied.shared, tied.first_scales, 1e-3, 5.0, 3.0)
    >>> {part.shape: part.factor for part in muon.parts if part.shape}
    {(2, 4): 5.0}
    """

    solver = "muon"
    option_names = ("lr", "betas", "eps")
    momentum = 0.95

    def __init__(self, network, matrices, scales, lr, matrix_factor, scale_factor,
                 betas=(0.9, 0.95), eps=1e-8, weight_decay=0.01):  # fmt: skip
        group = {"lr": lr, "betas": betas, "eps": eps}
        super().__init__(network.flat, group, ["exp_avg", "exp_avg_sq"])
        self.weight_decay = weight_decay
        factors = {id(p): matrix_factor for p in matrices} | {id(p): scale_factor for p in scales}
        of_muon, each = {id(p) for p in matrices}, []
        for p, where in zip(network.learned, network.segments, strict=True):
            shape = tuple(p.shape) if id(p) in of_muon else None
            each.append(_Part(where, shape, factors.get(id(p), 1.0)))
        self.parts = []
        for (shape, factor), run in groupby(each, key=lambda part: part[1:]):
            run = list(run)
            if shape is None:
                run = [_Part(slice(run[0].where.start, run[-1].where.stop), None, factor)]
            self.parts += run

    @property
    def engine_options(self):
        """See `Optimizer`."""
        beta_1, beta_2 = self.group["betas"]
        return {
            "solver": "muon",
            "beta_1": beta_1,
            "beta_2": beta_2,
            "epsilon": self.group["eps"],
            "weight_decay": self.weight_decay,
            "momentum": self.momentum,
            "parts": [part.as_numbers() for part in self.parts],
        }

    def update_tensors(self, flats, gradients, moments, steps, t, group):
        """Update the parts that lie in a flat tensor, or in a slice of it, at step t."""
        (flat,), (gradient,), (first, second) = flats, gradients, moments
        start = flat.storage_offset() - self.flat.storage_offset()
        steps[0].fill_(t)
        for part in self.parts:
            low, high = part.where.start - start, part.where.stop - start
            if part.shape is None:
                low, high = max(low, 0), min(high, len(flat))
            if low < 0 or high > len(flat) or low >= high:
                continue  # of this matrix there is nothing or not all
            tensors = [each[low:high] for each in (flat, gradient, first, second)]
            if part.shape is not None:
                self._turn(*(each.view(part.shape) for each in tensors[:3]), group, part.factor)
                continue
            value, slope, m, v = ([each] for each in tensors)
            beta_1, beta_2 = group["betas"]
            fused_adam(
                value, slope, m, v, [], steps[:1], lr=group["lr"] * part.factor, beta1=beta_1,
                beta2=beta_2, weight_decay=0.0, eps=group["eps"], amsgrad=False, maximize=False,
            )  # fmt: skip

    def _turn(self, weight, gradient, momentum, group, factor):
        """One step of Muon of one matrix."""
        lr = group["lr"] * factor
        momentum.lerp_(gradient, 1 - self.momentum)
        step = orthogonalized(torch.lerp(gradient, momentum, self.momentum))
        n_in, n_out = weight.shape
        if self.weight_decay:
            weight.mul_(1 - lr * self.weight_decay)
        weight.sub_(step, alpha=lr * math.sqrt(max(1, n_out / n_in)))
