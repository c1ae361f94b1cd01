"""Estimators and pipelines to ONNX."""

from sklmlp.io.onnx.columns import column_types
from sklmlp.io.onnx.export import to_onnx
from sklmlp.io.onnx.pipeline import register_onnx_converter

__all__ = ["column_types", "register_onnx_converter", "to_onnx"]
