"""The plain description of a network, its weights, and the weights that it starts from."""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch.nn import init

from sklmlp.compat import cached_property
from sklmlp.losses import LOSSES, Loss, TargetScaling, compiled_loss, make_loss
from sklmlp.nn import custom_module
from sklmlp.nn.activation_spec import ActivationSpec
from sklmlp.nn.builder import initial_state
from sklmlp.nn.custom_module import seeded
from sklmlp.spelling import closest


@dataclass(frozen=True)
class Spec:
    """A stack of affine maps with an activation between each two of them; or a user's module.

    Parameters
    ----------
    n_features, n_outputs : int
        Units that go in and come out.
    hidden : tuple of int
        Number of units that each hidden layer outputs.
    activations : tuple of ActivationSpec
        One for each hidden layer.
    loss : str or Loss
        A key of `sklmlp.losses.LOSSES`, or a user's loss.
    loss_params : dict
        What that loss is made with.
    dropout : tuple of float
        A rate for each hidden layer; empty for none.
    normalization : str or None
        A key of `sklmlp.nn.layers.NORMALIZATIONS`, of all hidden layers.
    residual : bool
        Whether hidden layers are added to what comes into them.
    module : type or None
        A user's class in place of the stack, which has no hidden layers then.
    module_params : dict
        What else it is constructed with.
    scaling : TargetScaling or None
        What targets were scaled by; predictions are scaled back by it.
    """

    n_features: int
    n_outputs: int
    hidden: tuple[int, ...]
    activations: tuple[ActivationSpec, ...]
    loss: str | Loss
    loss_params: dict = field(default_factory=dict)
    dropout: tuple[float, ...] = ()
    normalization: str | None = None
    residual: bool = False
    module: type | None = None
    module_params: dict = field(default_factory=dict)
    scaling: TargetScaling | None = None

    @property
    def width_in(self):
        """Units that go into the first affine map."""
        return self.n_features

    @property
    def shapes(self):
        """(fan in, fan out) of each affine map; a user's module has none."""
        if self.module is not None:
            return []
        fan_in = (self.width_in, *self.hidden)
        fan_out = [c.units_in(h) for c, h in zip(self.activations, self.hidden, strict=True)]
        return list(zip(fan_in, [*fan_out, self.n_outputs], strict=True))

    @cached_property
    def loss_function(self):
        """The `sklmlp.losses.Loss` of training and prediction."""
        return make_loss(self.loss, self.loss_params, self.scaling)

    @property
    def compiled_loss(self):
        """The compiled operator of the loss, and its arguments; see `sklmlp.losses`."""
        return compiled_loss(self.loss, self.loss_params, self.scaling)

    @property
    def is_plain(self):
        """Whether affine maps and activations are all there is, in training as in prediction."""
        has_more = any(self.dropout) or self.normalization is not None or self.residual
        return self.module is None and not (self.hidden and has_more)

    @property
    def is_plain_in_training(self):
        """Whether nothing in it can be random or depend on the batch."""
        known = all(c.custom is None and not c.entry.is_random for c in self.activations)
        return known and self.is_plain

    @property
    def learns_layers_alone(self):
        """Whether coefs and intercepts are known to be all that it learns, without its modules."""
        known = all(c.entry.elementwise and c.entry.compiled for c in self.activations)
        return known and self.is_plain_in_training

    @property
    def out_activation(self):
        return self.loss_function.out_activation

    def without_arrays(self):
        """Return the same network, free of what only training needs.

        These are the arrays that its activations were to start from, and a user's function as the
        loss, of which predictions need the link alone.
        """
        activations = tuple(replace(c, arrays={}) for c in self.activations)
        loss_params = {name: v for name, v in self.loss_params.items() if name != "function"}
        return replace(self, activations=activations, loss_params=loss_params)

    @property
    def scales_loss_params(self):
        """Whether the scaling of targets changes parameters of the loss."""
        return isinstance(self.loss, str) and bool(LOSSES[self.loss].in_units_of_y)

    @property
    def has_own_loss(self):
        """Whether the loss has a user's functions of one network's logits."""
        return isinstance(self.loss, Loss) or "function" in self.loss_params


@dataclass
class Weights:
    """The numbers of a network, as NumPy arrays.

    Parameters
    ----------
    coefs : list of ndarray of shape (fan_in, fan_out)
    intercepts : list of ndarray of shape (fan_out,)
    state : dict of str to ndarray, or None
        What else is learned, by its name in `module_.state_dict()`: slopes of activations, scales
        and running statistics of normalizations, projections of residual layers. Of a user's
        module, all that is learned. None where coefs were set by hand: the rest is as it starts.
    module_seed : int or None
        Of torch's generator while a user's module is constructed.
    """

    coefs: list
    intercepts: list
    state: dict | None
    module_seed: int | None = None


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


def initial_weights(spec, rng, dtype, output_activation, weight_init="auto"):
    """Return the weights that a fit starts from, drawn in scikit-learn's order.

    Parameters
    ----------
    spec : Spec
    rng : numpy.random.RandomState
    dtype : numpy.dtype
    output_activation : ActivationSpec
        The activation whose bound the output layer shares, as in scikit-learn.
    weight_init : str or (str, dict)
        As the parameter of the estimators.

    Returns
    -------
    weights : Weights
    """
    if spec.module is not None:
        seed = _seed(rng)
        state = custom_module.initial_state(spec, seed, _torch_dtype(dtype))
        return Weights([], [], state, seed)
    if weight_init == "auto":
        coefs, intercepts = _by_rule(spec, rng, dtype, output_activation)
    else:
        drawn = draw_coefs(weight_init, spec.shapes, _seed(rng))
        coefs = [coef.astype(dtype, copy=False) for coef in drawn]
        intercepts = [np.zeros(fan_out, dtype) for _, fan_out in spec.shapes]
    # only activations with parameters of their own need a seed; scikit-learn's four draw none
    seed = None
    if not all(choice.entry.elementwise for choice in spec.activations):
        seed = _seed(rng)
    return Weights(coefs, intercepts, initial_state(spec, rng, dtype, seed))


def _by_rule(spec, rng, dtype, output_activation):
    """Draw coefs and intercepts by the bounds of activations."""
    coefs, intercepts = [], []
    choices = [*spec.activations, output_activation]
    for choice, (fan_in, fan_out) in zip(choices, spec.shapes, strict=True):
        bound = choice.bound(fan_in, fan_out)
        coefs.append(rng.uniform(-bound, bound, (fan_in, fan_out)).astype(dtype, copy=False))
        intercepts.append(rng.uniform(-bound, bound, fan_out).astype(dtype, copy=False))
    return coefs, intercepts


def _seed(rng):
    return rng.randint(np.iinfo(np.int32).max)


def _torch_dtype(dtype):
    return torch.from_numpy(np.empty(0, dtype)).dtype


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
