"""A closer look at the features, the hidden layers and the loss of a fit that has ended."""

import math
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch


@dataclass
class Observation:
    """What one pass over some rows shows.

    Parameters
    ----------
    loss : float
    dead : list of float
        Of each hidden layer, the share of units that are zero for all rows.
    spread : list of float
        Of each hidden layer, the scale of differences between rows over that of its outputs.
    mean, scale, smallest, largest : ndarray of shape (n_features,)
    """

    loss: float
    dead: list
    spread: list
    mean: np.ndarray
    scale: np.ndarray
    smallest: np.ndarray
    largest: np.ndarray


def mean_loss(run, sample, logits=None):
    """Compute the mean loss of some rows with the final weights."""
    total = weight_sum = 0.0
    for x, y, weight in sample.slices(run.network.takes_sparse):
        rows = run.loss.value((logits or run.network.logits)(x), y)
        total += float((rows if weight is None else rows * weight).sum())
        weight_sum += float(len(y) if weight is None else weight.sum())
    return total / weight_sum


def observe(run, sample):
    """Look at some samples and at what the hidden layers make of them."""
    run.network.module.eval()
    with _outputs_of(run.network) as layers, torch.no_grad():
        loss = mean_loss(run, sample, run.network.module)
    return Observation(
        loss,
        [layer.dead for layer in layers],
        [layer.spread for layer in layers],
        *_moments(sample),
    )


def _moments(sample):
    """Mean, standard deviation, minimum and maximum of each feature; nothing overflows."""
    X = getattr(sample.rows, "X", None)
    if sp.issparse(X):
        X = X[sample.index].astype(np.float64)
        n = X.shape[0]
        smallest, largest = (np.ravel(m.toarray()) for m in (X.min(axis=0), X.max(axis=0)))
        unit = float(max(np.abs(smallest).max(), np.abs(largest).max())) or 1.0
        X = X / unit
        mean, squares = (np.ravel(Z.sum(axis=0)) / n for Z in (X, X.multiply(X)))
        return mean * unit, np.sqrt(np.maximum(squares - mean**2, 0)) * unit, smallest, largest
    n, smallest, largest = len(sample), np.inf, -np.inf
    for x, _, _ in sample.slices():
        smallest = np.minimum(smallest, x.min(0).values.cpu().double().numpy())
        largest = np.maximum(largest, x.max(0).values.cpu().double().numpy())
    unit = np.maximum(np.abs(smallest), np.abs(largest))
    unit[unit == 0] = 1.0
    sums = squares = 0.0
    for x, _, _ in sample.slices():
        x = x.cpu().double().numpy() / unit
        sums, squares = sums + x.sum(0), squares + np.square(x).sum(0)
    mean = sums / n
    scale = np.sqrt(np.maximum(squares / n - np.square(mean), 0))
    return mean * unit, scale * unit, smallest, largest


class _Outputs:
    """Sums over what a hidden layer gives for some rows."""

    def __init__(self):
        self.n, self.lives, self.sums, self.squares = 0, False, 0.0, 0.0

    def __call__(self, module, inputs, output):
        output = output.double()
        self.n += len(output)
        self.lives = self.lives | (output != 0).any(0)
        self.sums, self.squares = self.sums + output.sum(0), self.squares + output.square().sum(0)

    @property
    def dead(self):
        return 1 - float(self.lives.double().mean())

    @property
    def spread(self):
        squares = self.squares / self.n
        variance = (squares - (self.sums / self.n).square()).clamp(min=0)
        size = float(squares.mean())
        return math.sqrt(float(variance.mean()) / size) if size > 0 else 0.0


@contextmanager
def _outputs_of(network):
    """Make an `_Outputs` for each hidden activation."""
    layers = [_Outputs() for _ in network.activations]
    handles = [m.register_forward_hook(o) for m, o in zip(network.activations, layers, strict=True)]
    try:
        yield layers
    finally:
        for handle in handles:
            handle.remove()
