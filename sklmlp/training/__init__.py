"""Training: a network and a dataset to weights and a history."""

from sklmlp.training.jobs import attended, attending
from sklmlp.training.lbfgs import train_lbfgs
from sklmlp.training.run import Fit, Validation
from sklmlp.training.stacking import train
from sklmlp.training.stopping import Progress

__all__ = ["Fit", "Progress", "Validation", "attended", "attending", "train", "train_lbfgs"]
