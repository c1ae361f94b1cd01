"""Serialized form of an estimator: plain Python and NumPy arrays, plus version metadata."""

import os
import pickle
from collections.abc import Collection, Mapping
from dataclasses import asdict, fields
from numbers import Integral, Real

import numpy as np
import sklearn
import torch
from sklearn.exceptions import InconsistentVersionWarning
from torch import nn

from sklmlp.caller import warn
from sklmlp.io.integrity import check_extent, checksum
from sklmlp.losses import TargetScaling
from sklmlp.nn import Spec, constructor_arguments, part_name, resolve_one
from sklmlp.versions import __version__

FORMAT = 4
"""The layout of the state; a reader knows this one and all before it.

Format 1 has no checksum; that of format 2 covers less; both keep an ensemble's networks as objects.
Up to format 3, what is learned besides coefs and intercepts is a list without names.
"""


def add_metadata(state):
    """Return a state with a checksum and the versions that wrote it."""
    return state | {
        "_checksum": checksum(state),
        "_format": FORMAT,
        "_sklmlp_version": __version__,
        "_sklearn_version": sklearn.__version__,
        "_torch_version": str(torch.__version__),
    }


def strip_metadata(state, estimator_name):
    """Return a state without its stamp; warns where another minor version wrote it.

    Raises
    ------
    ValueError
        If the state has no stamp, one of a newer format than this version knows, or another
        checksum than what it describes has; or if it is nested without end.
    """
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ValueError(
            f"This is no state of {estimator_name}: it takes a dict with names as keys, got "
            f"{type(state).__name__}."
        )
    check_extent(state)
    state = dict(state)
    written = state.pop("_format", None)
    if type(written) is not int or written < 1:
        raise ValueError(
            f"This is no state of {estimator_name}: it has no format number, got {written!r:.80}."
        )
    writer = state.pop("_sklmlp_version", "unknown")
    if written > FORMAT:
        raise ValueError(
            f"This {estimator_name} was written by sklmlp {writer} in format {written}; sklmlp "
            f"{__version__} reads formats up to {FORMAT}. Install sklmlp {writer} to load it."
        )
    expected = state.pop("_checksum", None)
    if written > 1 and expected != (found := _checksum_of(state, written, estimator_name)):
        raise ValueError(
            f"This state of {estimator_name} is damaged: its checksum is {expected!r:.80}, and "
            f"that of what it has learned is {found!r}."
        )
    sklearn_writer = state.pop("_sklearn_version", "unknown")
    state.pop("_torch_version", None)
    if _minor(writer) != _minor(__version__):
        warn(
            f"Trying to unpickle estimator {estimator_name} from sklmlp {writer} when using "
            f"{__version__}. This might lead to breaking code or invalid results. Use at your own "
            "risk.",
        )
    if _minor(sklearn_writer) != _minor(sklearn.__version__):
        warn(
            InconsistentVersionWarning(
                estimator_name=estimator_name,
                current_sklearn_version=sklearn.__version__,
                original_sklearn_version=sklearn_writer,
            ),
        )
    return with_named_state(state) if written < 4 else state


def _checksum_of(state, written, estimator_name):
    try:
        return checksum(state, written)
    except pickle.PicklingError as error:
        raise ValueError(f"This state of {estimator_name} cannot be loaded: {error}") from error


def _minor(version):
    return str(version).split(".")[:2]


def to_columns(records):
    """Turn a list of dicts into a dict of lists, with None where a dict lacks an entry.

    It takes half the bytes.
    """
    names = dict.fromkeys(name for record in records for name in record)
    return {name: [_plain(record.get(name)) for record in records] for name in names}


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def from_columns(columns):
    """Turn what `to_columns` gave into the list of dicts again."""
    rows = zip(*columns.values(), strict=True)
    return [
        {name: v for name, v in zip(columns, row, strict=True) if v is not None} for row in rows
    ]


def portable_parameter(value):
    """Return the value of a parameter in plain Python where it means the same.

    Numbers of NumPy, ranges, views of dicts, paths and torch's devices are kept as what they say.
    """
    if isinstance(value, np.ndarray | type):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if value is None or isinstance(value, bool | np.bool_):
        return value if value is None else bool(value)
    if isinstance(value, Real):
        return int(value) if isinstance(value, Integral) else float(value)
    if isinstance(value, torch.device):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {portable_parameter(name): portable_parameter(v) for name, v in value.items()}
    if isinstance(value, tuple):
        return tuple(portable_parameter(each) for each in value)
    if isinstance(value, Collection) and not isinstance(value, bytes | set | frozenset):
        return [portable_parameter(each) for each in value]
    return value


def portable_activation(activation):
    """Return an `activation` parameter with torch's own modules as names, arguments and arrays."""
    if isinstance(activation, list):
        return [portable_activation(each) for each in activation]
    if isinstance(activation, nn.Module) or (
        isinstance(activation, type) and issubclass(activation, nn.Module)
    ):
        return _portable_choice(resolve_one(activation))
    return activation


def portable_solver(solver):
    """Return a `solver` parameter, of which a file keeps a class as the path to import it by.

    Raises
    ------
    pickle.PicklingError
        If it is a class that no other process could import.
    """
    _importable(getattr(solver, "optimizer", solver), "solver")
    return portable_parameter(solver)


def portable_spec(spec):
    """Return a spec as plain Python.

    Raises
    ------
    pickle.PicklingError
        If an activation or a user's module is one that no other process could import.
    """
    spec = spec.without_arrays()
    plain = {each.name: getattr(spec, each.name) for each in fields(spec)}
    _importable(spec.module, "module")
    plain["scaling"] = None if spec.scaling is None else asdict(spec.scaling)
    plain["activations"] = [_importable(_portable_choice(c)) for c in spec.activations]
    return plain


def spec_from_portable(plain):
    """Return the spec that `portable_spec` described."""
    choices = tuple(resolve_one(activation) for activation in plain["activations"])
    tuples = {name: tuple(plain.get(name, ())) for name in ("hidden", "dropout")}
    scaling = plain.get("scaling")
    scaling = None if scaling is None else TargetScaling(**scaling)
    return Spec(**{**plain, **tuples, "activations": choices, "scaling": scaling})


def _portable_choice(choice):
    if choice.custom is None:
        parts = choice.name, dict(choice.arguments), dict(choice.arrays)
        return parts if parts[2] else parts[:2] if parts[1] else parts[0]
    if isinstance(choice.custom, nn.Module):
        try:
            return type(choice.custom), constructor_arguments(choice.custom)
        except TypeError as error:
            raise pickle.PicklingError(
                f"activation {choice.name} cannot be saved: {error}"
            ) from error
    return (choice.custom, dict(choice.arguments)) if choice.arguments else choice.custom


def _importable(chosen, parameter="activation"):
    custom = chosen[0] if isinstance(chosen, tuple) else chosen
    if not isinstance(custom, str) and "<" in getattr(custom, "__qualname__", ""):
        raise pickle.PicklingError(
            f"{parameter} {custom.__qualname__} cannot be saved: it is defined inside a function "
            "or is a lambda, which no other process can import. Define it at the top of a module."
        )
    return chosen


def with_named_state(state):
    """Name what a state of an old format has in the list `_extras` as `module_` does.

    The list holds the state of each hidden layer's activation, then of each normalization, then of
    each projection; or that of a user's module, and its seed. Any other list is kept as it is, for
    `validate_state` to refuse.
    """
    if "_extras" not in state:
        return state
    plain = state.get("_spec")
    named = {"_state": state["_extras"]}
    if isinstance(plain, dict) and isinstance(plain.get("hidden"), list | tuple):
        named |= _named(plain, state["_extras"]) or {}
    return {name: value for name, value in state.items() if name != "_extras"} | named


def _named(plain, entries):
    if not isinstance(entries, list | tuple) or not all(isinstance(e, dict) for e in entries):
        return None
    if plain.get("module") is not None:
        seed = np.asarray(entries[1].get("seed")) if len(entries) == 2 else None
        return None if seed is None else {"_state": entries[0], "_module_seed": seed.tolist()}
    residual = bool(plain.get("residual"))
    kinds = ["activation"] + ["normalization"] * (plain.get("normalization") is not None)
    kinds += ["projection"] * residual
    parts = [part_name(kind, i, residual) for kind in kinds for i in range(len(plain["hidden"]))]
    if len(parts) != len(entries):
        return None
    pairs = zip(parts, entries, strict=True)
    return {"_state": {f"{part}.{name}": a for part, e in pairs for name, a in e.items()}}
