"""Each method of the table, in a search: sizes are kept, and a search that goes on is the same."""

from functools import partial

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import AutoMLPClassifier, MLPClassifier, MLPSearchCV, TabularMLPClassifier
from sklmlp.search import sampler
from sklmlp.search.architecture import SHARED_METHODS, pool
from sklmlp.search.automl.portfolio import portfolio
from sklmlp.search.by_hand import by_hand
from sklmlp.search.problem import Problem
from sklmlp.search.samplers import METHODS
from sklmlp.search.suggestions import make_suggest
from tests.search.test_cv import without_times

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Shared weights do not rank"),
]

MODEL = make_pipeline(
    StandardScaler(),
    MLPClassifier(4, batch_size=50, max_iter=4, learning_rate_init=0.02, random_state=0),
)
MOST = 9000
X, y = load_iris(return_X_y=True)
NAMES = [name for name in METHODS if name not in ("grid", "cmaes", "gp", "darts-unrolled")]


def search(method, **params):
    defaults = {"n_trials": 12, "cv": 2, "random_state": 0, "batch_size": 4, "refit": False}
    options = {**defaults, "max_parameters": MOST, "min_epochs": 2, **params}
    return MLPSearchCV(MODEL, "architecture", method=method, **options).fit(X, y)


@pytest.mark.parametrize("method", NAMES)
def test_a_search_that_goes_on_tries_the_same_and_keeps_to_its_size(method, tmp_path, monkeypatch):
    """In two parts it has the results of one, and no candidate is larger than it may be."""
    if method in SHARED_METHODS:
        short = partial(SHARED_METHODS[method], n_steps=20)
        monkeypatch.setitem(SHARED_METHODS, method, short)
        monkeypatch.setattr(pool, "MOST_CHECKED", 60)
        monkeypatch.setattr(pool, "LEAST_MEMBERS", 20)
    whole = search(method)
    storage = {"storage": str(tmp_path / "search.log")}
    search(method, n_trials=8, **storage)
    again = search(method, **storage)
    assert without_times(again.cv_results_) == without_times(whole.cv_results_)
    assert whole.cv_results_["n_parameters"].max() <= MOST
    n_trials = {"default": 1, "portfolio": 9}.get(method, 12)
    assert len(whole.cv_results_["params"]) == n_trials


def test_by_hand_comes_in_its_order():
    """The portfolio tries the shapes that people choose, those of the space alone."""
    found = search("portfolio", n_trials=None, max_parameters=None, halving=False)
    shapes = [each["mlpclassifier__hidden_layer_sizes"] for each in found.cv_results_["params"][1:]]
    assert shapes[:3] == [(64,), (256,), (64, 64)] and len(shapes) == 20
    space = {"hidden_layer_sizes": [(64, 64), (7,)], "activation": ["tanh"]}
    model = MLPClassifier()
    assert by_hand(model, make_suggest(space, model, 100)) == [
        {"hidden_layer_sizes": (64, 64), "activation": "tanh"}
    ]


def test_by_hand_of_a_raw_table_is_the_portfolio_of_automl():
    """Settings of the tabular estimators are those that were learned."""
    model = TabularMLPClassifier()
    known = portfolio("classification")
    found = by_hand(model, make_suggest("architecture", model, 1000))
    shapes = [each["hidden_layer_sizes"] for each in known if "hidden_layer_sizes" in each]
    tried = [each["hidden_layer_sizes"] for each in found if "hidden_layer_sizes" in each]
    assert len(tried) > 4 and [shape for shape in shapes if shape in tried] == tried
    assert all(each.keys() <= {"hidden_layer_sizes", "n_bins", "embedding_size"} for each in found)
    assert by_hand(model, lambda trial: {}) == []


def test_nsga2_is_told_the_size():
    """Of two objectives the second is the number of parameters, which is to be small."""
    found = search("nsga2", n_trials=60, batch_size=20, max_parameters=None)
    sizes = found.cv_results_["n_parameters"]
    assert np.median(sizes[41:]) < np.median(sizes[1:21])


def test_shared_weights_say_how_well_they_rank():
    """The plan of a search has Kendall's tau, and other methods have none."""
    assert -1 <= search("random-shared").plan_["kendall_tau"] <= 1
    assert "kendall_tau" not in search("random").plan_


def test_shared_weights_need_a_table():
    """Without one, and for raw tables, the error says which methods there are."""
    for problem in (None, Problem(lambda trial: {})):
        with pytest.raises(ValueError, match="Problem"):
            sampler("darts", problem=problem)
    with pytest.raises(ValueError, match="cannot use it"):
        AutoMLPClassifier(None, method="enas", n_trials=2).fit(X, y)
    with pytest.raises(ValueError, match="has no sampler"):
        sampler("portfolio")
    assert sampler("darts", random_state=0, problem=Problem.of(MODEL, X, y)).seed == 0
