"""What nobody should learn from or predict for is refused by name, and changes nothing."""

import datetime
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from tests.tables import make, make_table
from tests.train.test_process import settings as process_settings

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    # NumPy's, of conversions that overflow before they are refused
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
]
examples = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
KINDS = st.sampled_from(["binary", "multiclass", "multilabel", "regression", "counts"])
NO_NUMBERS = st.sampled_from([np.nan, np.inf, -np.inf])
HUGE = 10**400


def with_value(X, draw, value):
    """A table with a value at some place."""
    X = np.array(X, dtype=object if not isinstance(value, float) else float)
    X[draw(st.integers(0, len(X) - 1)), draw(st.integers(0, X.shape[1] - 1))] = value
    return X


BAD_ROWS = {
    "not finite": (lambda X, d: with_value(X, d, d(NO_NUMBERS)), r"X contains (NaN|infinity)"),
    "not finite, sparse": (
        lambda X, d: sp.csr_matrix(with_value(X, d, d(NO_NUMBERS))),
        r"X contains (NaN|infinity)",
    ),
    "None": (lambda X, d: with_value(X, d, None), r"NaN|NoneType"),
    "text": (lambda X, d: with_value(X, d, d(st.text(max_size=5))), "X takes numbers, got"),
    "bytes": (lambda X, d: with_value(X, d, b"12"), "X takes numbers, got"),
    "numbers as text": (lambda X, d: X.astype(str), "X takes numbers, got <U"),
    "lists of text": (lambda X, d: X.astype(str).tolist(), "X takes numbers, got <U"),
    "a dict": (lambda X, d: with_value(X, d, {}), "dict"),
    "an object": (lambda X, d: with_value(X, d, object()), "object"),
    "a date": (lambda X, d: with_value(X, d, d(st.dates())), "X takes numbers, got datetime.date"),
    "dates": (
        lambda X, d: np.full(X.shape, np.datetime64("2024-02-29")),
        "X takes numbers, got datetime64",
    ),
    "durations": (
        lambda X, d: (1000 * X).astype(int).astype("timedelta64[s]"),
        "X takes numbers, got timedelta64",
    ),
    "a column of dates": (
        lambda X, d: pd.DataFrame(X).assign(**{"4": datetime.datetime(2024, 2, 29)}),
        r"datetime64.* in column '4'",
    ),
    "a column of dates, polars": (
        lambda X, d: pl.DataFrame({"a": [datetime.date(2024, 2, 29)], "b": [1.0]}),
        "Date in column 'a'",
    ),
    "a column of text": (
        lambda X, d: pd.DataFrame(X, columns=list("abcde")).assign(e="7"),
        "X takes numbers, got '7'",
    ),
    "a huge integer": (
        lambda X, d: with_value(X, d, d(st.sampled_from([HUGE, -HUGE]))).tolist(),
        "too large for a float",
    ),
    "complex": (lambda X, d: X + 1j, "Complex data not supported"),
    "empty": (lambda X, d: X[:0], r"0 sample\(s\)"),
    "no columns": (lambda X, d: X[:, :0], r"0 feature\(s\)"),
    "one row as 1-D": (lambda X, d: X[0], "Expected 2D array"),
    "3-D": (lambda X, d: X[..., np.newaxis], "dim 3"),
    "ragged": (lambda X, d: [[1.0, 2.0], [3.0]], "inhomogeneous"),
    "a number": (lambda X, d: d(st.floats(-9, 9)), "Expected 2D array"),
    "nothing": (lambda X, d: None, r"None|Expected 2D array"),
}


def refused(call, message, *models):
    """The call is refused in these words, and neither the models nor the process notice."""
    before, process = [pickle.dumps(model) for model in models], process_settings()
    parameters = [repr(sorted(model.get_params().items())) for model in models]
    with pytest.raises((ValueError, TypeError), match=message):
        call()
    assert [pickle.dumps(model) for model in models] == before
    assert [repr(sorted(model.get_params().items())) for model in models] == parameters
    assert process_settings() == process


def fitted(kind, **params):
    X, y = make_table(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make(kind, max_iter=2, **params).fit(X, y), X, y


@pytest.mark.parametrize("bad, message", BAD_ROWS.values(), ids=BAD_ROWS)
@settings(examples, max_examples=12)
@given(data=st.data(), kind=KINDS)
def test_bad_rows(bad, message, data, kind):
    """fit, partial_fit and predict refuse rows that hold no table of finite numbers."""
    model, X, y = fitted(kind)
    rows = bad(X, data.draw)
    methods = [m for m in ("predict", "predict_proba") if hasattr(model, m)]
    method = data.draw(st.sampled_from(["fit", "partial_fit", "refit", *methods]))
    if method in methods:
        refused(lambda: getattr(model, method)(rows), message, model)
    elif method == "fit":
        new = make(kind)
        refused(lambda: new.fit(rows, y), message, new)
    else:
        call = model.fit if method == "refit" else model.partial_fit
        refused(lambda: call(rows, y), message, model)


@examples
@given(kind=KINDS, width=st.integers(1, 9).filter(lambda n: n != 5), method=st.integers(0, 2))
def test_another_width(kind, width, method):
    """Rows of another width than training's are refused with both widths."""
    model, _, y = fitted(kind, warm_start=True)
    rows = np.ones((60, width))
    call = [lambda: model.predict(rows), lambda: model.partial_fit(rows, y),
            lambda: model.fit(rows, y)][method]  # fmt: skip
    refused(call, f"X has {width} features, but .* is expecting 5", model)


@examples
@given(kind=KINDS, columns=st.permutations(list("abcde")).filter(lambda c: c != list("abcde")))
def test_another_order_of_columns(kind, columns):
    """A data frame with the columns of training in another order is refused."""
    X, y = make_table(kind)
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = make(kind, max_iter=2).fit(frame, y)
    message = "must be in the same order as they were in fit"
    refused(lambda: model.predict(frame[columns]), message, model)
    refused(lambda: model.partial_fit(frame[columns], y), message, model)
    refused(lambda: model.predict(frame.rename(columns={"a": "z"})), "unseen at fit time", model)


# Targets and weights ---------------------------------------------------------------------------

BAD_TARGETS = {
    "not finite": lambda y, d: _put(y.astype(float), d, d(NO_NUMBERS)),
    "too few": lambda y, d: y[:-1],
    "too many": lambda y, d: np.concatenate([y, y[:1]]),
    "none": lambda y, d: None,
    "empty": lambda y, d: [],
    "3-D": lambda y, d: np.zeros((60, 1, 1)),
    "objects": lambda y, d: [object()] * 60,
    "complex": lambda y, d: y + 1j,
    "missing": lambda y, d: [None] * 60,
    "huge": lambda y, d: [HUGE] * 60,
    "ragged": lambda y, d: [[1], [1, 2]] * 30,
}


def _put(values, draw, value):
    values = np.array(values)
    values[draw(st.integers(0, len(values) - 1))] = value
    return values


TARGET_MESSAGE = (
    r"y contains|[Ii]nput y|inconsistent|y to be|y cannot|NaN|infinity|label|dim 3|omplex|"
    r"too large|0 sample|float\(\)|inhomogeneous|multi-output|sequence|bad input shape|1d array"
)


@pytest.mark.parametrize("bad", BAD_TARGETS.values(), ids=BAD_TARGETS)
@settings(examples, max_examples=8)
@given(data=st.data(), kind=st.sampled_from(["binary", "multiclass", "regression", "counts"]))
def test_bad_targets(bad, data, kind):
    """Targets that are none are refused by a first fit, a refit and a partial fit."""
    model, X, y = fitted(kind)
    targets, new = bad(y, data.draw), make(kind)
    refused(lambda: new.fit(X, targets), TARGET_MESSAGE, new)
    refused(lambda: model.fit(X, targets), TARGET_MESSAGE, model)
    refused(lambda: model.partial_fit(X, targets), TARGET_MESSAGE, model)


@examples
@given(data=st.data(), value=st.floats(-1e6, -1e-6))
def test_negative_counts(data, value):
    """The Poisson loss takes no negative targets, and the gamma loss none of zero either."""
    model, X, y = fitted("counts")
    for loss, least in (("poisson", value), ("gamma", value), ("gamma", 0.0)):
        model.set_params(loss=loss)
        bad = _put(y + 1.0, data.draw, least)
        message = f"out of the valid range of the loss '{loss}'"
        refused(lambda bad=bad: model.fit(X, bad), message, model)
        refused(lambda bad=bad: model.partial_fit(X, bad), message, model)


@examples
@given(kind=st.sampled_from(["binary", "multiclass"]), label=st.integers(3, 99))
def test_unseen_labels(kind, label):
    """A label that training did not know is refused where training goes on."""
    model, X, y = fitted(kind, warm_start=True)
    refused(lambda: model.partial_fit(X, np.where(y == 0, label, y)), f"{label}", model)
    refused(lambda: model.fit(X, np.where(y == 0, label, y)), f"{label}", model)


BAD_WEIGHTS = {
    "not finite": (lambda w, d: _put(w, d, d(NO_NUMBERS)), "sample_weight contains"),
    "negative": (
        lambda w, d: _put(w, d, d(st.floats(-1e30, -1e-30))),
        "Negative values in data passed to `sample_weight`",
    ),
    "all zero": (lambda w, d: 0 * w, "at least one non-zero"),
    "too few": (lambda w, d: w[:-1], "sample_weight.shape"),
    "2-D": (lambda w, d: w[:, None], "1D array"),
    "text": (lambda w, d: ["heavy"] * 60, "heavy"),
    "complex": (lambda w, d: w * 1j, "Complex data"),
    "too small": (lambda w, d: _put(w, d, d(st.floats(5e-324, 1e-39))), "sample_weight has values"),
    "too large": (lambda w, d: _put(w, d, d(st.floats(1e39, 1e308))), "sample_weight has values"),
}


@pytest.mark.parametrize("bad, message", BAD_WEIGHTS.values(), ids=BAD_WEIGHTS)
@settings(examples, max_examples=8)
@given(data=st.data(), kind=KINDS)
def test_bad_weights(bad, message, data, kind):
    """Weights that are no weights are refused by name."""
    model, X, y = fitted(kind)
    weight = bad(np.ones(60), data.draw)
    refused(lambda: model.fit(X, y, sample_weight=weight), message, model)
    refused(lambda: model.partial_fit(X, y, sample_weight=weight), message, model)


# Numbers that lose their meaning ---------------------------------------------------------------


@examples
@given(
    kind=st.sampled_from(["multiclass", "regression"]),
    size=st.integers(2**53 + 1, 2**62),
    as_float32=st.booleans(),
)
def test_integers_beyond_floats_warn(kind, size, as_float32):
    """Integers that the computing dtype cannot tell apart are warned of, in fit and in predict."""
    X, y = make_table(kind)
    X = (X * 100).astype(np.int64)
    X[0, 0] = size // 2**29 + 1 if as_float32 else size
    dtype = "float32" if as_float32 else "auto"
    message = f"X has integers from .* to {X[0, 0]}; float{32 if as_float32 else 64}"
    model = make(kind, dtype=dtype, max_iter=2)
    with pytest.warns(UserWarning, match=message):
        model.fit(X, y)
    with pytest.warns(UserWarning, match=message):
        assert np.isfinite(np.asarray(model.predict(X), float)).all()


@examples
@given(kind=st.sampled_from(["binary", "multiclass", "multilabel", "regression"]),
       size=st.floats(1e30, 1e308), dtype=st.sampled_from(["float32", "float64"]))  # fmt: skip
def test_an_answer_is_a_number_or_an_error(kind, size, dtype):
    """Rows of any size are answered with numbers or refused with their place; never with NaN."""
    model, X, _ = fitted(kind, dtype=dtype, activation="identity", hidden_layer_sizes=(8, 8))
    rows = X.copy()
    rows[7] = size
    for method in ("predict", "predict_proba"):
        if hasattr(model, method):
            try:
                answer = getattr(model, method)(rows)
            except ValueError as error:
                assert "first of them row 7, is not finite" in str(error)
            else:
                assert np.isfinite(np.asarray(answer, float)).all()


def test_both_ends_of_that_are_met():
    """An overflow is an error, and large numbers alone are none."""
    model, X, _ = fitted("regression", dtype="float32")
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


@examples
@given(data=st.data(), kind=KINDS, name=st.sampled_from(sorted(WELCOME)))
def test_bad_parameters(data, kind, name):
    """A value of the wrong type or range is refused, and the message names the parameter."""
    model, X, y = fitted(kind)
    value = data.draw(st.sampled_from([v for v in ANY if not is_welcome(name, v)]))
    model.set_params(**{name: value})
    refused(lambda: model.fit(X, y), name, model)
    new = make(kind, **{name: value})  # a fitted one's are not looked at again, as in scikit-learn
    more = {} if kind in ("regression", "counts") else {"classes": model.classes_}
    refused(lambda: new.partial_fit(X, y, **more), name, new)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"early_stopping": True, "validation_fraction": 0.01}, "validation"),
        ({"activation": ["relu", "relu"]}, "activation has 2 entries for 1 hidden layers"),
        ({"activation": "multihead_attention", "hidden_layer_sizes": (7,)}, "embed_dim=4"),
        ({"activation": ("glu", {"dim": 7})}, "'glu' with the arguments"),
        ({"checkpoint": "a", "solver": "lbfgs"}, "checkpoint='a' does not go with solver='lbfgs'"),
        ({"warm_start": True, "hidden_layer_sizes": (9,)}, "hidden_layer_sizes=.*warm_start"),
        ({"warm_start": True, "n_estimators": 2}, "n_estimators"),
        ({"device": "cuda:99"}, "device='cuda:99' is not available"),
    ],
)
@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_bad_combinations(kind, params, message):
    """Parameters that do not go together are named together."""
    model, X, y = fitted(kind)
    model.set_params(**params)
    refused(lambda: model.fit(X, y), message, model)
