"""Training: a network and a dataset to weights and a history."""

from sklmlp.training.lbfgs import train_lbfgs
from sklmlp.training.pausing import NotTrainedError, Pauses, let_pause, use_pauses
from sklmlp.training.run import TrainingRun, TrainingState
from sklmlp.training.stacking import Interrupt, current_coordinator, train_networks, use_coordinator
from sklmlp.training.stopping import (
    StoppingState,
    Subset,
    check_validation_data,
    make_judges,
    split_rows,
)

__all__ = [
    "Interrupt",
    "NotTrainedError",
    "Pauses",
    "StoppingState",
    "Subset",
    "TrainingRun",
    "TrainingState",
    "check_validation_data",
    "current_coordinator",
    "let_pause",
    "make_judges",
    "split_rows",
    "train_lbfgs",
    "train_networks",
    "use_coordinator",
    "use_pauses",
]
