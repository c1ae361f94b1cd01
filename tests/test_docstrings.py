"""Docstrings list the parameters of the signatures, in their order and by subject."""

import inspect
import re

import pytest

from sklmlp import MLPClassifier, MLPRegressor

GROUPS = ["The network", "The loss", "Optimization", "Stopping", "Computing"]


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
