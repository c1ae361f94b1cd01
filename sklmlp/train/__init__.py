"""Training: a network and a table to weights and a history."""

from sklmlp.train.batches import Table
from sklmlp.train.device import computing_dtype, is_available, resolve_device, resolve_dtype
from sklmlp.train.fit import Fit, Validation
from sklmlp.train.lbfgs import train_lbfgs
from sklmlp.train.meeting import attended, attending
from sklmlp.train.net import Events, SkorchEvents
from sklmlp.train.optimizers import OptimizerState, make_optimizer
from sklmlp.train.progress import Progress
from sklmlp.train.stacks import train

__all__ = [
    "Events",
    "Fit",
    "OptimizerState",
    "Progress",
    "SkorchEvents",
    "Table",
    "Validation",
    "attended",
    "attending",
    "computing_dtype",
    "is_available",
    "make_optimizer",
    "resolve_device",
    "resolve_dtype",
    "train",
    "train_lbfgs",
]
