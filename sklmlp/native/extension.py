"""The extension module: whether it is there, and if not, why."""

import os

try:
    if os.environ.get("SKLMLP_NO_EXTENSION") == "1":
        raise ImportError("SKLMLP_NO_EXTENSION=1")
    from sklmlp.native import _engine
except ImportError as error:
    _engine, _error = None, str(error)
else:
    _error = None


def engine():
    """Return the extension module; raise ImportError where it is not built."""
    if _engine is None:
        raise ImportError(f"the compiled engine is {why_not()}")
    return _engine


def is_available():
    """Tell whether the compiled engine is there."""
    return _engine is not None


def why_not():
    """Say why the compiled engine is not there; None where it is."""
    if is_available():
        return None
    return f"not built ({_error}); install from source with a C++ compiler for faster training"


def instruction_set():
    """Name the instructions that the engine computes with: avx512, avx2 or baseline."""
    return _engine.instruction_set() if is_available() else None
