"""Tables to tensors: rows and targets."""

from sklmlp.data.batches import ROWS_AT_A_TIME, Batches, BatchPlan, Dataset, rows_of_a_batch
from sklmlp.data.checks import (
    check_limits,
    check_numbers,
    check_same_length,
    check_sample_weight,
    check_split,
    check_X,
    check_y,
    checked_score,
    errors_that_name,
    is_finite,
    is_plain_table,
    is_plain_target,
    warn_of_rounding,
)
from sklmlp.data.columns import column_of, in_columns, is_frame, kind_of_type
from sklmlp.data.containers import plain
from sklmlp.data.rows import ConvertedRows, as_tensor, input_dtype, rows_of, share_memory
from sklmlp.data.targets import ClassTargets, accuracy, class_weighted, errors_of_labels

__all__ = [
    "ROWS_AT_A_TIME",
    "BatchPlan",
    "Batches",
    "ClassTargets",
    "ConvertedRows",
    "Dataset",
    "accuracy",
    "as_tensor",
    "check_X",
    "check_limits",
    "check_numbers",
    "check_same_length",
    "check_sample_weight",
    "check_split",
    "check_y",
    "checked_score",
    "class_weighted",
    "column_of",
    "errors_of_labels",
    "errors_that_name",
    "in_columns",
    "input_dtype",
    "is_finite",
    "is_frame",
    "is_plain_table",
    "is_plain_target",
    "kind_of_type",
    "plain",
    "rows_of",
    "rows_of_a_batch",
    "share_memory",
    "warn_of_rounding",
]
