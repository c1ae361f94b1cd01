"""A user's own module in place of the stack of layers."""

import numpy as np
import torch
from torch import nn

from sklmlp.nn.draws import seeded

SEED = "seed"


def initial_state(spec, seed, dtype):
    """The numbers that a user's module starts from, as `Weights.extras` has them.

    Parameters
    ----------
    spec : Spec
    seed : int
        Of torch's generator while the module is constructed.
    dtype : torch.dtype

    Returns
    -------
    extras : list of dict of str to ndarray
        Parameters and buffers by name; and the seed, which makes the same module again where it
        keeps random numbers that are neither.
    """
    module = _constructed(spec, seed, dtype)
    learned = [p for p in module.parameters() if p.requires_grad]
    if not learned:
        raise ValueError(f"module={_name(spec)} has no parameter to train.")
    if any(not p.is_floating_point() for p in learned):
        raise ValueError(f"module={_name(spec)} has parameters that are not real numbers.")
    return [
        {name: value.detach().numpy().copy() for name, value in named_tensors(module).items()},
        {SEED: np.array(seed)},
    ]


def loaded(spec, extras, dtype, device):
    """The user's module over the numbers that were learned, which it shares; in eval mode.

    Raises
    ------
    ValueError
        If it has other parameters or buffers than those that were learned.
    """
    state, seed = extras[0], int(extras[1][SEED])
    module = _constructed(spec, seed, dtype).to(device)
    tensors = named_tensors(module)
    _check_shapes(spec, state, tensors)
    for name, tensor in tensors.items():  # one by one, so that parameters that are tied stay so
        value = torch.from_numpy(np.require(state[name], requirements="W"))
        tensor.data = value.to(tensor.device, tensor.dtype)
    return module


def _check_shapes(spec, state, tensors):
    got = {(name, tuple(np.shape(value))) for name, value in state.items()}
    asked = {(name, tuple(tensor.shape)) for name, tensor in tensors.items()}
    if got != asked:
        raise ValueError(
            f"Training cannot go on: module={_name(spec)} with module_params={spec.module_params} "
            f"asks for {dict(sorted(asked - got))}, and what was learned is "
            f"{dict(sorted(got - asked))}. Use warm_start=False to fit anew."
        )


def named_tensors(module):
    """Parameters and buffers of a module by name, each once."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _constructed(spec, seed, dtype):
    """A new module of the user's class, tried on two rows."""
    with seeded(seed), torch.inference_mode(False):
        try:
            module = spec.module(
                n_features_in=spec.n_features, n_outputs=spec.n_outputs, **spec.module_params
            )
        except (TypeError, ValueError, RuntimeError, AssertionError) as error:
            raise ValueError(
                f"module={_name(spec)} cannot be constructed with n_features_in="
                f"{spec.n_features}, n_outputs={spec.n_outputs} and module_params="
                f"{spec.module_params}: {error}"
            ) from error
        module = module.to(dtype).eval()
        _try(spec, module, dtype)  # lazy parameters get their shapes
        return module


def _try(spec, module, dtype):
    rows = torch.zeros(2, spec.n_features, dtype=dtype)
    try:
        with torch.no_grad():
            logits = module(rows)
    except Exception as error:
        raise ValueError(
            f"module={_name(spec)} fails on rows of shape {tuple(rows.shape)}: {error}"
        ) from error
    expected = (2, spec.n_outputs)
    got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if got != expected:
        raise ValueError(
            f"module={_name(spec)} makes {got} of rows of shape {tuple(rows.shape)}; it is to "
            f"make logits of shape {expected}, (rows, n_outputs)."
        )


def _name(spec):
    return spec.module.__qualname__


def check_class(module):
    """Raise unless `module` can be what the parameter of that name takes."""
    if not (isinstance(module, type) and issubclass(module, nn.Module)):
        raise TypeError(f"module takes a subclass of torch.nn.Module or None, got {module!r}.")
