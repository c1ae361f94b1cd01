"""Docstrings list the parameters of the signatures, and those of the reference have examples."""

import inspect
import pydoc
import re
from pathlib import Path

import pytest

import sklmlp
from sklmlp import MLPClassifier, MLPRegressor, exceptions, inspection, search
from sklmlp.search import architecture

GROUPS = ["The network", "The loss", "Optimization", "Stopping", "Computing"]

REFERENCE = Path(__file__).parents[1] / "docs" / "reference.rst"
MODULE = r"^\.\. currentmodule:: (\S+)$"
TABLE = r"^\.\. autosummary::\n(?: {3}:.*\n)+\n((?: {3}\w+\n)+)"


def described(estimator):
    """The names under Parameters, in order."""
    section = inspect.getdoc(estimator).split("Parameters\n----------\n")[1]
    section = section.split("\n\n")[0]
    heads = re.findall(r"^(\w[\w, ]*) : ", section, re.MULTILINE)
    return [name for head in heads for name in head.split(", ")]


def grouped(estimator):
    """The names in the overview, by group."""
    summary = inspect.getdoc(estimator).split("Parameters\n----------\n")[0]
    groups = re.findall(r"^- ([\w ]+): (.*?)\.$", summary, re.MULTILINE | re.DOTALL)
    return {group: re.findall(r"`(\w+)`", names) for group, names in groups}


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_every_parameter_is_described_where_the_signature_has_it(estimator):
    """The section Parameters has the names of `__init__`, in the same order."""
    assert described(estimator) == list(inspect.signature(estimator).parameters)


@pytest.mark.parametrize("estimator", [MLPClassifier, MLPRegressor])
def test_the_overview_names_every_parameter_in_one_group(estimator):
    """The five groups have each parameter once, and the signature goes from group to group."""
    groups = grouped(estimator)
    assert list(groups) == GROUPS
    names = list(inspect.signature(estimator).parameters)
    in_order = [name for members in groups.values() for name in members]
    if names[0] == "loss":  # a regressor's stands in front of all, as in scikit-learn
        in_order = ["loss", *(name for name in in_order if name != "loss")]
    assert in_order == names


def listed():
    """The full names of the classes and functions in the tables of the reference."""
    names, module = [], None
    text = REFERENCE.read_text("utf-8")
    for found in re.finditer(f"{MODULE}|{TABLE}", text, re.MULTILINE):
        module = found[1] or module
        names += [f"{module}.{name}" for name in (found[2] or "").split()]
    return names


@pytest.mark.parametrize("name", listed())
def test_what_the_reference_lists_has_examples(name):
    """Each docstring ends with a section Examples, which doctest runs."""
    text = inspect.getdoc(pydoc.locate(name))
    sections = re.findall(r"^(\w[\w ]*)\n-{3,}$", text, re.MULTILINE)
    assert sections[-1:] == ["Examples"]
    assert ">>> " in text.split("\nExamples\n--------\n")[1]


@pytest.mark.parametrize("room", [sklmlp, architecture, exceptions, inspection, search])
def test_the_reference_lists_what_a_room_exports(room):
    """No class and no function of the rooms that users import from is left out."""
    shown = [pydoc.locate(name) for name in listed()]
    exported = [getattr(room, name) for name in room.__all__]
    assert [each for each in exported if callable(each) and each not in shown] == []
