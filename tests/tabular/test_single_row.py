"""A row by itself is encoded value by value, as it is among others."""

import decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal

from sklmlp import TableEncoder

N = 90


@pytest.fixture(scope="module")
def table():
    """Columns of all kinds, with values later that training had not."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=N),
            "income": np.where(rng.random(N) < 0.2, np.nan, rng.lognormal(size=N)),
            "visits": rng.poisson(3, N),
            "plan": rng.choice(["a", "b", None], N),
            "city": pd.Series([f"city {i}" for i in rng.integers(0, 20, N)], dtype="category"),
            "floor": pd.Series(rng.integers(-1, 4, N), dtype="category"),
            "member": rng.random(N) < 0.5,
            "constant": "x",
        }
    )
    encoder = TableEncoder(random_state=0).fit(frame, frame["size"] > 0)
    frame.loc[0, ["size", "plan"]] = [None, "never seen"]
    frame["city"] = frame["city"].astype(object)
    frame.loc[1, ["size", "city"]] = [1e200, "city of ours"]
    frame.loc[2, "city"] = None
    return encoder, frame


def nullable(frame):
    """Return the frame with pandas' nullable types."""
    with np.errstate(invalid="ignore"):  # pandas before 2 tries whether huge numbers are integers
        return frame.convert_dtypes()


FORMS = {
    "pandas": lambda frame: frame,
    "nullable": nullable,
    "polars": lambda frame: pl.DataFrame(
        {name: [None if v != v else v for v in frame[name].tolist()] for name in frame}
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_row_is_what_it_is_among_others(form, table):
    """Gaps, unknown levels and huge numbers too."""
    encoder, frame = table
    rows = FORMS[form](frame)
    together = encoder.transform(frame)
    for i in (0, 1, 2, 3, 4):
        assert_array_equal(encoder.transform(rows[i : i + 1])[0], together[i])


def test_a_row_of_objects_is_what_it_is_among_others(table):
    """In an array, with decimals and NumPy's scalars."""
    _, frame = table
    rows = frame.to_numpy(dtype=object)
    encoder = TableEncoder([3, 4, 5, 6, 7]).fit(rows)
    rows[3, :3] = decimal.Decimal("0.5"), np.float32(2), np.int64(4)
    rows[4, 5] = np.int8(2)
    together = encoder.transform(rows)
    for i in range(5):
        assert_array_equal(encoder.transform(rows[i : i + 1])[0], together[i])


WRONG = {
    "text": ("size", "words", "text where fit saw numbers, in column 'size'"),
    "numbers": ("city", 3.5, "numbers where fit saw text, in column 'city'"),
    "bytes": ("city", b"city 1", "values of type 'bytes' where fit saw text, in column 'city'"),
    "dates": (
        "size",
        pd.Timestamp(0),
        "dates or durations where fit saw numbers, in column 'size'",
    ),
    "infinity": ("size", np.inf, "infinity"),
    "an infinite level": ("floor", np.inf, "infinity"),
}


@pytest.mark.parametrize("name, value, message", WRONG.values(), ids=WRONG)
def test_a_row_is_refused_as_others_are(name, value, message, table):
    """The column is named."""
    encoder, frame = table
    row = frame.astype(object)[3:4]
    row[name] = [value]
    with pytest.raises(ValueError, match=message):
        encoder.transform(row)
