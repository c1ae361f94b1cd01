"""Fitted estimators to files and back."""

from sklmlp.io.skops import load_skops
from sklmlp.io.state import (
    columns,
    portable_activation,
    portable_spec,
    stamped,
    unstamped,
)
from sklmlp.io.validation import checked

__all__ = [
    "checked",
    "columns",
    "load_skops",
    "portable_activation",
    "portable_spec",
    "stamped",
    "unstamped",
]
