"""Weights of classes: the weights of rows that they stand for."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.utils.class_weight import compute_sample_weight

from sklmlp.data import class_weighted
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

BY_CLASS = {
    "binary": {0: 1.0, 1: 5.0},
    "multiclass": {0: 2.0, 2: 0.5, 1: 3},
    "multilabel": [{0: 1, 1: 5}, {0: 2, 1: 1}, {1: 0.5, 0: 1}],
}


def assert_same_coefs(one, other):
    for a, b in zip(one.coefs_, other.coefs_, strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("how", ["given", "balanced"])
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("kind", BY_CLASS)
def test_class_weights_are_row_weights(kind, early_stopping, how, weighted):
    """Training and validation have scikit-learn's weights of rows, times those given."""
    X, y = make_table(kind)
    class_weight = BY_CLASS[kind] if how == "given" else "balanced"
    weight = np.random.default_rng(0).integers(1, 4, 60) if weighted else np.ones(60, dtype=int)
    repeated = compute_sample_weight(class_weight, y.repeat(weight, axis=0))
    by_row = repeated[np.cumsum(weight) - 1]  # the weight of one of a row's repetitions
    got = make(kind, class_weight=class_weight, early_stopping=early_stopping)
    got.fit(X, y, weight if weighted else None)
    expected = make(kind, early_stopping=early_stopping).fit(X, y, by_row * weight)
    assert_same_coefs(got, expected)
    assert_allclose(got.loss_curve_, expected.loss_curve_)
    if early_stopping:
        assert_allclose(got.validation_scores_, expected.validation_scores_)


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("class_weight", [BY_CLASS["multiclass"], "balanced"], ids=str)
def test_weights_are_repeated_rows(class_weight, solver):
    """With class weights too a weight of 2 is the row twice, and one of 0 its absence."""
    X, y = make_table("multiclass")
    weight = np.arange(60) % 3
    options = {"class_weight": class_weight, "shuffle": False, "solver": solver}
    weighted = make("multiclass", batch_size=60, **options).fit(X, y, weight)
    repeated = make("multiclass", batch_size=weight.sum(), **options)
    repeated.fit(X.repeat(weight, axis=0), y.repeat(weight))
    for a, b in zip(weighted.coefs_, repeated.coefs_, strict=True):
        assert_allclose(a, b, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("class_weight", [{0: 1, 1: 2, 2: 5}, "balanced"], ids=str)
def test_the_linear_model_agrees(class_weight):
    """Without hidden layers it is LogisticRegression with the same class weights."""
    X, y = make_table("multiclass")
    exact = {"hidden_layer_sizes": (), "solver": "lbfgs", "max_iter": 5000, "tol": 1e-9}
    ours = make("multiclass", alpha=1.0, class_weight=class_weight, **exact).fit(X, y)
    theirs = LogisticRegression(class_weight=class_weight, tol=1e-10, max_iter=5000).fit(X, y)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize(
    "name",
    [
        lambda y: np.array(["1", "2", "3"])[y],
        lambda y: np.array(["no", "perhaps", "yes"], dtype=object)[y],
        lambda y: y * 2.0 - 1,
        lambda y: y.astype(np.int8),
    ],
)
def test_weights_are_looked_up_by_label(name):
    """Whatever the labels are, the dict's keys are labels."""
    X, y = make_table("multiclass")
    named = name(y)
    by_label = dict(zip(np.unique(named).tolist(), [3.0, 2.0, 0.5], strict=True))
    expected = make("multiclass").fit(X, y, np.array([3.0, 2.0, 0.5])[y])
    assert_same_coefs(make("multiclass", class_weight=by_label).fit(X, named), expected)


def test_classes_that_are_not_named_weigh_one():
    """A dict may have some of the classes only."""
    X, y = make_table("multiclass")
    expected = make("multiclass").fit(X, y, np.where(y == 1, 4.0, 1.0))
    assert_same_coefs(make("multiclass", class_weight={1: 4.0}).fit(X, y), expected)


@pytest.mark.parametrize("class_weight", [BY_CLASS["multilabel"], "balanced"], ids=str)
def test_sparse_labels(class_weight):
    """Sparse label indicators have the weights of dense ones."""
    X, y = make_table("multilabel")
    expected = make("multilabel", class_weight=class_weight).fit(X, y)
    got = make("multilabel", class_weight=class_weight).fit(X, sparse.csr_array(y))
    assert_same_coefs(got, expected)


def test_partial_fit_weighs_by_all_classes():
    """A call that brings some of the classes has the weights of those."""
    X, y = make_table("multiclass")
    by_class = np.array([2.0, 3.0, 0.5])
    got = make("multiclass", class_weight=dict(enumerate(by_class)))
    expected = make("multiclass")
    for part in (y < 2, y > 0):
        got.partial_fit(X[part], y[part], classes=[0, 1, 2])
        expected.partial_fit(X[part], y[part], by_class[y[part]], classes=[0, 1, 2])
    assert_same_coefs(got, expected)


def test_every_network_of_an_ensemble_has_them():
    """The networks of an ensemble train with the weights of classes, each as if alone."""
    X, y = make_table("binary")
    options = {"class_weight": BY_CLASS["binary"]}
    for member in make("binary", n_estimators=2, **options).fit(X, y).estimators_:
        alone = make("binary", random_state=member.random_state, **options).fit(X, y)
        assert_same_coefs(member, alone)


def test_balanced_may_be_learned_from_other_rows():
    """Validation rows are weighed by the classes of the training rows."""
    y, weight = np.array([0, 0, 0, 1]), np.array([1.0, 2.0, 1.0, 1.0])
    got = class_weighted("balanced", np.array([0, 1]), np.array([1, 0]), None, (y, weight))
    assert_allclose(got, [5 / 2, 5 / 8])


def test_rows_without_weight_do_not_count():
    """'balanced' is not disturbed by a class that has rows and no weight."""
    y, weight = np.array([0, 0, 1, 2]), np.array([1.0, 1.0, 1.0, 0.0])
    got = class_weighted("balanced", np.array([0, 1, 2]), y, weight)
    assert_allclose(got, [3 / 4, 3 / 4, 3 / 2, 0])


def test_weights_that_were_given_stay_as_they_are():
    """The user's array is not written into."""
    X, y = make_table("binary")
    weight = np.ones(60)
    make("binary", class_weight="balanced").fit(X, y, weight)
    assert_array_equal(weight, np.ones(60))


def test_balanced_is_refused_by_partial_fit():
    """As in scikit-learn: a call does not see all rows."""
    X, y = make_table("binary")
    with pytest.raises(ValueError, match="class_weight 'balanced' is not supported for partial"):
        make("binary", class_weight="balanced").partial_fit(X, y, classes=[0, 1])


@pytest.mark.parametrize(
    ("kind", "class_weight", "message"),
    [
        ("binary", "even", "'class_weight' parameter.*'even'"),
        ("multiclass", {0: 1, 5: 2}, r"The classes, \[1, 2\], are not in class_weight"),
        ("binary", {0: 1, 1: -1}, r"finite weights >= 0, got \{0: 1, 1: -1\}"),
        ("binary", {0: 1, 1: np.nan}, "finite weights >= 0"),
        ("binary", [{0: 1, 1: 2}], "is a list only for multilabel targets"),
        ("multilabel", {0: 1, 1: 2}, "should be a list of dicts, or the string 'balanced'"),
        ("multilabel", [{0: 1, 1: 2}], r"Got 1 element\(s\) while having 3 outputs"),
        ("multilabel", ["balanced"] * 3, "a dict for each label, got 'balanced'"),
    ],
)
def test_unfit_weights_are_refused(kind, class_weight, message):
    """Weights that do not fit the targets are a ValueError, in scikit-learn's words if it has."""
    X, y = make_table(kind)
    with pytest.raises(ValueError, match=message):
        make(kind, class_weight=class_weight).fit(X, y)
