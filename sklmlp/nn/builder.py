"""The torch modules of a stack of layers, joined to one module and filled with what was learned."""

from collections import OrderedDict
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from sklmlp.nn.custom_module import check_same_shapes, load_custom_module, seeded
from sklmlp.nn.layers import Dropout, Residual, normalization


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

    def to_module(self):
        """Join them to the network, one module, in which `part_name` says where parts are."""
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
        """Return what a hidden layer computes, in order."""
        layer = OrderedDict({f"linear_{i}": self.linears[i]})
        if self.normalizations:
            layer[f"normalization_{i}"] = self.normalizations[i]
        layer[f"activation_{i}"] = self.activations[i]
        if self.dropout and self.dropout[i]:
            layer[f"dropout_{i}"] = Dropout(self.dropout[i])
        return layer

    def parts(self):
        """List what learns numbers besides affine maps: modules by name."""
        kinds = {
            "activation": self.activations,
            "normalization": self.normalizations,
            "projection": self.projections,
        }
        return {
            part_name(kind, i, bool(self.projections)): module
            for kind, modules in kinds.items()
            for i, module in enumerate(modules)
        }

    def state(self):
        """List the tensors of the module's `state_dict()` without those of affine maps."""
        return {
            f"{name}.{key}": tensor
            for name, module in self.parts().items()
            for key, tensor in module.state_dict().items()
        }


def part_name(kind, i, residual):
    """Name a part of a hidden layer as it is called inside of the network's module.

    Parameters
    ----------
    kind : {"activation", "normalization", "projection"}
    i : int
    residual : bool
        Whether layers are residual.
    """
    if kind == "projection":
        return f"residual_{i}.projection"
    return f"residual_{i}.layer.{kind}_{i}" if residual else f"{kind}_{i}"


def part_state(state, name):
    """Select the entries of a state that belong to one part, by their names in it."""
    start = f"{name}."
    return {key.removeprefix(start): v for key, v in state.items() if key.startswith(start)}


def children_by_layer(module):
    """Sort the children of a stack's module by layer.

    Returns
    -------
    layers : list of dict of str to torch.nn.Module
        Of each layer the children that rows go through, by name; the last is the output's.
    """
    layers = {}
    for name, child in module.named_children():  # linear_0, activation_0, linear_1
        layers.setdefault(int(name.rpartition("_")[2]), {})[name] = child
    return [layers[i] for i in range(len(layers))]


def build_module(spec, weights, dtype=None, device=None):
    """Build the module of a network over given tensors, which it shares.

    Parameters
    ----------
    spec : Spec
    weights : Weights
        With tensors as coefs and intercepts.
    dtype, device : torch.dtype, torch.device
        Of a user's module; a stack has those of its coefs.

    Returns
    -------
    module : torch.nn.Module
        Rows, (n, n_features), to logits, (n, n_outputs), in eval mode: a `torch.nn.Sequential`,
        or the user's.
    """
    if spec.module is not None:
        return load_custom_module(spec, weights, dtype, device)
    return build_layers(spec, weights).to_module()


def build_layers(spec, weights):
    """Build the modules of a stack over given tensors, which they share; see `build_module`.

    Raises
    ------
    ValueError
        If the spec has other learned numbers than the weights.
    """
    dtype, device = weights.coefs[0].dtype, weights.coefs[0].device
    layers = _layers(spec, activation_modules(spec, dtype), dtype)
    pairs = zip(weights.coefs, weights.intercepts, strict=True)
    layers.linears = [_linear(*pair) for pair in pairs]
    if weights.state is not None:
        names = [choice.name for choice in spec.activations]
        check_same_shapes(f"a network with the activations {names}", layers.state(), weights.state)
    for name, module in layers.parts().items():
        state = part_state(weights.state or {}, name)
        tensors = {key: torch.as_tensor(value, device="cpu") for key, value in state.items()}
        tensors = {
            key: tensor.to(device, dtype if tensor.is_floating_point() else None)
            for key, tensor in tensors.items()
        }
        if tensors:
            module.load_state_dict(tensors, assign=True)
        module.to(device).eval()  # it may have buffers that are no part of its state
    return layers


def _layers(spec, activations, dtype):
    """Return the modules of a stack that are not affine maps, as they start."""
    return LayerModules(
        [],
        activations,
        normalization_modules(spec, dtype),
        projection_modules(spec, dtype),
        spec.dropout,
    )


def _linear(coef, intercept):
    """Return a `torch.nn.Linear` over given tensors; its constructor would draw others first."""
    linear = nn.Linear.__new__(nn.Linear)
    nn.Module.__init__(linear)
    linear.in_features, linear.out_features = coef.shape
    linear.weight, linear.bias = nn.Parameter(coef.T), nn.Parameter(intercept)
    return linear


def activation_modules(spec, dtype, seed=None):
    """Make a module for each hidden activation, without torch's global generators."""
    draws = any(c.custom is not None or c.entry.kernel is None for c in spec.activations)
    with seeded(seed) if draws else nullcontext():
        return [
            choice.build(width, dtype=dtype)
            for choice, width in zip(spec.activations, spec.hidden, strict=True)
        ]


def normalization_modules(spec, dtype):
    """Make a module for each hidden layer's normalization, which is in front of the activation."""
    if spec.normalization is None:
        return []
    return [normalization(spec.normalization, width, dtype) for _, width in spec.shapes[:-1]]


def projection_modules(spec, dtype):
    """Return a module for each hidden layer's skip, or none; linear maps have no memory yet."""
    if not spec.residual:
        return []
    return [
        nn.Identity()
        if fan_in == width
        else nn.Linear(fan_in, width, bias=False, device="meta", dtype=dtype)
        for (fan_in, _), width in zip(spec.shapes, spec.hidden, strict=False)
    ]


def learned_shapes(spec):
    """Give the shapes of `Weights.state` by name; those of custom activations are left out.

    Activations take no memory for it. Arguments that one does not take are a ValueError.
    """
    activations = [
        nn.Identity() if choice.custom is not None else choice.build(width, "meta")
        for choice, width in zip(spec.activations, spec.hidden, strict=True)
    ]
    state = _layers(spec, activations, torch.float32).state()
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def initial_state(spec, rng, dtype, seed):
    """Draw what a stack learns besides coefs and intercepts, as it starts.

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
    state : dict of str to ndarray
    """
    if spec.learns_layers_alone and not any(choice.arguments for choice in spec.activations):
        return {}  # nor are there arguments that torch could refuse
    torch_dtype = torch.from_numpy(np.empty(0, dtype)).dtype
    activations = activation_modules(spec, torch_dtype, seed)
    for choice, module, width in zip(spec.activations, activations, spec.hidden, strict=True):
        choice.check(module, width, torch_dtype)
    state = {}
    for name, tensor in _layers(spec, activations, torch_dtype).state().items():
        if tensor.is_meta:  # a projection
            bound = np.sqrt(6 / sum(tensor.shape))
            state[name] = rng.uniform(-bound, bound, tuple(tensor.shape)).astype(dtype)
        else:
            state[name] = tensor.detach().numpy().copy()
    for i, choice in enumerate(spec.activations):
        name = part_name("activation", i, spec.residual)
        state |= {f"{name}.{key}": np.asarray(value) for key, value in choice.arrays.items()}
    return state
