"""The activations of hidden layers: one table of what builds, starts and explains each of them."""

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from sklmlp import kernels
from sklmlp.compat import cached_property
from sklmlp.spelling import ask_for, closest

GLOROT = "Glorot & Bengio 2010, eq. 16"
HE = "He et al. 2015, eq. 10"
HE_LEAKY = "He et al. 2015, eq. 15"
LECUN = "LeCun et al. 1998, sec. 4.6"


@dataclass(frozen=True)
class Activation:
    """One entry of the table: what builds an activation, starts its weights and documents it.

    Parameters
    ----------
    name : str
        The name under which the activation is stored and documented.
    module : type[torch.nn.Module]
        The class that computes it.
    formula : str
        What it computes, for the documentation.
    arguments : Mapping
        Arguments of `module` where ours have a default and torch's do not, or another one.
    rule : {"glorot", "fan_in"}
        Which bound the weights in front of the activation are drawn from, see `bound`.
    gain : float or callable
        The scale of that bound, or a function of all the activation's arguments that gives it.
    source : str
        Where rule and gain come from.
    aliases : tuple of str
        Other names, besides torch's spellings of `name` itself.
    width_factor : int
        Units that go in for each unit that comes out.
    elementwise : bool
        Whether each output depends on one input alone.
    is_random : bool
        Whether training draws random numbers.
    kernel : callable or None
        All arguments, those with defaults included, to a `sklmlp.kernels.Kernel`: the value and
        its derivative by torch's own operators. Where there is none, autograd takes the derivative.
    compiled : str or None
        The name of the compiled operator that computes it from `filled` arguments. Where there is
        none, torch computes it.

    Examples
    --------
    >>> from sklmlp.activations import ACTIVATIONS
    >>> leaky = ACTIVATIONS["leaky_relu"]
    >>> leaky.formula
    'max(0, z) + a min(0, z), a = negative_slope'
    >>> leaky.filled({"negative_slope": 0.2})
    {'negative_slope': 0.2, 'inplace': False}
    """

    name: str
    module: type[nn.Module]
    formula: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    rule: str = "glorot"
    gain: float | Callable[[Mapping], float] = 1.0
    source: str = GLOROT
    aliases: tuple[str, ...] = ()
    width_factor: int = 1
    elementwise: bool = True
    is_random: bool = False
    kernel: Callable[[Mapping], kernels.Kernel] | None = None
    compiled: str | None = None

    @cached_property
    def defaults(self):
        """The arguments that have a default, and it: torch's where `arguments` has no other."""
        parameters = inspect.signature(self.module).parameters
        torchs = {name: p.default for name, p in parameters.items() if p.default is not p.empty}
        return {**torchs, **self.arguments}

    def filled(self, arguments):
        """Return arguments with the defaults of those that are not given."""
        return {**self.defaults, **arguments}

    def bound(self, arguments, fan_in, fan_out):
        """Half the width of the uniform distribution that initial weights are drawn from."""
        gain = self.gain(self.filled(arguments)) if callable(self.gain) else self.gain
        if self.rule == "glorot":
            return gain * np.sqrt(6.0 / (fan_in + fan_out))
        return gain * np.sqrt(3.0 / fan_in)


class RandomLeakyReLU(nn.RReLU):
    """`torch.nn.RReLU` whose slopes come from a generator of its own, so that fits repeat."""

    generator = None

    def __init__(self, lower=1 / 8, upper=1 / 3):
        if lower > upper:
            raise ValueError(f"lower={lower} is greater than upper={upper}")
        super().__init__(lower, upper)

    def forward(self, input):
        """Map values of any shape to values of the same shape."""
        if not self.training:
            return nn.functional.leaky_relu(input, (self.lower + self.upper) / 2)
        slope = torch.empty_like(input).uniform_(self.lower, self.upper, generator=self.generator)
        return torch.where(input >= 0, input, slope * input)


class TokenAttention(nn.MultiheadAttention):
    """Self-attention over a hidden vector, cut into tokens of `embed_dim` units.

    **Shape**: (n, width) to (n, width); the tokens of one row attend to each other.
    """

    def __init__(self, embed_dim=4, num_heads=1, bias=True, device=None, dtype=None):
        super().__init__(
            embed_dim, num_heads, bias=bias, batch_first=True, device=device, dtype=dtype
        )

    def forward(self, hidden):
        """Hidden vectors, (n, width), to what their tokens make of each other, (n, width)."""
        tokens = hidden.unflatten(-1, (-1, self.embed_dim))  # (n, width / embed_dim, embed_dim)
        return super().forward(tokens, tokens, tokens, need_weights=False)[0].flatten(-2)


def _leaky_gain(slope):
    return math.sqrt(2 / (1 + slope**2))


def _he(name, module, formula, **more):
    more = {"gain": math.sqrt(2), "source": HE, **more}
    return Activation(name, module, formula, rule="fan_in", **more)


ACTIVATIONS: dict[str, Activation] = {}
"""Name -> entry."""

_SPELLINGS: dict[str, str] = {}


def _spelling(name):
    return name.replace("_", "").replace(" ", "").lower()


def register(activation):
    """Add an entry to the table, under its name and its aliases.

    Parameters
    ----------
    activation : Activation

    Examples
    --------
    >>> from torch import nn
    >>> from sklmlp.activations import Activation, register
    >>> class Sine(nn.Module):
    ...     def forward(self, z):
    ...         return z.sin()
    >>> register(Activation("sine", Sine, "sin(z)"))
    """
    ACTIVATIONS[activation.name] = activation
    for name in (activation.name, activation.module.__name__, *activation.aliases):
        _SPELLINGS[_spelling(name)] = activation.name


TORCH_ALONE = ("rrelu", "softmax", "softmin", "log_softmax", "multihead_attention")
"""The entries below that the compiled engine does not know."""

for _entry in [
    # scikit-learn's four, with scikit-learn's initial weights
    Activation("identity", nn.Identity, "z", aliases=("linear",), kernel=kernels.identity),
    Activation(
        "logistic", nn.Sigmoid, "1 / (1 + exp(-z))", gain=math.sqrt(1 / 3), kernel=kernels.logistic
    ),
    Activation("tanh", nn.Tanh, "tanh(z)", kernel=kernels.tanh),
    Activation("relu", nn.ReLU, "max(0, z)", kernel=kernels.relu),
    # the ReLU family
    _he(
        "leaky_relu",
        nn.LeakyReLU,
        "max(0, z) + a min(0, z), a = negative_slope",
        gain=lambda a: _leaky_gain(a["negative_slope"]),
        source=HE_LEAKY,
        kernel=kernels.leaky_relu,
    ),
    _he(
        "prelu",
        nn.PReLU,
        "max(0, z) + a min(0, z), a learned",
        gain=lambda a: _leaky_gain(a["init"]),
        source=HE_LEAKY,
        elementwise=False,
    ),
    _he(
        "rrelu",
        RandomLeakyReLU,
        "max(0, z) + a min(0, z), a ~ U(lower, upper); (lower + upper) / 2 in prediction",
        gain=lambda a: _leaky_gain((a["lower"] + a["upper"]) / 2),
        source=HE_LEAKY,
        aliases=("RReLU",),
        elementwise=False,
        is_random=True,
    ),
    _he("relu6", nn.ReLU6, "min(max(0, z), 6)", kernel=kernels.relu6),
    _he("elu", nn.ELU, "z if z > 0 else alpha (exp(z) - 1)", kernel=kernels.elu),
    _he("celu", nn.CELU, "max(0, z) + min(0, alpha (exp(z / alpha) - 1))", kernel=kernels.celu),
    _he(
        "selu",
        nn.SELU,
        "1.0507 (max(0, z) + min(0, 1.6733 (exp(z) - 1)))",
        gain=1.0,
        source=f"{LECUN}, for Klambauer et al. 2017",
        kernel=kernels.selu,
    ),
    _he("gelu", nn.GELU, "z Phi(z), Phi the normal distribution function", kernel=kernels.gelu),
    _he("silu", nn.SiLU, "z / (1 + exp(-z))", aliases=("swish",), kernel=kernels.silu),
    _he("mish", nn.Mish, "z tanh(softplus(z))", kernel=kernels.mish),
    _he("hardswish", nn.Hardswish, "z min(max(0, z + 3), 6) / 6", kernel=kernels.hardswish),
    _he("softplus", nn.Softplus, "log(1 + exp(beta z)) / beta", kernel=kernels.softplus),
    _he(
        "threshold",
        nn.Threshold,
        "z if z > threshold else value",
        arguments={"threshold": 0.0, "value": 0.0},
        kernel=kernels.threshold,
    ),
    _he(
        "glu",
        nn.GLU,
        "a / (1 + exp(-b)), a and b the halves of z",
        gain=1.0,
        source=f"{LECUN}, as Dauphin et al. 2017 gate linear units",
        width_factor=2,
        elementwise=False,
    ),
    # saturating ones
    Activation(
        "hardsigmoid",
        nn.Hardsigmoid,
        "min(max(0, z + 3), 6) / 6",
        gain=math.sqrt(1 / 3),
        kernel=kernels.hardsigmoid,
    ),
    Activation("log_sigmoid", nn.LogSigmoid, "-log(1 + exp(-z))"),
    Activation("hardtanh", nn.Hardtanh, "min(max(min_val, z), max_val)", kernel=kernels.hardtanh),
    Activation("softsign", nn.Softsign, "z / (1 + |z|)"),
    Activation("tanhshrink", nn.Tanhshrink, "z - tanh(z)"),
    Activation(
        "softshrink", nn.Softshrink, "sign(z) max(0, |z| - lambd)", kernel=kernels.softshrink
    ),
    Activation("hardshrink", nn.Hardshrink, "z if |z| > lambd else 0", kernel=kernels.hardshrink),
    # across the units of a layer
    Activation(
        "softmax", nn.Softmax, "exp(z) / sum exp(z)", arguments={"dim": -1}, elementwise=False
    ),
    Activation(
        "softmin", nn.Softmin, "exp(-z) / sum exp(-z)", arguments={"dim": -1}, elementwise=False
    ),
    Activation(
        "log_softmax", nn.LogSoftmax, "z - log sum exp(z)", arguments={"dim": -1}, elementwise=False
    ),
    Activation(
        "multihead_attention",
        TokenAttention,
        "self-attention over tokens of embed_dim units",
        arguments={"embed_dim": 4, "num_heads": 1},
        source="Vaswani et al. 2017, sec. 3.2; weights as torch draws them",
        aliases=("MultiheadAttention",),
        elementwise=False,
    ),
]:
    register(_entry if _entry.name in TORCH_ALONE else replace(_entry, compiled=_entry.name))


def suggestions(name):
    """Return the names of the table that an unknown one may stand for.

    Parameters
    ----------
    name : str
        With or without the module that it comes from, such as 'nn.functional.relu'.
    """
    spelling = _spelling(name).rsplit(".", 1)[-1]
    if spelling in _ELSEWHERE:
        return [_ELSEWHERE[spelling]]
    if spelling in _SPELLINGS:
        return [_SPELLINGS[spelling]]
    close = closest(spelling, _SPELLINGS, n=3)
    return sorted({_SPELLINGS[each] for each in close})


_ELSEWHERE = {
    "none": "identity",
    "expit": "logistic",
    "hardsilu": "hardswish",
    "lrelu": "leaky_relu",
}
"""Spelling in another library -> the table's name."""


def lookup(name):
    """Return the table's name for any spelling of it.

    Raises
    ------
    ValueError
        For an unknown one, with the closest names.
    """
    if _spelling(name) in _SPELLINGS:
        return _SPELLINGS[_spelling(name)]
    raise ValueError(
        f"activation {name!r} is not known. {ask_for(suggestions(name))} Known are: "
        f"{', '.join(sorted(ACTIVATIONS))}."
    )
