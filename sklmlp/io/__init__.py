"""Fitted estimators to files and back."""

from sklmlp.io.checkpoint import CheckpointFile, fit_fingerprint
from sklmlp.io.onnx import column_types, register_onnx_converter, to_onnx
from sklmlp.io.skops import load_skops
from sklmlp.io.state import (
    add_metadata,
    portable_activation,
    portable_parameter,
    portable_solver,
    portable_spec,
    strip_metadata,
    to_columns,
)
from sklmlp.io.validation import validate_state

__all__ = [
    "CheckpointFile",
    "add_metadata",
    "column_types",
    "fit_fingerprint",
    "load_skops",
    "portable_activation",
    "portable_parameter",
    "portable_solver",
    "portable_spec",
    "register_onnx_converter",
    "strip_metadata",
    "to_columns",
    "to_onnx",
    "validate_state",
]
