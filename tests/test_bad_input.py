"""What nobody should learn from or predict for is refused by name, and changes nothing."""

import copy
import datetime
import decimal
import functools
import itertools
import pickle
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, OneHotEncoder, StandardScaler

from sklmlp import MLPClassifier, MLPRegressor, TableEncoder
from sklmlp.inspection import HiddenFeatures
from tests.runtime.test_process import settings as process_settings
from tests.tables import make, make_table

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # scikit-learn's, of frames that are refused next
    pytest.mark.filterwarnings("ignore:X has feature names, but:UserWarning"),
]

KINDS = ["binary", "multiclass", "multilabel", "regression", "counts"]
HUGE = 10**400
NO_NUMBERS = {"NaN": np.nan, "infinity": np.inf, "-infinity": -np.inf}


def refused(call, message, *models):
    """Check that a call is refused in these words, and changes neither models nor the process.

    "..." in the message stands for anything: data, or words of others that differ by version.
    """
    before, process = [pickle.dumps(model) for model in models], process_settings()
    parameters = [repr(sorted(model.get_params().items())) for model in models]
    with pytest.raises((ValueError, TypeError)) as caught:
        call()
    words = ".*".join(map(re.escape, message.split("...")))
    assert re.fullmatch(words, str(caught.value), re.DOTALL), str(caught.value)
    assert [pickle.dumps(model) for model in models] == before
    assert [repr(sorted(model.get_params().items())) for model in models] == parameters
    assert process_settings() == process


@functools.cache
def fitted(kind):
    """A fitted estimator, X and y; not to be changed."""
    X, y = make_table(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make(kind, max_iter=2).fit(X, y), X, y


# Rows ------------------------------------------------------------------------------------------

ENCODED = "make_pipeline(TableEncoder({columns}), {{code}})"
ENCODED_ALL = 'make_pipeline(OneHotEncoder(handle_unknown="ignore"), {code})'
TEXT = "X has text in {} columns: {}. {{name}} takes numbers only. "
AS_TEXT = "If they are numbers written as text, convert {} to float. "
ENCODE = "Encode text before the estimator, for example:\n"
DATES = (
    "X has dates or durations in {} columns: {}. {{name}} takes numbers only. Make numbers of "
    "dates first, such as the days since a fixed date."
)
GAPS = (
    "Input X contains NaN.\nMissing values are in {} columns: {}. {{name}} takes none; fill them "
    "before it, for example:\nmake_pipeline(SimpleImputer(add_indicator=True), {}, {{code}})"
)
NOT_FINITE = (
    "Input X contains infinity or a value too large for dtype('float64').\nSuch values are in 1 of "
    "5 columns: {}. {{name}} takes finite numbers only: scale the features, or replace infinite "
    "values."
)
OBJECTS = (
    "X has values that are not numbers in column{}: float() argument must be a string or a real "
    "number, not '{}'."
)
BROKEN = (
    "X is a sparse matrix with a broken structure: {}. Build it again from its rows, columns and "
    "values; SciPy does not check what is changed later."
)
MASKED = (
    "X has 3 masked values, which would be used as if they were not masked. Fill them, or let an "
    "imputer do it: make_pipeline(SimpleImputer(add_indicator=True), StandardScaler(), ...) with "
    "X.filled(np.nan)."
)
ALL = "5 of 5", "0, 1, 2, 3, 4"


def put(X, value, dtype=object):
    """X with a value in row 7 and column 3."""
    X = np.array(X, dtype=dtype)
    X[7, 3] = value
    return X


def frame(X, **columns):
    return pd.DataFrame(X, columns=list("abcde")).assign(**columns)


def sparse_with(format, change):
    """A function of X to a sparse matrix that something is done to after it was made."""

    def make_it(X):
        X = sp.csr_matrix(X).asformat(format)
        change(X)
        return X

    return make_it


def setting(name, value, place=3):
    def change(X):
        array = getattr(X, name).copy()
        array[place] = value
        setattr(X, name, array)

    return change


def cutting(name):
    return lambda X: setattr(X, name, getattr(X, name)[:-2])


def a_longer_list(X):
    X.data[3] = [1.0] * 9


BAD_ROWS = {
    "NaN": (lambda X: put(X, np.nan, float), GAPS.format("1 of 5", "3", "StandardScaler()")),
    "NaN as object": (lambda X: put(X, np.nan), GAPS.format("1 of 5", "3", "StandardScaler()")),
    "None": (lambda X: put(X, None), GAPS.format("1 of 5", "3", "StandardScaler()")),
    "pandas.NA": (
        lambda X: frame(X).astype(object).where(X.max(0) > X, pd.NA),
        GAPS.format("5 of 5", "'a', 'b', 'c', 'd', 'e'", "StandardScaler()").replace(
            "fill them", "make columns of 'Float64' and fill them"
        ),
    ),
    "NaN, frame": (
        lambda X: frame(X, b=[np.nan, 1.0] * 30, d=pd.Series([None, 1] * 30, dtype="Int64")),
        GAPS.format("2 of 5", "'b', 'd'", "StandardScaler()"),
    ),
    "null, polars": (
        lambda X: pl.DataFrame({"a": [1.0, None] * 30, "b": [1] * 60}),
        GAPS.format("1 of 2", "'a'", "StandardScaler()"),
    ),
    "NaN, sparse": (
        lambda X: sp.csr_matrix(put(X, np.nan, float)),
        GAPS.format("1 of 5", "3", "MaxAbsScaler()"),
    ),
    "infinity": (lambda X: put(X, np.inf, float), NOT_FINITE.format("3")),
    "-infinity": (lambda X: put(X, -np.inf, float), NOT_FINITE.format("3")),
    "infinity, frame": (lambda X: frame(put(X, np.inf, float)), NOT_FINITE.format("'d'")),
    "infinity, sparse": (
        lambda X: sp.csc_array(put(X, np.inf, float)),
        NOT_FINITE.format("3"),
    ),
    "more than a double": (
        lambda X: put(X, np.longdouble("1e400"), np.longdouble),
        NOT_FINITE.format("3"),
    ),
    "text": (
        lambda X: put(X, "a"),
        TEXT.format("1 of 5", "3") + ENCODE + ENCODED.format(columns="[3]"),
    ),
    "no text": (
        lambda X: put(X, ""),
        TEXT.format("1 of 5", "3") + ENCODE + ENCODED.format(columns="[3]"),
    ),
    "bytes of digits": (
        lambda X: put(X, b"12"),
        TEXT.format("1 of 5", "3")
        + AS_TEXT.format("them")
        + ENCODE
        + ENCODED.format(columns="[3]"),
    ),
    "text next to numbers, a list": (
        lambda X: [[1.5, "a", 2], [2.5, "b", 3]],
        TEXT.format("1 of 3", "1") + ENCODE + ENCODED.format(columns="[1]"),
    ),
    "numbers as text": (
        lambda X: X.astype(str),
        TEXT.format(*ALL) + AS_TEXT.format("them") + ENCODE + ENCODED_ALL,
    ),
    "lists of numbers as text": (
        lambda X: X.astype(str).tolist(),
        TEXT.format(*ALL) + AS_TEXT.format("them") + ENCODE + ENCODED_ALL,
    ),
    "columns of text": (
        lambda X: frame(X, b="x", e="7"),
        TEXT.format("2 of 5", "'b', 'e'")
        + AS_TEXT.format("those in column 'e'")
        + ENCODE
        + ENCODED.format(columns="['b', 'e']"),
    ),
    "a category of text": (
        lambda X: frame(X, b=pd.Series(["x", "y"] * 30, dtype="category")),
        TEXT.format("1 of 5", "'b'") + ENCODE + ENCODED.format(columns="['b']"),
    ),
    "text next to gaps": (
        lambda X: frame(X, b="x", c=[np.nan, 1.0] * 30),
        TEXT.format("1 of 5", "'b'") + ENCODE + ENCODED.format(columns="['b']"),
    ),
    "a column of digits, polars": (
        lambda X: pl.DataFrame({"a": ["1", "2"] * 30, "b": [1.0] * 60}),
        TEXT.format("1 of 2", "'a'")
        + AS_TEXT.format("them")
        + ENCODE
        + ENCODED.format(columns="['a']"),
    ),
    "categories, polars": (
        lambda X: pl.DataFrame({"a": ["u", "v"] * 30, "b": [1] * 60}).with_columns(
            pl.col("a").cast(pl.Categorical)
        ),
        TEXT.format("1 of 2", "'a'") + ENCODE + ENCODED.format(columns="['a']"),
    ),
    "a date": (lambda X: put(X, datetime.date(2024, 2, 29)), DATES.format("1 of 5", "3")),
    "dates": (lambda X: np.full(X.shape, np.datetime64("2024-02-29")), DATES.format(*ALL)),
    "durations": (
        lambda X: (1000 * X).astype(int).astype("timedelta64[s]"),
        DATES.format(*ALL),
    ),
    "columns of dates and durations": (
        lambda X: frame(X, b=datetime.datetime(2024, 2, 29), c=datetime.timedelta(days=1)),
        DATES.format("2 of 5", "'b', 'c'"),
    ),
    "a column of dates, polars": (
        lambda X: pl.DataFrame({"a": [datetime.date(2024, 2, 29)] * 60, "b": [1.0] * 60}),
        DATES.format("1 of 2", "'a'"),
    ),
    "a dict": (lambda X: put(X, {}), OBJECTS.format(" 3", "dict")),
    "an object": (lambda X: put(X, object()), OBJECTS.format(" 3", "object")),
    "periods": (
        lambda X: frame(X, b=pd.period_range("2024", periods=60)),
        OBJECTS.format(" 'b'", "Period"),
    ),
    "lists, polars": (
        lambda X: pl.DataFrame({"a": [[1.0]] * 60, "b": [[2.0]] * 60}),
        OBJECTS.format("s 'a', 'b'", "List"),
    ),
    "records": (lambda X: np.zeros((60, 1), dtype=[("a", float)]), OBJECTS.format(" 0", "void")),
    "complex": (lambda X: X + 1j, "Complex data not supported\n..."),
    "a complex column": (
        lambda X: frame(X, b=1j),
        "Complex data not supported: column 'b'.",
    ),
    "a huge integer": (
        lambda X: put(X, HUGE).tolist(),
        "X has a number that is too large for a float: int too large to convert to float.",
    ),
    "masked": (lambda X: np.ma.masked_array(X, np.arange(300).reshape(60, 5) < 3), MASKED),
    "masked, a list": (
        lambda X: [np.ma.masked_array(row, np.arange(5) < 3) for row in X],
        MASKED,
    ),
    "a sparse tensor": (
        lambda X: torch.tensor(X).to_sparse(),
        "X must be a dense tensor with values, got layout torch.sparse_coo on cpu. Sparse matrices "
        "may be those of scipy.sparse.",
    ),
    "a tensor without values": (
        lambda X: torch.empty(60, 5, device="meta"),
        "X must be a dense tensor with values, got layout torch.strided on meta. Sparse matrices "
        "may be those of scipy.sparse.",
    ),
    "CSR, column out of range": (
        sparse_with("csr", setting("indices", 50)),
        BROKEN.format("its indices go from 0 to 50, and it has 5 columns"),
    ),
    "CSR, negative column": (
        sparse_with("csr", setting("indices", -1)),
        BROKEN.format("its indices go from -1 to 4, and it has 5 columns"),
    ),
    "CSR, rows that fall": (
        sparse_with("csr", setting("indptr", 10**6)),
        BROKEN.format("indptr does not rise from zero"),
    ),
    "CSR, rows that end at zero": (  # SciPy's own check does not find it
        sparse_with("csr", setting("indptr", 0, place=-1)),
        BROKEN.format("indptr does not rise from zero"),
    ),
    "CSR, rows that begin late": (
        sparse_with("csr", setting("indptr", 1, place=0)),
        BROKEN.format("indptr does not rise from zero"),
    ),
    "CSR, too few rows": (
        sparse_with("csr", cutting("indptr")),
        BROKEN.format("indptr has 59 values for shape (60, 5)"),
    ),
    "CSR, too few columns": (
        sparse_with("csr", cutting("indices")),
        BROKEN.format("indptr ends at 300, with 298 indices and 300 values"),
    ),
    "CSR, columns that are no integers": (
        sparse_with("csr", lambda X: setattr(X, "indices", X.indices + 0.5)),
        BROKEN.format("indices is no vector of integers"),
    ),
    "CSC, row out of range": (
        sparse_with("csc", setting("indices", 60)),
        BROKEN.format("its indices go from 0 to 60, and it has 60 rows"),
    ),
    "BSR, column out of range": (
        sparse_with("bsr", setting("indices", 99)),
        BROKEN.format("its indices go from 0 to 99, and it has ... columns"),
    ),
    "COO, column out of range": (
        sparse_with("coo", lambda X: X.col.__setitem__(3, 50)),
        BROKEN.format("its indices go from 0 to 50, and it has 5 columns"),
    ),
    "COO, negative row": (
        sparse_with("coo", lambda X: X.row.__setitem__(3, -50)),
        BROKEN.format("its indices go from -50 to 59, and it has 60 rows"),
    ),
    "LIL, lists of other lengths": (
        sparse_with("lil", a_longer_list),
        BROKEN.format("its lists of columns and of values have other lengths"),
    ),
    "empty": (
        lambda X: X[:0],
        "Found array with 0 sample(s) (shape=(0, 5)) while a minimum of 1 is required by {name}.",
    ),
    "no columns": (
        lambda X: X[:, :0],
        "Found array with 0 feature(s) (shape=(60, 0)) while a minimum of 1 is required by {name}.",
    ),
    "one row as 1-D": (lambda X: X[0], "Expected 2D array, got 1D array instead:\n..."),
    "3-D": (lambda X: X[..., np.newaxis], "Found array with dim 3..."),
    "ragged": (lambda X: [[1.0, 2.0], [3.0]], "setting an array element with a sequence...."),
    "a number": (lambda X: 2.5, "Expected 2D array, got scalar array instead:\n..."),
    "nothing": (lambda X: None, "Expected 2D array, got scalar array instead:\n..."),
}


def ways_in(kind, rows):
    """The calls that take rows, and the estimators that they are methods of."""
    model, _, y = fitted(kind)
    new = make(kind)
    yield lambda: new.fit(rows, y), new
    yield lambda: model.fit(rows, y), model
    yield lambda: model.partial_fit(rows, y), model
    yield lambda: model.predict(rows), model
    yield lambda: model.score(rows, y), model
    if hasattr(model, "predict_proba"):
        yield lambda: model.predict_proba(rows), model


@pytest.mark.parametrize(
    "bad, kind",
    [(bad, KINDS[(i + step) % len(KINDS)]) for i, bad in enumerate(BAD_ROWS) for step in (0, 3)],
)
def test_bad_rows(bad, kind):
    """Each way in refuses rows that hold no table of finite numbers, and says what to do."""
    make_rows, message = BAD_ROWS[bad]
    rows = make_rows(make_table(kind)[0])
    for call, model in ways_in(kind, rows):
        name, code = type(model).__name__, repr(model)
        code = code if len(code) < 80 else f"{name}()"
        refused(call, message.replace("{name}", name).replace("{code}", code), model)


@pytest.mark.parametrize("bad, message", BAD_ROWS.values(), ids=BAD_ROWS)
def test_bad_rows_to_transform(bad, message):
    """`HiddenFeatures.transform` refuses what `predict` does."""
    features, X = hidden_features()
    rows = bad(X)
    message = message.replace("{name}", "HiddenFeatures").replace("{code}", "HiddenFeatures()")
    with pytest.raises((ValueError, TypeError)) as caught:
        features.transform(rows)
    words = ".*".join(map(re.escape, message.split("...")))
    assert re.fullmatch(words, str(caught.value), re.DOTALL), str(caught.value)


@functools.cache
def hidden_features():
    X, y = make_table("multiclass")
    return HiddenFeatures(make("multiclass", max_iter=2)).fit(X, y), X


PASTED = {
    "make_pipeline": make_pipeline,
    "MaxAbsScaler": MaxAbsScaler,
    "MLPClassifier": MLPClassifier,
    "MLPRegressor": MLPRegressor,
    "OneHotEncoder": OneHotEncoder,
    "SimpleImputer": SimpleImputer,
    "StandardScaler": StandardScaler,
    "TableEncoder": TableEncoder,
}


@pytest.mark.parametrize("model", [MLPClassifier(max_iter=2), MLPRegressor(max_iter=2)])
@pytest.mark.parametrize(
    "bad", [name for name, (_, words) in BAD_ROWS.items() if "{code}" in words]
)
def test_the_line_that_an_error_tells_can_be_pasted(bad, model):
    """What is to be put before the network makes a pipeline that learns from the same rows."""
    X, y = make_table("binary")
    rows = BAD_ROWS[bad][0](X)
    y = y[: rows.shape[0] if hasattr(rows, "shape") else len(rows)]
    with pytest.raises(ValueError) as caught:
        model.fit(rows, y)
    line = str(caught.value).splitlines()[-1]
    pipeline = eval(line, PASTED)
    if isinstance(rows, np.ndarray) and "text" in str(caught.value):
        rows[:, 3] = rows[:, 3].astype(str)  # TableEncoder takes no columns of text and numbers
    if bad == "pandas.NA":
        rows = rows.astype("Float64")
    assert pipeline.fit(rows, y).predict(rows).shape == y.shape
    assert type(pipeline[-1]) is type(model)
    assert pipeline[-1].get_params() == model.get_params()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("width", [1, 4, 6, 9])
def test_another_width(kind, width):
    """Rows of another width than training's are refused with both widths."""
    model, _, y = fitted(kind)
    rows, name = np.ones((60, width)), type(model).__name__
    words = f"X has {width} features, but {name} is expecting 5 features as input."
    warm = clone(model).set_params(warm_start=True).fit(*make_table(kind))
    refused(lambda: model.predict(rows), words, model)
    refused(lambda: model.partial_fit(rows, y), words, model)
    refused(lambda: warm.fit(rows, y), words, warm)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", ["bacde", "edcba", "bcdea"])
def test_another_order_of_columns(kind, columns):
    """A data frame with the columns of training in another order is refused."""
    X, y = make_table(kind)
    rows = frame(X)
    model = make(kind, max_iter=2).fit(rows, y)
    message = (
        "The feature names should match those that were passed during fit.\n"
        "Feature names must be in the same order as they were in fit.\n"
    )
    refused(lambda: model.predict(rows[list(columns)]), message, model)
    refused(lambda: model.partial_fit(rows[list(columns)], y), message, model)
    message = "The feature names should match...unseen at fit time:\n- z\n...missing:\n- a\n"
    refused(lambda: model.predict(rows.rename(columns={"a": "z"})), message, model)


# Targets ---------------------------------------------------------------------------------------


def with_target(y, value, dtype=float):
    y = np.array(y, dtype=dtype)
    y[7] = value
    return y


CONTINUOUS = (
    "y: Unknown label type: continuous. Maybe you are trying to fit a classifier, which expects "
    "discrete classes on a regression target with continuous values."
)
UNKNOWN = CONTINUOUS.replace("continuous.", "unknown.")
NO_ORDER = "y has labels that cannot be put in order: ..."
MISSING = "Input y contains NaN.\nThe targets of {} samples are missing. Leave these samples out."
NUMBERS = "y takes numbers, got dates or durations, such as '{}'."

# The targets, what a classifier says and what a regressor does.
BAD_TARGETS = {
    "NaN": (lambda y: with_target(y, np.nan), "Input y contains NaN.", None),
    "infinity": (
        lambda y: with_target(y, np.inf),
        "Input y contains infinity or a value too large for dtype('float64').",
        None,
    ),
    "too few": (
        lambda y: y[:-1],
        "Found input variables with inconsistent numbers of samples: [60, 59]: X has 60 rows, and "
        "y has 59.",
        None,
    ),
    "too many": (
        lambda y: np.concatenate([y, y[:1]]),
        "Found input variables with inconsistent numbers of samples: [60, 61]: X has 60 rows, and "
        "y has 61.",
        None,
    ),
    "none": (
        lambda y: None,
        "This {name} estimator requires y to be passed, but the target y is None.",
        None,
    ),
    "empty": (
        lambda y: [],
        "y: Found array with 0 sample(s) (shape=(0,)) while a minimum of 1 is required by {name}.",
        None,
    ),
    "3-D": (lambda y: np.zeros((60, 1, 1)), "y: Found array with dim 3...", None),
    "ragged": (
        lambda y: [[1], [1, 2]] * 30,
        "y: setting an array element with a sequence....",
        None,
    ),
    "a number": (lambda y: 3, "y: Input should have at least 1 dimension...", None),
    "objects": (
        lambda y: [object()] * 60,
        "y...Unknown label type: unknown...",
        "y: float() argument must be a string or a real number, not 'object'",
    ),
    "complex": (lambda y: y + 1j, "y: Complex data not supported\n...", None),
    "None": (lambda y: with_target(y, None, object), MISSING.format(1), None),
    "pandas.NA": (
        lambda y: pd.Series([pd.NA] * 3 + [1] * 57, dtype=object),
        MISSING.format(3),
        None,
    ),
    "huge": (
        lambda y: with_target(y, HUGE, object),
        UNKNOWN,
        "y has a number that is too large for a float: int too large to convert to float.",
    ),
    "a double too small": (
        lambda y: with_target(y, np.longdouble("1e400"), np.longdouble),
        CONTINUOUS,
        "Input y contains infinity or a value too large for dtype('float64').",
    ),
    "continuous": (lambda y: y + 0.25, CONTINUOUS, ""),
    "continuous, huge": (lambda y: (y + 0.25) * 1e300, CONTINUOUS, ""),
    "several columns": (
        lambda y: np.column_stack([y, y + 1, y]),
        "y: Multioutput target data is not supported with label binarization",
        "",
    ),
    "dates": (
        lambda y: np.full(60, np.datetime64("2024-02-29")),
        "",
        NUMBERS.format("2024-02-29"),
    ),
    "a column of dates, polars": (
        lambda y: pl.Series([datetime.date(2024, 2, 29)] * 60),
        "",
        NUMBERS.format("2024-02-29"),
    ),
    "dates as objects": (
        lambda y: [datetime.date(2024, 2, 29)] * 60,
        UNKNOWN,
        NUMBERS.format("2024-02-29"),
    ),
    "text": (
        lambda y: np.where(y > 0, "up", "down"),
        "",
        "y has text: could not convert string to float: .... MLPRegressor takes numbers; labels "
        "are for classifiers.",
    ),
    "records": (
        lambda y: np.zeros(60, dtype=[("a", float)]),
        "y...",
        "y takes numbers, got values of dtype [('a', '<f8')].",
    ),
    "masked": (
        lambda y: np.ma.masked_array(y, np.arange(60) < 3),
        "y has 3 masked values, which would be used as if they were not masked. Leave these "
        "samples out: X[~y.mask], y[~y.mask].",
        None,
    ),
    "sparse": (
        lambda y: sp.csr_matrix(np.reshape(y, (-1, 1))),
        "Sparse data was passed for y, but dense data is required. Use '.toarray()' to convert to "
        "a dense numpy array.",
        None,
    ),
}


def words_about(bad, kind):
    """What the estimator for a kind says about bad targets; "" where these are none to it."""
    _, of_classifiers, of_regressors = BAD_TARGETS[bad]
    name = type(make(kind)).__name__
    is_other = name == "MLPRegressor" and of_regressors is not None
    return (of_regressors if is_other else of_classifiers).replace("{name}", name)


@pytest.mark.parametrize(
    "bad, kind",
    [
        (bad, kind)
        for bad in BAD_TARGETS
        for kind in ("binary", "multiclass", "regression", "counts")
        if words_about(bad, kind)
    ],
)
def test_bad_targets(bad, kind):
    """Targets that are none are refused by a first fit, a refit and a partial fit."""
    change, message = BAD_TARGETS[bad][0], words_about(bad, kind)
    model, X, y = fitted(kind)
    targets, new = change(y), make(kind)
    refused(lambda: new.fit(X, targets), message, new)
    refused(lambda: model.fit(X, targets), message, model)
    if bad == "several columns":
        message = f"Training began with {kind} targets, and y has shape (60, 3)."
    refused(lambda: model.partial_fit(X, targets), message, model)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_matrix, sp.csr_array, pd.DataFrame])
@pytest.mark.parametrize("values", [(1, 2), (0, 2), (-1, 1), (2.0, 3.0), (5, 5)])
def test_multilabel_targets_are_zeros_and_ones(values, container):
    """Two other values in several columns are refused, where 1 and 2 became all ones."""
    model, X, y = fitted("multilabel")
    targets, new = container(np.where(y, values[1], values[0])), make("multilabel")
    shown = sorted(set(values) - ({0} if sp.issparse(targets) else set()))
    words = (
        f"y has the values {shown} in several columns, where multilabel targets are zeros and "
        "ones. Encode sets of labels by sklearn.preprocessing.MultiLabelBinarizer, or two values "
        f"by y == {shown[-1]}."
    )
    refused(lambda: model.partial_fit(X, targets), words, model)
    if sp.issparse(targets) and len(shown) == 2:  # no indicator for scikit-learn either
        words = "y: Multioutput target data is not supported with label binarization"
    refused(lambda: new.fit(X, targets), words, new)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.float32])
def test_multilabel_targets_of_other_types(dtype):
    """Zeros and ones are learned alike as booleans, integers and floats."""
    model, X, y = fitted("multilabel")
    again = clone(model).fit(X, y.astype(dtype))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("loss, least", [("poisson", -1e-6), ("poisson", -3.0), ("gamma", 0.0)])
def test_negative_counts(loss, least):
    """The Poisson loss takes no negative targets, and the gamma loss none of zero either."""
    model, X, y = fitted("counts")
    model = clone(model).set_params(loss=loss).fit(X, y + 1)
    sign = ">=" if loss == "poisson" else ">"
    message = (
        f"Some value(s) of y are out of the valid range of the loss '{loss}', which takes y {sign} "
        f"0; the least is {least}."
    )
    bad = with_target(y + 1, least)
    refused(lambda: model.fit(X, bad), message, model)
    refused(lambda: model.partial_fit(X, bad), message, model)


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_unseen_labels(kind):
    """A label that training did not know is refused where training goes on."""
    X, y = make_table(kind)
    model = make(kind, max_iter=2, warm_start=True).fit(X, y)
    classes, other = model.classes_, np.where(y == 0, 7, y)
    labels = np.unique(other)
    words = (
        f"`y` has classes not in `self.classes_`. `self.classes_` has {classes}. 'y' has {labels}."
    )
    refused(lambda: model.partial_fit(X, other), words, model)
    words = (
        "warm_start can only be used where `y` has the same classes as in the previous call to "
        f"fit. Previously got {classes}, `y` has {labels}"
    )
    refused(lambda: model.fit(X, other), words, model)


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_masked_targets_are_not_scored(kind):
    """`score` refuses what is masked, and takes tensors with a gradient."""
    model, X, y = fitted(kind)
    masked = np.ma.masked_array(y, np.arange(60) < 3)
    words = (
        "y has 3 masked values, which would be used as if they were not masked. Leave these "
        "samples out: X[~y.mask], y[~y.mask]."
    )
    refused(lambda: model.score(X, masked), words, model)
    tensors = (torch.tensor(each, dtype=torch.float64, requires_grad=True) for each in (X, y))
    assert model.score(*tensors) == model.score(X, y)


# Weights ---------------------------------------------------------------------------------------

LIMITS = {
    "float32": "In float32 those that are not zero must be at least 5e-29, and their sum at most "
    "7.9e+28. Scale them.",
    "float64": "In float64 those that are not zero must be at least 9.6e-299, and their sum at "
    "most 4.2e+298. Scale them.",
}
BAD_WEIGHTS = {
    "NaN": (lambda w: with_target(w, np.nan), "Input {name} contains NaN."),
    "infinity": (
        lambda w: with_target(w, np.inf),
        "Input {name} contains infinity or a value too large for dtype('float64').",
    ),
    "None": (lambda w: with_target(w, None, object), "Input {name} contains NaN."),
    "negative": (
        lambda w: with_target(w, -1e-30),
        "Negative values in data passed to `{name}`.",
    ),
    "a negative number": (lambda w: -1, "Negative values in data passed to `{name}`."),
    "all zero": (
        lambda w: 0 * w,
        "Sample weights must contain at least one non-zero number; with {name} all are zero.",
    ),
    "zero": (
        lambda w: 0,
        "Sample weights must contain at least one non-zero number; with {name} all are zero.",
    ),
    "too few": (lambda w: w[:-1], "{name}.shape == (59,), expected (60,)!"),
    "2-D": (
        lambda w: w[:, None],
        "Sample weights must be 1D array or scalar, got 2D array for {name}. Expected either a "
        "scalar value or a 1D array of length 60.",
    ),
    "text": (lambda w: ["heavy"] * 60, "{name} takes numbers, got text, such as 'heavy'."),
    "digits": (lambda w: ["2"] * 60, "{name} takes numbers, got text, such as '2'."),
    "a word": (lambda w: "balanced", "{name} takes numbers, got text, such as 'balanced'."),
    "durations": (
        lambda w: w.astype("timedelta64[s]"),
        "{name} takes numbers, got dates or durations, such as '1 seconds'.",
    ),
    "complex": (lambda w: w * 1j, "{name}: Complex data not supported\n..."),
    "a dict": (
        lambda w: {0: 1},
        "{name}: float() argument must be a string or a real number, not 'dict'",
    ),
    "huge": (
        lambda w: with_target(w, HUGE, object),
        "{name} has a number that is too large for a float: int too large to convert to float.",
    ),
    "a huge number": (
        lambda w: HUGE,
        "{name} has a number that is too large for a float: int too large to convert to float.",
    ),
    "masked": (
        lambda w: np.ma.masked_array(w, np.arange(60) < 3),
        "{name} has 3 masked values, which would be used as if they were not masked. Give these "
        "samples the weight zero: {name}.filled(0).",
    ),
    "sparse": (
        lambda w: sp.csr_matrix(w[:, None]),
        "Sparse data was passed for {name}, but dense data is required. Use '.toarray()' to "
        "convert to a dense numpy array.",
    ),
    "too small": (
        lambda w: with_target(w, 1e-300),
        "{name} has weights from 1e-300 to 1. " + LIMITS["float64"],
    ),
    "too large": (
        lambda w: with_target(w, 1e308),
        "{name} has weights from 1 to 1e+308. " + LIMITS["float64"],
    ),
    "too large together": (
        lambda w: 1e298 * w,
        "{name} has weights from 1e+298 to 1e+298. " + LIMITS["float64"],
    ),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad, message", BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
def test_bad_weights(bad, message, kind):
    """Weights that are no weights are refused by name, of whichever rows they are."""
    model, X, y = fitted(kind)
    weight = bad(np.ones(60))
    words = message.replace("{name}", "sample_weight")
    refused(lambda: model.fit(X, y, sample_weight=weight), words, model)
    refused(lambda: model.partial_fit(X, y, sample_weight=weight), words, model)
    refused(lambda: model.score(X, y, sample_weight=weight), words, model)
    stopping = make(kind, early_stopping=True)
    own = {"X_val": X, "y_val": y, "sample_weight_val": weight}
    words = message.replace("{name}", "sample_weight_val")
    refused(lambda: stopping.fit(X, y, **own), words, stopping)


@pytest.mark.parametrize("weight", [1e-40, 1e39])
def test_limits_of_weights_are_those_of_the_computing_dtype(weight):
    """A float64 model takes weights that float32 cannot compute with, and lbfgs does always."""
    X, y = make_table("multiclass")
    weights, X32 = np.full(60, weight), X.astype(np.float32)
    options = {"alpha": 0.0, "max_iter": 5}
    expected = make("multiclass", **options).fit(X, y)
    got = make("multiclass", **options).fit(X, y, weights)
    np.testing.assert_allclose(got.coefs_[0], expected.coefs_[0])
    single = make("multiclass", **options)
    words = f"sample_weight has weights from {weight:.3g} to {weight:.3g}. {LIMITS['float32']}"
    refused(lambda: single.fit(X32, y, weights), words, single)
    lbfgs = make("multiclass", solver="lbfgs", **options)
    assert np.isfinite(lbfgs.fit(X32, y, weights).loss_)


def test_the_last_weights_that_are_taken():
    """At the limits losses, scores and predictions are those of weights of one."""
    for kind, dtype in itertools.product(("multiclass", "regression"), (np.float32, np.float64)):
        X, y = make_table(kind)
        X, limits = X.astype(dtype), np.finfo(dtype)
        options = {"alpha": 0.0, "early_stopping": True}
        expected = make(kind, **options).fit(X, y)
        for weight in (1.01 * 2.0**32 * limits.tiny, 0.99 * limits.max / 2.0**32 / 60):
            got = make(kind, **options).fit(X, y, np.full(60, float(weight)))
            np.testing.assert_allclose(got.loss_curve_, expected.loss_curve_, 1e-4)
            np.testing.assert_allclose(got.validation_scores_, expected.validation_scores_, 1e-4)


@pytest.mark.parametrize(
    "weight",
    [3, 3.0, np.int64(3), np.float32(3), True, np.array(3), torch.tensor(3), decimal.Decimal(3)],
    ids=lambda weight: type(weight).__name__,
)
def test_one_weight_for_all(weight):
    """A number, of whatever type, weighs all samples alike."""
    X, y = make_table("multiclass")
    expected = make("multiclass").fit(X, y, np.full(60, float(weight)))
    got = make("multiclass").fit(X, y, weight)
    np.testing.assert_array_equal(got.coefs_[0], expected.coefs_[0])
    assert got.score(X, y, weight) == expected.score(X, y)


@pytest.mark.parametrize(
    "class_weight, weight, message",
    [
        (
            {0: 0, 1: 0, 2: 0},
            None,
            "Sample weights must contain at least one non-zero number; with "
            "class_weight={0: 0, 1: 0, 2: 0} all are zero.",
        ),
        (
            {0: 0, 1: 1, 2: 1},
            lambda y: y == 0,
            "Sample weights must contain at least one non-zero number; with "
            "class_weight={0: 0, 1: 1, 2: 1} times sample_weight all are zero.",
        ),
        (
            {0: 1e-300, 1: 1, 2: 1},
            None,
            "class_weight={0: 1e-300, 1: 1, 2: 1} has weights from 1e-300 to 1. "
            + LIMITS["float64"],
        ),
        (
            {0: 1e308, 1: 1, 2: 1},
            lambda y: np.full(60, 10.0),
            "class_weight={0: 1e+308, 1: 1, 2: 1} times sample_weight has weights from 10 to inf. "
            + LIMITS["float64"],
        ),
        (
            {0: 1e-200, 1: 1, 2: 1},
            lambda y: np.full(60, 1e-200),
            "class_weight={0: 1e-200, 1: 1, 2: 1} times sample_weight is too small for a float. "
            "Scale them.",
        ),
        (
            {0: HUGE, 1: 1, 2: 1},
            None,
            "class_weight must have finite weights >= 0, got {0: 1000...: int too large to convert "
            "to float.",
        ),
        (
            {0: "heavy", 1: 1, 2: 1},
            None,
            "class_weight must have finite weights >= 0, got {0: 'heavy', 1: 1, 2: 1}: could not "
            "convert string to float: 'heavy'.",
        ),
    ],
)
def test_weights_are_checked_after_those_of_classes(class_weight, weight, message):
    """The product of class weights and sample weights has to be weights, too."""
    _, X, y = fitted("multiclass")
    weight = weight if weight is None else np.asarray(weight(y), float)
    model = make("multiclass", class_weight=class_weight)
    refused(lambda: model.fit(X, y, weight), message, model)
    first = make("multiclass", class_weight=class_weight)
    refused(lambda: first.partial_fit(X, y, weight, classes=[0, 1, 2]), message, first)
    stopping = make("multiclass", class_weight=class_weight, early_stopping=True)
    if "class_weight=" in message and weight is None:
        own = {"X_val": X, "y_val": y}
        refused(lambda: stopping.fit(X, y, **own), message, stopping)


def test_weights_of_validation_rows_are_checked_after_those_of_classes():
    """Validation rows of classes that weigh nothing are refused, and say whose weights they are."""
    _, X, y = fitted("multiclass")
    model = make("multiclass", class_weight={0: 0, 1: 1, 2: 1}, early_stopping=True)
    own = {"X_val": X[y == 0], "y_val": y[y == 0]}
    words = (
        "Sample weights must contain at least one non-zero number; with "
        "class_weight={0: 0, 1: 1, 2: 1}{} all are zero."
    )
    refused(lambda: model.fit(X, y, **own), words.replace("{}", ""), model)
    own["sample_weight_val"] = np.ones((y == 0).sum())
    refused(lambda: model.fit(X, y, **own), words.replace("{}", " times sample_weight_val"), model)


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_a_part_of_the_split_without_weight(kind):
    """A seed whose validation or training samples have no weight is refused; others fit."""
    _, X, y = fitted(kind)
    words = (
        "The sample weights of all {} samples are zero. Use another random_state or "
        "validation_fraction, pass X_val and y_val, or leave out the samples whose weight is zero."
    )
    for fraction, part in ((0.1, "6 validation"), (0.9, "6 training")):
        outcomes = []
        for seed in range(20):
            model = make(kind, early_stopping=True, random_state=seed, validation_fraction=fraction)
            try:
                model.fit(X, y, np.arange(60) % 10 == 0)
            except ValueError as error:
                assert str(error) == words.format(part)
                outcomes.append("refused")
            else:
                assert np.isfinite(model.validation_scores_).all()
                outcomes.append("fitted")
        assert set(outcomes) == {"refused", "fitted"}


def test_the_training_score_is_of_samples_with_weight(monkeypatch):
    """Where the training score is that of some samples, these have weight."""
    X, y = make_table("multiclass", n_samples=2000)
    monkeypatch.setattr("sklmlp.training.stopping.MOST_TRAINING_ROWS", 50)
    weight = np.zeros(2000)
    weight[:40] = 1
    own = {"X_val": X, "y_val": y}
    model = make("multiclass", early_stopping=True).fit(X, y, weight, **own)
    assert model.history_[-1]["train_score"] == model.score(X[:40], y[:40])


# Numbers that lose their meaning ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
@pytest.mark.parametrize("size", [2**53 + 1, 2**57 - 3, 2**62])
@pytest.mark.parametrize("as_float32", [False, True])
def test_integers_beyond_floats_warn(kind, size, as_float32):
    """Integers that the computing dtype cannot tell apart are warned of, in fit and in predict."""
    X, y = make_table(kind)
    X = (X * 100).astype(np.int64)
    X[0, 0] = size // 2**29 + 1 if as_float32 else size
    dtype = "float32" if as_float32 else "auto"
    exact = f"float32 tells them apart up to {2**24}"
    exact = exact if as_float32 else f"float64 tells them apart up to {2**53}"
    message = (
        f"X has integers from {X.min()} to {X[0, 0]}; {exact} only. Subtract an offset, or encode "
        "identifiers."
    )
    model = make(kind, dtype=dtype, max_iter=2)
    with pytest.warns(UserWarning) as caught:
        model.fit(X, y)
    assert message in [str(each.message) for each in caught]
    for rows in (X, X.tolist(), torch.tensor(X)):
        with pytest.warns(UserWarning) as caught:
            prediction = model.predict(rows)
        assert [str(each.message) for each in caught] == [message]
        assert np.isfinite(np.asarray(prediction, float)).all()


@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regression"])
@pytest.mark.parametrize("size", [1e30, 1e38, 1e39, 1e150, 1e300, 1.7e308])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_answer_is_a_number_or_an_error(kind, size, dtype):
    """Rows of any size give numbers or are refused with their place; never with NaN."""
    X, y = make_table(kind)
    wide = {"activation": "identity", "hidden_layer_sizes": (8, 8)}
    model = make(kind, dtype=dtype, max_iter=2, **wide).fit(X, y)
    rows = X.copy()
    rows[7] = size
    for method in ("predict", "predict_proba"):
        if hasattr(model, method):
            try:
                prediction = getattr(model, method)(rows)
            except ValueError as error:
                assert "first of them row 7, is not finite" in str(error)
            else:
                assert np.isfinite(np.asarray(prediction, float)).all()


def test_both_ends_of_that_are_met():
    """An overflow is an error, and large numbers alone are none."""
    X, y = make_table("regression")
    model = make("regression", dtype="float32", max_iter=2).fit(X, y)
    with pytest.raises(ValueError, match="overflow what float32 can compute with"):
        model.predict(X * 1e300)
    assert np.isfinite(model.predict(X * 1e30)).all()


# Parameters ------------------------------------------------------------------------------------

ANY = [None, "nonsense", -1, 0, 2.5, np.nan, np.inf, [], {}, (1, "a"), object]
WELCOME = {
    "hidden_layer_sizes": (list,),
    "alpha": (0, 2.5),
    "batch_size": (),
    "learning_rate_init": (2.5,),
    "power_t": (0, 2.5),
    "max_iter": (),
    "tol": (0, 2.5, np.inf),
    "momentum": (0,),
    "validation_fraction": (0,),
    "beta_1": (0,),
    "beta_2": (0,),
    "epsilon": (2.5,),
    "n_iter_no_change": (np.inf,),
    "max_fun": (),
    "n_estimators": (),
    "device": (),
    "dtype": (),
    "matmul_precision": (),
    "activation": ([], object),
    "checkpoint_every": (),
    "dropout": (0,),
    "normalization": (None,),
    "residual": (),
    "weight_init": (),
    "module": (None,),
    "module_params": (None, {}),
    "solver": (),
    "solver_params": (None, {}),
    "learning_rate": (),
    "warmup_fraction": (0,),
    "max_grad_norm": (None, 2.5),
    "max_time": (None, 0, 2.5),
}


def is_welcome(name, value):
    return any(value is each or value == each for each in WELCOME[name]) or (
        name == "hidden_layer_sizes" and value == []
    )


@pytest.mark.parametrize("kind", ["multiclass", "regression"])
@pytest.mark.parametrize("name", sorted(WELCOME))
def test_bad_parameters(kind, name):
    """A value of the wrong type or range is refused, and the message names the parameter."""
    fit_before, X, y = fitted(kind)
    more = {} if kind == "regression" else {"classes": fit_before.classes_}
    for value in ANY:
        if is_welcome(name, value):
            continue
        model = copy.deepcopy(fit_before).set_params(**{name: value})
        refused(lambda model=model: model.fit(X, y), f"...{name}...", model)
        # a fitted one's parameters are not looked at again, as in scikit-learn
        new = make(kind, **{name: value})
        refused(lambda new=new: new.partial_fit(X, y, **more), f"...{name}...", new)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"early_stopping": True, "validation_fraction": 0.01}, "validation"),
        ({"activation": ["relu", "relu"]}, "activation has 2 entries for 1 hidden layers"),
        ({"activation": "multihead_attention", "hidden_layer_sizes": (7,)}, "embed_dim=4"),
        ({"activation": ("glu", {"dim": 7})}, "'glu' with the arguments"),
        ({"checkpoint": "a", "solver": "lbfgs"}, "checkpoint='a' does not go with solver='lbfgs'"),
        ({"warm_start": True, "hidden_layer_sizes": (9,)}, "hidden_layer_sizes=...warm_start"),
        ({"warm_start": True, "n_estimators": 2}, "n_estimators"),
        ({"device": "cuda:99"}, "device='cuda:99' is not available"),
    ],
)
@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_bad_combinations(kind, params, message):
    """Parameters that do not go together are named together."""
    X, y = make_table(kind)
    model = make(kind, max_iter=2).fit(X, y).set_params(**params)
    refused(lambda: model.fit(X, y), f"...{message}...", model)
