"""The room's door: whether the engine is there, and why not."""

import os

import pytest

from sklmlp import native
from sklmlp.native import extension

LEFT_OUT = os.environ.get("SKLMLP_NO_EXTENSION") == "1"


def test_the_engine_is_there():
    """The engine is built wherever it is not left out on purpose."""
    assert native.is_available() or LEFT_OUT


def test_it_says_why_it_is_not_there(monkeypatch):
    """Without the engine there is a reason and no instruction set."""
    monkeypatch.setattr(extension, "_engine", None)
    monkeypatch.setattr(extension, "_error", "No module named 'x'")
    reason = (
        "not built (No module named 'x'); install from source with a C++ compiler for faster "
        "training"
    )
    assert not native.is_available() and native.why_not() == reason
    with pytest.raises(ImportError) as caught:
        extension.engine()
    assert str(caught.value) == f"the compiled engine is {reason}"
    assert native.instruction_set() is None


def test_it_names_its_instructions():
    """With the engine there is an instruction set and no reason."""
    if native.is_available():
        assert native.why_not() is None
        assert native.instruction_set() in ("avx512", "avx2", "baseline")
