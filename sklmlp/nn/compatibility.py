"""Checks that a network can be trained by a solver, and that training can go on."""

import torch

from sklmlp.nn.layers import what_differs_in_training
from sklmlp.nn.rng import seeded


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
    if params.solver != "lbfgs" or network.spec.is_plain_in_training:
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


def check_same_layers(earlier, asked):
    """Raise unless training can go on from one spec to another.

    Parameters
    ----------
    earlier, asked : Spec
    """
    for name in ("module", "normalization", "residual"):
        was, now = getattr(earlier, name), getattr(asked, name)
        if name == "module":  # a class may have been defined again: its state is looked at
            was, now = (None if own is None else own.__qualname__ for own in (was, now))
        if was != now:
            raise ValueError(
                f"Training cannot go on: it began with {name}={was!r}, got {name}={now!r}. Use "
                "warm_start=False to fit from scratch."
            )
