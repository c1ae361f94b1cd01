"""Where and how torch computes: devices, dtypes, memory and settings."""

from sklmlp.runtime.device import (
    computing_dtype,
    explain_oom,
    in_chunks,
    is_available,
    resolve_device,
    resolve_dtype,
)
from sklmlp.runtime.settings import SMALL_STEP, compute, neutral, others_wait, will_compute

__all__ = [
    "SMALL_STEP",
    "compute",
    "computing_dtype",
    "explain_oom",
    "in_chunks",
    "is_available",
    "neutral",
    "others_wait",
    "resolve_device",
    "resolve_dtype",
    "will_compute",
]
