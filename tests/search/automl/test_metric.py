"""Scores of predictions that were made before, against scikit-learn's of estimators."""

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import get_scorer, log_loss, make_scorer, max_error, mean_squared_error

from sklmlp.data import ClassTargets
from sklmlp.search.automl.metric import Metric


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    return X, X @ [1.0, -1.0, 0.5] + rng.normal(size=60), rng.uniform(0.5, 2.0, size=60)


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("scoring", [None, "accuracy", "roc_auc_ovr", "f1_macro"])
@pytest.mark.parametrize("weighted", [False, True])
def test_classes(rows, n_classes, scoring, weighted):
    """A score of probabilities is that of the estimator that they are from."""
    X, values, weight = rows
    y = np.array(["a", "b", "c"])[np.digitize(values, [-0.5, 0.5])]
    if n_classes == 2:
        y = np.where(y == "c", "b", y)
        scoring = "roc_auc" if scoring == "roc_auc_ovr" else scoring
    model = LogisticRegression().fit(X, y)
    metric, p = Metric(scoring, ClassTargets.learn(y)), model.predict_proba(X)
    weights = {"sample_weight": weight} if weighted else {}
    expected = get_scorer(scoring or "neg_log_loss")(model, X, y, **weights)
    assert metric(p, X, y, weights.get("sample_weight")) == pytest.approx(expected)


def test_class_weights_count_in_the_log_loss(rows):
    """The default score weighs rows as the fit does."""
    X, values, weight = rows
    y = (values > 0).astype(int)
    p = LogisticRegression().fit(X, y).predict_proba(X)
    metric = Metric(None, ClassTargets.learn(y), {0: 1.0, 1: 5.0})
    expected = -log_loss(y, p, sample_weight=weight * np.where(y == 1, 5.0, 1.0))
    assert metric(p, X, y, weight) == pytest.approx(expected)


@pytest.mark.parametrize(
    "scoring",
    [None, "r2", "neg_mean_absolute_error", make_scorer(max_error, greater_is_better=False)],
)
def test_values(rows, scoring):
    """A score of values is that of the estimator; one that takes no weights is given none."""
    X, y, weight = rows
    model = LinearRegression().fit(X, y)
    found = Metric(scoring)(model.predict(X), X, y, weight)
    weights = {"sample_weight": weight} if isinstance(scoring, str | None) else {}
    expected = get_scorer(scoring or "neg_root_mean_squared_error")(model, X, y, **weights)
    assert found == pytest.approx(expected)


def test_several_labels_and_outputs(rows):
    """Of several labels, and of several outputs, the default score is the mean."""
    X, values, _ = rows
    Y = np.column_stack([values > 0, values > 1]).astype(int)
    p = np.clip(np.column_stack([values, values - 1]) / 4 + 0.5, 0.01, 0.99)
    targets = ClassTargets.learn(Y)
    expected = -np.mean([log_loss(t, q) for t, q in zip(Y.T, p.T, strict=True)])
    assert Metric(None, targets)(p, X, Y, None) == pytest.approx(expected)
    np.testing.assert_array_equal(Metric(None, targets).decided(p), p > 0.5)
    values = np.column_stack([values, 2 * values])
    squares = mean_squared_error(values, values + p, multioutput="raw_values")
    expected = -np.sqrt(squares).mean()
    assert Metric(None)(values + p, X, values, None) == pytest.approx(expected)


def test_a_callable_sees_the_rows(rows):
    """A scorer of one's own is given the rows, and an estimator that knows its predictions."""
    X, y, _ = rows

    def scorer(estimator, rows, targets):
        assert rows is X
        return float(estimator.predict(rows)[0])

    assert Metric(scorer)(np.arange(60.0) + 7, X, y, None) == 7
