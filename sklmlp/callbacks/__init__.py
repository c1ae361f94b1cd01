"""Callbacks of a fit: skorch's, scikit-learn's, and checkpoints."""

from sklmlp.callbacks.base import CallbackList, TrainingCallback
from sklmlp.callbacks.checkpoint import Checkpoints
from sklmlp.callbacks.sklearn import told_to_sklearn
from sklmlp.callbacks.skorch import SkorchCallback

__all__ = [
    "CallbackList",
    "Checkpoints",
    "SkorchCallback",
    "TrainingCallback",
    "told_to_sklearn",
]
