"""Listeners of a fit: those of skorch and scikit-learn, and checkpoints."""

from sklmlp.callbacks.base import AllEvents, Events
from sklmlp.callbacks.checkpoint import Checkpoints
from sklmlp.callbacks.sklearn import BOOKKEEPING, CallbackSupportMixin, FitTasks
from sklmlp.callbacks.skorch import SkorchEvents

__all__ = [
    "BOOKKEEPING",
    "AllEvents",
    "CallbackSupportMixin",
    "Checkpoints",
    "Events",
    "FitTasks",
    "SkorchEvents",
]
