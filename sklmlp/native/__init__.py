"""The compiled engine: whole epochs, predictions and gradients without the interpreter.

It needs nothing but a C++ compiler to be built. Without it torch computes everything.
"""

from sklmlp.native.extension import instruction_set, is_available, why_not
from sklmlp.native.plan import Layer, Plan
from sklmlp.native.training import Block, Limits, Optimizer, Rows, State, shards, train_epochs

__all__ = [
    "Block",
    "Layer",
    "Limits",
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
