"""Fitted estimators to files and back."""

from sklmlp.io.state import (
    columns,
    portable_activation,
    portable_spec,
    records,
    spec_from_portable,
    stamped,
    unstamped,
)

__all__ = [
    "columns",
    "portable_activation",
    "portable_spec",
    "records",
    "spec_from_portable",
    "stamped",
    "unstamped",
]
