"""Columns of frames: what `fit` takes `predict` takes, and learns it as numbers."""

import datetime
import decimal
import functools
import itertools

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklmlp import MLPClassifier

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:pandas.DataFrame with sparse columns found:UserWarning"),
]

N = 12
VALUES = np.arange(N) % 4
ZERO_ONE = VALUES // 2
Y = np.arange(N) % 2


def _typed(dtype, values=VALUES):
    return lambda: pd.Series(values).astype(dtype)


# Columns whose values are numbers, and the numbers that they are.
NUMBERS = {
    "pandas": {
        **{
            dtype: (_typed(dtype), VALUES)
            for dtype in (
                *("int8", "uint8", "int16", "int32", "int64", "uint64"),
                *("float16", "float32", "float64", "longdouble", "object", "category"),
                *("Int8", "Int64", "UInt16", "Float32", "Float64"),
            )
        },
        "bool": (_typed("bool", ZERO_ONE), ZERO_ONE),
        "boolean": (lambda: pd.Series(ZERO_ONE.astype(bool)).astype("boolean"), ZERO_ONE),
        "booleans as objects": (
            lambda: pd.Series(ZERO_ONE.astype(bool)).astype(object),
            ZERO_ONE,
        ),
        "categories of floats": (_typed("category", VALUES / 2), VALUES / 2),
        "categories of booleans": (_typed("category", ZERO_ONE.astype(bool)), ZERO_ONE),
        "decimals": (
            lambda: pd.Series([decimal.Decimal(int(value)) for value in VALUES], dtype=object),
            VALUES,
        ),
        "sparse floats": (_typed(pd.SparseDtype("float64", 0.0), VALUES / 2), VALUES / 2),
        "sparse integers": (_typed(pd.SparseDtype("int64", 0)), VALUES),
        "sparse booleans": (
            lambda: pd.Series(ZERO_ONE.astype(bool)).astype(pd.SparseDtype("bool", False)),
            ZERO_ONE,
        ),
    },
    "polars": {
        **{
            dtype.__name__: (lambda dtype=dtype: pl.Series(VALUES.tolist()).cast(dtype), VALUES)
            for dtype in (
                *(pl.Int8, pl.Int16, pl.Int32, pl.Int64),
                *(pl.UInt8, pl.UInt16, pl.UInt32, pl.UInt64, pl.Float32, pl.Float64),
            )
        },
        "Boolean": (lambda: pl.Series(ZERO_ONE.astype(bool).tolist()), ZERO_ONE),
        "Decimal": (lambda: pl.Series([decimal.Decimal(int(v)) for v in VALUES]), VALUES),
        "Object": (lambda: pl.Series([_Number(v) for v in VALUES], dtype=pl.Object), VALUES),
    },
}

# Columns whose values are no numbers, and words of the error.
OTHERS = {
    "pandas": {
        "text": (_typed(str), "text"),
        "string": (_typed("string"), "text"),
        "text as objects": (lambda: pd.Series(VALUES.astype(str)).astype(object), "text"),
        "categories of text": (_typed("category", VALUES.astype(str)), "text"),
        "bytes": (lambda: pd.Series([b"1"] * N), "text"),
        "dates": (lambda: pd.Series(pd.date_range("2024", periods=N)), "dates or durations"),
        "dates with zone": (
            lambda: pd.Series(pd.date_range("2024", periods=N, tz="UTC")),
            "dates or durations",
        ),
        "days": (lambda: pd.Series([datetime.date(2024, 2, 29)] * N), "dates or durations"),
        "durations": (_typed("timedelta64[ns]"), "dates or durations"),
        "categories of dates": (
            lambda: pd.Series(pd.date_range("2024", periods=N)).astype("category"),
            "dates or durations",
        ),
        "periods": (lambda: pd.Series(pd.period_range("2024", periods=N)), "not numbers"),
        "intervals": (lambda: pd.Series(pd.interval_range(0, N)), "not numbers"),
        "complex": (_typed("complex128"), "Complex data not supported"),
    },
    "polars": {
        "String": (lambda: pl.Series(VALUES.astype(str).tolist()), "text"),
        "Categorical": (
            lambda: pl.Series(VALUES.astype(str).tolist()).cast(pl.Categorical),
            "text",
        ),
        "Enum": (
            lambda: pl.Series(VALUES.astype(str).tolist()).cast(pl.Enum(list("0123"))),
            "text",
        ),
        "Binary": (lambda: pl.Series([b"1"] * N), "text"),
        "Date": (lambda: pl.Series([datetime.date(2024, 2, 29)] * N), "dates or durations"),
        "Datetime": (lambda: pl.Series([datetime.datetime(2024, 2, 29)] * N), "dates or durations"),
        "Duration": (lambda: pl.Series([datetime.timedelta(1)] * N), "dates or durations"),
        "Time": (lambda: pl.Series([datetime.time(1)] * N), "dates or durations"),
        "List": (lambda: pl.Series([[1]] * N), "not numbers"),
        "Struct": (lambda: pl.Series([{"a": 1}] * N), "not numbers"),
    },
}

PANDAS_1 = pd.__version__.startswith("1.")
CONVERTED_EARLY = {
    *("object", "bool", "boolean", "booleans as objects", "categories of booleans", "decimals"),
    *("Int8", "Int64", "UInt16", "Float32", "Float64", "sparse booleans"),
}
"""Columns for which check_array converts the whole frame, before it makes an array of it."""

FRAMES = {"pandas": pd.DataFrame, "polars": pl.DataFrame}


class _Number:
    """An object that is a number to NumPy."""

    def __init__(self, value):
        self.value = value

    def __float__(self):
        return float(self.value)


def model():
    return MLPClassifier((3,), max_iter=2, random_state=0)


@functools.cache
def fitted_on_numbers(values, dtype):
    """The model of two columns of numbers, given as bytes in C's order."""
    return model().fit(np.frombuffer(values, dtype).reshape(N, 2), Y)


def has_no_matrix(columns):
    """Whether check_array of scikit-learn fails, too, on pandas columns next to each other."""
    sparse = {"sparse floats", "sparse integers", "sparse booleans"} & set(columns)
    return (
        # pandas makes objects of all of these, which SciPy has no matrices of
        ("sparse booleans" in sparse and len(sparse) > 1)
        # check_array converts all columns if one is of these, and pandas 1.5 warns of each sparse
        # column that is converted to another dtype that it will be dense in pandas 2
        or (bool(sparse) and PANDAS_1 and not CONVERTED_EARLY.isdisjoint(columns))
    )


@pytest.mark.parametrize("library, one", [(k, one) for k in NUMBERS for one in NUMBERS[k]])
def test_predict_takes_what_fit_takes(library, one):
    """A column of any numbers is learned and predicted as these, whichever column is beside it."""
    columns = NUMBERS[library]
    others = list(columns)[list(columns).index(one) :]
    for other in others:
        if has_no_matrix((one, other)):
            continue
        rows = FRAMES[library]({"a": columns[one][0](), "b": columns[other][0]()})
        fitted = model().fit(rows, Y)
        dtype = fitted.coefs_[0].dtype
        numbers = np.column_stack([columns[one][1], columns[other][1]]).astype(float)
        expected = fitted_on_numbers(numbers.astype(dtype).tobytes(), dtype)
        assert_array_equal(fitted.coefs_[0], expected.coefs_[0], err_msg=other)
        probabilities = expected.predict_proba(numbers)
        assert_allclose(fitted.predict_proba(rows), probabilities, 1e-5, err_msg=other)


@pytest.mark.parametrize("library, number", [(k, one) for k in NUMBERS for one in NUMBERS[k]])
def test_a_column_that_is_none_is_named_beside_any_other(library, number):
    """Whatever stands next to it, the column without numbers is the one that is named."""
    numbers = NUMBERS[library][number][0]
    if has_no_matrix((number, number)):
        pytest.skip("scikit-learn fails on two such columns of this version of pandas")
    learned = model().fit(FRAMES[library]({"good": numbers(), "bad": numbers()}), Y)
    for make_column, words in OTHERS[library].values():
        rows = FRAMES[library]({"good": numbers(), "bad": make_column()})
        for call in (model().fit, lambda rows, _: learned.predict(rows)):
            with pytest.raises((ValueError, TypeError)) as caught:
                call(rows, Y)
            first = str(caught.value).splitlines()[0]
            assert words in first
            assert "'bad'" in first
            assert "'good'" not in first


@pytest.mark.parametrize("library", FRAMES)
def test_a_frame_of_floats_keeps_its_dtype(library):
    """Predictions for float32 columns are float32, and those for integers of the model's dtype."""
    kinds = {"pandas": ("float32", "int8"), "polars": ("Float32", "Int8")}[library]
    for kind, fitted_on in itertools.product(kinds, (np.float32, np.float64)):
        column = NUMBERS[library][kind][0]
        rows = FRAMES[library]({"a": column(), "b": column()})
        numbers = np.column_stack([VALUES, VALUES]).astype(fitted_on)
        fitted = model().fit(FRAMES["pandas"](numbers, columns=["a", "b"]), Y)
        expected = np.float32 if kind.lower() == "float32" else fitted_on
        assert fitted.predict_proba(rows).dtype == expected
