"""The compiled engine: whole epochs, predictions and gradients without the interpreter.

It needs nothing but a C++ compiler to be built. Without it everything is computed by torch.
"""

from sklmlp.native.plan import Layer, Model, Plan
from sklmlp.native.training import Block, Limits, Optimizer, Rows, State, shards, train_epochs

try:
    from sklmlp.native import _engine
except ImportError as error:
    _engine, _WHY_NOT = None, str(error)

__all__ = [
    "Block",
    "Layer",
    "Limits",
    "Model",
    "Optimizer",
    "Plan",
    "Rows",
    "State",
    "instruction_set",
    "is_available",
    "shards",
    "train_epochs",
    "why_not",
]


def is_available():
    """Tell whether the compiled engine is there."""
    return _engine is not None


def why_not():
    """Say why the compiled engine is not there; None where it is."""
    if is_available():
        return None
    return f"not built ({_WHY_NOT}); install from source with a C++ compiler for faster training"


def instruction_set():
    """Name the instructions that the engine computes with: avx512, avx2 or baseline."""
    return _engine.instruction_set() if is_available() else None
