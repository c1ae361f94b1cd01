"""Losses: one table, each with its link, its value and its gradient."""

from sklmlp.losses.classification import log_softmax, softmax
from sklmlp.losses.loss import Loss, identity
from sklmlp.losses.registry import LOSSES, make_loss

__all__ = ["LOSSES", "Loss", "identity", "log_softmax", "make_loss", "softmax"]
