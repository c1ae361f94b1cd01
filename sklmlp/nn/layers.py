"""Dropout, normalization and residual layers."""

from numbers import Real

import torch
from torch import nn

from sklmlp.compat import AnyBatchNorm, AnyDropout
from sklmlp.nn.custom_module import seeded

EPSILON = 1e-5
"""Keeps the division of a normalization finite; torch's default for batch and layer."""

NORMALIZATIONS = {
    "batch": nn.BatchNorm1d,  # Ioffe & Szegedy 2015, algorithms 1 and 2
    "layer": nn.LayerNorm,  # Ba, Kiros & Hinton 2016, eq. 4
    "rms": nn.RMSNorm,  # Zhang & Sennrich 2019, eq. 4
}


class Dropout(nn.Module):
    """Dropout whose masks come from a generator of its own, so that fits repeat.

    Srivastava et al. 2014, with what is left scaled by 1 / (1 - p) in training ("inverted"), so
    that prediction has nothing to do.

    Parameters
    ----------
    p : float
        The share of values that a training step sets to zero.
    """

    generator = None

    def __init__(self, p):
        super().__init__()
        self.p = p

    def forward(self, input):
        """Map values of any shape to values of the same shape."""
        if not self.training:
            return input
        kept = torch.empty_like(input).bernoulli_(1 - self.p, generator=self.generator)
        return input * kept.div_(1 - self.p)

    def extra_repr(self):
        return f"p={self.p}"


class Residual(nn.Module):
    """A layer added to what came into it: He et al. 2016, eq. 1 and 2.

    **Shape**: (n, fan_in) to (n, width)

    Parameters
    ----------
    layer : torch.nn.Module
        From fan_in units to width.
    projection : torch.nn.Module
        The identity, or a linear map where the widths differ.
    """

    def __init__(self, layer, projection):
        super().__init__()
        self.layer, self.projection = layer, projection

    def forward(self, input):
        return self.projection(input) + self.layer(input)


def normalization(kind, width, dtype=None):
    """Return a new normalization of `width` units, on the CPU; draws no random numbers."""
    return NORMALIZATIONS[kind](width, eps=EPSILON, device="cpu", dtype=dtype)


def is_batch_norm(module):
    """Tell whether a module is one of torch's batch normalizations, over however many axes."""
    return isinstance(module, AnyBatchNorm)


def what_differs_in_training(module):
    """Name what a module of torch's, or of ours, computes only in training; None for nothing.

    One that does not say so in its class is found by trying; see `check_trainable`.
    """
    rate = 0.0
    if isinstance(module, Dropout | AnyDropout):
        rate = module.p
    elif isinstance(module, nn.MultiheadAttention):
        rate = module.dropout
    elif isinstance(module, nn.RNNBase):
        rate = module.dropout if module.num_layers > 1 else 0.0
    elif isinstance(module, nn.RReLU):
        return "RReLU"
    elif is_batch_norm(module):
        return type(module).__name__
    return f"{type(module).__name__} with dropout={rate}" if rate else None


def check_trainable(network, params, rows):
    """Raise where L-BFGS is to train a network that computes otherwise in training.

    Its line search needs the same loss twice, so that it trains in evaluation mode. Without this
    check it would leave out dropout and other noise in silence.

    Parameters
    ----------
    network : Network
    params : TrainingConfig
        The estimator's parameters.
    rows : TensorRows or ConvertedRows
        The first of them are tried.
    """
    if params.is_stochastic or network.spec.is_plain_in_training:
        return
    name = "" if params.module is None else f" in module={params.module.__qualname__}"
    for what in map(what_differs_in_training, network.module.modules()):
        if what is not None:
            raise _not_deterministic(f"{what}{name}")
    x, kept = rows.take(slice(0, 64)), network.snapshot()
    with seeded(0), torch.no_grad():
        network.train(len(x))
        first, second = network.module(x), network.module(x)
        network.restore(kept)
        network.module.eval()
        expected = network.module(x)
    if not torch.equal(first.nan_to_num(), second.nan_to_num()):
        raise _not_deterministic(f"random numbers drawn{name or ' in an activation'}")
    if not torch.allclose(first, expected, rtol=1e-3, atol=1e-5, equal_nan=True):
        raise _not_deterministic(
            f"a module that computes otherwise in training than in evaluation{name}"
        )


def _not_deterministic(what):
    return ValueError(
        f"solver='lbfgs' needs a deterministic objective and does not support {what}. Use "
        "solver='adam' or another stochastic solver."
    )


def dropout_rates(dropout, n_hidden_layers):
    """Return the dropout rate of each hidden layer, from what the user wrote.

    Parameters
    ----------
    dropout : float or array-like of float
    n_hidden_layers : int

    Returns
    -------
    rates : tuple of float

    Raises
    ------
    ValueError
        For a list of another length, or a rate outside [0, 1).
    """
    rates = list(dropout) if hasattr(dropout, "__iter__") else [dropout] * n_hidden_layers
    if len(rates) != n_hidden_layers:
        raise ValueError(
            f"dropout has {len(rates)} entries for {n_hidden_layers} hidden layers; give one a "
            "hidden layer, or a single one for all of them."
        )
    for rate in rates:
        if not isinstance(rate, Real) or not 0 <= rate < 1:
            raise ValueError(f"dropout takes rates of at least 0 and less than 1, got {dropout!r}.")
    return tuple(float(rate) for rate in rates)
