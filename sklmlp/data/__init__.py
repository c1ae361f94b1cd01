"""Tables to tensors: rows and targets."""

from sklmlp.data.checks import (
    check_weights,
    refuse_text_and_dates,
    too_large_is_a_value_error,
    unsorted_is_told,
    warn_of_rounding,
)
from sklmlp.data.class_weight import class_weighted
from sklmlp.data.rows import ConvertedRows, as_tensor, input_dtype, rows_of
from sklmlp.data.targets import ClassTargets

__all__ = [
    "ClassTargets",
    "ConvertedRows",
    "as_tensor",
    "check_weights",
    "class_weighted",
    "input_dtype",
    "refuse_text_and_dates",
    "rows_of",
    "too_large_is_a_value_error",
    "unsorted_is_told",
    "warn_of_rounding",
]
