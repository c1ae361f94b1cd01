"""The `activation` parameter, resolved: a name, arguments, arrays."""

import copy
import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from sklmlp.activations import ACTIVATIONS, Activation, lookup, suggestions

_CUSTOM = Activation("custom", nn.Module, "custom", elementwise=False)
_IGNORED = {"inplace", "device", "dtype", "batch_first", "self"}
_DEPRECATED = {nn.Hardtanh: {"min_value", "max_value"}}  # torch's signature still has them


class Function(nn.Module):
    """A callable on tensors as a module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, input):
        return self.function(input)

    def extra_repr(self):
        return getattr(self.function, "__qualname__", repr(self.function))


@dataclass(frozen=True)
class ActivationSpec:
    """The activation of one hidden layer, resolved.

    Parameters
    ----------
    name : str
        The name of a table entry, or of a custom module or callable.
    arguments : dict
        Arguments of its class.
    arrays : dict of str to ndarray
        Learned values to start from, by name in the module's state.
    custom : type, torch.nn.Module, callable or None
        A custom module class, module or callable; None for an entry of the table.
    """

    name: str
    arguments: dict = field(default_factory=dict)
    arrays: dict = field(default_factory=dict)
    custom: Any = None

    @property
    def entry(self):
        return ACTIVATIONS[self.name] if self.custom is None else _CUSTOM

    def bound(self, fan_in, fan_out):
        return self.entry.bound(self.arguments, fan_in, fan_out)

    def units_in(self, width):
        """Return the units of the affine map in front of an activation that gives `width` units."""
        return width * self.entry.width_factor

    def build(self, width, device=None, dtype=None):
        """Build a new module; an entry of the table draws no random numbers on "meta"."""
        if self.custom is not None:
            return self._build_custom(dtype)
        arguments = {**self.entry.arguments, **self.arguments}
        if self.name == "prelu" and arguments.get("num_parameters") == "per_unit":
            arguments["num_parameters"] = width
        self._check_width(width, arguments)
        if {"device", "dtype"} <= set(_signature(self.entry.module)):
            arguments |= {"device": device, "dtype": dtype}
        return self._construct(self.entry.module, arguments)

    def check(self, module, width, dtype):
        """Raise unless a module of this activation can stand in a hidden layer of `width` units.

        torch judges most arguments only when it computes with them.
        """
        n = self.units_in(width)
        rows = torch.linspace(-1, 1, 2 * n, dtype=dtype, device="cpu").view(2, n)
        told = f" with the arguments {self.arguments}" if self.arguments else ""
        try:
            with torch.enable_grad():  # a function of NumPy's fails on it
                values = module.eval()(rows.requires_grad_() * 1)
                again = module(rows * 1) if isinstance(module, Function) else values
            shape, its_dtype = tuple(values.shape), values.dtype
        except Exception as error:
            raise ValueError(
                f"activation {self.name!r}{told} fails on a hidden layer of {width} units: "
                f"{str(error).rstrip('.')}.{self._hint()}"
            ) from error
        if shape != (2, width) or its_dtype != dtype:
            raise ValueError(
                f"activation {self.name!r}{told} returned shape {shape} and dtype {its_dtype} for "
                f"input of shape {(2, n)} and dtype {dtype}; expected shape {(2, width)} and dtype "
                f"{dtype}.{self._hint()}"
            )
        if not torch.equal(values.nan_to_num(), again.nan_to_num()):
            raise ValueError(
                f"activation {self.name!r} is random, also in prediction; use the parameter "
                "dropout, or a torch.nn.Module that looks at `self.training`."
            )

    def _hint(self):
        """Return what to write in place of a callable that failed."""
        if self.custom is None or isinstance(self.custom, type | nn.Module):
            return ""
        known = suggestions(self.name.removeprefix("_"))
        use = f"activation={known[0]!r}" if known else "a function of torch tensors"
        return f" Use {use}."

    def _build_custom(self, dtype):
        if isinstance(self.custom, type):
            module = self._construct(self.custom, self.arguments)
        elif isinstance(self.custom, nn.Module):
            module = copy.deepcopy(self.custom)  # layers must not share it, nor a fit change it
        else:
            module = Function(self.custom)
        return module.to(dtype)

    def _construct(self, module, arguments):
        try:
            return module(**arguments)
        except (TypeError, ValueError, RuntimeError, AssertionError) as error:
            raise ValueError(
                f"activation {self.name!r} cannot be built from the arguments {self.arguments}: "
                f"{error}"
            ) from error

    def _check_width(self, width, arguments):
        if self.name == "multihead_attention":
            embed_dim, num_heads = arguments["embed_dim"], arguments["num_heads"]
            if width % embed_dim:
                raise ValueError(
                    f"activation 'multihead_attention' cuts a hidden layer into tokens of "
                    f"embed_dim={embed_dim} units, which does not divide the layer's width of "
                    f"{width}; choose a width that is a multiple of {embed_dim}, or an embed_dim "
                    f"that divides {width}."
                )
            if embed_dim % num_heads:
                raise ValueError(
                    f"activation 'multihead_attention' needs num_heads={num_heads} to divide "
                    f"embed_dim={embed_dim}."
                )
        if self.name == "prelu" and arguments.get("num_parameters", 1) not in (1, width):
            raise ValueError(
                f"activation 'prelu' takes num_parameters=1 or one a unit ('per_unit' or the "
                f"layer's width of {width}), got {arguments['num_parameters']}."
            )


def resolve(activation, n_hidden_layers):
    """Return what each hidden layer's activation is, from what the user wrote.

    Parameters
    ----------
    activation : str, tuple, type, torch.nn.Module, callable or list of these
        A name, a `(name, arguments)` pair, a module class or instance, a callable on tensors;
        a list gives one for each hidden layer.
    n_hidden_layers : int

    Returns
    -------
    choices : list of ActivationSpec
        One for each hidden layer.

    Raises
    ------
    ValueError, TypeError
        For an unknown name, arguments that do not fit, or a list of another length.
    """
    if isinstance(activation, list):
        if len(activation) != n_hidden_layers:
            raise ValueError(
                f"activation has {len(activation)} entries for {n_hidden_layers} hidden layers; "
                "give one a hidden layer, or a single one for all of them."
            )
        return [resolve_one(each) for each in activation]
    return [resolve_one(activation)] * n_hidden_layers


def resolve_one(activation):
    """Return the `ActivationSpec` that a single activation stands for; see `resolve`."""
    arguments, arrays = {}, {}
    if isinstance(activation, tuple):
        if len(activation) not in (2, 3) or not all(isinstance(a, Mapping) for a in activation[1:]):
            raise TypeError(
                "an activation with arguments is a pair of its name and a dict of them, such as "
                f"('leaky_relu', {{'negative_slope': 0.2}}); got {activation!r}. For one "
                "activation a hidden layer pass a list."
            )
        activation, arguments, *rest = activation
        arguments = dict(arguments)
        arrays = dict(rest[0]) if rest else {}
    if isinstance(activation, str):
        return ActivationSpec(_check_arguments(lookup(activation), arguments), arguments, arrays)
    if isinstance(activation, type) and issubclass(activation, nn.Module):
        entry = _entry_of(activation)
        if entry is not None:
            return ActivationSpec(_check_arguments(entry.name, arguments), arguments, arrays)
        return ActivationSpec(activation.__name__, arguments, arrays, custom=activation)
    if arguments or arrays:
        raise TypeError(
            "arguments of an activation go with a name or a torch.nn.Module class, got "
            f"{activation!r} with {arguments}."
        )
    if isinstance(activation, nn.Module):
        entry = _entry_of(type(activation))
        if entry is None:
            return ActivationSpec(type(activation).__name__, custom=activation)
        arguments = constructor_arguments(activation)
        if entry.name == "multihead_attention" and activation.dropout:
            raise ValueError(f"activation MultiheadAttention takes no dropout, got {activation!r}.")
        known = inspect.signature(entry.module).parameters
        arguments = {name: value for name, value in arguments.items() if name in known}
        arrays = {k: v.detach().cpu().numpy() for k, v in activation.state_dict().items()}
        return ActivationSpec(entry.name, arguments, arrays)
    if callable(activation):
        return ActivationSpec(getattr(activation, "__name__", repr(activation)), custom=activation)
    raise TypeError(
        "activation takes a name, a (name, arguments) pair, a torch.nn.Module class or instance, a "
        f"callable on tensors, or a list of these, one a hidden layer; got {activation!r}."
        + " For none use 'identity'."
        * (activation is None)
    )


def output_rule(activation):
    """Return the choice whose bound initial weights of the output layer share.

    scikit-learn draws them as it does the hidden ones; so do we for its four activations, and for
    the others as in front of the identity.
    """
    last = activation[-1] if isinstance(activation, list) and activation else activation
    choice = resolve_one("identity" if isinstance(last, list) else last)
    is_logistic = choice.name == "logistic" and choice.custom is None
    return choice if is_logistic else ActivationSpec("identity")


def _entry_of(module):
    """Return the table's entry for a module class."""
    for entry in ACTIVATIONS.values():
        if module is entry.module or (
            entry.module.__module__ == "sklmlp.activations" and module is entry.module.__base__
        ):
            return entry
    return None


def _check_arguments(name, arguments):
    known = set(_constructor_parameters(ACTIVATIONS[name].module))
    unknown = sorted(set(arguments) - known)
    if unknown:
        raise ValueError(
            f"activation {name!r} has no argument {', '.join(map(repr, unknown))}; "
            f"it takes {', '.join(map(repr, sorted(known))) or 'none'}."
        )
    return name


@functools.cache  # a fit builds its activations several times
def _signature(module_class):
    return inspect.signature(module_class).parameters


def _constructor_parameters(module_class):
    """Return the parameters of a module class that shape what it computes, by name."""
    ignored = _IGNORED | _DEPRECATED.get(module_class, set())
    parameters = _signature(module_class).items()
    return {name: parameter for name, parameter in parameters if name not in ignored}


def constructor_arguments(module):
    """Return the arguments that a module was constructed with, read back from its attributes.

    Parameters
    ----------
    module : torch.nn.Module

    Returns
    -------
    arguments : dict
        Those that differ from the constructor's defaults.

    Raises
    ------
    TypeError
        If an argument is not kept as an attribute of plain value.
    """
    arguments = {}
    for name, parameter in _constructor_parameters(type(module)).items():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        value = getattr(module, name, None if name == "dim" else inspect.Parameter.empty)
        if isinstance(module, nn.MultiheadAttention) and name == "bias":
            value = module.in_proj_bias is not None
        if isinstance(module, nn.MultiheadAttention) and name not in (
            "embed_dim",
            "num_heads",
            "bias",
        ):
            continue
        if value is inspect.Parameter.empty or not isinstance(
            value, (bool, int, float, str, type(None))
        ):
            raise TypeError(
                f"{type(module).__name__} does not keep its argument {name!r} as a plain "
                "attribute, so that it cannot be rebuilt from its arguments; pass the class, or a "
                "pair of the class and its arguments, instead of an instance."
            )
        if value != parameter.default:
            arguments[name] = value
    return arguments
