"""The settings that AutoML begins with are ones that the tabular estimators take."""

import pytest

from sklmlp import TabularMLPClassifier, TabularMLPRegressor
from sklmlp.search.automl.portfolio import portfolio

ESTIMATORS = {"classification": TabularMLPClassifier, "regression": TabularMLPRegressor}


@pytest.mark.parametrize("task", ESTIMATORS)
def test_settings_are_valid_and_differ(task):
    """The estimator takes each of them, none is its default, and no two are the same."""
    settings = portfolio(task)
    assert 8 <= len(settings) <= 16
    seen = [ESTIMATORS[task]().get_params()]
    for setting in settings:
        model = ESTIMATORS[task]().set_params(**setting)
        model._validate_params()
        assert model.get_params() not in seen
        seen.append(model.get_params())


def test_an_unknown_task_is_refused():
    """The message says what was given, and what is welcome."""
    with pytest.raises(
        ValueError, match=r"'ranking' is not known. Use one of 'classification', 'r"
    ):
        portfolio("ranking")
