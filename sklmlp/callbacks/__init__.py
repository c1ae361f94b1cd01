"""Listeners of a fit: those of skorch and scikit-learn, and checkpoints."""

from sklmlp.callbacks.base import CallbackList, TrainingCallback
from sklmlp.callbacks.checkpoint import Checkpoints
from sklmlp.callbacks.sklearn import BOOKKEEPING, CallbackSupportMixin, SklearnCallbackSession
from sklmlp.callbacks.skorch import SkorchCallback

__all__ = [
    "BOOKKEEPING",
    "CallbackList",
    "CallbackSupportMixin",
    "Checkpoints",
    "SklearnCallbackSession",
    "SkorchCallback",
    "TrainingCallback",
]
