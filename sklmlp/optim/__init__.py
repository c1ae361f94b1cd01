"""Optimizers: a gradient to an update."""

from sklmlp.optim.adam_sgd import (
    SGD,
    Adam,
    OptimizerState,
    UpdateTogether,
    make_optimizer,
    side_by_side,
)
from sklmlp.optim.clipping import ClippedUpdate
from sklmlp.optim.schedules import SCHEDULES, ScheduledUpdate
from sklmlp.optim.torch_optimizers import TorchSolver, check_solver, solver_name

__all__ = [
    "SCHEDULES",
    "SGD",
    "Adam",
    "ClippedUpdate",
    "OptimizerState",
    "ScheduledUpdate",
    "TorchSolver",
    "UpdateTogether",
    "check_solver",
    "make_optimizer",
    "side_by_side",
    "solver_name",
]
