"""Tables to tensors: rows and targets."""

from sklmlp.data.class_weight import class_weighted
from sklmlp.data.rows import ConvertedRows, as_tensor, input_dtype, rows_of
from sklmlp.data.targets import ClassTargets

__all__ = [
    "ClassTargets",
    "ConvertedRows",
    "as_tensor",
    "class_weighted",
    "input_dtype",
    "rows_of",
]
