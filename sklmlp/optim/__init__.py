"""Optimizers: a gradient to an update."""

from sklmlp.optim.adam_sgd import SGD, Adam, StackedUpdate, is_rate, stack_padded
from sklmlp.optim.muon import Muon
from sklmlp.optim.registry import (
    SOLVERS,
    OptimizerState,
    Solver,
    check_next_step,
    check_solver,
    is_stochastic,
    lookup_solver,
    make_optimizer,
    optimizer_state,
    register_solver,
    restore_optimizer,
)
from sklmlp.optim.schedules import SCHEDULES, Schedule
from sklmlp.optim.torch_optimizers import TorchOptimizerAdapter

__all__ = [
    "SCHEDULES",
    "SGD",
    "SOLVERS",
    "Adam",
    "Muon",
    "OptimizerState",
    "Schedule",
    "Solver",
    "StackedUpdate",
    "TorchOptimizerAdapter",
    "check_next_step",
    "check_solver",
    "is_rate",
    "is_stochastic",
    "lookup_solver",
    "make_optimizer",
    "optimizer_state",
    "register_solver",
    "restore_optimizer",
    "stack_padded",
]
