"""The losses: one table, each with its link, its value and its gradient.

A loss sees logits `z`, the network's last affine map, of shape (..., n, k). Its gradient is written
out, so that every way of training descends the same objective.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Loss:
    """One entry of the table.

    Parameters
    ----------
    name : str
        The user's name for it.
    out_activation : str
        scikit-learn's name for the link.
    link : callable
        Logits (..., n, k) to predictions (..., n, k).
    rows : callable
        Logits and targets to the loss of each row, (..., n).
    gradient : callable
        Logits and targets to the gradient of the objective that is descended with respect to the
        logits, (..., n, k), for each row by itself.
    objective : callable or None
        The objective of each row that `gradient` belongs to, where it is not `rows`.
    """

    name: str
    out_activation: str
    link: Callable
    rows: Callable
    gradient: Callable
    objective: Callable | None = None


def _clip(log_probability):
    """Logarithms of probabilities that are clipped to [eps, 1 - eps], as scikit-learn reports."""
    eps = torch.finfo(log_probability.dtype).eps
    return log_probability.clamp(math.log(eps), math.log1p(-eps))


def _softmax(z):
    return torch.softmax(z, -1)


def _log_loss_rows(z, y):  # y: (..., n) indices of classes
    return -_clip(torch.log_softmax(z, -1)).gather(-1, y.unsqueeze(-1)).squeeze(-1)


def _log_loss_gradient(z, y):
    # d/dz of -log softmax(z)_y is softmax(z) - onehot(y): Bishop 2006, eq. 4.109
    probability = torch.softmax(z, -1)
    y = y.unsqueeze(-1)
    return probability.scatter_(-1, y, probability.gather(-1, y) - 1)


def _binary_log_loss_rows(z, y):  # y: (..., n, k) zeros and ones
    log_yes, log_no = torch.nn.functional.logsigmoid(z), torch.nn.functional.logsigmoid(-z)
    return -(y * _clip(log_yes) + (1 - y) * _clip(log_no)).sum(-1)


def _binary_log_loss_gradient(z, y):
    return torch.sigmoid(z) - y  # Bishop 2006, eq. 4.91


def _squared_error_rows(z, y):
    return 0.5 * (z - y).square().mean(-1)


def _poisson_rows(z, y):
    # half the deviance: y log(y / mu) - y + mu with mu = exp(z), McCullagh & Nelder 1989, table 2.1
    return (torch.xlogy(y, y) - y * z - y + z.exp()).sum(-1)


LOSSES = {
    "log_loss": Loss("log_loss", "softmax", _softmax, _log_loss_rows, _log_loss_gradient),
    "binary_log_loss": Loss(
        "log_loss", "logistic", torch.sigmoid, _binary_log_loss_rows, _binary_log_loss_gradient
    ),
    # scikit-learn reports the mean over outputs and descends the sum
    "squared_error": Loss(
        "squared_error",
        "identity",
        lambda z: z,
        _squared_error_rows,
        lambda z, y: z - y,
        objective=lambda z, y: 0.5 * (z - y).square().sum(-1),
    ),
    "poisson": Loss("poisson", "exp", torch.exp, _poisson_rows, lambda z, y: z.exp() - y),
}
