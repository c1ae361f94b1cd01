"""Initial coefs by a function of `torch.nn.init`, under the name that a user gave."""

import inspect
from collections.abc import Mapping

import torch
from torch.nn import init

from sklmlp.nn.custom_module import seeded
from sklmlp.spelling import closest

INITIALIZERS = {
    name.removesuffix("_"): function
    for name, function in vars(init).items()
    if name.endswith("_") and name[0] != "_" and name != "dirac_"  # for convolutions alone
}


def draw_coefs(weight_init, shapes, seed):
    """Draw matrices of given shapes, (fan in, fan out), one after the other.

    Parameters
    ----------
    weight_init : str or (str, dict)
        As the parameter of the estimators: a function of `torch.nn.init`, with its arguments.
    shapes : list of (int, int)
    seed : int

    Returns
    -------
    coefs : list of ndarray
        In float64, so that all dtypes start alike.

    Raises
    ------
    ValueError, TypeError
        For an unknown name, arguments that do not fit, or another kind of value.
    """
    name, arguments = _checked(weight_init)
    with seeded(seed):  # not all of torch's functions take a generator
        return [_drawn(name, arguments, fan_in, fan_out) for fan_in, fan_out in shapes]


def _checked(weight_init):
    """Return the name and the arguments that are meant."""
    pair = weight_init if isinstance(weight_init, tuple) else (weight_init, {})
    is_pair = len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], Mapping)
    if not is_pair:
        raise TypeError(
            "weight_init takes 'auto', the name of a function of torch.nn.init, or a pair of "
            f"its name and a dict of arguments, such as ('normal', {{'std': 0.01}}); got "
            f"{weight_init!r}."
        )
    name, arguments = pair[0].removesuffix("_"), dict(pair[1])
    if name not in INITIALIZERS:
        (meant,) = closest(name.lower(), INITIALIZERS, cutoff=0)
        raise ValueError(
            f"weight_init {pair[0]!r} is unknown; did you mean {meant!r}? Known are 'auto', "
            f"{', '.join(map(repr, sorted(INITIALIZERS)))}."
        )
    known = set(inspect.signature(INITIALIZERS[name]).parameters) - {"tensor", "generator"}
    unknown = sorted(set(arguments) - known)
    if unknown:
        raise ValueError(
            f"weight_init {name!r} has no argument {', '.join(map(repr, unknown))}; it "
            f"takes {', '.join(map(repr, sorted(known))) or 'none'}."
        )
    return name, arguments


def _drawn(name, arguments, fan_in, fan_out):
    weight = torch.empty(fan_out, fan_in, dtype=torch.float64)
    try:
        INITIALIZERS[name](weight, **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"weight_init {name!r} with the arguments {arguments} fails on a matrix "
            f"of shape {tuple(weight.shape)}: {error}"
        ) from error
    return weight.numpy().T.copy()
