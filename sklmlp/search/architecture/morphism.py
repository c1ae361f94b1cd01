"""Layers that are widened, and new ones, without any change of what a network computes.

Net2Net: Chen et al. 2016, :arxiv:`1511.05641`.
"""

from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Layers:
    """The affine maps of a stack, the output layer's included.

    Parameters
    ----------
    coefs : list of ndarray of shape (fan in, fan out)
    intercepts : list of ndarray of shape (fan out,)
    """

    coefs: list
    intercepts: list

    @property
    def widths(self):
        """Units of the hidden layers."""
        return tuple(coef.shape[1] for coef in self.coefs[:-1])


def widen(layers, i, width, rng):
    """Add units to a hidden layer that double others, as Net2WiderNet does: section 3.3.

    What a unit sends on is dealt out at random to itself and its doubles. Were it in equal parts,
    these would learn the same ever after.

    Parameters
    ----------
    layers : Layers
    i : int
        Which hidden layer, from 0.
    width : int
        Its units afterward.
    rng : numpy.random.Generator

    Returns
    -------
    layers : Layers
        Others, which compute the same with any activation that acts on each unit by itself.

    Raises
    ------
    ValueError
        If the layer has more units already.
    """
    before = layers.coefs[i].shape[1]
    if width < before:
        raise ValueError(f"Hidden layer {i} has {before} units, which cannot become {width}.")
    unit = np.concatenate([np.arange(before), rng.integers(before, size=width - before)])
    share = rng.uniform(0.5, 1.5, width)
    share /= np.bincount(unit, share, before)[unit]  # adds up to one over a unit and its doubles
    coefs, intercepts = list(layers.coefs), list(layers.intercepts)
    coefs[i], intercepts[i] = coefs[i][:, unit], intercepts[i][unit]
    coefs[i + 1] = coefs[i + 1][unit] * share[:, None]
    return Layers(coefs, intercepts)


def deepen(layers, width, activation, rng):
    """Add a hidden layer in front of the output layer, as Net2DeeperNet does: section 3.4.

    Units that are not needed for that draw random weights and send on nothing, at first.

    Parameters
    ----------
    layers : Layers
    width : int
        Units of the new layer.
    activation : ActivationSpec
        Of the new layer, and of the one in front of it.
    rng : numpy.random.Generator

    Returns
    -------
    layers : Layers
        Others, which compute the same.

    Raises
    ------
    ValueError
        If the layer is too narrow, or no layer with this activation can pass on what it is given.
    """
    fan_in, kind = layers.coefs[-1].shape[0], identity_kind(activation)
    if kind is None or width < units_for_identity(fan_in, kind):
        raise ValueError(
            f"A layer of {width} units with {activation.name!r} cannot pass on the {fan_in} units "
            "in front of it."
        )
    bound = activation.bound(fan_in, width)
    inner = rng.uniform(-bound, bound, (fan_in, width))
    outer = np.zeros((width, layers.coefs[-1].shape[1]))
    inner[:, :fan_in], outer[:fan_in] = np.eye(fan_in), layers.coefs[-1]
    if kind != "idempotent":
        inner[:, fan_in : 2 * fan_in] = -np.eye(fan_in)  # x = (f(x) - f(-x)) / kind
        outer[:fan_in] = layers.coefs[-1] / kind
        outer[fan_in : 2 * fan_in] = -layers.coefs[-1] / kind
    return Layers(
        [*layers.coefs[:-1], inner, outer],
        [*layers.intercepts[:-1], np.zeros(width), layers.intercepts[-1]],
    )


def identity_kind(activation):
    """Find out how a layer of an activation can pass on what another one of it gives.

    Parameters
    ----------
    activation : ActivationSpec
        One that acts on each unit by itself.

    Returns
    -------
    kind : {"idempotent"}, float or None
        "idempotent" where f(f(x)) = f(x), as of ReLU: a unit passes on another. A number c where
        f(x) - f(-x) = c x, as of GELU, SiLU, softplus and leaky ReLU: two units do. None for all
        others, such as tanh.
    """
    function = activation.build(1, "cpu", torch.float64)
    x = torch.linspace(-30, 30, 3001, dtype=torch.float64)
    with torch.no_grad():
        y = function(x.clone())
        if torch.allclose(function(y.clone()), y, rtol=1e-12, atol=1e-12):
            return "idempotent"
        odd = y - y.flip(0)
        slope = float(odd[-1] / x[-1])
        is_linear = torch.allclose(odd, slope * x, rtol=1e-9, atol=1e-9)
    return slope if is_linear and abs(slope) > 1e-3 else None


def units_for_identity(fan_in, kind):
    """Return how many units a layer needs to pass on `fan_in`."""
    return fan_in if kind == "idempotent" else 2 * fan_in
