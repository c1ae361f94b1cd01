"""Raw tables become the numbers that they should, whatever holds them and however odd they are."""

import copy
import datetime
import decimal
import io
import pickle
import re
import tracemalloc

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import get_config
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, RobustScaler, TargetEncoder
from sklearn.utils.estimator_checks import check_estimator

from sklmlp import MLPClassifier, MLPRegressor, TableEncoder
from sklmlp.io import column_types, load_skops

RNG = np.random.default_rng(0)
N = 200
GAPS = RNG.random(N) < 0.2


def frame():
    """A table of every kind of column; `y` depends on the city."""
    rng = np.random.default_rng(1)
    age = rng.normal(40, 15, N)
    return pd.DataFrame(
        {
            "age": np.where(GAPS, np.nan, age),
            "visits": rng.poisson(3, N),
            "constant": 7.0,
            "empty": np.nan,
            "plan": pd.Series(rng.choice(["basic", "plus", "pro"], N)).mask(GAPS[::-1]),
            "sex": rng.choice(["f", "m"], N),
            "member": rng.random(N) < 0.5,
            "city": pd.Series(rng.choice([f"c{i}" for i in range(30)], N), dtype="category"),
        }
    )


def target(X):
    return X["city"].astype(str).str[1:].astype(int).to_numpy() % 2


def out_of(encoder, X):
    """What an encoder makes of a frame, column by column."""
    names = encoder.get_feature_names_out().tolist()
    return dict(zip(names, encoder.transform(X).T, strict=True))


# The contract ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params", [{}, {"categorical_features": None}, {"max_one_hot": 2}], ids=str
)
def test_no_check_of_scikit_learn_fails(params):
    """`check_estimator` passes, and skips at most what needs another array library."""
    results = check_estimator(TableEncoder(**params), on_skip=None, on_fail=None)
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []
    skipped = {r["check_name"] for r in results if r["status"] == "skipped"}
    assert skipped <= {"check_array_api_input"}


def test_tags():
    """Gaps, categories and text are taken."""
    tags = TableEncoder().__sklearn_tags__()
    assert tags.input_tags.allow_nan and tags.input_tags.categorical and tags.input_tags.string
    assert not tags.input_tags.sparse and not tags.target_tags.required


def test_the_order_of_the_output():
    """Numbers, target encodings, indicators, categories; each knows its kind and its column."""
    X = frame()
    encoder = TableEncoder(max_one_hot=4).fit(X, target(X))
    assert encoder.get_feature_names_out().tolist() == [
        *("age", "visits", "plan_target", "city_target", "missingindicator_age"),
        *("plan_basic", "plan_plus", "plan_pro", "plan_missing", "sex_m", "member_True"),
        *encoder.get_feature_names_out()[11:14],
        "city_infrequent",
    ]
    kinds = ["numeric"] * 2 + ["target_encoding"] * 2 + ["missing"] + ["category"] * 10
    assert encoder.feature_kinds_.tolist() == kinds
    assert encoder.feature_blocks_.tolist() == [0, 1, 4, 7, 0, 4, 4, 4, 4, 5, 6, 7, 7, 7, 7]
    assert encoder.is_categorical_.tolist() == [False] * 4 + [True] * 4
    assert [each is not None for each in encoder.categories_] == encoder.is_categorical_.tolist()
    encoded = encoder.transform(X)
    assert encoded.dtype == np.float32 and encoded.flags.c_contiguous
    assert np.isfinite(encoded).all()


# Numbers ---------------------------------------------------------------------------------------


def test_numbers_are_scaled_as_by_robust_scaler_and_clipped():
    """A number is RobustScaler's z, clipped as z / sqrt(1 + (z/3)^2)."""
    X = np.random.default_rng(0).standard_cauchy((300, 4)) * [1, 10, 1e-3, 1e6] + [0, 5, 0, 1e7]
    z = RobustScaler().fit_transform(X)
    assert np.abs(z).max() > 30
    encoded = TableEncoder().fit_transform(X)
    assert_allclose(encoded, z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-6, atol=1e-7)
    assert np.abs(encoded).max() <= 3


def test_the_scale_where_most_values_are_equal():
    """Without an interquartile range it is half of the whole range."""
    X = np.r_[np.zeros(90), np.full(10, 8.0)][:, None]
    encoder = TableEncoder().fit(X)
    assert (encoder.center_[0], encoder.scale_[0]) == (0, 4)
    assert_allclose(np.unique(encoder.transform(X)), [0, 2 / np.sqrt(1 + 4 / 9)], rtol=1e-6)


def test_gaps_of_numbers():
    """A gap is the median, 0; an indicator tells of it in columns that had gaps in training."""
    X = np.array([[1.0, np.nan], [2.0, 5.0], [np.nan, 6.0], [4.0, 7.0]])
    X[2, 0] = 3.0
    encoder = TableEncoder().fit(X)
    assert encoder.get_feature_names_out().tolist() == ["x0", "x1", "missingindicator_x1"]
    assert_array_equal(encoder.transform([[np.nan, np.nan]]), [[0, 0, 1]])
    assert_array_equal(encoder.transform([[2.5, 6.0]]), [[0, 0, 0]])


def test_constant_and_empty_columns_are_left_out():
    """They are columns of the input, and none of the output; gaps in a constant are told of."""
    X = np.array([[3, np.nan, 1.0, 1], [3, np.nan, np.nan, 2], [3, np.nan, 1.0, 4]])
    encoder = TableEncoder().fit(X)
    assert encoder.n_features_in_ == 4
    assert encoder.get_feature_names_out().tolist() == ["x3", "missingindicator_x2"]
    assert_array_equal(encoder.transform(X)[:, 1], [0, 1, 0])
    assert_array_equal(encoder.transform([[9, 9, np.nan, 2]]), [[0, 1]])


@pytest.mark.parametrize("X", [np.ones((5, 2)), np.full((5, 1), np.nan), [["a"], ["a"]]], ids=str)
def test_a_table_of_which_nothing_varies_is_refused(X):
    """There is nothing to learn from it."""
    with pytest.raises(ValueError, match="No column of X varies"):
        TableEncoder().fit(X)


HUGE = [1e308, -1e308, 1.7e308, 0.0, 1.0]
TINY = [5e-324, 0.0, 1e-320, 3e-322, 2e-310]


@pytest.mark.parametrize("values", [HUGE, TINY, [1e300, 1, 2, 3, 4]], ids=str)
def test_extreme_numbers(values):
    """The largest and the smallest floats stay in their order, and finite."""
    X = np.array(values)[:, None]
    encoded = TableEncoder().fit_transform(X)[:, 0]
    assert np.isfinite(encoded).all()
    assert (np.diff(encoded[np.argsort(values)]) >= 0).all()
    assert len(np.unique(encoded)) >= 3


def test_numbers_outside_of_training():
    """They stay within 3, whatever they are."""
    encoder = TableEncoder().fit(np.arange(9.0)[:, None])
    encoded = encoder.transform([[1e308], [-1e308], [100.0]])[:, 0]
    assert_allclose(encoded[:2], [3, -3], rtol=1e-6)
    assert 2.9 < encoded[2] < 3


@pytest.mark.parametrize("as_frame", [False, True])
def test_infinite_values_are_refused(as_frame):
    """In `fit` and in `transform`, and the error names their columns."""
    X = pd.DataFrame({"a": [1.0, 2, 3], "b": [1.0, np.inf, 2], "c": [-np.inf, 1, 2]})
    good = pd.DataFrame({"a": [1.0, 2, 3], "b": [1.0, 4, 2], "c": [0.0, 1, 2]})
    X, good = (X, good) if as_frame else (X.to_numpy(), good.to_numpy())
    names = "'b', 'c'" if as_frame else "1, 2"
    with pytest.raises(ValueError, match=f"contains infinity(?s:.)*in 2 of 3 columns: {names}"):
        TableEncoder().fit(X)
    with pytest.raises(ValueError, match=f"contains infinity(?s:.)*in 2 of 3 columns: {names}"):
        TableEncoder().fit(good).transform(X)
    with pytest.raises(ValueError, match="contains infinity"):
        TableEncoder(categorical_features=[1, 2]).fit(X)


def test_integers_beyond_float_are_warned_of():
    """Integers that float64 does not tell apart are said to be."""
    X = np.c_[np.arange(5) + 2**60, np.arange(5)]
    with pytest.warns(UserWarning, match="column 0 has integers from"):
        TableEncoder().fit(X)


# Categories ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "values", [["b", "a", "c", "a"], [3, 1, 2, 1], [0.5, 2.5, -1.0, 0.5]], ids=str
)
def test_one_hot_columns_are_those_of_one_hot_encoder(values):
    """Three levels and more have a column each, in their sorted order."""
    X = pd.DataFrame({"a": pd.Series(values, dtype="category")})
    theirs = OneHotEncoder(sparse_output=False).fit(X)
    ours = TableEncoder().fit(X)
    assert_array_equal(ours.transform(X), theirs.transform(X))
    assert_array_equal(ours.get_feature_names_out(), theirs.get_feature_names_out())
    assert_array_equal(ours.categories_[0], theirs.categories_[0])


def test_the_commonest_levels_are_those_of_one_hot_encoder():
    """Beyond `max_one_hot` the commonest levels have a column each, and the others share one."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": [f"l{i:02}" for i in rng.geometric(0.2, 500)]})
    encoder = OneHotEncoder(max_categories=6, sparse_output=False, handle_unknown="ignore")
    theirs = encoder.fit_transform(X)
    ours = TableEncoder(max_one_hot=6).fit(X)
    assert_array_equal(ours.transform(X), theirs)
    assert ours.get_feature_names_out()[-1] == "a_infrequent"
    assert_array_equal(TableEncoder(max_one_hot=50).fit_transform(X).sum(axis=1), 1)


def test_two_levels():
    """They are -1 and 1 in one column, and 0 is neither."""
    X = pd.DataFrame({"a": ["x", "y", "x"]})
    encoder = TableEncoder().fit(X)
    assert encoder.get_feature_names_out().tolist() == ["a_y"]
    assert_array_equal(encoder.transform(X)[:, 0], [-1, 1, -1])
    assert_array_equal(encoder.transform(pd.DataFrame({"a": ["z", None]}))[:, 0], [0, 0])


def test_one_level_and_gaps():
    """That is a category of two as well."""
    X = pd.DataFrame({"a": ["x", None, "x"]})
    encoder = TableEncoder().fit(X)
    assert_array_equal(encoder.transform(X)[:, 0], [1, -1, 1])
    assert_array_equal(encoder.transform(pd.DataFrame({"a": ["z"]})), [[-1]])


def test_gaps_and_unknown_levels():
    """Gaps have a column of their own if there were some in training; unknown levels are gaps."""
    with_gaps = pd.DataFrame({"a": ["x", "y", "z", None]})
    later = pd.DataFrame({"a": ["x", None, "new"]})
    encoder = TableEncoder().fit(with_gaps)
    assert encoder.get_feature_names_out().tolist() == ["a_x", "a_y", "a_z", "a_missing"]
    assert_array_equal(encoder.transform(later), [[1, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]])
    encoder = TableEncoder().fit(with_gaps[:3])
    assert_array_equal(encoder.transform(later), [[1, 0, 0], [0, 0, 0], [0, 0, 0]])


def test_unknown_levels_where_rare_ones_share_a_column():
    """There they are taken for rare ones, unless gaps have a column."""
    X = pd.DataFrame({"a": ["x"] * 3 + ["y"] * 2 + ["z", "w"]})
    unknown = pd.DataFrame({"a": ["new", None, "z"]})
    encoder = TableEncoder(max_one_hot=3).fit(X)
    assert_array_equal(encoder.transform(unknown), [[0, 0, 1]] * 3)
    encoder = TableEncoder(max_one_hot=4).fit(pd.concat([X, unknown[1:2]]))
    assert encoder.get_feature_names_out().tolist() == ["a_x", "a_y", "a_infrequent", "a_missing"]
    assert_array_equal(encoder.transform(unknown), [[0, 0, 0, 1]] * 2 + [[0, 0, 1, 0]])


def test_levels_are_frozen_whatever_the_dtype_says_later():
    """Another order, more or fewer categories of the dtype change nothing."""
    X = frame()
    encoder = TableEncoder().fit(X, target(X))
    expected = encoder.transform(X)
    for order in (
        sorted(X["city"].cat.categories, reverse=True),
        ["new", *X["city"].cat.categories],
    ):
        changed = X.assign(city=X["city"].cat.set_categories(order))
        assert_array_equal(encoder.transform(changed), expected)
        assert_array_equal(TableEncoder().fit(changed, target(X)).transform(X), expected)
    few = X[X["city"] == "c3"].assign(city=lambda few: few["city"].cat.remove_unused_categories())
    assert_array_equal(encoder.transform(few), expected[X["city"] == "c3"])
    assert_array_equal(encoder.transform(X.assign(city=X["city"].astype(str))), expected)


@pytest.mark.parametrize("of", [pd.DataFrame, pl.DataFrame])
def test_a_category_without_any_value_is_left_out(of):
    """As a column of numbers is."""
    X = of({"a": [None] * 3, "b": ["x", "y", "x"]})
    if of is pd.DataFrame:
        X = X.astype("category")
    encoder = TableEncoder(["a", "b"]).fit(X)
    assert encoder.get_feature_names_out().tolist() == ["b_y"]
    assert encoder.categories_[0] is None


def test_categories_of_the_dtype_that_no_row_has():
    """They are no levels."""
    X = pd.DataFrame({"a": pd.Categorical(["x", "y", "x"], categories=["unused", "y", "x", "w"])})
    assert TableEncoder().fit(X).categories_[0].tolist() == ["x", "y"]


def test_levels_have_codes_for_networks_that_look_them_up():
    """Only where there are more than one-hot columns, and only of twenty rows and more."""
    words = np.repeat(["a", "b", "c", "rare", "d"], [29, 20, 21, 19, 22])
    X = pd.DataFrame({"many": words, "few": np.where(words > "b", "x", "y"), "n": range(111)})
    y, later = np.arange(111) % 2, pd.DataFrame({"many": ["new", None], "few": ["x"] * 2, "n": 0})
    encoder = TableEncoder(max_one_hot=4, level_codes=True).fit(X, y)
    plain = TableEncoder(max_one_hot=4).fit(X, y)
    assert encoder.n_levels_ == [4] and plain.n_levels_ == []
    assert encoder.feature_kinds_.tolist() == [*plain.feature_kinds_, "level"]
    assert encoder.get_feature_names_out()[-1] == "many_level"
    encoded = encoder.transform(X)
    assert_array_equal(encoded[:, :-1], plain.transform(X))
    assert_array_equal(encoded[:, -1], np.repeat([0, 1, 2, -1, 3], [29, 20, 21, 19, 22]))
    assert_array_equal(encoder.transform(later)[:, -1], [-1, -1])
    assert_array_equal(encoder.transform(X[:1])[:, -1], [0])
    assert_array_equal(encoder.fit_transform(X, y)[:, -1], encoded[:, -1])


# Target encodings ------------------------------------------------------------------------------


def scaled(values, of):
    z = RobustScaler().fit(of.reshape(-1, 1)).transform(values.reshape(-1, 1))[:, 0]
    return z / np.sqrt(1 + (z / 3) ** 2)


Y = {
    "regression": lambda r, codes: r.normal(size=len(codes)) + codes,
    "binary": lambda r, codes: r.random(len(codes)) < 0.1 + codes / 20,
    "words": lambda r, codes: np.where(r.random(len(codes)) < 0.1 + codes / 20, "yes", "no"),
    "multiclass": lambda r, codes: (codes + r.integers(0, 3, len(codes))) % 3,
    "counts": lambda r, codes: r.poisson(10 + codes),
}


@pytest.mark.parametrize("kind", Y)
@pytest.mark.parametrize("gaps", [False, True])
def test_target_encodings_are_those_of_scikit_learn(kind, gaps):
    """In `transform` by all training rows, in `fit_transform` by the rows of the other folds."""
    rng = np.random.default_rng(3)
    codes = rng.integers(0, 12, 600)
    y = Y[kind](rng, codes)
    X = pd.DataFrame({"a": pd.Series([f"l{i:02}" for i in codes]).mask(gaps & (codes == 4))})
    target_type = "continuous" if kind in ("regression", "counts") else "auto"
    theirs = TargetEncoder(target_type=target_type).fit(X, y)
    ours = TableEncoder(random_state=0).fit(X, y)
    is_target = ours.feature_kinds_ == "target_encoding"
    assert is_target.sum() == (3 if kind == "multiclass" else 1)
    by_all = theirs.transform(X)
    found = ours.transform(X)[:, is_target]
    for place, column in enumerate(by_all.T):
        assert_allclose(found[:, place], scaled(column, column), rtol=1e-5, atol=1e-6)

    found = TableEncoder(random_state=0).fit_transform(X, y)[:, is_target]
    folds = KFold(5, shuffle=True, random_state=np.random.RandomState(0)).split(X)
    expected = np.empty_like(by_all)
    for train, test in folds:
        theirs = TargetEncoder(target_type=target_type).fit(X.iloc[train], y[train])
        expected[test] = theirs.transform(X.iloc[test])
    for place, column in enumerate(expected.T):
        assert_allclose(found[:, place], scaled(column, by_all[:, place]), rtol=1e-5, atol=1e-6)
    assert not np.allclose(found, ours.transform(X)[:, is_target])


def test_target_encodings_of_training_rows_do_not_leak():
    """Of a target that has nothing to do with the levels, they say nothing: out of fold only."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"a": pd.Series(rng.integers(0, 100, 1000), dtype="category")})
    leaks, honest = [], []
    for seed in range(10):
        y = np.random.default_rng(seed).normal(size=1000)
        encoder = TableEncoder(random_state=seed)
        place = 0
        honest.append(np.corrcoef(encoder.fit_transform(X, y)[:, place], y)[0, 1])
        leaks.append(np.corrcoef(encoder.transform(X)[:, place], y)[0, 1])
    assert encoder.feature_kinds_[place] == "target_encoding"
    assert np.mean(leaks) > 0.15
    assert np.mean(honest) < 0.03


def test_levels_of_a_few_rows_share_a_target_encoding():
    """A level of one row is not encoded by the target of that row."""
    levels = ["a"] * 50 + ["b"] * 50 + [f"rare {i}" for i in range(8)]
    y = np.r_[np.tile([0.0, 1.0], 50), np.arange(8) * 10.0]
    encoder = TableEncoder(random_state=0).fit(pd.DataFrame({"a": levels}), y)
    encoded = encoder.transform(pd.DataFrame({"a": [f"rare {i}" for i in range(8)] + ["new"]}))
    assert encoder.feature_kinds_[0] == "target_encoding"
    assert len(np.unique(encoded[:, 0])) == 1


NO_ENCODING = {
    "no target": None,
    "several outputs": np.random.default_rng(0).normal(size=(N, 2)),
    "several labels": np.arange(2 * N).reshape(N, 2) % 2,
    "many classes": np.array([f"class {i % 11}" for i in range(N)]),
    "one class": np.zeros(N, int),
    "one value": np.full(N, 2.5),
}


@pytest.mark.parametrize("y", NO_ENCODING.values(), ids=NO_ENCODING)
def test_without_target_encodings(y):
    """Several outputs, many classes and a constant target give none, and are no error."""
    X = frame()
    encoder = TableEncoder().fit(X, y)
    assert "target_encoding" not in encoder.feature_kinds_
    assert_array_equal(encoder.transform(X), TableEncoder().fit_transform(X, y))


def test_the_type_of_the_target():
    """`target_type` says what whole numbers are."""
    X = frame()
    y = np.arange(N) % 8

    def count(y, **params):
        kinds = TableEncoder(**params).fit(X, y).feature_kinds_
        return (kinds == "target_encoding").sum()

    assert count(y) == 2 * 8
    assert count(y, target_type="continuous") == 2
    assert count(np.arange(N) % 12) == 2  # many distinct numbers are amounts
    assert count(np.arange(N) % 12, target_type="multiclass") == 0
    assert count(y, target_encoding=False) == 0
    assert count(y / 8) == 2


def test_targets_are_checked():
    """Gaps among targets, words among amounts and another number of rows are errors."""
    X = frame()
    with pytest.raises(ValueError, match="y contains NaN"):
        TableEncoder().fit(X, np.where(GAPS, np.nan, 1.0))
    with pytest.raises(ValueError, match="y has text"):
        TableEncoder(target_type="continuous").fit(X, np.where(GAPS, "a", "b"))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        TableEncoder().fit(X, np.zeros(N - 1))


@pytest.mark.parametrize("n", [2, 3, 4])
def test_few_rows(n):
    """With fewer rows than folds there are as many folds as rows."""
    X = pd.DataFrame({"a": list("abcd")[:n], "b": np.arange(n)})
    encoded = TableEncoder().fit_transform(X, np.arange(n) / 2)
    assert encoded.shape[0] == n and np.isfinite(encoded).all()


# What declares categories ----------------------------------------------------------------------

WAYS = {
    "mask": [False, True, False, True],
    "array of bool": np.array([False, True, False, True]),
    "indices": [1, 3],
    "names": ["b", "d"],
    "index of names": pd.Index(["b", "d"]),
    "none": None,
    "no index": [],
    "from_dtype": "from_dtype",
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_categorical_features_as_histogram_gradient_boosting_takes_them(way):
    """Mask, indices, names, None and dtypes mean the same columns."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.integers(0, 3, (40, 4)), columns=list("abcd"))
    X["d"] = X["d"].astype("category")
    theirs = HistGradientBoostingClassifier(max_iter=1, categorical_features=way)
    theirs.fit(X, np.arange(40) % 2)
    expected = np.zeros(4, bool) if theirs.is_categorical_ is None else theirs.is_categorical_
    encoder = TableEncoder(way).fit(X)
    assert_array_equal(encoder.is_categorical_, expected)
    kinds = [encoder.feature_kinds_[encoder.feature_blocks_ == place][0] for place in range(4)]
    assert kinds == ["category" if declared else "numeric" for declared in expected]


WRONG = {
    "a long mask": ([True] * 5, r"shape \(n_features,\) = \(4,\), got \(5,\)"),
    "an index too far": ([4], r"must be in .* = \[0, 3\], got \[4\]"),
    "a negative index": ([-1], r"must be in .* = \[0, 3\], got \[-1\]"),
    "another name": (["a", "e"], r"not columns of X: \['e'\]"),
    "floats": ([1.0], "of bool, int or str in one dimension, got float"),
    "both": (["a", 1], "of bool, int or str in one dimension, got int, str"),
    "a matrix": ([[True]], r"in the shape \(1, 1\)"),
    "another word": ("from_names", "The 'categorical_features' parameter"),
}


@pytest.mark.parametrize("way, match", WRONG.values(), ids=WRONG)
def test_wrong_categorical_features(way, match):
    """The error says what was given and what is there."""
    X = pd.DataFrame(np.arange(40).reshape(10, 4), columns=list("abcd"))
    if isinstance(way, list) and "a" in way and 1 in way:
        way = np.array(way, dtype=object)
    with pytest.raises(ValueError, match=match):
        TableEncoder(way).fit(X)


def test_names_need_names():
    """An array has none."""
    with pytest.raises(ValueError, match="categorical_features has names, and X has none"):
        TableEncoder(["a"]).fit(np.arange(8).reshape(4, 2))


def test_columns_of_one_name_are_refused():
    """The error names them."""
    X = pd.DataFrame(np.arange(12).reshape(4, 3), columns=["a", "b", "a"])
    with pytest.raises(ValueError, match=r"several columns of the names \['a'\]"):
        TableEncoder().fit(X)


# What holds the table --------------------------------------------------------------------------

TEXT = ["x", "y", "z", None, "x", "y"]
NUMBERS = [1, 2, 3, None, 5, 6]
TRUTHS = [True, False, True, None, False, True]

HOLDERS = {
    "pandas": lambda: pd.DataFrame({"t": TEXT, "n": NUMBERS, "b": TRUTHS}),
    "nullable": lambda: pd.DataFrame({"t": TEXT, "n": NUMBERS, "b": TRUTHS}).convert_dtypes(),
    "objects": lambda: pd.DataFrame({"t": TEXT, "n": NUMBERS, "b": TRUTHS}, dtype=object),
    "category": lambda: pd.DataFrame(
        {"t": pd.Series(TEXT, dtype="category"), "n": pd.Series(NUMBERS, dtype="Float32"),
         "b": pd.Series(TRUTHS, dtype="boolean")}
    ),
    "decimals": lambda: pd.DataFrame(
        {"t": TEXT, "n": [None if v is None else decimal.Decimal(v) for v in NUMBERS], "b": TRUTHS}
    ),
    "polars": lambda: pl.DataFrame({"t": TEXT, "n": NUMBERS, "b": TRUTHS}),
    "polars categories": lambda: pl.DataFrame({"t": TEXT, "n": NUMBERS, "b": TRUTHS}).with_columns(
        pl.col("t").cast(pl.Categorical), pl.col("n").cast(pl.Decimal(10, 2))
    ),
    "polars enum": lambda: pl.DataFrame({"t": TEXT, "n": NUMBERS, "b": TRUTHS}).with_columns(
        pl.col("t").cast(pl.Enum(["unused", "z", "y", "x"])), pl.col("n").cast(pl.Float32)
    ),
    "array": lambda: np.array([TEXT, NUMBERS, TRUTHS], dtype=object).T,
    "lists": lambda: [list(row) for row in zip(TEXT, NUMBERS, TRUTHS, strict=True)],
}  # fmt: skip


@pytest.mark.parametrize("many", [1, 20])
@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_every_holder_of_a_table(holder, many):
    """Frames, arrays and lists of the same values become the same matrix, few rows and many."""

    def repeated(X):
        if isinstance(X, pd.DataFrame):
            return pd.concat([X] * many)
        return pl.concat([X] * many) if isinstance(X, pl.DataFrame) else np.concatenate([X] * many)

    X = repeated(holder()) if many > 1 else holder()
    y = np.arange(6 * many) / 2
    encoder = TableEncoder(random_state=0).fit(X, y)
    assert_array_equal(encoder.is_categorical_, [True, False, True])
    names = [re.sub("^(x0|x1|x2)", lambda m: "tnb"[int(m[0][1])], name)
             for name in encoder.get_feature_names_out()]  # fmt: skip
    assert [name for name in names if "indicator" not in name] == [
        *("n", "t_target", "b_target", "t_x", "t_y", "t_z", "t_missing"),
        *("b_False", "b_True", "b_missing"),
    ]
    plain = repeated(HOLDERS["pandas"]())
    expected = TableEncoder(random_state=0).fit(plain, y).transform(plain)
    assert_array_equal(encoder.transform(X), expected)


def test_numbers_of_every_type():
    """Integers, small floats, booleans that are declared none, sparse columns, tensors."""
    values = np.array([0, 1, 1, 0, 1, 0])
    expected = TableEncoder(None).fit_transform(values[:, None].astype(float))
    for dtype in ("int8", "uint64", "float16", "float32", "longdouble", "bool", "Int64", "boolean"):
        X = pd.DataFrame({"a": pd.Series(values).astype(dtype)})
        assert_array_equal(TableEncoder(None).fit_transform(X), expected)
    X = pd.DataFrame({"a": pd.arrays.SparseArray(values)})
    assert_array_equal(TableEncoder(None).fit_transform(X), expected)
    assert_array_equal(TableEncoder().fit_transform(torch.tensor(values[:, None])), expected)


def test_a_frame_of_text_alone_and_one_of_numbers_alone():
    """Neither kind of column is needed."""
    text = pd.DataFrame({"a": list("xyzx"), "b": list("uvuu")})
    assert set(TableEncoder().fit(text).feature_kinds_) == {"category"}
    numbers = pd.DataFrame({"a": [1.0, 2, 3, 4]})
    assert set(TableEncoder().fit(numbers).feature_kinds_) == {"numeric"}


@pytest.mark.parametrize("of", [pd.DataFrame, pl.DataFrame])
def test_rows_one_by_one(of):
    """A row is encoded alone as it is among many."""
    X = frame()
    y = target(X)
    encoder = TableEncoder().fit(X, y)
    if of is pl.DataFrame:
        X = pl.DataFrame({name: X[name].to_numpy(object).tolist() for name in X}, strict=False)
        X = X.with_columns(pl.col("plan").replace("NaN", None))
    expected = encoder.transform(X)
    for row in (0, 5, N - 1):
        one = X.iloc[[row]] if of is pd.DataFrame else X[row : row + 1]
        assert_array_equal(encoder.transform(one), expected[[row]])


def test_large_integers_are_levels_to_the_last_digit():
    """Identifiers that float64 does not tell apart are different categories, in single rows too."""
    X = pd.DataFrame({"id": pd.Series([2**60, 2**60 + 1, 2**60 + 2], dtype="category"), "n": 0.5})
    encoder = TableEncoder().fit(X)
    assert_array_equal(encoder.transform(X), np.eye(3))
    assert_array_equal(encoder.transform(pd.concat([X] * 50))[-3:], np.eye(3))
    assert_array_equal(encoder.transform(pl.from_pandas(X.astype({"id": "int64"}))), np.eye(3))


@pytest.mark.parametrize("of", [pd.DataFrame, pl.DataFrame])
def test_memory(of):
    """Besides the result a fit needs half of the table at most."""
    rng = np.random.default_rng(0)
    n = 20_000
    columns = {f"n{i}": rng.normal(size=n) for i in range(40)}
    columns |= {f"c{i}": np.array(list("abcdefgh"))[rng.integers(0, 8, n)] for i in range(10)}
    X, y = of(columns), rng.random(n) < 0.5
    encoder = TableEncoder(random_state=0)
    tracemalloc.start()
    try:
        encoded = encoder.fit_transform(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert encoded.nbytes == n * (40 + 10 + 80) * 4
    assert peak - encoded.nbytes < n * 50 * 8 / 2


# What is refused -------------------------------------------------------------------------------


def test_all_columns_that_cannot_be_encoded_are_named_at_once():
    """Dates, long text, mixed columns and other objects: one error, with the way out."""
    X = pd.DataFrame(
        {
            "good": np.arange(60),
            "day": pd.date_range("2020", periods=60),
            "note": [f"note {i}" for i in range(60)],
            "born": [datetime.date(2000, 1, 1)] * 60,
            "mixed": [1, "a"] * 30,
            "list": [[1]] * 60,
        }
    )
    with pytest.raises(ValueError) as error:
        TableEncoder().fit(X)
    message = str(error.value)
    for words in (
        "dates or durations in columns 'day', 'born'",
        "text of more than 40 distinct values in column 'note'",
        "text among other values in column 'mixed'",
        "values of type 'list' in column 'list'",
        *("skrub.TableVectorizer", "skrub.DatetimeEncoder", "skrub.StringEncoder"),
    ):
        assert words in message
    assert "good" not in message


OBJECTS = {
    "bytes": ([b"a", b"b", b"a"], "values of type 'bytes'"),
    "dicts": ([{}, {}, {}], "values of type 'dict'"),
    "complex": ([1j, 2j, 1j], "values of type 'complex'"),
    "durations": (pd.to_timedelta([1, 2, 3]), "dates or durations"),
    "periods": (pd.period_range("2020", periods=3), "values of type 'Period'"),
    "times": ([datetime.time(1)] * 3, "dates or durations"),
    "categories of dates": (pd.Categorical(pd.date_range("2020", periods=3)), "dates or durations"),
}


@pytest.mark.parametrize("values, words", OBJECTS.values(), ids=OBJECTS)
def test_other_objects_are_refused(values, words):
    """In `fit` and in `transform`, in words."""
    X = pd.DataFrame({"a": values, "b": [1, 2, 3]})
    with pytest.raises(ValueError, match=words):
        TableEncoder().fit(X)
    encoder = TableEncoder().fit(pd.DataFrame({"a": [1.0, 2, 4], "b": [1, 2, 3]}))
    with pytest.raises(ValueError, match="where fit saw numbers, in column 'a'"):
        encoder.transform(X)


def test_numbers_and_text_do_not_change_places():
    """Text where there were numbers, or numbers where there was text, are errors, not gaps."""
    X = pd.DataFrame({"t": list("xyzx"), "n": [1.0, 2, 3, 4], "k": list("abab")})
    encoder = TableEncoder().fit(X)
    changed = X.assign(t=[1, 2, 3, 1], n=list("xyzx"))
    with pytest.raises(ValueError) as error:
        encoder.transform(changed)
    assert "numbers where fit saw text, in column 't'" in str(error.value)
    assert "text where fit saw numbers, in column 'n'" in str(error.value)
    gaps = X.assign(t=[None] * 4, n=[None] * 4)
    assert np.isfinite(encoder.transform(gaps)).all()


def test_text_that_is_not_declared():
    """Where the categories are given, other text is an error that says so."""
    X = pd.DataFrame({"a": list("xyxy"), "b": list("uvuv")})
    for way in (None, ["a"]):
        with pytest.raises(ValueError, match="text that categorical_features does not name in col"):
            TableEncoder(way).fit(X)
    assert TableEncoder(["a", "b"]).fit_transform(X).shape == (4, 2)


def test_how_many_levels_text_may_have():
    """40, or the square root of the rows; a declared category as many as it likes."""
    X = pd.DataFrame({"a": [f"l{i % 60}" for i in range(3000)]})
    with pytest.raises(ValueError, match="more than 55 distinct values in column 'a'"):
        TableEncoder().fit(X)
    assert len(TableEncoder().fit(X.iloc[:40]).categories_[0]) == 40
    assert len(TableEncoder().fit(pd.concat([X] * 2)).categories_[0]) == 60
    assert len(TableEncoder(["a"]).fit(X).categories_[0]) == 60
    assert len(TableEncoder().fit(X.astype("category")).categories_[0]) == 60


def test_the_shape_and_the_names_are_checked():
    """As scikit-learn does, in its words."""
    X = frame()
    encoder = TableEncoder().fit(X)
    with pytest.raises(ValueError, match="feature names should match"):
        encoder.transform(X[X.columns[::-1]])
    with pytest.raises(ValueError, match="feature names should match"):
        encoder.transform(X.drop(columns="age"))
    with pytest.raises(ValueError, match=r"Found array with 0 sample\(s\)"):
        encoder.transform(X[:0])
    with pytest.raises(ValueError, match=r"Found array with 1 sample\(s\)"):
        TableEncoder().fit(X[:1])
    with pytest.raises(ValueError, match=r"Found array with 0 feature\(s\)"):
        TableEncoder().fit(X[[]])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        encoder.transform(X.to_numpy())
    with pytest.raises(TypeError, match="Sparse data was passed"):
        TableEncoder().fit(sparse.eye(3).tocsr())
    with pytest.raises(ValueError, match="X has 1 masked values"):
        TableEncoder().fit(np.ma.masked_equal([[1, 2], [3, 4]], 3))


def test_a_fit_that_fails_changes_nothing():
    """The encoder is what it was before."""
    X = frame()
    encoder = TableEncoder().fit(X)
    before = encoder.transform(X)
    with pytest.raises(ValueError, match="infinity"):
        encoder.fit([[1.0], [np.inf]])
    assert_array_equal(encoder.transform(X), before)


# scikit-learn around it ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted():
    X = frame()
    return TableEncoder(random_state=0).fit(X, target(X)), X


COPIES = {
    "pickle": lambda encoder, _: pickle.loads(pickle.dumps(encoder)),
    "deepcopy": lambda encoder, _: copy.deepcopy(encoder),
    "joblib": lambda encoder, path: (joblib.dump(encoder, path), joblib.load(path))[1],
    "skops": lambda encoder, _: load_skops(io.BytesIO(skops.io.dumps(encoder))),
    "refit": lambda encoder, _: clone(encoder).fit(frame(), target(frame())),
}


@pytest.mark.parametrize("way", COPIES.values(), ids=COPIES)
def test_copies_encode_alike(way, fitted, tmp_path):
    """Through files and by a second fit the numbers are the same, and so are the names."""
    encoder, X = fitted
    copied = way(encoder, tmp_path / "encoder.joblib")
    assert_array_equal(copied.transform(X), encoder.transform(X))
    assert_array_equal(copied.get_feature_names_out(), encoder.get_feature_names_out())


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_set_output(container, fitted):
    """Frames come out with names, and pandas' with the index of X."""
    encoder, X = fitted
    X = X.set_index(np.arange(N) + 1000)
    out = copy.deepcopy(encoder).set_output(transform=container).transform(X)
    assert list(out.columns) == encoder.get_feature_names_out().tolist()
    assert_array_equal(out.to_numpy(), encoder.transform(X))
    if container == "pandas":
        assert_array_equal(out.index, X.index)
    assert get_config()["transform_output"] == "default"


def test_names_for_arrays(fitted):
    """Arrays have names that scikit-learn makes; other names than in `fit` are refused."""
    encoder, _ = fitted
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        encoder.get_feature_names_out(list("abcdefgh"))
    encoder = TableEncoder().fit([["u", 1.0], ["v", 2.0], ["w", np.nan]])
    names = ["x1", "missingindicator_x1", "x0_u", "x0_v", "x0_w"]
    assert encoder.get_feature_names_out().tolist() == names


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_before_a_network():
    """A pipeline learns from a raw frame, is searched through and scored."""
    X = frame()
    y = target(X)
    params = {"hidden_layer_sizes": (8,), "solver": "lbfgs", "max_iter": 30, "random_state": 0}
    model = make_pipeline(TableEncoder(random_state=0), MLPClassifier(**params))
    model.fit(X, y)
    assert model.score(X, y) > 0.9
    assert model[-1].coefs_[0].dtype == np.float32
    grid = {"tableencoder__max_one_hot": [4, 40], "tableencoder__target_encoding": [True, False]}
    search = GridSearchCV(model, grid, cv=3).fit(X, y)
    assert search.best_score_ > 0.8
    regressor = make_pipeline(TableEncoder(random_state=0), MLPRegressor(**params))
    assert cross_val_score(regressor, X, y.astype(float), cv=3).mean() > 0.3


def test_a_pipeline_knows_the_types_of_its_columns():
    """From the levels; what is left out has none."""
    X = frame()
    network = MLPClassifier((4,), solver="lbfgs", alpha=10, max_iter=1000, random_state=0)
    model = make_pipeline(TableEncoder(random_state=0), network).fit(X, target(X))
    kinds = {name: kind and kind.kind for name, kind in column_types(model).items()}
    assert kinds == {
        **{"age": "f", "visits": "f", "constant": None, "empty": None},
        **{"plan": "U", "sex": "U", "member": "b", "city": "U"},
    }


def test_folds_are_drawn_by_random_state():
    """The same seed draws the same folds, another seed others."""
    X = frame()
    y = target(X)
    one, same, other = (TableEncoder(random_state=s).fit_transform(X, y) for s in (0, 0, 1))
    assert_array_equal(one, same)
    assert (one != other).any()


def test_target_encodings_help_and_do_not_overfit():
    """With many levels a linear model is better by them, on rows that it has not seen."""
    rng = np.random.default_rng(0)
    levels = rng.integers(0, 200, 4000)
    effect = rng.normal(size=200)
    y = (effect[levels] + rng.normal(size=4000) > 0).astype(int)
    X = pd.DataFrame({"a": pd.Series(levels, dtype="category")})
    scores = [
        cross_val_score(make_pipeline(encoder, LogisticRegression()), X, y).mean()
        for encoder in (TableEncoder(random_state=0), TableEncoder(target_encoding=False))
    ]
    assert scores[0] > 0.7 > scores[1] + 0.1
