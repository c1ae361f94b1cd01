"""Temperature scaling: probabilities that are as sure as held-out rows say they may be."""

import numpy as np
from scipy.optimize import minimize_scalar

SHRINKAGE = 200
"""Held-out rows that the temperature 1 counts as."""

LOG_RANGE = (0.0, 1.5)
"""Of temperatures from 1 on. The held-out rows have chosen the epoch, and so look better than
others do: they may make probabilities less sure, and not more."""


def tempered(probability, temperature):
    """Return probabilities of logits divided by a temperature (Guo et al. 2017, eq. 9).

    Parameters
    ----------
    probability : ndarray of shape (n, n_classes)
    temperature : float

    Returns
    -------
    probability : ndarray of shape (n, n_classes)
    """
    if temperature == 1.0:
        return probability
    tiny = np.finfo(probability.dtype).tiny
    z = np.log(np.maximum(probability, tiny)) / probability.dtype.type(temperature)
    z = np.exp(z - z.max(axis=1, keepdims=True))
    return z / z.sum(axis=1, keepdims=True)


def learn_temperature(probability, index, weight=None):
    """Find the temperature that held-out rows like best, drawn towards 1 where they are few.

    Parameters
    ----------
    probability : ndarray of shape (n, n_classes)
        Of rows that were not trained on.
    index : ndarray of int of shape (n,)
        Their classes.
    weight : ndarray of shape (n,), default=None

    Returns
    -------
    temperature : float
        exp(n / (n + 200) log T), where T has the least log loss of those from 1 on.
    """
    probability = np.asarray(probability, dtype=np.float64)
    rows = np.arange(len(index))

    def log_loss(log_t):
        p = tempered(probability, np.exp(log_t))[rows, index]
        return -np.average(np.log(np.maximum(p, 1e-300)), weights=weight)

    best = minimize_scalar(log_loss, bounds=LOG_RANGE, method="bounded").x
    n = len(rows) if weight is None else np.count_nonzero(weight)
    return float(np.exp(best * n / (n + SHRINKAGE)))
