"""What a network is, in plain Python; and the torch module that computes it."""

import os
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from sklmlp.losses import LOSSES
from sklmlp.nn.choice import Choice

_FORK_LOCK = threading.Lock()  # torch's global generators are the process's, not ours


def _begin_forked():
    """In a forked child: a lock that nobody holds."""
    global _FORK_LOCK
    _FORK_LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):  # not where there is no fork
    os.register_at_fork(after_in_child=_begin_forked)


@dataclass(frozen=True)
class Spec:
    """A stack of affine maps with an activation between each two of them.

    Parameters
    ----------
    n_features, n_outputs : int
        Units that go in and come out.
    hidden : tuple of int
        Units that each hidden layer hands on.
    activations : tuple of Choice
        One for each hidden layer.
    loss : str
        A key of `sklmlp.losses.LOSSES`.
    """

    n_features: int
    n_outputs: int
    hidden: tuple[int, ...]
    activations: tuple[Choice, ...]
    loss: str

    @property
    def shapes(self):
        """(fan in, fan out) of each affine map."""
        fan_in = (self.n_features, *self.hidden)
        fan_out = [c.units_in(h) for c, h in zip(self.activations, self.hidden, strict=True)]
        return list(zip(fan_in, [*fan_out, self.n_outputs], strict=True))

    @property
    def out_activation(self):
        return LOSSES[self.loss].out_activation

    def without_arrays(self):
        """The same network, free of the arrays that its activations were to start from."""
        return replace(self, activations=tuple(replace(c, arrays={}) for c in self.activations))


@dataclass
class Weights:
    """The numbers of a network, as NumPy arrays.

    Parameters
    ----------
    coefs : list of ndarray of shape (fan_in, fan_out)
    intercepts : list of ndarray of shape (fan_out,)
    extras : list of dict of str to ndarray
        The state of each hidden layer's activation: a learned slope, attention's projections.
    """

    coefs: list
    intercepts: list
    extras: list


def initial_weights(spec, rng, dtype, output_activation):
    """The weights that a fit starts from, drawn in scikit-learn's order.

    Parameters
    ----------
    spec : Spec
    rng : numpy.random.RandomState
    dtype : numpy.dtype
    output_activation : Choice
        The activation whose bound the output layer shares, as in scikit-learn.

    Returns
    -------
    weights : Weights
    """
    coefs, intercepts = [], []
    choices = [*spec.activations, output_activation]
    for choice, (fan_in, fan_out) in zip(choices, spec.shapes, strict=True):
        bound = choice.bound(fan_in, fan_out)
        coefs.append(rng.uniform(-bound, bound, (fan_in, fan_out)).astype(dtype, copy=False))
        intercepts.append(rng.uniform(-bound, bound, fan_out).astype(dtype, copy=False))
    # only activations with parameters of their own need a seed; scikit-learn's four draw none
    seed = None
    if not all(choice.entry.elementwise for choice in spec.activations):
        seed = rng.randint(np.iinfo(np.int32).max)
    modules = activation_modules(spec, _torch_dtype(dtype), seed)
    for choice, module, width in zip(spec.activations, modules, spec.hidden, strict=True):
        choice.check(module, width, _torch_dtype(dtype))
    extras = [
        {name: value.detach().numpy().copy() for name, value in module.state_dict().items()}
        | {name: np.asarray(value) for name, value in choice.arrays.items()}
        for module, choice in zip(modules, spec.activations, strict=True)
    ]
    return Weights(coefs, intercepts, extras)


def activation_modules(spec, dtype, seed=None):
    """A module for each hidden activation, made without touching torch's global generators."""
    with _FORK_LOCK, torch.random.fork_rng(devices=[]), torch.device("cpu"):
        if seed is not None:
            torch.manual_seed(seed)
        return [
            choice.build(width, dtype=dtype)
            for choice, width in zip(spec.activations, spec.hidden, strict=True)
        ]


def assemble(spec, coefs, intercepts, extras):
    """The module of a network over given tensors, which it shares.

    Parameters
    ----------
    spec : Spec
    coefs, intercepts : list of tensor
        In scikit-learn's layout: coefs are (fan_in, fan_out).
    extras : list of dict of str to ndarray

    Returns
    -------
    module : torch.nn.Sequential
        Rows, (n, n_features), to logits, (n, n_outputs).
    """
    dtype, device = coefs[0].dtype, coefs[0].device
    modules = loaded_activations(spec, extras, dtype, device)
    layers = OrderedDict()
    for i, (coef, intercept) in enumerate(zip(coefs, intercepts, strict=True)):
        linear = nn.Linear(*coef.shape, device="meta", dtype=dtype)
        linear.weight, linear.bias = nn.Parameter(coef.T), nn.Parameter(intercept)
        layers[f"linear_{i}"] = linear
        if i < len(modules):
            layers[f"activation_{i}"] = modules[i]
    return nn.Sequential(layers).eval()


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
        tensors = {name: torch.as_tensor(value, device="cpu") for name, value in state.items()}
        tensors = {
            n: t.to(device, dtype if t.is_floating_point() else None) for n, t in tensors.items()
        }
        module.load_state_dict(tensors, assign=True)
    return [module.to(device).eval() for module in modules]


def learned_shapes(spec):
    """What each hidden activation learns: names to shapes, or None for a module of one's own.

    Takes no memory for them, and raises ValueError for arguments that an activation does not take.
    """
    return [
        None
        if choice.own is not None
        else {
            name: tuple(value.shape)
            for name, value in choice.build(width, "meta").state_dict().items()
        }
        for choice, width in zip(spec.activations, spec.hidden, strict=True)
    ]


def _torch_dtype(dtype):
    return torch.from_numpy(np.empty(0, dtype)).dtype
