"""What "auto" stands for in the tabular estimators: one table, by the number of training rows.

The learning rates and the number of epochs are those that did best on the development tables of
`docs/tables.md`; batches grow with tables as TabM's do (Gorishniy et al. 2025, app. B).
"""

from bisect import bisect_right

ROWS, BATCH_SIZES = (500, 1_000, 50_000, 200_000), (64, 128, 256, 512, 1024)
"""Numbers of rows from which on the next batch size is taken; batch sizes."""

MAX_ITER = 30
"""Epochs of a fit, over which the four cycles of the schedule are laid out."""

LEAST_STEPS, MOST_EPOCHS = 600, 200
"""Small tables take more epochs: so many that there are enough steps, up to a bound."""

LEARNING_RATE_INIT = {"classification": 6e-3, "regression": 3e-3}
"""Of Adam. Matrices that members share, and the scales of inputs, have rates in proportion."""

MATRIX_FACTOR, SCALE_FACTOR = 8.0, 3.0
"""Muon's rate for shared matrices, and that of the members' scales of inputs, over Adam's."""

FREQUENCY_SCALE = 0.1
"""Of periodic embeddings to start from, RealMLP's."""

WEIGHT_DECAY = 0.01
"""Of shared matrices, by Muon."""

LEAST_ROWS = 40
"""Tables with fewer rows keep none from training: what they would say is noise."""


FOLDS, MOST_ROWS_OF_FOLDS = 5, 1_000
"""Of fewer rows than these a share says too little: each is held out once, in one of so many folds.
"""


def n_folds(n):
    """Return how many folds choose the number of epochs for n rows; 1 is a single split."""
    return FOLDS if n < MOST_ROWS_OF_FOLDS else 1


def batch_size(n):
    """Return the rows of a batch for n training rows."""
    return min(n, BATCH_SIZES[bisect_right(ROWS, n)])


def max_iter(n, size):
    """Return the epochs of a fit of n training rows in batches of a size."""
    n_batches = -(-n // size)
    return max(MAX_ITER, min(MOST_EPOCHS, -(-LEAST_STEPS // n_batches)))
