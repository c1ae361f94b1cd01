"""A search warns once of what its fits warn of, at the line of its caller."""

import inspect
import warnings

import joblib
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    cross_val_score,
    cross_validate,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier
from tests.tables import make_table

X, Y = make_table("multiclass", n_samples=91)
# two epochs of these learn something
SHORT = {"hidden_layer_sizes": (32,), "batch_size": 5, "learning_rate_init": 0.02}
SHORT |= {"max_iter": 2, "random_state": 0}
REACHED = (
    "Stochastic Optimizer: Maximum iterations (2) reached and the optimization hasn't converged "
    "yet."
)
ALPHAS = {"alpha": [1e-4, 1.0]}


def caught_in(call, backend, action):
    """The texts that a call warns of, under a filter, all of them at the caller's line."""
    with (
        joblib.parallel_config(backend=backend),
        warnings.catch_warnings(record=True) as caught,
    ):
        warnings.resetwarnings()
        warnings.simplefilter(action)
        call()
    assert {each.filename for each in caught} <= {__file__}
    source, first = inspect.getsourcelines(call)
    assert all(first <= each.lineno < first + len(source) for each in caught)
    assert {each.category for each in caught} <= {ConvergenceWarning}
    return [str(each.message) for each in caught]


SEARCHES = {
    "a search": (
        lambda: GridSearchCV(MLPClassifier(**SHORT), ALPHAS, cv=3, refit=False).fit(X, Y),
        6,
    ),
    "cross-validation": (lambda: cross_val_score(MLPClassifier(**SHORT), X, Y, cv=4), 4),
    "a pipeline": (
        lambda: cross_val_score(
            make_pipeline(StandardScaler(), MLPClassifier(**SHORT)), X, Y, cv=2
        ),
        2,
    ),
    "an ensemble": (
        lambda: cross_val_score(MLPClassifier(**SHORT, n_estimators=3), X, Y, cv=2),
        2,
    ),
    "one against the rest": (lambda: OneVsRestClassifier(MLPClassifier(**SHORT)).fit(X, Y), 3),
    "several rounds": (
        lambda: HalvingGridSearchCV(
            MLPClassifier(**SHORT), ALPHAS, cv=2, refit=False, factor=2, min_resources=40
        ).fit(X, Y),
        6,
    ),
    "nested": (
        lambda: cross_validate(GridSearchCV(MLPClassifier(**SHORT), ALPHAS, cv=2), X, Y, cv=2),
        10,
    ),
}


@pytest.mark.parametrize("action", ["default", "always", "module", "once"])
@pytest.mark.parametrize("name", SEARCHES)
def test_one_summary_in_the_backend(name, action):
    """The backend warns once at the end, and says of how many fits."""
    call, n_fits = SEARCHES[name]
    assert caught_in(call, "sklmlp", action) == [f"{REACHED} ({n_fits} of {n_fits} fits)"]


@pytest.mark.parametrize("name", SEARCHES)
def test_one_warning_in_a_sequential_search(name):
    """Under Python's default filter a search without the backend warns once."""
    assert caught_in(SEARCHES[name][0], "sequential", "default") == [REACHED]


def test_every_search_warns():
    """A second search at the same line warns again, in the backend and without it."""
    for backend, end in (("sequential", ""), ("sklmlp", " (4 of 4 fits)")):
        with joblib.parallel_config(backend=backend), pytest.warns(ConvergenceWarning) as caught:
            warnings.simplefilter("default", ConvergenceWarning)
            for _ in range(3):
                cross_val_score(MLPClassifier(**SHORT), X, Y, cv=4)
        assert [str(each.message) for each in caught] == [REACHED + end] * 3


def test_always_shows_every_warning():
    """The filter "always" shows the warnings of all fits of a sequential search."""
    call, n_fits = SEARCHES["cross-validation"]
    assert caught_in(call, "sequential", "always") == [REACHED] * n_fits


@pytest.mark.parametrize("backend", ["sequential", "sklmlp"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_texts_that_differ_in_numbers(backend, solver):
    """Fits whose warnings differ in numbers only warn of the first and are counted together."""
    mlp, grid = MLPClassifier(**SHORT, solver=solver), {"max_iter": [2, 3, 4]}
    search = GridSearchCV(mlp, grid, cv=2, refit=False)

    def fit():
        search.fit(X, Y)

    (text,) = caught_in(fit, backend, "default")
    assert text.startswith(REACHED if solver == "adam" else "lbfgs failed to converge after 2 iter")
    assert text.endswith(" (6 of 6 fits)") == (backend == "sklmlp")


def test_fits_that_converge_are_not_counted():
    """The summary says how many of all fits warned."""
    mlp = MLPClassifier(**SHORT, n_iter_no_change=1)
    search = GridSearchCV(mlp, {"tol": [0.0, 1e3], "max_iter": [2, 5]}, cv=2, refit=False)

    def fit():
        search.fit(X, Y)

    (text,) = caught_in(fit, "sklmlp", "default")
    assert text.endswith(" (6 of 8 fits)")


FILTERS = {
    "all": {},
    "by category": {"category": ConvergenceWarning},
    "by the begin of the text": {"message": "Stochastic Optimizer: Maximum"},
    "by the module of the caller": {"module": __name__},
}


@pytest.mark.parametrize("name", FILTERS)
def test_warnings_that_are_ignored(name):
    """A filter that ignores the warning of a fit ignores it in the backend."""
    with joblib.parallel_config(backend="sklmlp"), warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", **FILTERS[name])
        scores = cross_val_score(MLPClassifier(**SHORT), X, Y, cv=3, error_score="raise")
    assert len(scores) == 3


@pytest.mark.parametrize("backend", ["sequential", "sklmlp"])
@pytest.mark.parametrize("name", FILTERS)
def test_warnings_that_are_errors(name, backend):
    """A filter that makes an error of it makes one of the fit, which a search may survive."""
    with joblib.parallel_config(backend=backend), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", **FILTERS[name])
        with pytest.raises(ConvergenceWarning) as raised:
            cross_val_score(MLPClassifier(**SHORT), X, Y, cv=3, error_score="raise")
    assert str(raised.value) == REACHED
