"""What `sklmlp.show_versions` prints, and which versions the tests run with."""

import re
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest

import sklmlp
from sklmlp.native import extension

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ("constraints.txt", "constraints-oldest.txt")


def read(name):
    return (ROOT / name).read_text("utf-8")


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


def test_what_no_version_changes_runs_once():
    """Files that `make test-oldest` leaves out are there, and its torch is that of `make test`."""
    pins = [read(name).split() for name in CONSTRAINTS]
    torch, oldest = ([pin for pin in each if pin.startswith("torch==")] for each in pins)
    assert torch == oldest != []
    dry_run = ["make", "-n", "test-oldest"]
    commands = subprocess.run(dry_run, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    left_out = re.findall(r"--ignore=(\S+)", commands)
    assert left_out and all((ROOT / name).exists() for name in left_out)


def test_the_citation_is_of_this_version():
    """CITATION.cff names the version that the package has."""
    stated = re.findall(r"^version: (.+)$", read("CITATION.cff"), re.MULTILINE)
    assert stated == [sklmlp.__version__]


def test_a_commit_is_checked_by_the_ruff_of_the_tests():
    """The hook before a commit, `make lint` and the oldest versions have one ruff."""
    pins = {line for name in CONSTRAINTS for line in re.findall(r"ruff==(\S+)", read(name))}
    assert pins == set(re.findall(r"rev: v(\S+)", read(".pre-commit-config.yaml")))


@pytest.mark.parametrize("is_there", [True, False])
def test_the_engine_is_told(is_there, capsys, monkeypatch):
    """The engine is named with its instructions, or the reason why it is not there."""
    if not is_there:
        monkeypatch.setattr(extension, "_engine", None)
        monkeypatch.setattr(extension, "_error", "No module named 'x'")
        assert rows(capsys)["engine"].startswith("not built (No module named 'x'); install")
    elif extension.is_available():
        assert rows(capsys)["engine"] == f"compiled, {extension.instruction_set()}"
