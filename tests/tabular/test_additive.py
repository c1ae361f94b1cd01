"""The additive model beside the network, and how much it counts."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from sklmlp import TabularMLPClassifier, TabularMLPRegressor
from sklmlp.tabular import additive
from sklmlp.tabular.additive import AdditiveModel, components
from sklmlp.tabular.calibration import SHRINKAGE, learn_weight, learn_weight_of_values

EDGES = np.array([[0.0, 1, 3], [-1.0, 1, 1]], dtype=np.float32)


def make_rows(n=300):
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 3, size=(n, 3)).astype(np.float32)
    y = np.abs(X[:, 0] - 1) + 0.3 * rng.normal(size=n) > 1
    return X, np.array(["a", "b"])[y.astype(int)]


def test_components_fill_bin_by_bin():
    """Those of a bin of no width are left out; the columns follow."""
    X = np.array([[-1, 0, 7], [0.5, 1, 7], [2, 5, 7]], dtype=np.float32)
    expected = [[0, 0, 0.5, *X[0]], [0.5, 0, 1, *X[1]], [1, 0.5, 1, *X[2]]]
    assert_allclose(components(X, EDGES), expected)


def test_it_is_logistic_regression_of_components(monkeypatch):
    """scikit-learn's, at the same penalty."""
    X, y = make_rows()
    monkeypatch.setattr(additive, "TOL", 1e-7)
    model = AdditiveModel.of_classes(X, y, None, EDGES)
    theirs = LogisticRegression(C=1 / additive.ALPHA).fit(components(X, EDGES), y)
    expected = theirs.predict_proba(components(X, EDGES))
    assert_allclose(model.predict_proba(X), expected, atol=1e-3)


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_of_values_it_is_least_squares_with_a_penalty(n_outputs):
    """By the normal equations; bins are penalised a hundred times as much as columns."""
    X, _ = make_rows(80)
    rng = np.random.default_rng(1)
    y = X[:, 0] ** 2 + rng.normal(size=80) if n_outputs is None else rng.normal(size=(80, 2))
    weight = rng.uniform(0.5, 2, size=80)
    model = AdditiveModel.of_values(X, y, weight, EDGES)
    parts = components(X.astype(np.float64), EDGES)
    penalty = np.diag([100.0] * 3 + [1.0] * 3 + [0.0])  # no penalty on the intercept
    with_one = np.column_stack([parts, np.ones(80)])
    gram = with_one.T @ (weight[:, None] * with_one) + penalty
    effects = np.linalg.solve(gram, with_one.T @ (weight * y.T).T)
    assert_allclose(model.predict(X), with_one @ effects, rtol=1e-6, atol=1e-8)


def test_long_tables_are_sampled_with_every_class(monkeypatch):
    """A rare class stays known."""
    X, y = make_rows()
    y[-1] = "z"
    monkeypatch.setattr(additive, "MOST_VALUES", 400)
    model = AdditiveModel.of_classes(X, y, None, EDGES)
    assert list(model.model.classes_) == ["a", "b", "z"]
    assert model.model.t_ < 100 * len(X)
    monkeypatch.setattr(additive, "VALUES_AT_A_TIME", 20)
    pieces = model.predict_proba(X)
    monkeypatch.undo()
    assert_allclose(pieces, model.predict_proba(X), rtol=1e-5)


def test_the_weight_has_the_least_log_loss():
    """Of all weights on a grid, up to how few rows are discounted; what is of no use has none."""
    rng = np.random.default_rng(0)
    index = rng.integers(0, 3, size=500)
    good, noise = (rng.dirichlet([1, 1, 1], size=500) for _ in range(2))
    good[np.arange(500), index] += 0.5
    good /= good.sum(axis=1, keepdims=True)
    other = np.roll(good, 1, axis=0) * 0.5 + 0.5 * np.eye(3)[index]
    share = learn_weight(good, other, index) * (500 + SHRINKAGE) / 500
    losses = [log_loss(index, (1 - w) * good + w * other) for w in np.linspace(0, 1, 101)]
    assert share == pytest.approx(np.argmin(losses) / 100, abs=0.02)
    sure = 0.98 * np.eye(3)[index] + 0.02 / 3
    assert learn_weight(sure, noise, index) == 0


def test_the_estimator_blends_it_in():
    """By its weight; without `additive` there is none."""
    X, y = make_rows()
    small = {"hidden_layer_sizes": (8,), "n_estimators": 2, "max_iter": 4, "random_state": 0}
    model = TabularMLPClassifier(**small, calibrate=False).fit(X, y)
    assert model.additive_weight_ > 0.1
    rows = model.encoder_.transform(X)
    share, both = model.additive_weight_, (model.network_, model.additive_)
    ours, theirs = (each.predict_proba(rows) for each in both)
    blended = model.predict_proba(X)
    assert_allclose(blended, (1 - share) * ours + share * theirs, rtol=1e-5)
    assert_array_equal(model.predict(X), model.classes_[blended.argmax(axis=1)])
    plain = TabularMLPClassifier(**small, additive=False, calibrate=False).fit(X, y)
    assert plain.additive_ is None and plain.additive_weight_ == 0
    assert_allclose(plain.predict_proba(X), ours, rtol=1e-5)


@pytest.mark.parametrize("shape", [(400,), (400, 2)])
def test_the_weight_of_values_has_the_least_squared_error(shape):
    """Of all weights on a grid, whatever the units; a model that is no better has none."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=shape)
    ours, theirs = (y + 0.5 * rng.normal(size=shape) for _ in range(2))
    weight = rng.uniform(size=400)
    share = learn_weight_of_values(ours, theirs, y, weight)
    grid = np.linspace(0, 1, 101)
    errors = [np.average(((1 - w) * ours + w * theirs - y) ** 2, 0, weight).sum() for w in grid]
    assert share * (400 + SHRINKAGE) / 400 == pytest.approx(np.argmin(errors) / 100, abs=0.02)
    scaled = learn_weight_of_values(*(1e3 * each for each in (ours, theirs, y)), weight)
    assert scaled == pytest.approx(share)
    assert learn_weight_of_values(y, theirs, y) == 0 == learn_weight_of_values(ours, ours, y)


@pytest.mark.parametrize("n_outputs", [None, 2])
def test_the_regressor_blends_it_in(n_outputs):
    """On a table of straight effects; other losses, and `additive=False`, leave it out."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 4))
    y = X @ rng.normal(size=(4, n_outputs) if n_outputs else 4)
    small = {"hidden_layer_sizes": (8,), "n_estimators": 2, "max_iter": 2, "random_state": 0}
    model = TabularMLPRegressor(**small).fit(X, y)
    plain = TabularMLPRegressor(**small, additive=False).fit(X, y)
    assert model.additive_weight_ > 0.3 and plain.additive_ is None
    rows = model.encoder_.transform(X)
    share, ours, theirs = model.additive_weight_, plain.predict(X), model.additive_.predict(rows)
    blended = np.clip((1 - share) * ours + share * theirs, *model.target_range_)
    assert_allclose(model.predict(X), blended, rtol=1e-4, atol=1e-4)
    assert model.score(X, y) > plain.score(X, y) + 0.1
    other = TabularMLPRegressor("absolute_error", **small).fit(X, y)
    assert other.additive_weight_ == 0


@pytest.mark.parametrize("has_levels", [False, True])
def test_it_reads_encoded_rows_in_place(has_levels, monkeypatch):
    """Encoded, a long table with many levels is larger than the table: no second copy of it."""
    shared = []

    def of_classes(X, *args, **params):
        shared.append((X.base, X.shape[1]))
        return make(X, *args, **params)

    make = AdditiveModel.of_classes
    monkeypatch.setattr(AdditiveModel, "of_classes", of_classes)
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"x": rng.normal(size=600), "k": rng.integers(0, 30, 600).astype(str)})
    model = TabularMLPClassifier(2, max_iter=1, category_embedding=has_levels, random_state=0)
    model.fit(X, X["x"] > 0)
    kinds = model.encoder_.feature_kinds_
    assert ("level" in kinds) == has_levels
    whole, n_columns = shared[0]
    assert whole.shape[1] == len(kinds)
    assert n_columns == len(kinds) - has_levels
