"""Training steps: epochs of batches in, weights moved."""

from sklmlp.training.steps.base import AutogradStep, BatchStep, Step
from sklmlp.training.steps.compiled import CompiledStep
from sklmlp.training.steps.dense import DenseStep

__all__ = [
    "AutogradStep",
    "BatchStep",
    "CompiledStep",
    "DenseStep",
    "Step",
]
