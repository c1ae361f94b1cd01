"""The compiled engine: whole epochs, predictions and gradients without the interpreter.

It needs nothing but a C++ compiler to be built. Without it everything is computed by torch.
"""

from sklmlp.native.extension import instruction_set, is_available, why_not
from sklmlp.native.plan import (
    AVERAGES,
    NORMALIZATIONS,
    SKIPS,
    Front,
    Layer,
    Model,
    Plan,
    activations,
    losses,
    losses_of_indices,
)
from sklmlp.native.training import Block, Limits, Optimizer, Rows, State, shards, train_epochs

__all__ = [
    "AVERAGES",
    "NORMALIZATIONS",
    "SKIPS",
    "Block",
    "Front",
    "Layer",
    "Limits",
    "Model",
    "Optimizer",
    "Plan",
    "Rows",
    "State",
    "activations",
    "instruction_set",
    "is_available",
    "losses",
    "losses_of_indices",
    "shards",
    "train_epochs",
    "why_not",
]
