"""Training steps: a batch in, weights moved."""

from sklmlp.training.steps.autograd import AutogradStep
from sklmlp.training.steps.dense import DenseStep, can_step_by_hand

__all__ = ["AutogradStep", "DenseStep", "can_step_by_hand"]
