"""Targets: every kind of label and value, there and back, with weights."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklmlp
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LABELS = {
    "integers": lambda y: y * 7 - 5,
    "unsigned": lambda y: y.astype(np.uint8),
    "whole floats": lambda y: y.astype(float),
    "strings": lambda y: np.array(["no", "perhaps", "yes"])[y],
    "objects": lambda y: np.array(["no", "perhaps", "yes"], dtype=object)[y],
    "list of strings": lambda y: np.array(["no", "perhaps", "yes"])[y].tolist(),
    "pandas strings": lambda y: pd.Series(np.array(["no", "perhaps", "yes"])[y]),
    "pandas categories": lambda y: pd.Series(
        np.array(["no", "perhaps", "yes"])[y], dtype="category"
    ),
    "pandas integers": lambda y: pd.Series(y, dtype="Int64"),
    "long doubles": lambda y: y.astype(np.longdouble),
    "a tensor": torch.tensor,
    "a masked array of which nothing is masked": np.ma.masked_array,
    "polars strings": lambda y: pl.Series(np.array(["no", "perhaps", "yes"])[y].tolist()),
}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("kind", ["binary", "multiclass"])
@pytest.mark.parametrize("labels", LABELS)
def test_labels_come_back(labels, kind, early_stopping):
    """Predictions are the labels given, whatever they are, which train like their indices."""
    X, y = make_table(kind)
    named = LABELS[labels](y)
    expected = make(kind, early_stopping=early_stopping).fit(X, y)
    estimator = make(kind, early_stopping=early_stopping).fit(X, named)
    assert_array_equal(estimator.classes_, np.unique(np.asarray(named)))
    assert_array_equal(estimator.predict(X), estimator.classes_[expected.predict(X)])
    assert_array_equal(estimator.predict_proba(X), expected.predict_proba(X))
    assert estimator.validation_scores_ == expected.validation_scores_


def test_booleans():
    """Boolean labels come back as booleans."""
    X, y = make_table("binary")
    estimator = make("binary").fit(X, y.astype(bool))
    assert estimator.classes_.dtype == bool
    assert estimator.predict(X).dtype == bool


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize(
    "container", [np.ndarray.tolist, pd.DataFrame, sparse.csr_matrix, sparse.csr_array]
)
def test_multilabel_containers(container, solver, early_stopping):
    """Label indicators train alike in every container; sparse ones are predicted as sparse ones."""
    early_stopping &= solver != "lbfgs"
    X, y = make_table("multilabel")
    expected = make("multilabel", solver=solver, early_stopping=early_stopping).fit(X, y)
    estimator = make("multilabel", solver=solver, early_stopping=early_stopping)
    prediction = estimator.fit(X, container(y)).predict(X)
    assert sparse.issparse(prediction) == sparse.issparse(container(y))
    assert_array_equal(
        prediction.toarray() if sparse.issparse(prediction) else prediction, expected.predict(X)
    )
    assert_array_equal(estimator.classes_, [0, 1, 2])


def test_multilabel_partial_fit():
    """Sparse label indicators train call by call like dense ones."""
    X, y = make_table("multilabel")
    got, expected = make("multilabel"), make("multilabel")
    for _ in range(3):
        got.partial_fit(X, sparse.csr_array(y), classes=[0, 1, 2])
        expected.partial_fit(X, y, classes=[0, 1, 2])
    assert_array_equal(got.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize(
    "container",
    [
        np.ndarray.tolist,
        lambda y: y.astype(np.float32),
        lambda y: y.astype(np.int16),
        lambda y: y.astype(object),
        lambda y: y.astype(np.longdouble),
        lambda y: y.astype(str),
        lambda y: torch.tensor(y, requires_grad=True),
        lambda y: torch.tensor(y).bfloat16(),
        np.ma.masked_array,
        pd.DataFrame,
        lambda y: pl.DataFrame(y, schema=list("abc")),
        np.asfortranarray,
    ],
)
def test_values(container, loss):
    """Counts train alike in every container and dtype that holds them."""
    X, y = make_table("many_counts")
    expected = make("many_counts", loss=loss).fit(X, y).predict(X)
    assert_allclose(make("many_counts", loss=loss).fit(X, container(y)).predict(X), expected)


@pytest.mark.parametrize("shape", [(60,), (60, 1), (60, 3)])
def test_shapes_of_predictions(shape):
    """One output is predicted as a vector, several as columns."""
    X, y = make_table("regressions")
    y = y[:, 0].reshape(shape) if shape != (60, 3) else y
    estimator = make("regression")
    if shape == (60, 1):
        with pytest.warns(DataConversionWarning, match="A column-vector y was passed"):
            estimator.fit(X, y)
    else:
        estimator.fit(X, y)
    assert estimator.predict(X).shape == ((60, 3) if shape == (60, 3) else (60,))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_one_class(solver):
    """A single class trains and is the prediction, with probability one column wide."""
    X, _ = make_table("binary")
    estimator = make("binary", solver=solver).fit(X, np.full(60, "only"))
    assert_array_equal(estimator.predict(X), np.full(60, "only"))
    assert_array_equal(estimator.classes_, ["only"])
    assert estimator.predict_proba(X).shape == (60, 1)
    assert_allclose(estimator.predict_log_proba(X), np.log(estimator.predict_proba(X)))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_one_row(solver, kind):
    """A single row trains."""
    X, y = make_table(kind)
    estimator = make(kind, solver=solver).fit(X[:1], y[:1])
    assert len(estimator.predict(X)) == 60


def test_unseen_classes_are_refused():
    """`partial_fit` refuses a class that its first call did not name, and the model stays."""
    X, y = make_table("multiclass")
    estimator = make("multiclass").partial_fit(X, y, classes=[0, 1, 2])
    before = estimator.predict_proba(X)
    with pytest.raises(ValueError, match=r"`y` has classes not in `self.classes_`"):
        estimator.partial_fit(X, y + 1)
    assert_array_equal(estimator.predict_proba(X), before)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_whole_weights_are_repeated_rows(solver, kind):
    """A row of weight two trains like the row given twice, and one of weight zero like none."""
    X, y = make_table(kind)
    weight = np.random.default_rng(0).integers(0, 3, 60)
    options = {"solver": solver, "shuffle": False, "batch_size": 200}
    with_weights = make(kind, **(options | {"batch_size": 60})).fit(X, y, sample_weight=weight)
    options["batch_size"] = int(weight.sum())
    repeated = make(kind, **options).fit(X.repeat(weight, axis=0), y.repeat(weight, axis=0))
    for got, expected in zip(with_weights.coefs_, repeated.coefs_, strict=True):
        assert_allclose(got, expected, rtol=1e-6, atol=1e-9)


def test_a_batch_without_weight_changes_nothing():
    """Batches whose weights are all zero are passed over, where a mean would be 0 / 0."""
    X, y = make_table("regression")
    weight = np.repeat([1.0, 0.0], 30)
    options = {"shuffle": False, "batch_size": 30, "alpha": 0.0}
    got = make("regression", **options).fit(X, y, sample_weight=weight)
    expected = make("regression", **options).fit(X[:30], y[:30])
    assert_allclose(got.predict(X), expected.predict(X))
    assert np.isfinite(got.loss_)


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regressions"])
def test_score(kind):
    """`score` is the weighted accuracy or R2 of `predict`."""
    X, y = make_table(kind)
    weight = np.random.default_rng(0).uniform(size=60)
    estimator = make(kind).fit(X, y)
    metric = r2_score if kind == "regressions" else accuracy_score
    assert estimator.score(X, y) == metric(y, estimator.predict(X))
    expected = metric(y, estimator.predict(X), sample_weight=weight)
    assert estimator.score(X, y, sample_weight=weight) == expected


@pytest.mark.parametrize("method", ["fit", "partial_fit", "score"])
def test_routing_is_asked_for_by_method(method):
    """Each method that takes weights has its own metadata request."""
    with sklearn.config_context(enable_metadata_routing=True):
        for Estimator in (sklmlp.MLPClassifier, sklmlp.MLPRegressor):
            estimator = Estimator()
            getattr(estimator, f"set_{method}_request")(sample_weight=True)
            request = estimator.get_metadata_routing()
            assert getattr(request, method).requests["sample_weight"] is True


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_weights_are_routed_through_a_pipeline(kind):
    """A pipeline hands the weights on to `fit` and to `score`."""
    X, y = make_table(kind)
    weight = np.random.default_rng(0).uniform(0.1, 3, 60)
    bare = make(kind).fit(X, y, sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = make(kind).set_fit_request(sample_weight=True)
        routed.set_score_request(sample_weight=True)
        scaler = StandardScaler(with_mean=False, with_std=False)
        pipeline = make_pipeline(scaler.set_fit_request(sample_weight=False), routed)
        pipeline.fit(X, y, sample_weight=weight)
        assert pipeline.score(X, y, sample_weight=weight) == bare.score(X, y, sample_weight=weight)
        assert_array_equal(pipeline.predict(X), bare.predict(X))


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_weights_are_routed_through_cross_validation(kind):
    """`cross_validate` cuts the weights as it cuts the rows."""
    X, y = make_table(kind)
    weight = np.random.default_rng(0).uniform(0.1, 3, 60)
    splits = [(np.arange(30), np.arange(30, 60)), (np.arange(30, 60), np.arange(30))]
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = make(kind).set_fit_request(sample_weight=True)
        estimator.set_score_request(sample_weight=True)
        scores = cross_validate(estimator, X, y, cv=splits, params={"sample_weight": weight})
    for (train, test), score in zip(splits, scores["test_score"], strict=True):
        alone = clone(make(kind)).fit(X[train], y[train], sample_weight=weight[train])
        assert score == alone.score(X[test], y[test], sample_weight=weight[test])
