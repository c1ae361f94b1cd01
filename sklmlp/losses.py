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
        `gradient(z, y, out=None)`: logits and targets to the gradient of the objective that is
        descended with respect to the logits, (..., n, k), for each row by itself; into `out`.
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
    return log_probability.clamp_(*_BOUNDS[log_probability.dtype])


def _bounds(dtype):
    eps = torch.finfo(dtype).eps
    return math.log(eps), math.log1p(-eps)


_BOUNDS = {dtype: _bounds(dtype) for dtype in (torch.float32, torch.float64)}


def softmax(z, out=None):
    """Softmax over the last axis; torch's kernels are several times faster across the rows."""
    return torch.softmax(z.mT, -2, out=None if out is None else out.mT).mT


def log_softmax(z):
    """Logarithm of `softmax`."""
    return torch.log_softmax(z.mT, -2).mT


def _log_loss_rows(z, y):  # y: (..., n) indices of classes
    return _clip(log_softmax(z).mT.gather(-2, y.unsqueeze(-2)).squeeze(-2)).neg_()


def _log_loss_gradient(z, y, out=None):
    # d/dz of -log softmax(z)_y is softmax(z) - onehot(y): Bishop 2006, eq. 4.109
    p = softmax(z, out)
    p.mT.scatter_(-2, y.unsqueeze(-2), -1.0, reduce="add")
    return p


def _binary_log_loss_rows(z, y):  # y: (..., n, k) zeros and ones
    log_yes, log_no = torch.nn.functional.logsigmoid(z), torch.nn.functional.logsigmoid(-z)
    return -(y * _clip(log_yes) + (1 - y) * _clip(log_no)).sum(-1)


def _binary_log_loss_gradient(z, y, out=None):
    return torch.sigmoid(z, out=out).sub_(y)  # Bishop 2006, eq. 4.91


def _squared_error_rows(z, y):
    return 0.5 * (z - y).square().mean(-1)


def _poisson_rows(z, y):
    # half the deviance: y log(y / mu) - y + mu with mu = exp(z), McCullagh & Nelder 1989, table 2.1
    return (torch.xlogy(y, y) - y * z - y + z.exp()).sum(-1)


def _poisson_gradient(z, y, out=None):
    return torch.exp(z, out=out).sub_(y)


def _squared_error_gradient(z, y, out=None):
    return torch.sub(z, y, out=out)


LOSSES = {
    "log_loss": Loss("log_loss", "softmax", softmax, _log_loss_rows, _log_loss_gradient),
    "binary_log_loss": Loss(
        "log_loss", "logistic", torch.sigmoid, _binary_log_loss_rows, _binary_log_loss_gradient
    ),
    # scikit-learn reports the mean over outputs and descends the sum
    "squared_error": Loss(
        "squared_error",
        "identity",
        lambda z: z,
        _squared_error_rows,
        _squared_error_gradient,
        objective=lambda z, y: 0.5 * (z - y).square().sum(-1),
    ),
    "poisson": Loss("poisson", "exp", torch.exp, _poisson_rows, _poisson_gradient),
}
