"""Callbacks of a fit: skorch's, scikit-learn's, and checkpoints."""

from sklmlp.callbacks.base import CallbackList, TrainingCallback
from sklmlp.callbacks.checkpoint import Checkpoints, resume_run, snapshot_run
from sklmlp.callbacks.sklearn import told_to_sklearn
from sklmlp.callbacks.skorch import SkorchCallback

__all__ = [
    "CallbackList",
    "Checkpoints",
    "SkorchCallback",
    "TrainingCallback",
    "resume_run",
    "snapshot_run",
    "told_to_sklearn",
]
