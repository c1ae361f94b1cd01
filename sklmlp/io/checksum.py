"""A checksum of what a model predicts with: it detects damage, not who wrote a file."""

import functools
import hashlib
import pickle
import types

import numpy as np
import torch

from sklmlp.compat import OF_EVERY_ESTIMATOR

_COVERED_BY_2 = (
    *("_spec", "coefs_", "intercepts_", "_extras", "_optimizer"),
    *("classes_", "_targets", "feature_names_in_", "n_features_in_"),
)
"""The entries of a state of format 2 that its checksum covers."""

_NOT_COVERED = {
    *("_checksum", "_format", "_sklmlp_version", "_sklearn_version", "_torch_version"),
    *OF_EVERY_ESTIMATOR,
}
"""Entries of a state that are a stamp, or scikit-learn's notes about requests and callbacks."""

DEEPEST = 100
"""Levels that a state may be nested."""


def checksum(state, written=4):
    """Compute the SHA-256 of what a state predicts with, in hexadecimal.

    It covers all that a fit has learned, and `matmul_precision`. It does not depend on the order of
    keys and of values in memory, nor on whether a sequence came back as a list or a tuple, so that
    it survives every file format. Other parameters are free to change.

    Parameters
    ----------
    state : dict
        What `check_extent` has passed.
    written : int, default=4
        The format of the state.

    Raises
    ------
    pickle.PicklingError
        If something in it cannot be described in words that are the same in every process.
    """
    if written < 3:
        covered = {name: state[name] for name in _COVERED_BY_2 if name in state}
        return fingerprint(covered, other=repr)
    return fingerprint({name: v for name, v in state.items() if is_learned(name)})


def is_learned(name):
    """Tell whether an entry of a state is something that a fit leaves behind, not a parameter."""
    marked = name.startswith("_") or name.endswith("_") or name == "matmul_precision"
    return marked and name not in _NOT_COVERED


def check_extent(value):
    """Raise unless going through a nested value comes to an end soon.

    Parts that are shared count at each use; an honest state shares few. So a list of forty lists,
    each of which holds the next one twice, is refused, and so is one that holds itself.

    Raises
    ------
    ValueError
        If it is nested too deeply, or shared parts make it endless.
    """
    n_visited, n_different, seen, todo = 0, 0, set(), [(value, 0)]
    while todo:
        part, depth = todo.pop()
        if isinstance(part, dict):
            inner = list(part.values())
        elif isinstance(part, np.ndarray) and part.dtype == object:
            inner = list(part.flat)
        elif isinstance(part, list | tuple | set | frozenset):
            inner = part
        else:
            continue
        n_visited += 1 + len(inner)
        if id(part) not in seen:
            seen.add(id(part))
            n_different += 1 + len(inner)
        if depth > DEEPEST:
            raise ValueError("The state is nested too deeply to be a model's.")
        if n_visited > 2 * n_different + 10**6:
            raise ValueError("The state shares its parts too often to be a model's.")
        todo.extend((each, depth + 1) for each in inner)


def fingerprint(value, other=None):
    """Return the SHA-256 of plain Python and arrays, in hexadecimal.

    Parameters
    ----------
    value : object
    other : callable, default=None
        What describes the values that are neither plain, nor named, nor arrays; by default, what
        pickle keeps of them does.
    """
    digest = hashlib.sha256()
    try:
        _feed(digest, value, other)
    except RecursionError as error:
        raise pickle.PicklingError(
            "What was learned cannot be saved: it has parts that refer to one another in a circle."
        ) from error
    return digest.hexdigest()


def _feed(digest, value, other):
    """Add plain Python or arrays to a digest, and other things by what makes them again."""
    if isinstance(value, dict):
        digest.update(b"{%d" % len(value))
        for name in sorted(value, key=str):
            _feed(digest, str(name), other)
            _feed(digest, value[name], other)
    elif isinstance(value, list | tuple):
        digest.update(b"[%d" % len(value))
        for each in value:
            _feed(digest, each, other)
    elif isinstance(value, np.ndarray) and value.dtype == object:
        _feed(digest, value.tolist(), other)
    elif isinstance(value, np.ndarray):
        little = value.astype(value.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{little.dtype.str}{little.shape}".encode())
        digest.update(np.ascontiguousarray(little).view(np.uint8).data if little.size else b"")
    elif isinstance(value, np.generic) and type(value.item()) is not type(value):
        _feed(digest, value.item(), other)
    elif (named := getattr(value, "__qualname__", None)) is not None and not isinstance(
        value, types.MethodType
    ):
        digest.update(f"{type(value).__name__}({value.__module__}.{named})".encode())
    elif other is not None or value is None or isinstance(value, str | bytes | int | float):
        digest.update(f"{type(value).__name__}({(other or repr)(value)})".encode())
    elif isinstance(value, set | frozenset):
        _feed(digest, sorted(fingerprint(each) for each in value), other)
    elif isinstance(value, torch.Tensor):
        _feed(digest, value.detach().cpu().numpy(), other)
    else:
        _feed(digest, _made_of(value), other)


def _made_of(value):
    """Return what an object is made of again, in the words of pickle: the same in every process."""
    if isinstance(value, functools.partial):
        return [functools.partial, value.func, value.args, value.keywords]
    if isinstance(value, types.MethodType):
        return [value.__name__, value.__self__]
    try:
        made = value.__reduce_ex__(2)
    except Exception as error:  # whatever a class of the user's raises
        raise pickle.PicklingError(f"{value!r:.200} cannot be saved: {error}") from error
    if isinstance(made, str):
        return [type(value), made]
    return [list(part) if hasattr(part, "__next__") else part for part in made]
