"""Initial coefs by a function of `torch.nn.init`, under the name that a user gave."""

import inspect
from collections.abc import Mapping

import torch
from torch.nn import init

from sklmlp.nn.rng import seeded
from sklmlp.spelling import closest

INITIALIZERS = {
    name.removesuffix("_"): function
    for name, function in vars(init).items()
    if name.endswith("_") and name[0] != "_" and name != "dirac_"  # for convolutions alone
}


class WeightInit:
    """A function of `torch.nn.init` with its arguments.

    Parameters
    ----------
    weight_init : str or (str, dict)
        As the parameter of the estimators.

    Raises
    ------
    ValueError, TypeError
        For an unknown name, arguments that do not fit, or another kind of value.
    """

    def __init__(self, weight_init):
        pair = weight_init if isinstance(weight_init, tuple) else (weight_init, {})
        is_pair = len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], Mapping)
        if not is_pair:
            raise TypeError(
                "weight_init takes 'auto', the name of a function of torch.nn.init, or a pair of "
                f"its name and a dict of arguments, such as ('normal', {{'std': 0.01}}); got "
                f"{weight_init!r}."
            )
        self.name, self.arguments = pair[0].removesuffix("_"), dict(pair[1])
        if self.name not in INITIALIZERS:
            (meant,) = closest(self.name.lower(), INITIALIZERS, cutoff=0)
            raise ValueError(
                f"weight_init {pair[0]!r} is unknown; did you mean {meant!r}? Known are 'auto', "
                f"{', '.join(map(repr, sorted(INITIALIZERS)))}."
            )
        self.function = INITIALIZERS[self.name]
        known = set(inspect.signature(self.function).parameters) - {"tensor", "generator"}
        unknown = sorted(set(self.arguments) - known)
        if unknown:
            raise ValueError(
                f"weight_init {self.name!r} has no argument {', '.join(map(repr, unknown))}; it "
                f"takes {', '.join(map(repr, sorted(known))) or 'none'}."
            )

    def draw(self, shapes, seed):
        """Draw matrices of given shapes, (fan in, fan out), one after the other.

        Parameters
        ----------
        shapes : list of (int, int)
        seed : int

        Returns
        -------
        coefs : list of ndarray
            In float64, so that all dtypes start alike.
        """
        with seeded(seed):  # not all of torch's functions take a generator
            return [self._drawn(fan_in, fan_out) for fan_in, fan_out in shapes]

    def _drawn(self, fan_in, fan_out):
        weight = torch.empty(fan_out, fan_in, dtype=torch.float64)
        try:
            self.function(weight, **self.arguments)
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"weight_init {self.name!r} with the arguments {self.arguments} fails on a matrix "
                f"of shape {tuple(weight.shape)}: {error}"
            ) from error
        return weight.numpy().T.copy()
