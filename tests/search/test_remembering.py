"""The transformers of a pipeline are fitted once a fold, and nothing else changes."""

import pickle
import threading

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from sklmlp import MLPClassifier
from sklmlp.search import evaluation
from sklmlp.search.remembering import FoldMemory, Remembered, lend_memory
from tests.search.test_cv import search, without_times
from tests.tables import make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SPACE = {"mlpclassifier__alpha": [1e-3, 1e-2, 1e-1], "pca__n_components": [2, 3]}


class Counting(TransformerMixin, BaseEstimator):
    """Subtracts means, and counts how often it is fitted."""

    n_fits, lock = 0, threading.Lock()

    def fit(self, X, y=None):
        with Counting.lock:
            Counting.n_fits += 1
        self.mean_ = X.mean(axis=0)
        return self

    def transform(self, X):
        return X - self.mean_


@pytest.fixture(scope="module")
def table():
    return make_table("multiclass")


def pipeline(*first):
    network = MLPClassifier(4, max_iter=6, random_state=0)
    return make_pipeline(*first, PCA(3, random_state=0), StandardScaler(copy=False), network)


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_a_transformer_is_fitted_once_a_fold(table, n_jobs):
    """Candidates and rungs have what the first one made, and the refit fits once more."""
    Counting.n_fits = 0
    params = {"n_trials": 6, "factor": 2, "min_epochs": 1, "cv": 3, "n_jobs": n_jobs}
    search(pipeline(Counting()), SPACE, **params).fit(*table)
    assert 4 <= Counting.n_fits <= 4 + 3 * ((n_jobs or 1) - 1)  # two may begin at once


@pytest.mark.parametrize(
    "first",
    [StandardScaler(), FunctionTransformer(lambda X: X * 2.0)],
    ids=["plain", "cannot be pickled"],
)
def test_the_results_are_the_same(table, monkeypatch, first):
    """They are those of a search that remembers nothing, though one writes into its rows."""
    params = {"n_trials": 6, "factor": 2, "min_epochs": 2, "max_parameters": 10_000}
    one = search(pipeline(first), SPACE, **params).fit(*table)
    monkeypatch.setattr(evaluation, "MOST_BYTES", 0)
    other = search(pipeline(first), SPACE, **params).fit(*table)
    assert without_times(one.cv_results_) == without_times(other.cv_results_)
    assert one.best_estimator_.memory is None


def test_a_memory_of_the_user_s_is_used(table, tmp_path):
    """A pipeline that has one keeps it."""
    memory = joblib.Memory(tmp_path, verbose=0)
    model = pipeline(Counting()).set_params(memory=memory)
    take_back = lend_memory(model, Remembered(1000), 0)
    assert model.memory is memory
    take_back()
    assert model.memory is memory


def test_what_comes_after_others_is_told_apart():
    """A step is known by those before it, and by its fold."""
    made = []

    def fit_transform(transformer, X):
        made.append(transformer)
        return X + len(made), transformer

    remembered = Remembered(10_000)

    def run(fold, *steps):
        call, X = FoldMemory(remembered, fold).cache(fit_transform), np.zeros(2)
        for step in steps:
            X, _ = call(step, X)
        return X.tolist()

    assert run(0, "a", "b") == run(0, "a", "b") == [3, 3]
    assert run(0, "b") == [3, 3]  # made anew: the first step here
    assert run(1, "a", "b") == [9, 9]
    assert made == ["a", "b", "b", "a", "b"]


def test_there_is_a_bound():
    """What does not fit in is made each time, and another process begins with nothing."""
    remembered = Remembered(1000)
    small = [remembered.get("small", lambda: np.zeros(10)) for _ in range(2)]
    small[0][:] = 1
    assert small[1].sum() == 0
    calls = []
    for _ in range(2):
        remembered.get("large", lambda: calls.append(1) or np.zeros(1000))
    assert len(calls) == 2
    there = pickle.loads(pickle.dumps(remembered))
    assert there.get("small", lambda: "anew") == "anew"
