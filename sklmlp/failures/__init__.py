"""Diagnosis of fits that learned nothing, or too little."""

from sklmlp.failures.report import (
    hint_of_targets,
    learning_rate_hint,
    warn_of_divergence,
    warn_of_failed_learning,
)

__all__ = ["hint_of_targets", "learning_rate_hint", "warn_of_divergence", "warn_of_failed_learning"]
