"""The settings that AutoML begins with: they are valid, and chosen as the script says."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from sklmlp import TabularMLPClassifier, TabularMLPRegressor
from sklmlp.search.automl.portfolio import portfolio

ESTIMATORS = {"classification": TabularMLPClassifier, "regression": TabularMLPRegressor}


@pytest.mark.parametrize("task", ESTIMATORS)
def test_settings_are_valid_and_differ(task):
    """The estimator takes each, no two are the same, and none has what is so by default."""
    settings = portfolio(task)
    assert 8 <= len(settings) <= 16
    default, seen = ESTIMATORS[task]().get_params(), []
    for setting in settings:
        model = ESTIMATORS[task]().set_params(**setting)
        model._validate_params()
        assert setting and all(value != default[name] for name, value in setting.items())
        assert setting not in seen
        seen.append(setting)


def test_an_unknown_task_is_refused():
    """The message says what was given, and what is welcome."""
    with pytest.raises(
        ValueError, match=r"'ranking' is not known. Use one of 'classification', 'r"
    ):
        portfolio("ranking")


@pytest.fixture
def script(monkeypatch):
    """The script that learns the portfolio."""
    monkeypatch.syspath_prepend(Path(__file__).parents[3] / "benchmarks")
    return importlib.import_module("portfolio")


@pytest.fixture
def table(script):
    """A table, with what three settings predicted of it: the errors of the second are opposite."""
    table = object.__new__(script.Table)
    rng = np.random.default_rng(0)
    y, errors = rng.normal(size=200), rng.normal(size=200)
    table.name, table.task, table.y = "made", "regression", y
    table.validation, table.test = np.arange(100), np.arange(100, 200)
    predicted = np.array([y + errors, y - 1.2 * errors, y + 0.9 * errors])
    table.predicted = {part: predicted[:, getattr(table, part)] for part in script.PARTS}
    table.own = {part: table.losses(table.predicted[part], part) for part in script.PARTS}
    return table


def test_settings_are_chosen_for_what_the_ensemble_gains(script, table):
    """What cancels the errors of the default is better than what is better by itself."""
    assert script.choose([table], 3) == [0, 1, 2]
    assert script.choose([table], 3, most=1) == [0, 1]
    assert script.single(table, [0, 1, 2]) == pytest.approx(np.log(0.9))
    assert script.single(table, [0, 1]) == 0


def test_the_ensemble_is_weighted_by_validation_rows(script, table):
    """Alone, the default is itself; errors that are opposite cancel, by weights of 6 and 5."""
    assert script.ensemble(table, [0]) == pytest.approx(0)
    assert np.exp(script.ensemble(table, [0, 1])) < 1e-9
    table.predicted["test"] *= 2  # held-out rows measure, and have no say
    assert np.exp(script.ensemble(table, [0, 1])) == pytest.approx(
        np.sqrt(np.mean(table.y[100:] ** 2)) / table.own["test"][0]
    )
