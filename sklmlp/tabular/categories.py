"""A column of categories: its levels, and what each of them becomes."""

import numpy as np
from sklearn.preprocessing import TargetEncoder

from sklmlp.tabular.numbers import ROWS_AT_A_TIME, center_and_spread, smooth_clip

LEVEL_ROWS = 5
"""Levels of fewer rows share a target encoding: their own would be the targets of a few rows."""

CODE_ROWS = 20
"""Levels of fewer rows have no code: the vector that a network learns for it takes more of them."""


class CategoryEncoding:
    """What each level of a category becomes: target encodings, columns that name it, and a code.

    Parameters
    ----------
    levels : ndarray of shape (n_levels,)
        Sorted. Objects are text.
    table : ndarray of shape (n_levels + 1, n_columns)
        What each level becomes; the last row is for gaps and unknown values.
    suffixes : list of str
        Of the names of the columns.
    targets : list of TargetEncoding
        Those of the first columns.
    n_codes : int
        Levels that have codes in the last column, from 0 on; 0 where there is no such column.
    """

    def __init__(self, levels, table, suffixes, targets, n_codes):
        self.levels = levels
        self.table = table
        self.suffixes = suffixes
        self.targets = targets
        self.n_codes = n_codes

    @property
    def is_text(self):
        """Whether levels are text, and not numbers or booleans."""
        return self.levels.dtype == object

    def row(self, value):
        """Return what a value that is no gap becomes, (n_columns,)."""
        place = self.levels.searchsorted(value)
        is_level = place < len(self.levels) and self.levels[place] == value
        return self.table[place if is_level else -1]

    @property
    def kinds(self):
        """The kind of each column of the output."""
        n_targets, n_levels = len(self.targets), int(self.n_codes > 0)
        n_names = len(self.suffixes) - n_targets - n_levels
        return ["target_encoding"] * n_targets + ["category"] * n_names + ["level"] * n_levels

    def encode(self, column, targets, encoded, places):
        """Write what a column becomes into the output.

        Parameters
        ----------
        column : Column
        targets : Targets or None
            Of the rows of `column`, where these are the training rows: their target encodings are
            then learned from the other folds.
        encoded : ndarray of shape (n_samples, n_features_out)
        places : ndarray of int of shape (n_columns,)
            The columns of the output.
        """
        codes = column.codes(self.levels)
        for start in range(0, len(codes), ROWS_AT_A_TIME):
            rows = slice(start, start + ROWS_AT_A_TIME)
            encoded[rows, places] = self.table[codes[rows]]
        if targets is not None:
            for place, encoding in zip(places, self.targets, strict=False):
                encoded[:, place] = encoding.out_of_fold(codes, targets)


class TargetEncoding:
    """The mean target of each level, shrunk toward the mean of all, as a column of numbers.

    Parameters
    ----------
    place : int
        Which target.
    slots : ndarray of int of shape (n_levels + 1,)
        As `slots_of_levels` returns them.
    n_slots : int
    center, spread : float
        Of the encoded training rows.
    """

    def __init__(self, place, slots, n_slots, center, spread):
        self.place = place
        self.slots = slots
        self.n_slots = n_slots
        self.center = center
        self.spread = spread

    def out_of_fold(self, codes, targets):
        """Encode training rows, each by what the rows of the other folds say.

        Parameters
        ----------
        codes : ndarray of int of shape (n_samples,)
        targets : Targets

        Returns
        -------
        encoded : ndarray of shape (n_samples,)
        """
        slots, y = self.slots[codes], targets.values[:, self.place]
        means = np.empty(len(codes))
        for fold in range(targets.folds.max() + 1):
            is_test = targets.folds == fold
            others = shrunken_means(slots[~is_test], y[~is_test], self.n_slots)
            means[is_test] = others[slots[is_test]]
        return smooth_clip(means, self.center, self.spread)


def learn_category(column, targets, max_one_hot, level_codes):
    """Learn the encoding of a column of categories.

    Parameters
    ----------
    column : Column
    targets : Targets or None
    max_one_hot : int
        Columns that name levels at most.
    level_codes : bool
        Whether more levels than these also have codes. Those of a few rows have none.

    Returns
    -------
    encoding : CategoryEncoding or None
        None for a column that is constant and has no gaps.
    """
    levels = column.levels()
    codes = column.codes(levels)
    counts = np.bincount(codes, minlength=len(levels) + 1)
    has_gaps, counts = bool(counts[-1]), counts[:-1]
    n_states = len(levels) + has_gaps
    if n_states < 2:
        return None
    table, suffixes = category_columns(levels, counts, has_gaps, max_one_hot)
    encodings, encoded, of_targets = [], [], []
    if targets is not None and n_states > 2:
        slots, n_slots = slots_of_levels(counts >= LEVEL_ROWS, has_gaps)
        for place, suffix in enumerate(targets.suffixes):
            y = targets.values[:, place]
            means = np.append(shrunken_means(slots[codes], y, n_slots), y.mean())
            center, spread = center_and_spread(means[slots[codes]])
            if spread > 0:
                encodings.append(TargetEncoding(place, slots, n_slots, center, spread))
                encoded.append(smooth_clip(means[slots], center, spread))  # slot -1 is the mean
                of_targets.append(suffix)
    has_code, codes = counts >= CODE_ROWS, []
    n_codes = int(has_code.sum()) if level_codes and n_states > max_one_hot else 0
    if n_codes:
        codes = [np.append(np.where(has_code, np.cumsum(has_code) - 1, -1), -1)]
        suffixes = [*suffixes, "_level"]
    table = np.column_stack([*encoded, table, *codes]).astype(np.float32)
    return CategoryEncoding(levels, table, of_targets + suffixes, encodings, n_codes)


def category_columns(levels, counts, has_gaps, max_one_hot):
    """Return what each level becomes in the columns that name it.

    Two levels are -1 and 1 in one column, and so are one level and gaps. More have a column each,
    the commonest ones if they are too many; the others share one.

    Parameters
    ----------
    levels : ndarray of shape (n_levels,)
    counts : ndarray of int of shape (n_levels,)
        Rows of each level in training.
    has_gaps : bool
    max_one_hot : int
        Columns at most.

    Returns
    -------
    table : ndarray of shape (n_levels + 1, n_columns)
        The last row is for gaps and unknown values.
    suffixes : list of str
        What follows the name of the category in the names of the columns.
    """
    if len(levels) + has_gaps == 2:
        of_levels = [1, -1] if has_gaps else [-1, 1, 0]
        return np.array(of_levels, float)[:, None], [f"_{levels[-1]}"]
    n_own = len(levels)
    if n_own + has_gaps > max_one_hot:
        n_own = max_one_hot - 1 - has_gaps
    has_own = np.zeros(len(levels), bool)
    has_own[np.argsort(-counts, kind="stable")[:n_own]] = True
    slots, n_slots = slots_of_levels(has_own, has_gaps)
    suffixes = [f"_{level}" for level in levels[has_own].tolist()]
    suffixes += ["_infrequent"] * (n_own < len(levels)) + ["_missing"] * has_gaps
    return (slots[:, None] == np.arange(n_slots)).astype(float), suffixes


def slots_of_levels(has_own, has_gaps):
    """Return which slot each level has, and gaps and unknown values.

    Parameters
    ----------
    has_own : ndarray of bool of shape (n_levels,)
        Levels that have a slot of their own. All others share one.
    has_gaps : bool
        Whether there are gaps in training, which then have a slot of their own.

    Returns
    -------
    slots : ndarray of int of shape (n_levels + 1,)
        The last is for gaps and unknown values: the slot of gaps, else the shared one, else -1.
    n_slots : int
    """
    n_own = np.count_nonzero(has_own)
    is_shared = n_own < len(has_own)
    slots = np.where(has_own, np.cumsum(has_own) - 1, n_own)
    of_others = n_own + is_shared if has_gaps else n_own if is_shared else -1
    return np.append(slots, of_others), int(n_own + is_shared + has_gaps)


def shrunken_means(slots, y, n_slots):
    """Return the mean target of each slot, shrunk by how little its rows say.

    It is scikit-learn's empirical Bayes estimate (Micci-Barreca 2001, equations 5 and 6).

    Parameters
    ----------
    slots : ndarray of int of shape (n_samples,)
    y : ndarray of shape (n_samples,)
    n_slots : int

    Returns
    -------
    means : ndarray of shape (n_slots,)
        The mean of y for a slot without rows.
    """
    encoder = TargetEncoder(categories=[np.arange(n_slots)], target_type="continuous")
    return encoder.fit(slots[:, None], y).encodings_[0]
