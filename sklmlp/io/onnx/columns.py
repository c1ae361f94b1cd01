"""The columns that a pipeline takes, as ONNX has to declare them: names and types."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import issparse

TEXT = np.dtype(str)


@dataclass(frozen=True)
class Column:
    """One column of the rows that a pipeline takes.

    Parameters
    ----------
    name : str
    place : int
        Where it stands among those that were fitted.
    given : numpy.dtype
        What the ONNX model takes: the float dtype asked for, an integer, bool or TEXT.
    inner : numpy.dtype
        What the pipeline is given after a cast: the float dtype, int64 or TEXT.
    """

    name: str
    place: int
    given: np.dtype
    inner: np.dtype


def column_types(estimator):
    """Return what a fitted estimator's columns are, as far as the fit has kept it.

    Encoders keep the type of their categories. All other columns are taken for real numbers.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator or pipeline.

    Returns
    -------
    types : dict of str to numpy.dtype or None
        By the names that were fitted, or "x0", "x1" and so on: float64, int64, bool or text; None
        for a column that nothing uses.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.io import column_types
    >>> model = make_pipeline(OneHotEncoder(), MLPClassifier(solver="lbfgs", random_state=0))
    >>> column_types(model.fit([["ash"], ["beech"], ["ash"]], [0, 1, 0]))
    {'x0': dtype('<U')}
    """
    names = getattr(estimator, "feature_names_in_", None)
    n = getattr(estimator, "n_features_in_", None)
    if n is None:
        raise ValueError(f"This {type(estimator).__name__} has not kept what it was fitted on.")
    uses = _uses_by_column(estimator, n, names, in_onnx=False)
    return {_name(i, names): _fitted_type(uses.get(i), np.dtype(np.float64)) for i in range(n)}


def columns_of(estimator, X, dtype):
    """Return the columns that a fitted estimator takes.

    Parameters
    ----------
    estimator : estimator
        Fitted.
    X : {array-like, dataframe} or None
        Rows to read the types from; None reads what the fit has kept.
    dtype : numpy.dtype
        Of columns of real numbers.

    Returns
    -------
    columns : list of Column
        Without X, those that the pipeline uses.
    is_table : bool
        Whether they are given as one table "X", and not one by one.
    """
    X = X if X is None or hasattr(X, "columns") or issparse(X) else np.asarray(X)
    names = getattr(estimator, "feature_names_in_", None)
    n = getattr(estimator, "n_features_in_", None)
    if X is not None and len(X.shape) == 2:
        n = X.shape[1] if n is None else n
        if X.shape[1] != n:
            raise ValueError(f"X has {X.shape[1]} columns, and {n} were fitted.")
        if hasattr(X, "columns") and names is not None and list(X.columns) != list(names):
            raise ValueError(f"X has the columns {list(X.columns)}; fitted were {list(names)}.")
    uses, takes_gaps = _uses_by_column(estimator, n or 0, names), _takes_gaps(estimator)
    if n is None or (X is not None and len(X.shape) != 2):
        raise ValueError(
            "to_onnx cannot tell the columns of this pipeline. Pass a few of the rows that it was "
            "fitted on: to_onnx(pipeline, X[:10])."
        )
    is_frame = names is not None if X is None else hasattr(X, "columns")
    given = [
        _fitted_type(uses.get(i), dtype) if X is None else _given_type(X, i, dtype, takes_gaps)
        for i in range(n)
    ]
    if not is_frame:
        given = _of_a_table(given, dtype)
    called = names if names is not None else X.columns if is_frame else [f"x{i}" for i in range(n)]
    columns = [
        Column(
            str(called[i]), i, given[i], _inner(str(called[i]), given[i], uses.get(i, ()), dtype)
        )
        for i in range(n)
        if given[i] is not None
    ]
    alike = len({column.given for column in columns}) == 1 and len(columns) == n
    if is_frame or not alike:
        return columns, False
    if given[0].kind in "iub" and any(column.inner == dtype for column in columns):
        columns = [replace(column, given=dtype, inner=dtype) for column in columns]
    return columns, True


def _of_a_table(given, dtype):
    """Return the one dtype that a table has; text next to numbers is no table."""
    kinds = {each for each in given if each is not None}
    if TEXT in kinds and len(kinds) > 1:
        return given
    common = dtype if dtype in kinds else np.result_type(*kinds)
    return [common] * len(given)


def _fitted_type(uses, dtype):
    """Return the type of a column from what was fitted on it; None for one that nothing uses."""
    if not uses:
        return None
    if TEXT in uses:
        return TEXT
    only = uses[0] if len(set(uses)) == 1 else "numbers"
    return dtype if only == "numbers" or only.kind == "f" else only


def _inner(name, given, uses, dtype):
    """Return what a column is cast to: integers stay so where encoders alone take them."""
    if given == TEXT:
        return TEXT
    if TEXT in uses:
        raise ValueError(f"X has {given} in the column {name!r}, and text was fitted.")
    is_whole = given.kind in "iub" and len(uses) > 0 and "numbers" not in uses
    return np.dtype(np.int64) if is_whole else dtype


def _takes_gaps(estimator):
    """Tell whether an encoder comes first that takes any text which is no level for a gap."""
    while hasattr(estimator, "best_estimator_") or hasattr(estimator, "steps"):
        if hasattr(estimator, "steps"):
            steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
            estimator = steps[0] if steps else None
        else:
            estimator = estimator.best_estimator_
    return hasattr(getattr(estimator, "encoder_", estimator), "category_tables_")


def _given_type(X, i, dtype, takes_gaps):
    """Return the type of a column of rows."""
    if issparse(X):
        return dtype
    is_frame = hasattr(X, "columns")
    name = X.columns[i] if is_frame else f"x{i}"
    values = np.asarray(X[name] if is_frame else X[:, i])
    if takes_gaps and values.dtype.kind in "OUT":
        known = [each for each in values.tolist() if not _is_missing(each)]
        if known and all(isinstance(value, str) for value in known):
            return TEXT
    return _type_of_values(values, name, dtype)


def _type_of_values(values, name, dtype):
    if values.dtype.kind == "f":
        return dtype
    if values.dtype.kind in "iub":
        return values.dtype
    is_plain = values.dtype.kind in "OUT"  # dates and lengths of time are no plain values
    known = [each for each in values.tolist() if not _is_missing(each)] if is_plain else [values]
    whole = len(known) == len(values)
    if known and all(isinstance(value, str) for value in known):
        if not whole:
            raise ValueError(
                f"The column {name!r} has missing values, and ONNX has no missing text. Fit and "
                f"convert with a word in their place, such as X[{name!r}].fillna('missing')."
            )
        return TEXT
    if whole and known and all(isinstance(value, bool) for value in known):
        return np.dtype(bool)
    if whole and known and all(isinstance(value, int) for value in known):
        return np.dtype(np.int64)
    if values.dtype.kind == "O" and all(_is_a_number(value) for value in known):
        return dtype
    kinds = sorted({type(value).__name__ for value in known})
    found = ", ".join(kinds) if is_plain else values.dtype
    raise ValueError(
        f"The column {name!r} has values of {found}, and ONNX has a type for numbers, truth values "
        "and text alone. Turn it into one of these before the pipeline."
    )


def _is_missing(value):
    return value is None or value != value or type(value).__name__ in ("NAType", "NaTType")


def _is_a_number(value):
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, str)


def _uses_by_column(estimator, n, names, in_onnx=True):
    """Return the uses of each column by position: dtypes of categories, and "numbers"."""
    uses = {}
    for i, use in _uses(estimator, range(n), names):
        if not isinstance(use, str):
            use = _type_of_categories(use, _name(i, names), in_onnx)
        uses.setdefault(i, []).append(use)
    return uses


def _uses(estimator, positions, names):
    """Return which columns go where: (position, categories of an encoder, or "numbers").

    A column that is dropped is not among them.
    """
    positions = list(positions)
    if estimator is None or isinstance(estimator, str):
        if estimator != "drop":
            yield from ((i, "numbers") for i in positions)
    elif hasattr(estimator, "best_estimator_"):
        yield from _uses(estimator.best_estimator_, positions, names)
    elif hasattr(estimator, "encoder_"):
        yield from _uses(estimator.encoder_, positions, names)
    elif hasattr(estimator, "steps"):
        steps = [step for _, step in estimator.steps if step not in (None, "passthrough")]
        yield from _uses(steps[0] if steps else None, positions, names)
    elif hasattr(estimator, "transformers_"):
        for _, part, columns in estimator.transformers_:
            yield from _uses(part, _positions(columns, positions, names), names)
    elif hasattr(estimator, "transformer_list"):
        for _, part in estimator.transformer_list:
            yield from _uses(part, positions, names)
    elif hasattr(estimator, "categories_"):
        used = getattr(estimator, "feature_blocks_", range(len(positions)))  # of a TableEncoder
        for place, (i, categories) in enumerate(zip(positions, estimator.categories_, strict=True)):
            if place in used:
                yield i, "numbers" if categories is None else categories
    elif "estimators_" in vars(estimator) and not hasattr(estimator, "estimators_features_"):
        for part in np.ravel(np.array(estimator.estimators_, dtype=object)):
            yield from _uses(part, positions, names)
    elif np.asarray(getattr(estimator, "statistics_", ())).dtype.kind in "OU":
        yield from ((i, [value]) for i, value in zip(positions, estimator.statistics_, strict=True))
    else:
        yield from ((i, "numbers") for i in positions)


def _name(i, names):
    return f"x{i}" if names is None else str(names[i])


def _type_of_categories(categories, name, in_onnx):
    """float64, int64, bool or TEXT; and whether ONNX can tell the categories apart."""
    categories = np.asarray(categories)
    if not in_onnx:
        categories = np.array([each for each in categories.tolist() if not _is_missing(each)])
    kind = _type_of_values(categories, name, np.dtype(np.float64))
    if kind.kind != "f":
        return TEXT if kind == TEXT else np.dtype(bool) if kind.kind == "b" else np.dtype(np.int64)
    if in_onnx and len(np.unique(categories.astype(np.float32))) < len(categories):
        raise ValueError(
            f"The column {name!r} has categories that float32 cannot tell apart, and ONNX encodes "
            "numbers in float32. Fit it as integers or as text."
        )
    return kind


def _positions(columns, positions, names):
    """Return a ColumnTransformer's columns as positions."""
    if isinstance(columns, slice):
        parts = [part for part in (columns.start, columns.stop, columns.step) if part is not None]
    else:
        columns = np.atleast_1d(columns)
        parts = columns.tolist()
    if (isinstance(columns, slice) and any(isinstance(part, str) for part in parts)) or any(
        not isinstance(part, str) and part < 0 for part in parts
    ):
        raise ValueError(
            "to_onnx takes the columns of a ColumnTransformer as names, or as positions that are "
            f"counted from the first column; got {columns}."
        )
    if parts and isinstance(parts[0], str):
        return [list(names).index(name) for name in parts]
    return np.asarray(positions)[columns].tolist() if parts or isinstance(columns, slice) else []
