"""Input checks of sample weights."""

from numbers import Number

import numpy as np
import torch
from sklearn.utils import check_array

from sklmlp.data.checks import errors_that_name
from sklmlp.data.columns import refuse_no_number
from sklmlp.data.containers import plain

ROOM = 2.0**32
"""Weights are multiplied by losses, and penalties divided by weights: both may be this large."""


def check_sample_weight(sample_weight, n_samples, name="sample_weight"):
    """Check sample weights.

    Parameters
    ----------
    sample_weight : array-like of shape (n_samples,), number or None
    n_samples : int
    name : str, default="sample_weight"
        Their name in error messages.

    Returns
    -------
    sample_weight : ndarray of float64 of shape (n_samples,), or None
        A copy.
    """
    if sample_weight is None:
        return None
    sample_weight = plain(sample_weight, name)
    with errors_that_name(name), np.errstate(all="ignore"):
        if isinstance(sample_weight, Number) or getattr(sample_weight, "ndim", 1) == 0:
            sample_weight = np.full(n_samples, float(sample_weight))
        refuse_no_number(sample_weight, name)
        weight = check_array(
            sample_weight, ensure_2d=False, dtype=np.float64, copy=True, input_name=name
        )
    if weight.ndim != 1:  # in scikit-learn's words, as what follows
        raise ValueError(
            f"Sample weights must be 1D array or scalar, got {weight.ndim}D array for {name}. "
            f"Expected either a scalar value or a 1D array of length {n_samples}."
        )
    if weight.shape != (n_samples,):
        raise ValueError(f"{name}.shape == {weight.shape}, expected {(n_samples,)}!")
    if (weight < 0).any():
        raise ValueError(f"Negative values in data passed to `{name}`.")
    return weight


def check_limits(weight, dtype, name="sample_weight"):
    """Raise ValueError where weights cannot be computed with, or where all of them are zero.

    Parameters
    ----------
    weight : ndarray of float64, not negative, or None
        The weights that a fit uses: those given, multiplied by those of classes.
    dtype : torch.dtype
        What the fit computes in.
    name : str, default="sample_weight"
        Where they come from, for error messages.
    """
    if weight is None:
        return
    limits = torch.finfo(dtype)
    least, most = limits.tiny * ROOM, limits.max / ROOM
    positive = weight[weight > 0]
    if not len(positive):
        raise ValueError(
            f"Sample weights must contain at least one non-zero number; with {name} all are zero."
        )
    with np.errstate(over="ignore"):
        total = positive.sum()
    if positive.min() < least or not total <= most:
        raise ValueError(
            f"{name} has weights from {positive.min():.3g} to {positive.max():.3g}. In "
            f"{str(dtype).removeprefix('torch.')} those that are not zero must be at least "
            f"{least:.2g}, and their sum at most {most:.2g}. Scale them."
        )


def check_weight_of_score(sample_weight, n_samples):
    """Check the sample weights of a `score`, which is computed in float64."""
    weight = check_sample_weight(sample_weight, n_samples)
    check_limits(weight, torch.float64)
    return weight


def check_split(training, validation):
    """Raise ValueError where a part of the split that `early_stopping` makes has no weight.

    Parameters
    ----------
    training, validation : ndarray or None
        The weights of each part.
    """
    for part, weight in (("training", training), ("validation", validation)):
        if weight is not None and not weight.any():
            raise ValueError(
                f"The sample weights of all {len(weight)} {part} samples are zero. Use another "
                "random_state or validation_fraction, pass X_val and y_val, or leave out the "
                "samples whose weight is zero."
            )
