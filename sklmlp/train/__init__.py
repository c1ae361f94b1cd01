"""Training: a network and a table to weights and a history."""

from sklmlp.train.batches import Table
from sklmlp.train.checkpoints import Checkpoints
from sklmlp.train.device import computing_dtype, is_available, resolve_device, resolve_dtype
from sklmlp.train.diagnosis import lower_rate, warn_of_divergence, warn_of_failed_learning
from sklmlp.train.fit import Fit, Validation
from sklmlp.train.lbfgs import train_lbfgs
from sklmlp.train.meeting import attended, attending
from sklmlp.train.memory import explained_memory, in_chunks
from sklmlp.train.net import Events, SkorchEvents
from sklmlp.train.optimizers import OptimizerState, make_optimizer
from sklmlp.train.progress import Progress
from sklmlp.train.schedules import SCHEDULES
from sklmlp.train.solvers import check_solver, solver_name
from sklmlp.train.stacks import train
from sklmlp.train.targets_scale import hint_of_targets
from sklmlp.train.tasks import BOOKKEEPING, AllEvents, CallbackSupportMixin, FitTasks

__all__ = [
    "BOOKKEEPING",
    "SCHEDULES",
    "AllEvents",
    "CallbackSupportMixin",
    "Checkpoints",
    "Events",
    "Fit",
    "FitTasks",
    "OptimizerState",
    "Progress",
    "SkorchEvents",
    "Table",
    "Validation",
    "attended",
    "attending",
    "check_solver",
    "computing_dtype",
    "explained_memory",
    "hint_of_targets",
    "in_chunks",
    "is_available",
    "lower_rate",
    "make_optimizer",
    "resolve_device",
    "resolve_dtype",
    "solver_name",
    "train",
    "train_lbfgs",
    "warn_of_divergence",
    "warn_of_failed_learning",
]
