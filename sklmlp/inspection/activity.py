"""The activity of hidden units: zero on all rows, saturated, or alike."""

from dataclasses import dataclass

import numpy as np
import torch

from sklmlp import runtime
from sklmlp.inspection.layers import Layers, slope

ZERO = 1e-6
"""A unit whose output never exceeds this, of either sign, is dead."""

FLAT = 0.05
"""A unit is saturated where its slope is below this share of the activation's steepest slope."""

MOSTLY = 0.9
"""A unit is called saturated if it is on at least this share of rows."""


@dataclass
class Activity:
    """Statistics of a layer's output for some rows.

    Parameters
    ----------
    layer : str
        "hidden 0", "hidden 1" and so on, and "output", of which the logits are looked at.
    activation : str or None
    magnitude : ndarray of shape (units,)
        The mean of the absolute values.
    mean, std : float
        Of all rows and units.
    dead : ndarray of bool of shape (units,)
        Which units are zero for every row, up to `ZERO`.
    saturated : ndarray of shape (units,)
        On which share of rows the activation is flat, see `FLAT`; zeros where it is not flat on
        both sides, and NaN where it is no function of one number from torch.nn.
    effective_rank : float
        See `effective_rank`.
    """

    layer: str
    activation: str | None
    magnitude: np.ndarray
    mean: float
    std: float
    dead: np.ndarray
    saturated: np.ndarray
    effective_rank: float

    @property
    def mostly_saturated(self):
        """Which units are saturated on at least `MOSTLY` of the rows, (units,) of bool."""
        return self.saturated >= MOSTLY


def activities(estimator, X):
    """Compute the activity of each layer on rows.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted, with one network.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Checked rows.

    Returns
    -------
    activities : list of Activity
        One for each hidden layer, and the output's.
    """
    network = Layers(estimator)
    watched = [_Watched(layer) for layer in network.layers]

    @torch.inference_mode()
    def look():
        for x in network.runs(X):
            for layer, handed_on in zip(watched, network(x), strict=True):
                layer.add(handed_on)

    runtime.compute(look, estimator.matmul_precision)
    return [layer.activity() for layer in watched]


def effective_rank(matrix):
    """Return how many directions a matrix has, counted by how much it has of each.

    The exponential of the entropy of the normalised singular values: Roy & Vetterli (2007), "The
    effective rank: A measure of effective dimensionality". EUSIPCO, eq. 5.

    Parameters
    ----------
    matrix : ndarray of shape (m, n)

    Returns
    -------
    rank : float
        Between 1 and min(m, n), and 0 for zeros.

    Examples
    --------
    >>> import numpy as np
    >>> from sklmlp.inspection.activity import effective_rank
    >>> round(effective_rank(np.diag([1.0, 1.0, 1.0, 0.0])), 6)
    3.0
    """
    singular = np.linalg.svd(matrix, compute_uv=False)
    if not singular.any():
        return 0.0
    p = singular[singular > 0] / singular.sum()
    return float(np.exp(-(p * np.log(p)).sum()))


class _Watched:
    """One layer's activity, gathered run by run."""

    def __init__(self, layer):
        self.layer, self.n_rows = layer, 0
        self.steepest = None
        choice = layer.choice
        if choice is not None and choice.entry.elementwise:
            self.steepest = _steepest(layer.activation)
            if self.steepest is not None:
                layer.activation.register_forward_pre_hook(self._count_flat)
        self.is_known = choice is not None and choice.entry.elementwise

    def _count_flat(self, activation, inputs):
        flat = slope(activation.forward, inputs[0]).abs() < FLAT * self.steepest
        self.flat = getattr(self, "flat", 0) + flat.sum(0).cpu().numpy()

    def add(self, handed_on):
        """Add the outputs for a chunk of rows, (n, units)."""
        a = handed_on.cpu().double().numpy()
        if not self.n_rows:
            self.total = self.largest = np.zeros(a.shape[1])
            self.mean, self.squares, self.triangle = 0.0, 0.0, a[:0]
        self.total = self.total + np.abs(a).sum(0)
        self.largest = np.maximum(self.largest, np.abs(a).max(0))
        # moments of two sets of rows from those of each: Chan et al. 1983, eq. 2.1
        n, m, away = self.n_rows, len(a), a.mean() - self.mean
        self.squares += ((a - a.mean()) ** 2).sum() + away**2 * a.shape[1] * n * m / (n + m)
        self.mean += away * m / (n + m)
        self.n_rows = n + m
        # rows and their triangular factor have the same singular values
        self.triangle = np.linalg.qr(np.vstack([self.triangle, a]), mode="r")

    def activity(self):
        """Return what has been gathered."""
        units = len(self.total)
        saturated = np.full(units, 0.0 if self.is_known else np.nan)
        if self.steepest is not None:
            saturated = self.flat / self.n_rows
        return Activity(
            layer=self.layer.name,
            activation=self.layer.choice and self.layer.choice.name,
            magnitude=self.total / self.n_rows,
            mean=self.mean,
            std=float(np.sqrt(self.squares / (self.n_rows * units))),
            dead=self.largest <= ZERO,
            saturated=saturated,
            effective_rank=effective_rank(self.triangle),
        )


def _steepest(activation):
    """Return the steepest slope of an activation that is flat on both sides, or None."""
    inner = torch.linspace(-10, 10, 2001, dtype=torch.float64, device="cpu")
    steepest = slope(activation, inner).abs().max()
    ends = slope(activation, inner.new_tensor([-1e3, 1e3])).abs()
    return float(steepest) if (ends < FLAT * steepest).all() else None
