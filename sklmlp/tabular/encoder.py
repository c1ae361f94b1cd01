"""Raw tables to float32 matrices that networks learn from."""

from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sklmlp.compat import Interval, StrOptions, check_feature_names_in, fit_context
from sklmlp.data import (
    check_same_length,
    check_y,
    errors_that_name,
    in_columns,
    is_frame,
    plain,
    warn_of_rounding,
)
from sklmlp.prediction import learning_aside
from sklmlp.tabular.categories import learn_category
from sklmlp.tabular.columns import Column, declared_categories
from sklmlp.tabular.numbers import center_and_spread, encode_numbers
from sklmlp.tabular.single_row import encode_row, values_of_row
from sklmlp.tabular.targets import numeric_targets

KINDS = ("numeric", "target_encoding", "missing", "category", "level")
"""Kinds of columns of the output, in their order."""

FEW_ROWS = 64
"""So few rows of pandas are converted at once, since each of its columns costs 0.1 milliseconds."""

FEW_LEVELS = 40
"""Text of at most so many distinct values is a category, or of sqrt(n_samples) if that is more."""


_WORDS = {
    "boolean": "booleans",
    "date": "dates or durations",
    "mixed": "text among other values",
    "number": "numbers",
    "text": "text",
}
"""What kinds of columns are called in errors."""


class TableEncoder(TransformerMixin, BaseEstimator):
    """Encode a table with numbers, categories and gaps as a float32 matrix for a network.

    Numbers are scaled by median and interquartile range, and clipped smoothly to [-3, 3]: outliers
    keep their order and do no harm. A gap is the median, and columns with gaps have an indicator
    besides. Categories become one column of -1 and 1 for two levels, and one-hot columns for more;
    with `y` they are also encoded by the mean target of each level, in `fit_transform` by that of
    other rows. Columns that are constant or without any value are left out.

    What is learned is learned in `fit` alone. Later a level that was not there is a gap, and a gap
    in a column that had none is the median of numbers, and of categories what the rare levels
    share, or zeros.

    Parameters
    ----------
    categorical_features : "from_dtype", None or array-like of bool, int or str, \
            default="from_dtype"
        Which columns are categories, as for
        :class:`sklearn.ensemble.HistGradientBoostingClassifier`:

        - "from_dtype": those of a dtype that says so ("category" of pandas, Categorical and Enum of
          polars), booleans, and text with at most max(40, sqrt(n_samples)) distinct values.
        - a boolean mask, indices, or names of columns: these, whatever they hold.
        - None: none.

        All other columns must be numbers.
    max_one_hot : int, default=16
        One-hot columns of a category at most. Of more levels the commonest have one each, and the
        others share one.
    target_encoding : bool, default=True
        Whether categories with more than two levels are encoded by the target besides. There are no
        target encodings without `y`, for several outputs, and for more than 10 classes. Levels of
        fewer than 5 rows share one.
    level_codes : bool, default=False
        Whether categories of more levels than `max_one_hot` also have a last column of codes, from
        0 on, for networks that look up a vector for each level. Levels of fewer than 20 rows, gaps
        and unknown ones are -1.
    target_type : {"auto", "continuous", "binary", "multiclass"}, default="auto"
        How `y` is read. Classes have an encoding each, but two have one. "auto" goes by
        :func:`sklearn.utils.multiclass.type_of_target`, and takes more than 10 distinct numbers
        as continuous.
    random_state : int, RandomState instance or None, default=None
        Draws the 5 folds of target encodings in `fit_transform`.

    Attributes
    ----------
    is_categorical_ : ndarray of bool of shape (`n_features_in_`,)
        Which columns are taken as categories.
    categories_ : list of length `n_features_in_`
        The sorted levels of each category, as arrays. None for numbers and columns left out.
    feature_kinds_ : ndarray of str of shape (n_features_out,)
        "numeric", "target_encoding", "missing", "category" or "level" for each column of the
        output, which stand in this order.
    feature_blocks_ : ndarray of int of shape (n_features_out,)
        Which input column each column of the output comes from.
    category_tables_ : list of length `n_features_in_`
        What the levels of each category become, arrays of shape (n_levels + 1, n_columns): target
        encodings first, codes last; the last row is for gaps and unknown values. None as in
        `categories_`.
    n_levels_ : list of int
        How many codes each column of the kind "level" has.
    center_, scale_ : ndarray of shape (`n_features_in_`,)
        Median and interquartile range of each column of numbers, or half of its range where the
        latter is 0. NaN for others.
    n_features_in_ : int
        Columns seen in `fit`.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where X had names that are all strings.

    See Also
    --------
    sklearn.preprocessing.TargetEncoder : Encodes categories by the target.
    sklearn.preprocessing.RobustScaler : Scales numbers, and does not clip.

    Notes
    -----
    `fit(X, y).transform(X)` is not `fit_transform(X, y)`: only the latter encodes a training row
    without its own target. Train on the latter, as pipelines do.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklmlp import TableEncoder
    >>> X = pd.DataFrame({"age": [31, None, 58, 44], "plan": ["a", "b", "a", None]})
    >>> encoder = TableEncoder().set_output(transform="pandas")
    >>> encoder.fit_transform(X)
            age  missingindicator_age  plan_a  plan_b  plan_missing
    0 -0.916886                   0.0     1.0     0.0           0.0
    1  0.000000                   1.0     0.0     1.0           0.0
    2  0.980129                   0.0     1.0     0.0           0.0
    3  0.000000                   0.0     0.0     0.0           1.0
    """

    _parameter_constraints: dict = {  # noqa: RUF012
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "max_one_hot": [Interval(Integral, 2, None, closed="left")],
        "target_encoding": ["boolean"],
        "level_codes": ["boolean"],
        "target_type": [StrOptions({"auto", "continuous", "binary", "multiclass"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        categorical_features="from_dtype",
        *,
        max_one_hot=16,
        target_encoding=True,
        level_codes=False,
        target_type="auto",
        random_state=None,
    ):
        self.categorical_features = categorical_features
        self.max_one_hot = max_one_hot
        self.target_encoding = target_encoding
        self.level_codes = level_codes
        self.target_type = target_type
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Learn scales, levels and target encodings.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
            A pandas or polars frame, or an array; of numbers, booleans, text and gaps.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Targets, for target encodings.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For dates, long text and other columns that are neither numbers nor categories (the
            message names them all), for infinite values, and if no column varies.
        """
        with learning_aside(self) as aside, errors_that_name("X"):
            aside._learn(X, y)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, X, y=None):
        """Learn as `fit` does, and encode the training rows by targets of other rows.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None

        Returns
        -------
        X_new : ndarray or dataframe of shape (n_samples, n_features_out)
            Float32.
        """
        with learning_aside(self) as aside, errors_that_name("X"):
            targets = aside._learn(X, y)
            return aside._encode(X, targets)

    def transform(self, X):
        """Encode a table of the columns that `fit` has seen.

        Parameters
        ----------
        X : {array-like, dataframe} of shape (n_samples, n_features)

        Returns
        -------
        X_new : ndarray or dataframe of shape (n_samples, n_features_out)
            Float32.

        Raises
        ------
        ValueError
            If columns are missing, are others or stand in another order than in `fit`; if numbers
            became text or text numbers; for infinite values.
        """
        if "feature_blocks_" not in vars(self):
            check_is_fitted(self)
        aside = type(self).__new__(type(self))
        aside.__dict__ = vars(self).copy()  # a fit in another thread changes nothing of it
        with errors_that_name("X"):
            return aside._encode(X)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of the output.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of the input, as in `fit`; "x0", "x1", ... where they have none.

        Returns
        -------
        names : ndarray of str objects of shape (n_features_out,)
            That of the input for numbers; with `"missingindicator_"` before it for gaps; with the
            level, "infrequent" or "missing" behind it for categories, and with "target" for target
            encodings.
        """
        check_is_fitted(self)
        names_in = check_feature_names_in(self, input_features)[self.feature_blocks_]
        prefixes = np.where(self.feature_kinds_ == "missing", "missingindicator_", "")
        names = zip(prefixes, names_in, self._suffixes, strict=True)
        return np.array([f"{prefix}{name}{suffix}" for prefix, name, suffix in names], object)

    @property
    def n_levels_(self):
        """How many codes each column of the kind "level" has."""
        check_is_fitted(self)
        return [each.n_codes for each in self._categories if each is not None and each.n_codes]

    @property
    def category_tables_(self):
        """What the levels of each category become."""
        check_is_fitted(self)
        return [getattr(each, "table", None) for each in self._categories]

    def _learn(self, X, y):
        """Learn everything from a table; return its targets, for encodings out of fold."""
        X, targets = self._checked(X, reset=True), None
        if y is not None:
            y = check_y(self, y)
            check_same_length(X, y, ("X", "y"))
            if self.target_encoding:
                targets = numeric_targets(self, y, self.target_type, self.random_state)
        is_categorical = declared_categories(X, self.categorical_features)
        most_levels = max(FEW_LEVELS, X.shape[0] ** 0.5)
        self.center_, self.scale_ = np.full((2, X.shape[1]), np.nan)
        self._categories, columns, refused = [None] * X.shape[1], [], {}
        for place in range(X.shape[1]):
            column = Column(X, place)
            problem = self._problem(column, is_categorical[place], most_levels)
            if problem is not None:
                refused.setdefault(problem, []).append(place)
                continue
            if isinstance(self.categorical_features, str):
                is_categorical[place] |= column.kind in ("boolean", "text")
            if is_categorical[place]:
                encoding = learn_category(column, targets, self.max_one_hot, self.level_codes)
                self._categories[place] = encoding
                learned = zip(encoding.kinds, encoding.suffixes, strict=True) if encoding else ()
            else:
                learned = ((kind, "") for kind in self._learn_number(column, X, place))
            columns += [(KINDS.index(kind), place, suffix) for kind, suffix in learned]
        _refuse(X, refused, self)
        if not columns:
            raise ValueError(
                "No column of X varies: all are constant or missing, and nothing can be learned "
                "from them."
            )
        columns.sort(key=lambda column: column[:2])
        kinds, blocks, self._suffixes = map(list, zip(*columns, strict=True))
        self.feature_kinds_, self.feature_blocks_ = np.array(KINDS)[kinds], np.array(blocks)
        self._lay_out()
        self.is_categorical_ = is_categorical
        self.categories_ = [getattr(each, "levels", None) for each in self._categories]
        return targets

    def _lay_out(self):
        """Say where columns are found, once: a row is encoded in less time than it takes."""
        kinds, blocks = self.feature_kinds_, self.feature_blocks_
        used = np.unique(blocks)
        self._outputs = {place: np.flatnonzero(blocks == place) for place in used.tolist()}
        self._numbers = np.array([i for i in self._outputs if self._categories[i] is None], int)
        self._has_gaps = np.isin(self._numbers, blocks[kinds == "missing"])
        self._scaled, self._indicators = (
            np.searchsorted([KINDS.index(kind) for kind in kinds], [i, i + 1]).tolist()
            for i in (KINDS.index("numeric"), KINDS.index("missing"))
        )

    def _learn_number(self, column, X, place):
        """Learn center and scale of a column; return the kinds of columns that it becomes."""
        warn_of_rounding(column.values, np.float64, in_columns(X, [place]))
        x = column.numbers().astype(np.float64, copy=False)
        is_gap = np.isnan(x)
        if is_gap.all():
            return []
        self.center_[place], self.scale_[place] = center_and_spread(x[~is_gap])
        kinds = {"numeric": self.scale_[place] > 0, "missing": is_gap.any()}
        return [kind for kind, is_there in kinds.items() if is_there]

    def _problem(self, column, is_declared, most_levels):
        """Return what a column has that cannot be learned, in words, or None."""
        if column.kind in ("number", "boolean", "missing"):
            return None if column.is_finite() else "infinity"
        if column.kind != "text":
            return _WORDS.get(column.kind, f"values of type {column.kind!r}")
        if is_declared:
            return None
        if not isinstance(self.categorical_features, str):
            return "text that categorical_features does not name"
        if len(column.distinct()) > most_levels:
            return f"text of more than {most_levels:.0f} distinct values"
        return None

    def _encode(self, X, targets=None):
        """Encode a table, and by targets that are given the training rows out of fold."""
        X = self._checked(X, reset=False)
        is_plain = isinstance(X, np.ndarray) and X.dtype.kind in "biuf"
        encoded = np.empty((len(X), len(self.feature_kinds_)), np.float32)
        scales, parts = self._scales(), self._parts_for_numbers(encoded)
        if targets is None and not is_plain and (values := values_of_row(X)) is not None:
            row = (values, self._outputs, self._categories, scales, parts, encoded)
            if encode_row(*row):
                return encoded
        table = X
        if hasattr(X, "iloc") and len(X) <= FEW_ROWS:
            table = X.to_numpy(dtype=None if len(set(X.dtypes)) == 1 else object)
            is_plain = table.dtype.kind in "biuf"
        refused, infinite, numbers = {}, [], []
        for place, places in self._outputs.items():
            encoding = self._categories[place]
            if is_plain and encoding is None:
                numbers.append(table[:, place])
                continue
            column = Column(table, place)
            is_text = encoding is not None and encoding.is_text
            if column.kind not in ({"text"} if is_text else {"number", "boolean"}) | {"missing"}:
                what = _WORDS.get(column.kind, f"values of type {column.kind!r}")
                had = "text" if is_text else "numbers"
                refused.setdefault(f"{what} where fit saw {had},", []).append(place)
            elif encoding is None:
                numbers.append(column.numbers())
            elif not column.is_finite():
                infinite.append(place)
            else:
                encoding.encode(column, targets, encoded, places)
        _refuse(X, refused, self)
        infinite += self._numbers[encode_numbers(numbers, *scales, parts)].tolist()
        _refuse(X, {"infinity": sorted(infinite)}, self)
        return encoded

    def _scales(self):
        """Return center, spread and whether there is an indicator, of the columns of numbers."""
        return self.center_[self._numbers], self.scale_[self._numbers], self._has_gaps

    def _parts_for_numbers(self, encoded):
        """Return the columns of the output for numbers, and for indicators of gaps."""
        return encoded[:, slice(*self._scaled)], encoded[:, slice(*self._indicators)]

    def _checked(self, X, reset):
        """Check the shape and the names of a table; its values are looked at column by column."""
        if not reset and self._is_as_in_fit(X):
            return X
        X, least = plain(X, "X"), 2 if reset else 1
        if is_frame(X):
            for count, size, needed in zip(("sample", "feature"), X.shape, (least, 1), strict=True):
                if size < needed:
                    raise ValueError(
                        f"Found array with {size} {count}(s) (shape={X.shape}) while a minimum of "
                        f"{needed} is required by {type(self).__name__}."
                    )
            names, counts = np.unique(np.asarray(X.columns, dtype=str), return_counts=True)
            if (counts > 1).any():
                raise ValueError(
                    "The names of columns must be unique, and X has several columns of the names "
                    f"{names[counts > 1].tolist()}. Rename them."
                )
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        if isinstance(X, list | tuple) and np.asarray(X).dtype.kind in "SU":
            X = np.asarray(X, dtype=object)  # or the numbers next to text would be text
        options = {"dtype": None, "ensure_all_finite": False, "ensure_min_samples": least}
        return validate_data(self, X, reset=reset, **options)

    def _is_as_in_fit(self, X):
        """Tell whether there is nothing to check: the names of `fit`, or an array as wide."""
        names = vars(self).get("feature_names_in_")
        if names is None:
            is_plain = type(X) is np.ndarray and X.ndim == 2 and X.dtype.kind in "biuf"
            return is_plain and len(X) > 0 and X.shape[1] == self.n_features_in_
        return hasattr(X, "columns") and len(X) > 0 and list(X.columns) == names.tolist()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags


def _refuse(X, refused, estimator):
    """Raise ValueError that names all columns that cannot be encoded, and says what to do.

    Parameters
    ----------
    X : ndarray or dataframe
    refused : dict of {str: list of int}
        What is in which columns.
    estimator : estimator
        Named in the error.
    """
    infinite = refused.pop("infinity", [])
    name = type(estimator).__name__
    if refused:
        found = "; ".join(f"{what} in {in_columns(X, at)}" for what, at in refused.items())
        raise ValueError(
            f"X has {found}. {name} takes numbers, booleans and categories. Encode other columns "
            f"before it, for example by make_pipeline(skrub.TableVectorizer(), {name}()), which "
            "uses skrub.DatetimeEncoder for dates and skrub.StringEncoder for long text. Text that "
            "is a category may have the dtype 'category' or be named in categorical_features; "
            "numbers written as text are to be converted to float."
        )
    if infinite:
        raise ValueError(
            "Input X contains infinity or a value too large for dtype('float64').\nSuch values are "
            f"in {in_columns(X, infinite, X.shape[1])}. {name} takes finite numbers and NaN: "
            "replace infinite values."
        )
