"""Optimizers: a gradient to an update."""

from sklmlp.optim.adam_sgd import (
    SGD,
    Adam,
    OptimizerState,
    StackedUpdate,
    make_optimizer,
    stack_padded,
)
from sklmlp.optim.clipping import ClippedUpdate
from sklmlp.optim.schedules import SCHEDULES, ScheduledUpdate
from sklmlp.optim.torch_optimizers import TorchOptimizerAdapter, check_solver, solver_name

__all__ = [
    "SCHEDULES",
    "SGD",
    "Adam",
    "ClippedUpdate",
    "OptimizerState",
    "ScheduledUpdate",
    "StackedUpdate",
    "TorchOptimizerAdapter",
    "check_solver",
    "make_optimizer",
    "solver_name",
    "stack_padded",
]
