"""Custom modules in place of the built-in layers, and random numbers of torch that are theirs."""

import inspect
import os
import threading
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

_LOCK = threading.Lock()  # torch's global generators are the process's, not ours


def _begin_forked():
    """Start a forked child with a lock that nobody holds."""
    global _LOCK
    _LOCK = threading.Lock()


if hasattr(os, "register_at_fork"):  # not where there is no fork
    os.register_at_fork(after_in_child=_begin_forked)


@contextmanager
def seeded(seed=None):
    """Let the block draw from torch's global generator, seeded, and build on the CPU.

    Parameters
    ----------
    seed : int or None
        None for a block whose random numbers do not matter.
    """
    with _LOCK, torch.random.fork_rng(devices=[]), torch.device("cpu"):
        if seed is not None:
            torch.default_generator.manual_seed(seed)  # torch.manual_seed also seeds every GPU
        yield


def random_stream(seed, device):
    """Begin a stream of random numbers for a module that draws from torch's global generators.

    Parameters
    ----------
    seed : int
    device : torch.device

    Returns
    -------
    drawing : callable
        Gives a context each time that it is called, in which the next numbers are drawn.
    """
    gpus = [device] if device.type == "cuda" else []
    states = [torch.Generator("cpu").manual_seed(seed).get_state()]
    states += [torch.Generator(gpu).manual_seed(seed).get_state() for gpu in gpus]

    @contextmanager
    def drawing():
        with _LOCK, torch.random.fork_rng(devices=gpus):
            torch.default_generator.set_state(states[0])
            for gpu in gpus:
                torch.cuda.set_rng_state(states[1], gpu)
            yield
            states[:] = [torch.default_generator.get_state()]
            states.extend(torch.cuda.get_rng_state(gpu) for gpu in gpus)

    return drawing


def initial_state(spec, seed, dtype):
    """Construct a user's module for the numbers that it starts from.

    Parameters
    ----------
    spec : Spec
    seed : int
        Of torch's generator while the module is constructed.
    dtype : torch.dtype

    Returns
    -------
    state : dict of str to ndarray
        See `named_tensors`.
    """
    module = _constructed(spec, seed, dtype)
    learned = [p for p in module.parameters() if p.requires_grad]
    if not learned:
        raise ValueError(f"module={_name(spec)} has no parameter to train.")
    if any(not p.is_floating_point() for p in learned):
        raise ValueError(f"module={_name(spec)} has parameters that are not real numbers.")
    return {name: value.detach().numpy().copy() for name, value in named_tensors(module).items()}


def load_custom_module(spec, weights, dtype, device):
    """Construct the user's module over the numbers that were learned, which it shares.

    Returns
    -------
    module : torch.nn.Module
        In eval mode. It is constructed with the seed of the first time, and so is the same where
        it keeps random numbers that are neither parameters nor buffers.

    Raises
    ------
    ValueError
        If it has other parameters or buffers than those that were learned.
    """
    state = weights.state
    module = _constructed(spec, weights.module_seed, dtype).to(device)
    tensors = named_tensors(module)
    what = f"module={_name(spec)} with module_params={spec.module_params}"
    check_same_shapes(what, tensors, state)
    for name, tensor in tensors.items():  # one by one, so that parameters that are tied stay so
        value = torch.from_numpy(np.require(state[name], requirements="W"))
        tensor.data = value.to(tensor.device, tensor.dtype)
    return module


def check_same_shapes(what, tensors, state):
    """Raise unless the tensors that a network learns have the names and shapes of a state."""
    got = {(name, tuple(np.shape(value))) for name, value in state.items()}
    asked = {(name, tuple(tensor.shape)) for name, tensor in tensors.items()}
    if got != asked:
        raise ValueError(
            f"Training cannot go on: {what} asks for {dict(sorted(asked - got))}, and what was "
            f"learned is {dict(sorted(got - asked))}. Use warm_start=False to fit from scratch."
        )


def named_tensors(module):
    """List parameters and buffers of a module by their names in its `state_dict()`, each once.

    A tied parameter has the first of its names; buffers that are not persistent are here too.
    """
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


def _constructed(spec, seed, dtype):
    """Return a new module of the user's class, tried on two rows."""
    arguments = {"n_features_in": spec.n_features, "n_outputs": spec.n_outputs}
    taken = _taken(spec.module, arguments) | spec.module_params
    with seeded(seed), torch.inference_mode(False):
        try:
            module = spec.module(**taken)
        except (TypeError, ValueError, RuntimeError, AssertionError) as error:
            told = ", ".join(f"{name}={value!r}" for name, value in taken.items())
            raise ValueError(
                f"module={_name(spec)} cannot be constructed "
                f"{f'with {told}' if told else 'without arguments'}: {error}. "
                "Its constructor gets n_features_in and n_outputs where it has parameters of these "
                "names; give all others by module_params."
            ) from error
        module = module.to(dtype).eval()
        _try(spec, module, dtype)  # lazy parameters get their shapes
        return module


def _taken(module, arguments):
    """Those of the arguments that a class's constructor has parameters for."""
    try:
        parameters = inspect.signature(module).parameters
    except ValueError:  # a constructor without a signature
        return arguments
    if any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        return arguments
    return {name: value for name, value in arguments.items() if name in parameters}


def _try(spec, module, dtype):
    rows = torch.zeros(2, spec.n_features, dtype=dtype)
    try:
        with torch.no_grad():
            logits = module(rows)
    except Exception as error:
        raise ValueError(
            f"module={_name(spec)} fails on input of shape {tuple(rows.shape)} and dtype "
            f"{dtype}: {error}{_of_dtypes(error, dtype)}"
        ) from error
    expected = (2, spec.n_outputs)
    got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if got != expected:
        raise ValueError(
            f"module={_name(spec)} returned {'shape ' * isinstance(got, tuple)}{got} for input of "
            f"shape {tuple(rows.shape)}; expected logits of shape {expected}, "
            "(n_samples, n_outputs)."
        )
    if logits.dtype != dtype:
        raise ValueError(
            f"module={_name(spec)} returned {logits.dtype} for input of {dtype}."
            f"{_of_dtypes('dtype', dtype)}"
        )


def _of_dtypes(error, dtype):
    """Return what to do about tensors of another dtype, where an error speaks of dtypes."""
    if not any(word in str(error) for word in ("dtype", "float", "double", "Float", "Double")):
        return ""
    here, other = ("float64", "float32") if dtype == torch.float64 else ("float32", "float64")
    return (
        f"{'.' * isinstance(error, Exception)} The fit computes in {here}, and the module has been "
        f"converted to it: create tensors in forward with dtype=x.dtype, or use dtype={other!r}."
    )


def _name(spec):
    return spec.module.__qualname__


def check_module_class(module):
    """Raise unless `module` is a subclass of torch.nn.Module or None.

    Raises
    ------
    TypeError
        That says what to give instead.
    """
    if module is None or (isinstance(module, type) and issubclass(module, nn.Module)):
        return
    if isinstance(module, nn.Module):
        name, use = type(module).__name__, "Write a class that makes its layers in the constructor."
        if type(module).__module__.split(".")[0] != "torch":
            use = f"Use module={name}, with its arguments in module_params."
        raise TypeError(
            f"module takes a class, got an instance of {name}: every fit, clone and fold of a "
            f"search starts from new weights, which an instance cannot give. {use}"
        )
    raise TypeError(
        f"module takes a subclass of torch.nn.Module or None, got {module!r}. Write a class whose "
        "constructor takes n_features_in and n_outputs, or neither."
    )
