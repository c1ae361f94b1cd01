"""What held-out rows make of probabilities: how sure they are, and what a second model adds."""

import numpy as np
from scipy.optimize import minimize_scalar

SHRINKAGE = 200
"""Held-out rows that the temperature 1 counts as, and that the weight 0 of a second model does."""

LOG_RANGE = (0.0, 1.5)
"""Of temperatures from 1 on. The held-out rows have chosen the epoch, and so look better than
others do: they may make probabilities less sure, and not more."""

LEAST_WEIGHT = 0.02
"""A second model that is to count for less is not worth its time."""


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
    """Find the temperature that held-out rows like best, drawn toward 1 where they are few.

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

    best = _of_least_log_loss(
        lambda log_t: tempered(probability, np.exp(log_t))[rows, index], LOG_RANGE, weight
    )
    return float(np.exp(best * _trust(rows, weight)))


def learn_weight(probability, other, index, weight=None):
    """Find how much a second model is to count in the mean of probabilities; of few rows less.

    Parameters
    ----------
    probability, other : ndarray of shape (n, n_classes)
        Of rows that were not trained on.
    index : ndarray of int of shape (n,)
        Their classes.
    weight : ndarray of shape (n,), default=None

    Returns
    -------
    share : float
        n / (n + 200) times that between 0 and 1 with the least log loss, which is convex; 0 where
        it is small.
    """
    rows = np.arange(len(index))
    ours, theirs = (np.asarray(p, np.float64)[rows, index] for p in (probability, other))

    share = _of_least_log_loss(lambda share: (1 - share) * ours + share * theirs, (0, 1), weight)
    share *= _trust(rows, weight)
    return share if share >= LEAST_WEIGHT else 0.0


def learn_weight_of_values(values, other, y, weight=None):
    """Find how much a second model is to count in the mean of values; of few rows less.

    Parameters
    ----------
    values, other, y : ndarray of shape (n,) or (n, n_outputs)
        Predictions for rows that were not trained on, and what is true.
    weight : ndarray of shape (n,), default=None

    Returns
    -------
    share : float
        n / (n + 200) times that between 0 and 1 with the least mean squared error, of outputs over
        their variances; 0 where it is small.
    """
    variance = np.var(y, axis=0)
    per_variance = np.where(variance > 0, 1 / np.where(variance > 0, variance, 1), 0)
    toward, missing = ((each - values).reshape(len(y), -1) for each in (other, y))
    products, squares = (
        np.average((toward * each * per_variance).sum(axis=1), weights=weight)
        for each in (missing, toward)
    )
    share = float(np.clip(products / squares, 0, 1)) if squares > 0 else 0.0
    share *= _trust(range(len(y)), weight)
    return share if share >= LEAST_WEIGHT else 0.0


def _trust(rows, weight):
    """Return how much what held-out rows say counts, which is less the fewer they are."""
    n = len(rows) if weight is None else np.count_nonzero(weight)
    return n / (n + SHRINKAGE)


def _of_least_log_loss(probability, bounds, weight):
    """Return the number within bounds whose probabilities of the true classes, (n,), are best."""

    def log_loss(value):
        return -np.average(np.log(np.maximum(probability(value), 1e-300)), weights=weight)

    return float(minimize_scalar(log_loss, bounds=bounds, method="bounded").x)
