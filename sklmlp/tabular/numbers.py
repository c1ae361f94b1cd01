"""Columns of numbers: their scales, and what they become."""

import numpy as np

LARGEST = 1e300
"""Numbers beyond are taken as this, so that the difference of two is finite."""


ROWS_AT_A_TIME = 1024


def center_and_spread(x):
    """Return the median and the interquartile range, or where that is 0 half of the range.

    Parameters
    ----------
    x : ndarray of shape (n_samples,)
        Float64, without NaN.

    Returns
    -------
    center, spread : float
        A spread of 0 means that all are equal.
    """
    x = np.clip(x, -LARGEST, LARGEST)
    low, center, high = np.quantile(x, [0.25, 0.5, 0.75]).tolist()
    return center, (high - low) or float(x.max() - x.min()) / 2


def smooth_clip(x, center, spread):
    """Scale numbers, and clip them smoothly to [-3, 3].

    It is z / sqrt(1 + (z/3)^2) for z = (x - center) / spread, of slope 1 at the center
    (Holzmüller, Grinsztajn & Steinwart, "Better by default: strong pre-tuned MLPs and boosted
    trees on tabular data", 2024). NaN becomes 0.

    Parameters
    ----------
    x : ndarray of shape (..., n_features)
        Float64.
    center, spread : float or ndarray of shape (n_features,)

    Returns
    -------
    z : ndarray of the shape of x
    """
    with np.errstate(over="ignore"):
        z = (np.clip(x, -LARGEST, LARGEST) - center) / spread
    z = np.clip(z, -1e100, 1e100)  # so that the square is finite
    z /= np.sqrt(1 + (z / 3) ** 2)
    z[np.isnan(z)] = 0
    return z


def encode_numbers(columns, center, spread, has_gaps, encoded):
    """Write numbers, scaled, and indicators of gaps into the columns of the output.

    Parameters
    ----------
    columns : list of ndarray of shape (n_samples,)
        Booleans, integers or floats.
    center, spread : ndarray of shape (n_columns,)
        A column of spread 0 is not written.
    has_gaps : ndarray of bool of shape (n_columns,)
        Which columns have an indicator.
    encoded : tuple of ndarray
        Of shape (n_samples, n_scaled) for the numbers and (n_samples, n_gaps) for the indicators.

    Returns
    -------
    is_infinite : ndarray of bool of shape (n_columns,)
        Columns that have infinite values.
    """
    numbers, indicators = encoded
    is_scaled, is_infinite = spread > 0, np.zeros(len(columns), bool)
    for start in range(0, len(numbers), ROWS_AT_A_TIME):
        rows = slice(start, start + ROWS_AT_A_TIME)
        x = np.empty((len(numbers[rows]), len(columns)))
        for place, values in enumerate(columns):
            x[:, place] = values[rows]
        is_infinite |= np.isinf(x).any(axis=0)
        numbers[rows] = smooth_clip(x[:, is_scaled], center[is_scaled], spread[is_scaled])
        indicators[rows] = np.isnan(x[:, has_gaps])
    return is_infinite
