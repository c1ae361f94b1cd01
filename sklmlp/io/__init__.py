"""Fitted estimators to files and back."""

from sklmlp.io.checkpoint import CheckpointFile, identity
from sklmlp.io.onnx import column_types, register_onnx_converter, to_onnx
from sklmlp.io.skops import load_skops
from sklmlp.io.state import (
    columns,
    portable_activation,
    portable_parameter,
    portable_spec,
    stamped,
    unstamped,
)
from sklmlp.io.validation import checked

__all__ = [
    "CheckpointFile",
    "checked",
    "column_types",
    "columns",
    "identity",
    "load_skops",
    "portable_activation",
    "portable_parameter",
    "portable_spec",
    "register_onnx_converter",
    "stamped",
    "to_onnx",
    "unstamped",
]
