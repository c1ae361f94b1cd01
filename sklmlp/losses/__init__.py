"""Losses: one table, each with its link, its value and its gradient."""

from sklmlp.losses.classification import log_sigmoid, log_softmax
from sklmlp.losses.loss import LINKS, Loss, TargetRange, identity, softmax
from sklmlp.losses.registry import (
    LOSSES,
    NAMES,
    SPELLINGS,
    LossEntry,
    compiled_loss,
    describe_loss,
    loss_parameters,
    make_loss,
    register_loss,
)
from sklmlp.losses.regression import TargetScaling

__all__ = [
    "LINKS",
    "LOSSES",
    "NAMES",
    "SPELLINGS",
    "Loss",
    "LossEntry",
    "TargetRange",
    "TargetScaling",
    "compiled_loss",
    "describe_loss",
    "identity",
    "log_sigmoid",
    "log_softmax",
    "loss_parameters",
    "make_loss",
    "register_loss",
    "softmax",
]
