"""What `sklmlp.show_versions` prints."""

from importlib.metadata import version

import pytest

import sklmlp
from sklmlp.native import extension


def rows(capsys):
    """What is printed, by the name in each row."""
    sklmlp.show_versions()
    lines = capsys.readouterr().out.splitlines()
    return {key.strip(): value.strip() for key, _, value in (each.partition(":") for each in lines)}


def test_versions_are_those_installed(capsys):
    """Each required package is there with its version."""
    shown = rows(capsys)
    for name in ("numpy", "scipy", "scikit-learn", "torch", "skorch", "joblib"):
        assert shown[name] == version(name)
    assert shown["sklmlp"] == sklmlp.__version__


@pytest.mark.parametrize("is_there", [True, False])
def test_the_engine_is_told(is_there, capsys, monkeypatch):
    """The engine is named with its instructions, or the reason why it is not there."""
    if not is_there:
        monkeypatch.setattr(extension, "_engine", None)
        monkeypatch.setattr(extension, "_error", "No module named 'x'")
        assert rows(capsys)["engine"].startswith("not built (No module named 'x'); install")
    elif extension.is_available():
        assert rows(capsys)["engine"] == f"compiled, {extension.instruction_set()}"
