"""Training: a network and a dataset to weights and a history."""

from sklmlp.training.jobs import attended, attending
from sklmlp.training.lbfgs import train_lbfgs
from sklmlp.training.run import TrainingRun, Validation
from sklmlp.training.stacking import train
from sklmlp.training.stopping import StoppingState

__all__ = [
    "StoppingState",
    "TrainingRun",
    "Validation",
    "attended",
    "attending",
    "train",
    "train_lbfgs",
]
