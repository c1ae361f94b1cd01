"""Read a CSV file as scikit-learn needs it: features, a target and a task."""

import csv
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

MIN_ROWS = 30
MIN_CLASS_ROWS = 5  # one to hold out, and enough left for every fold to train and to stop early
MAX_CLASSES = 100
MAX_WHOLE_NUMBER_CLASSES = 20  # more distinct whole numbers than these are an amount
DATE = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}([T ]\d{1,2}:\d{2}.*)?")


@dataclass
class Table:
    """What a file became, and in `notes` everything that was decided on the way."""

    X: pd.DataFrame
    y: np.ndarray
    task: str
    notes: list[str] = field(default_factory=list)


def load_table(path, target, task="auto", max_rows=0, random_state=0):
    """Read a CSV file into features and target; raise ValueError where that cannot work."""
    frame = read_csv(path)
    if target not in frame.columns:
        raise ValueError(
            f"{path} has no column {target!r}. Its columns are: {quoted(frame.columns)}."
        )
    notes = []
    frame = drop_rows_without_target(frame, target, notes)
    if 0 < max_rows < len(frame):
        notes.append(f"{max_rows:,} of {len(frame):,} rows, drawn at random (--rows 0 takes all)")
        frame = frame.sample(max_rows, random_state=random_state)
    task = find_task(frame[target], task, notes)
    if task == "classification":
        frame = drop_rare_classes(frame, target, notes)
    if len(frame) < MIN_ROWS:
        raise ValueError(
            f"{path} has {len(frame)} rows to learn from; at least {MIN_ROWS} are needed."
        )
    X = usable_features(frame.drop(columns=target), notes)
    if X.shape[1] == 0:
        raise ValueError(f"{path} has no column to predict {target!r} from.")
    return Table(X, target_values(frame[target], task), task, notes)


def read_csv(path):
    """Read a file with commas, semicolons, tabs or bars; "?" and blanks are gaps."""
    if not Path(path).is_file():
        raise ValueError(f"There is no file {path}.")
    try:
        # The first line decides the separator, compressed or not.
        header = pd.read_csv(path, sep="\x00", header=None, nrows=1, quoting=csv.QUOTE_NONE)
        separator = max(",;\t|", key=header.iloc[0, 0].count)
        frame = pd.read_csv(
            path, sep=separator, na_values=["?"], skipinitialspace=True, low_memory=False
        )
    except (ValueError, AttributeError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a CSV file: {error}") from error
    return frame.rename(columns=lambda name: str(name).strip())


def drop_rows_without_target(frame, target, notes):
    """Leave out the rows whose target is missing or infinite."""
    y = frame[target]
    known = y.notna() & ~is_infinite(y)
    if not known.any():
        raise ValueError(f"Every value of the target {target!r} is missing.")
    if not known.all():
        notes.append(f"{(~known).sum():,} of {len(y):,} rows have no {target!r}: left out")
    return frame[known]


def is_infinite(column):
    """Which values are infinite; none of them in a column that does not hold numbers."""
    if not is_numeric_dtype(column):
        return np.zeros(len(column), dtype=bool)
    return np.isinf(column.to_numpy(dtype=np.float64, na_value=np.nan))


def find_task(y, task, notes):
    """Name the task: words, truths and a few whole numbers are classes, other numbers amounts."""
    distinct = y.nunique()
    if distinct < 2:
        raise ValueError(
            f"The target {y.name!r} has one value only, {y.iloc[0]!r}: nothing to learn."
        )
    amounts = is_numeric_dtype(y) and not is_bool_dtype(y)
    if task == "regression" and not amounts:
        raise ValueError(
            f"--task regression needs numbers; {y.name!r} has values like {y.iloc[0]!r}."
        )
    if not amounts and is_dates(y):
        raise ValueError(f"The target {y.name!r} holds dates; predict a number or a class instead.")
    if task == "auto":
        # A column of whole numbers with gaps was read as floats, hence the look at the values.
        few = distinct <= MAX_WHOLE_NUMBER_CLASSES and (not amounts or np.all(y % 1 == 0))
        task = "classification" if few or not amounts else "regression"
        kind = "numbers" if amounts else "values"
        notes.append(f"{y.name!r} has {distinct:,} distinct {kind}: {task} (--task says otherwise)")
    if task == "classification" and distinct > MAX_CLASSES:
        raise ValueError(
            f"The target {y.name!r} has {distinct:,} distinct values; "
            f"classification here takes at most {MAX_CLASSES}."
        )
    return task


def drop_rare_classes(frame, target, notes):
    """Leave out the classes that are too small to be split into training, validation and test."""
    counts = frame[target].value_counts()
    rare = counts.index[counts < MIN_CLASS_ROWS]
    if len(counts) - len(rare) < 2:
        raise ValueError(
            f"The target {target!r} has fewer than two classes with {MIN_CLASS_ROWS} rows or more."
        )
    if len(rare):
        notes.append(f"classes with fewer than {MIN_CLASS_ROWS} rows are left out: {quoted(rare)}")
    return frame[~frame[target].isin(rare)]


def target_values(y, task):
    """Return the target as a NumPy array, and classes as strings unless they are whole numbers."""
    if task == "regression":
        return y.to_numpy(dtype=np.float64)
    if is_numeric_dtype(y) and not is_bool_dtype(y) and np.all(y % 1 == 0):
        return y.to_numpy(dtype=np.int64)
    return y.astype(str).to_numpy(dtype=object)


def usable_features(X, notes):
    """Leave out what no model has a use for; turn numbers among words into numbers, and words into
    categories.
    """
    X = X.copy()
    left_out = {}
    for name in X.columns:
        if X[name].isna().all():
            left_out[name] = "empty"
        elif X[name].nunique(dropna=False) == 1:
            left_out[name] = "one value only"
        elif is_dates(X[name]):
            left_out[name] = "dates; a column of years or days could be used"
        elif not is_numeric_dtype(X[name]):
            X[name] = numbers_if_most_are(X[name], notes)
        if is_infinite(X[name]).any():
            notes.append(f"{name!r} has infinite values: taken as gaps")
            X[name] = X[name].replace([np.inf, -np.inf], np.nan)
        if name not in left_out and not is_numeric_dtype(X[name]):
            X[name] = X[name].map(str, na_action="ignore").astype("category")
    if left_out:
        reasons = ", ".join(f"{name!r} ({reason})" for name, reason in left_out.items())
        notes.append(f"columns left out: {reasons}")
    return X.drop(columns=list(left_out))


def is_dates(column):
    """Whether nearly every value of a column of strings is written like a date."""
    if is_numeric_dtype(column):
        return False
    return column.dropna().astype(str).str.fullmatch(DATE).mean() > 0.9


def numbers_if_most_are(column, notes):
    """Return the column as numbers, with gaps for the words among them, if they are few."""
    known = column.dropna()
    if known.map(lambda value: isinstance(value, bool)).any():
        return column  # True and False with gaps: pandas would count them as 1 and 0
    numbers = pd.to_numeric(known, errors="coerce")
    if numbers.notna().mean() < 0.9:
        return column
    words = known[numbers.isna()].unique()
    notes.append(f"{column.name!r} has words among its numbers: {quoted(words)} are taken as gaps")
    return numbers.reindex(column.index)


def quoted(values, most=40):
    """Write a list of values, cut where it gets long."""
    values = list(values)
    return ", ".join(map(repr, values[:most])) + (", ..." if len(values) > most else "")
