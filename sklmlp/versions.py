"""The version, and what a report of a fault should say about an installation."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

import torch

from sklmlp import native

__version__ = "0.1.0"

REQUIRED = ("numpy", "scipy", "scikit-learn", "torch", "skorch", "joblib")
EXTRAS = ("matplotlib", "onnx", "skl2onnx", "skops", "optuna", "dask", "pandas", "polars")


def show_versions():
    """Print the versions of what sklmlp computes with, and how it computes here.

    Examples
    --------
    >>> import sklmlp
    >>> sklmlp.show_versions()  # doctest: +ELLIPSIS
    System:
    ...
    """
    engine = native.why_not() or f"compiled, {native.instruction_set()}"
    sections = {
        "System": {
            "python": sys.version.replace("\n", " "),
            "machine": f"{platform.machine()}, {platform.platform()}",
        },
        "Packages": {"sklmlp": __version__, **{name: _version(name) for name in REQUIRED}},
        "Extras": {name: _version(name) for name in EXTRAS},
        "Computing": {
            "engine": engine,
            "threads": torch.get_num_threads(),
            "CUDA": _cuda(),
        },
    }
    for title, rows in sections.items():
        print(f"{title}:")
        for name, value in rows.items():
            print(f"{name:>14}: {value}")


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cuda():
    """The GPU that torch would use, if it can use one."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else None
