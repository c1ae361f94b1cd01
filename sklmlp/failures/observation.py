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
        [_dead(parts) for parts in layers],
        [_spread(parts) for parts in layers],
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


@contextmanager
def _outputs_of(network):
    """Yield a list for each hidden layer, which fills with sums over its outputs, a slice each."""
    layers = [[] for _ in network.activations]
    handles = []
    for module, parts in zip(network.activations, layers, strict=True):

        def add(module, inputs, output, parts=parts):
            a = output.double()
            parts.append((len(a), (a != 0).any(0), a.sum(0), a.square().sum(0)))

        handles.append(module.register_forward_hook(add))
    try:
        yield layers
    finally:
        for handle in handles:
            handle.remove()


def _dead(parts):
    """Return the share of a layer's units that are zero for all rows."""
    lives = torch.stack([lives for _, lives, _, _ in parts]).any(0)
    return 1 - float(lives.double().mean())


def _spread(parts):
    """Return the scale of differences between rows over that of a layer's outputs."""
    n, _, sums, squares = zip(*parts, strict=True)
    n, sums, squares = sum(n), sum(sums), sum(squares)
    squares = squares / n
    variance = (squares - (sums / n).square()).clamp(min=0)
    size = float(squares.mean())
    return math.sqrt(float(variance.mean()) / size) if size > 0 else 0.0
