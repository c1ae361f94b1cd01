"""Diagnosis of fits that learned nothing, or too little."""

from sklmlp.failures.report import learning_rate_hint, warn_of_divergence, warn_of_failed_learning
from sklmlp.failures.target_scale import hint_of_targets

__all__ = ["hint_of_targets", "learning_rate_hint", "warn_of_divergence", "warn_of_failed_learning"]
