"""The torch modules of a stack of layers, and what they are joined to."""

from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from sklmlp.nn import custom_module
from sklmlp.nn.layers import Dropout, Residual, normalization
from sklmlp.nn.rng import seeded


@dataclass
class LayerModules:
    """The modules of a stack.

    Parameters
    ----------
    linears : list of torch.nn.Linear
        One for each affine map.
    activations, normalizations, projections : list of torch.nn.Module
        One for each hidden layer; the last two are empty where the spec asks for none.
    dropout : tuple of float
    """

    linears: list
    activations: list
    normalizations: list
    projections: list
    dropout: tuple

    def joined(self):
        """The network as one module."""
        layers = OrderedDict()
        for i in range(len(self.activations)):
            layer = self._hidden(i)
            if self.projections:
                layers[f"residual_{i}"] = Residual(nn.Sequential(layer), self.projections[i])
            else:
                layers.update(layer)
        layers[f"linear_{len(self.activations)}"] = self.linears[-1]
        return nn.Sequential(layers).eval()

    def _hidden(self, i):
        """What a hidden layer computes, in order."""
        layer = OrderedDict({f"linear_{i}": self.linears[i]})
        if self.normalizations:
            layer[f"normalization_{i}"] = self.normalizations[i]
        layer[f"activation_{i}"] = self.activations[i]
        if self.dropout and self.dropout[i]:
            layer[f"dropout_{i}"] = Dropout(self.dropout[i])
        return layer


def assemble(spec, coefs, intercepts, extras, dtype=None, device=None):
    """The module of a network over given tensors, which it shares.

    Parameters
    ----------
    spec : Spec
    coefs, intercepts : list of tensor
        In scikit-learn's layout: coefs are (fan_in, fan_out).
    extras : list of dict of str to ndarray
    dtype, device : torch.dtype, torch.device
        Of a user's module; a stack has those of its coefs.

    Returns
    -------
    module : torch.nn.Module
        Rows, (n, n_features), to logits, (n, n_outputs), in eval mode: a `torch.nn.Sequential`,
        or the user's.
    """
    if spec.module is not None:
        return custom_module.loaded(spec, extras, dtype, device)
    return load_parts(spec, coefs, intercepts, extras).joined()


def load_parts(spec, coefs, intercepts, extras):
    """The parts of a stack over given tensors, which they share; see `assemble`."""
    dtype, device, n_hidden = coefs[0].dtype, coefs[0].device, len(spec.hidden)
    linears = [_linear(*pair) for pair in zip(coefs, intercepts, strict=True)]
    activations = loaded_activations(spec, extras, dtype, device)
    normalizations = loaded_normalizations(spec, extras, dtype, device)
    projections = projection_modules(spec, dtype)
    states = extras[n_hidden + len(normalizations) :]
    for module, state in zip(projections, states, strict=True):
        _loaded(module, state, dtype, device)
    return LayerModules(linears, activations, normalizations, projections, spec.dropout)


class _Undrawn(nn.Linear):
    def reset_parameters(self):
        """Draw nothing: weights follow, and even without memory a draw takes its time."""


def _linear(coef, intercept):
    linear = _Undrawn(*coef.shape, device="meta", dtype=coef.dtype)
    linear.weight, linear.bias = nn.Parameter(coef.T), nn.Parameter(intercept)
    linear.__class__ = nn.Linear
    return linear


def activation_modules(spec, dtype, seed=None):
    """A module for each hidden activation, made without touching torch's global generators."""
    draws = any(c.own is not None or c.entry.kernel is None for c in spec.activations)
    with seeded(seed) if draws else nullcontext():
        return [
            choice.build(width, dtype=dtype)
            for choice, width in zip(spec.activations, spec.hidden, strict=True)
        ]


def normalization_modules(spec, dtype):
    """A module for each hidden layer's normalization, or none; each in front of its activation."""
    if spec.normalization is None:
        return []
    return [normalization(spec.normalization, width, dtype) for _, width in spec.shapes[:-1]]


def projection_modules(spec, dtype):
    """A module for each hidden layer's skip, or none; linear maps have no memory yet."""
    if not spec.residual:
        return []
    return [
        nn.Identity()
        if fan_in == width
        else nn.Linear(fan_in, width, bias=False, device="meta", dtype=dtype)
        for (fan_in, _), width in zip(spec.shapes, spec.hidden, strict=False)
    ]


def learned_shapes(spec):
    """What each entry of `Weights.extras` holds: names to shapes, or None for a user's own module.

    Takes no memory for them, and raises ValueError for arguments that a module does not take.
    """
    if spec.module is not None:
        return [None, {custom_module.SEED: ()}]
    built = [
        None if choice.own is not None else choice.build(width, "meta")
        for choice, width in zip(spec.activations, spec.hidden, strict=True)
    ]
    if spec.normalization is not None:
        with torch.device("meta"):
            built += normalization_modules(spec, torch.float32)
    built += projection_modules(spec, torch.float32)
    return [
        module and {name: tuple(value.shape) for name, value in module.state_dict().items()}
        for module in built
    ]


def initial_extras(spec, rng, dtype, seed):
    """What a stack learns beside coefs and intercepts, as it starts.

    Parameters
    ----------
    spec : Spec
    rng : numpy.random.RandomState
        Draws projections, by Glorot's rule (Glorot & Bengio 2010, eq. 16).
    dtype : numpy.dtype
    seed : int or None
        Of torch's generator while activations are constructed.

    Returns
    -------
    extras : list of dict of str to ndarray
        The states of activations, then of normalizations, then of projections.
    """
    torch_dtype = torch.from_numpy(np.empty(0, dtype)).dtype
    modules = activation_modules(spec, torch_dtype, seed)
    for choice, module, width in zip(spec.activations, modules, spec.hidden, strict=True):
        choice.check(module, width, torch_dtype)
    extras = [
        _state(module) | {name: np.asarray(value) for name, value in choice.arrays.items()}
        for module, choice in zip(modules, spec.activations, strict=True)
    ]
    extras += [_state(module) for module in normalization_modules(spec, torch_dtype)]
    for module in projection_modules(spec, torch_dtype):
        shapes = [parameter.shape for parameter in module.parameters()]
        bounds = [np.sqrt(6 / sum(shape)) for shape in shapes]
        drawn = [rng.uniform(-b, b, s).astype(dtype) for b, s in zip(bounds, shapes, strict=True)]
        extras.append(dict(zip(module.state_dict(), drawn, strict=True)))
    return extras


def loaded_activations(spec, extras, dtype, device):
    """A module for each hidden activation over the state that was learned, which it shares.

    Raises
    ------
    ValueError
        If an activation has another state than the one that was learned.
    """
    modules = activation_modules(spec, dtype)
    for choice, module, state in zip(spec.activations, modules, extras, strict=False):
        if set(state) != set(module.state_dict()):
            raise ValueError(
                f"Activation {choice.name!r} learns {sorted(module.state_dict())}, and what was "
                f"learned is {sorted(state)}. Use warm_start=False to fit another activation."
            )
        _loaded(module, state, dtype, device)
    return [module.to(device).eval() for module in modules]


def loaded_normalizations(spec, extras, dtype, device):
    """A module for each hidden layer's normalization over what was learned, or none."""
    modules = normalization_modules(spec, dtype)
    states = extras[len(spec.hidden) :]
    return [_loaded(*pair, dtype, device) for pair in zip(modules, states, strict=False)]


def _loaded(module, state, dtype, device):
    """A module over the numbers of a state, which it shares."""
    tensors = {name: torch.as_tensor(value, device="cpu") for name, value in state.items()}
    tensors = {
        n: t.to(device, dtype if t.is_floating_point() else None) for n, t in tensors.items()
    }
    module.load_state_dict(tensors, assign=True)
    return module.eval()


def _state(module):
    return {name: value.detach().numpy().copy() for name, value in module.state_dict().items()}
