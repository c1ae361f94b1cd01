"""Targets in units that a network learns from, and predictions back in the units of y."""

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TargetScaling:
    """What is subtracted from each target, and what it is divided by after that.

    Plain Python, so that it can be a part of a network's spec.

    Parameters
    ----------
    center, scale : tuple of float
        One for each target: finite, and `scale` positive.

    Raises
    ------
    ValueError
        If they are anything else.
    """

    center: tuple
    scale: tuple

    def __post_init__(self):
        for name in ("center", "scale"):
            values = getattr(self, name)
            is_finite = isinstance(values, list | tuple) and all(
                isinstance(value, float) and math.isfinite(value) for value in values
            )
            if not is_finite or (name == "scale" and not all(value > 0 for value in values)):
                kind = "positive numbers" if name == "scale" else "numbers"
                raise ValueError(f"{name} must be a list of finite {kind}, got {values!r:.80}.")
            object.__setattr__(self, name, tuple(values))
        if len(self.center) != len(self.scale):
            raise ValueError(
                f"center and scale must have the same length, got {len(self.center)} and "
                f"{len(self.scale)}."
            )

    @classmethod
    def learn(cls, y, weight, positive):
        """Return the scaling of targets to mean 0 and standard deviation 1, or to mean 1.

        Parameters
        ----------
        y : ndarray of shape (n_samples, n_targets)
        weight : ndarray of shape (n_samples,) or None
        positive : bool
            Whether targets are to stay positive: they are divided by their mean alone.
        """
        y = np.asarray(y, dtype=np.float64)
        if weight is not None:
            y, weight = y[weight > 0], weight[weight > 0]
        largest = np.abs(y).max(axis=0)
        largest[largest == 0] = 1.0
        y = y / largest  # neither their squares nor their sum overflow
        mean = np.average(y, axis=0, weights=weight)
        spread = np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weight))
        # what is left of a constant by rounding is no spread
        is_constant = spread <= 10 * np.finfo(np.float64).eps * np.abs(mean)
        scale = mean * largest if positive else spread * largest
        scale = np.where((mean == 0 if positive else is_constant) | (scale == 0), 1.0, scale)
        center = np.zeros_like(mean) if positive else mean * largest
        return cls(tuple(center.tolist()), tuple(scale.tolist()))

    def encode(self, y):
        """Scale targets, (n, n_targets)."""
        with np.errstate(over="ignore"):  # what overflows is looked for behind it
            return (np.asarray(y, dtype=np.float64) - self.center) / self.scale

    def decode(self, values):
        """Scale predictions back: a tensor (..., n_targets), or several columns of one target."""
        return values * values.new_tensor(self.scale) + values.new_tensor(self.center)

    def decode_variance(self, values):
        """Scale variances of scaled targets, a tensor (..., n_targets), back."""
        scale = values.new_tensor(self.scale)
        return values * scale * scale
