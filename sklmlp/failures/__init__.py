"""Fits that learnt nothing, or too little, and the reason."""

from sklmlp.failures.report import lower_rate, warn_of_divergence, warn_of_failed_learning
from sklmlp.failures.target_scale import hint_of_targets

__all__ = ["hint_of_targets", "lower_rate", "warn_of_divergence", "warn_of_failed_learning"]
