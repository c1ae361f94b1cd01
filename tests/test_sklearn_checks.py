"""scikit-learn's `check_estimator`, for both estimators and next to scikit-learn's own."""

from functools import cache

import pytest
import sklearn.neural_network
from sklearn.utils.estimator_checks import check_estimator

import sklmlp

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]

OPTIONS = {
    "MLPClassifier": {
        "adam": {"max_iter": 30},
        "early stopping": {"early_stopping": True, "max_iter": 20},
        "sgd, focal": {"solver": "sgd", "learning_rate": "adaptive", "loss": "focal"},
        "lbfgs, smoothed": {"solver": "lbfgs", "label_smoothing": 0.1, "activation": "gelu"},
        "adamw, hinge": {"solver": "adamw", "learning_rate": "one_cycle", "loss": "hinge"},
    },
    "MLPRegressor": {
        "adam": {"max_iter": 30},
        "early stopping": {"early_stopping": True, "max_iter": 20},
        "quantile": {"loss": "quantile"},
        "sgd": {"solver": "sgd", "learning_rate": "adaptive"},
        "lbfgs, gamma": {"solver": "lbfgs", "loss": "gamma"},
        "adamw, gaussian": {
            "solver": "adamw",
            "learning_rate": "one_cycle",
            "max_grad_norm": 1.0,
            "loss": "gaussian",
            "activation": "gelu",
        },
    },
}
ALSO_THEIRS = ("adam", "early stopping")


class Theirs:
    """scikit-learn's estimators, as subclasses: it makes allowances for its own by their class."""

    class MLPClassifier(sklearn.neural_network.MLPClassifier):
        """scikit-learn's."""

    class MLPRegressor(sklearn.neural_network.MLPRegressor):
        """scikit-learn's."""


@cache
def statuses(of, name, options):
    """(check, status, exception) of each check, in order."""
    estimator = getattr(of, name)(**{"max_iter": 100, **OPTIONS[name][options]})
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    return [(r["check_name"], r["status"], r["exception"]) for r in results]


def with_status(results, status):
    return [(check, str(exception)) for check, s, exception in results if s == status]


@pytest.mark.parametrize(
    "name, options",
    [
        (name, options)
        for name, several in OPTIONS.items()
        for options in several
        if options != "early stopping"
    ],
)
def test_no_check_fails(name, options):
    """No check fails, whatever the solver and the activation, and whatever is minimised."""
    results = statuses(sklmlp, name, options)
    assert with_status(results, "failed") == []
    assert {status for _, status, _ in results} <= {"passed", "skipped"}


@pytest.mark.parametrize("options", ALSO_THEIRS)
@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_whatever_scikit_learn_passes_is_passed(name, options):
    """Each check that scikit-learn's own estimator passes is run, and passed.

    With early stopping scikit-learn's own fail those checks that call `partial_fit`, train on too
    few rows for a validation set, or compare weighted rows with repeated ones.
    """
    ours = statuses(sklmlp, name, options)
    theirs = statuses(Theirs, name, options)
    ours = [mine for mine in ours if mine[0] != "check_class_weight_classifiers"]  # theirs has none
    assert len(theirs) > 50
    assert [check for check, _, _ in ours] == [check for check, _, _ in theirs]
    worse = [
        mine
        for mine, (_, status, _) in zip(ours, theirs, strict=True)
        if mine[1] != status and mine[1] != "passed"
    ]
    assert worse == []


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_the_same_tags(name):
    """The estimators declare what scikit-learn's own declare."""
    ours = getattr(sklmlp, name)().__sklearn_tags__()
    assert ours == getattr(sklearn.neural_network, name)().__sklearn_tags__()
