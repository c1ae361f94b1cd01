"""Training steps: epochs of batches in, weights moved."""

from sklmlp.training.steps.autograd import AutogradStep
from sklmlp.training.steps.base import BatchStep, EpochBlock, EpochLimits, Step
from sklmlp.training.steps.choice import STEPS, choose_step
from sklmlp.training.steps.compiled import CompiledStep
from sklmlp.training.steps.dense import DenseStep

__all__ = [
    "STEPS",
    "AutogradStep",
    "BatchStep",
    "CompiledStep",
    "DenseStep",
    "EpochBlock",
    "EpochLimits",
    "Step",
    "choose_step",
]
