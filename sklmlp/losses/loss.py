"""A loss: its link, its value and its gradient.

A loss sees logits `z`, the network's last affine map, of shape (..., n, k). Its gradient is written
out, so that every way of training descends the same objective.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Loss:
    """One loss, its parameters given.

    Parameters
    ----------
    name : str
        The user's name for it.
    out_activation : str
        The name of the link, scikit-learn's where it has one.
    link : callable
        Logits (..., n, k) to predictions (..., n, m).
    rows : callable
        Logits and targets to the loss of each row, (..., n).
    gradient : callable
        `gradient(z, y, out=None)`: logits and targets to the gradient of the objective that is
        descended with respect to the logits, (..., n, k), for each row by itself; into `out`.
    objective : callable or None
        The objective of each row that `gradient` belongs to, where it is not `rows`.
    n_units : int
        Logits of one target.
    variance : callable or None
        Logits to the variances of targets, (..., n, m), where the loss learns them.
    quantile : float, list of float or None
        What predictions are quantiles of, a column for each entry of a list.
    """

    name: str
    out_activation: str
    link: Callable
    rows: Callable
    gradient: Callable
    objective: Callable | None = None
    n_units: int = 1
    variance: Callable | None = None
    quantile: float | list | None = None


def identity(z):
    """The link of losses whose logits are predictions."""
    return z


def into(out, value):
    """The value, in the memory that was given for it if any was."""
    return value if out is None else out.copy_(value)
