"""Tests of the engine run wherever it was not left out on purpose."""

import os

import pytest

from sklmlp import native


def pytest_collection_modifyitems(items):
    """Skip what needs the engine where SKLMLP_NO_EXTENSION=1 left it out."""
    if os.environ.get("SKLMLP_NO_EXTENSION") == "1" and not native.is_available():
        for item in items:
            if "tests/native" in item.path.as_posix() and "test_door" not in item.path.name:
                item.add_marker(pytest.mark.skip(reason="SKLMLP_NO_EXTENSION=1"))
