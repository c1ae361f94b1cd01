"""A checksum of what a model answers with: it tells damage, not who wrote a file."""

import hashlib

import numpy as np

COVERED = (
    *("_spec", "coefs_", "intercepts_", "_extras", "_optimizer"),
    *("classes_", "_targets", "feature_names_in_", "n_features_in_"),
)
"""The entries of a state that it covers."""


def checksum(state):
    """The SHA-256 of a state's spec and arrays, in hexadecimal.

    It does not depend on the order of keys and of values in memory, nor on whether a sequence came
    back as a list or a tuple, so that it survives every file format.

    Raises
    ------
    ValueError
        If the state is nested so deeply that no model can have written it.
    """
    try:
        return fingerprint({name: state[name] for name in COVERED if name in state})
    except RecursionError as error:
        raise ValueError("The state is nested too deeply to be a model's.") from error


def fingerprint(value):
    """The SHA-256 of plain Python and arrays, in hexadecimal."""
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def _feed(digest, value):
    """Add plain Python or arrays to a digest; what is neither goes by its name or its `repr`."""
    if isinstance(value, dict):
        digest.update(b"{%d" % len(value))
        for name in sorted(value, key=str):
            _feed(digest, str(name))
            _feed(digest, value[name])
    elif isinstance(value, list | tuple):
        digest.update(b"[%d" % len(value))
        for each in value:
            _feed(digest, each)
    elif isinstance(value, np.ndarray) and value.dtype == object:
        _feed(digest, value.tolist())
    elif isinstance(value, np.ndarray):
        little = value.astype(value.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{little.dtype.str}{little.shape}".encode())
        digest.update(np.ascontiguousarray(little).view(np.uint8).data if little.size else b"")
    elif isinstance(value, np.generic):
        _feed(digest, value.item())
    else:
        named = getattr(value, "__qualname__", None)
        text = repr(value) if named is None else f"{value.__module__}.{named}"
        digest.update(f"{type(value).__name__}({text})".encode())
