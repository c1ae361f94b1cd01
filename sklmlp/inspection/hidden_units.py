"""The activity of hidden units - zero on all rows, saturated, or alike - and its display."""

import numpy as np
import torch

from sklmlp import runtime
from sklmlp.fitted_network import fitted_networks
from sklmlp.inspection.displays import COLOURS, axes_for, legend_below
from sklmlp.inspection.layers import (
    activation_of,
    in_chunks,
    layers_of,
    names_of,
    one_network,
    outputs,
    rows_for,
    slope,
)

ZERO = 1e-6
"""A unit whose output never exceeds this, of either sign, is dead."""

FLAT = 0.05
"""A unit is saturated where its slope is below this share of the activation's steepest slope."""

MOSTLY = 0.9
"""A unit is called saturated if it is on at least this share of rows."""


class Activity:
    """Statistics of a layer's output for some rows, gathered chunk by chunk.

    Parameters
    ----------
    name : str
        See `names_of`.
    choice : ActivationSpec or None
        What the activation is; None for the output layer, whose logits are looked at.
    activation : torch.nn.Module or None
        It is hooked.

    Attributes
    ----------
    activation : str or None
    mean : float
        Of all rows and units.
    """

    def __init__(self, name, choice, activation):
        self.name, self.activation = name, choice and choice.name
        self.n_rows, self.flat, self.steepest = 0, None, None
        self.is_elementwise = choice is not None and choice.entry.elementwise
        if self.is_elementwise:
            self.steepest = _steepest(activation)
        if self.steepest is not None:
            activation.register_forward_pre_hook(self._count_flat)

    def _count_flat(self, activation, inputs):
        flat = slope(activation.forward, inputs[0]).abs() < FLAT * self.steepest
        flat = flat.sum(0).cpu().numpy()
        self.flat = flat if self.flat is None else self.flat + flat

    def add(self, output):
        """Add the outputs for a chunk of rows, (n, units)."""
        a = output.cpu().double().numpy()
        if not self.n_rows:
            self.total = self.largest = np.zeros(a.shape[1])
            self.mean, self.squares, self.triangle = 0.0, 0.0, a[:0]
        self.total = self.total + np.abs(a).sum(0)
        self.largest = np.maximum(self.largest, np.abs(a).max(0))
        # moments of two sets of rows from those of each: Chan et al. 1983, eq. 2.1
        n, m, away = self.n_rows, len(a), a.mean() - self.mean
        self.squares += ((a - a.mean()) ** 2).sum() + away**2 * a.shape[1] * n * m / (n + m)
        self.mean += away * m / (n + m)
        self.n_rows = n + m
        # rows and their triangular factor have the same singular values
        self.triangle = np.linalg.qr(np.vstack([self.triangle, a]), mode="r")

    @property
    def magnitude(self):
        """The mean of the absolute values of each unit, (units,)."""
        return self.total / self.n_rows

    @property
    def std(self):
        """The standard deviation over all rows and units."""
        return float(np.sqrt(self.squares / (self.n_rows * len(self.total))))

    @property
    def dead(self):
        """Which units are zero for every row, up to `ZERO`, (units,) of bool."""
        return self.largest <= ZERO

    @property
    def saturated(self):
        """On which share of rows each unit's activation is flat, (units,).

        See `FLAT`; zeros where it is not flat on both sides, and NaN where it is no function of one
        number from torch.nn.
        """
        if self.flat is not None:
            return self.flat / self.n_rows
        return np.full(len(self.total), 0.0 if self.is_elementwise else np.nan)

    @property
    def mostly_saturated(self):
        """Which units are saturated on at least `MOSTLY` of the rows, (units,) of bool."""
        return self.saturated >= MOSTLY

    @property
    def effective_rank(self):
        """How many directions the output has, see the function of this name."""
        return effective_rank(self.triangle)


def activities(estimator, X):
    """Compute the activity of each layer on rows.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted, with one network.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Checked rows.

    Returns
    -------
    activities : list of Activity
        One for each hidden layer, and the output's.
    """
    layers = layers_of(estimator)
    choices = [*fitted_networks(estimator)[0].spec.activations, None]
    parts = zip(names_of(layers), choices, map(activation_of, layers), strict=True)
    gathered = [Activity(*part) for part in parts]

    @torch.inference_mode()
    def look():
        for x in in_chunks(estimator, X):
            for activity, output in zip(gathered, outputs(layers, x), strict=True):
                activity.add(output)

    runtime.compute(look, estimator.matmul_precision)
    return gathered


def effective_rank(matrix):
    """Return how many directions a matrix has, counted by how much it has of each.

    The exponential of the entropy of the normalized singular values: Roy & Vetterli (2007), "The
    effective rank: A measure of effective dimensionality". EUSIPCO, eq. 5.

    Parameters
    ----------
    matrix : ndarray of shape (m, n)

    Returns
    -------
    rank : float
        Between 1 and min(m, n), and 0 for zeros.

    Examples
    --------
    >>> import numpy as np
    >>> from sklmlp.inspection.hidden_units import effective_rank
    >>> round(effective_rank(np.diag([1.0, 1.0, 1.0, 0.0])), 6)
    3.0
    """
    singular = np.linalg.svd(matrix, compute_uv=False)
    if not singular.any():
        return 0.0
    p = singular[singular > 0] / singular.sum()
    return float(np.exp(-(p * np.log(p)).sum()))


def _steepest(activation):
    """Return the steepest slope of an activation that is flat on both sides, or None."""
    inner = torch.linspace(-10, 10, 2001, dtype=torch.float64, device="cpu")
    steepest = slope(activation, inner).abs().max()
    ends = slope(activation, inner.new_tensor([-1e3, 1e3])).abs()
    return float(steepest) if (ends < FLAT * steepest).all() else None


class HiddenUnitsDisplay:
    """A bar for each hidden unit, dead and saturated ones marked.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    layers : list of str
    activity : list of ndarray of shape (units,)
        For each hidden layer, the mean absolute output of each unit.
    dead : list of ndarray of bool of shape (units,)
        Units that are zero for every row.
    saturated : list of ndarray of bool of shape (units,)
        Units whose activation is flat on nine rows of ten or more, see
        :func:`~sklmlp.inspection.diagnose`.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    bars_ : list of matplotlib.container.BarContainer
        One for each hidden layer.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.inspection import HiddenUnitsDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((16, 8), solver="lbfgs", random_state=0).fit(X, y)
    >>> display = HiddenUnitsDisplay.from_estimator(mlp, X)
    >>> [len(bars) for bars in display.bars_]
    [16, 8]
    """

    def __init__(self, *, layers, activity, dead, saturated):
        self.layers = layers
        self.activity = activity
        self.dead = dead
        self.saturated = saturated

    @classmethod
    def from_estimator(cls, estimator, X, *, ax=None):
        """Draw the hidden units of a fitted estimator.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            Fitted, with a hidden layer; of an ensemble one of its `estimators_`.
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            Rows to look at, such as those of training.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : HiddenUnitsDisplay
        """
        estimator = one_network(estimator)
        *hidden, _ = activities(estimator, rows_for(estimator, X))
        if not hidden:
            raise ValueError(
                "estimator has no hidden units: hidden_layer_sizes="
                f"{estimator.hidden_layer_sizes!r}."
            )
        return cls(
            layers=[f"{layer.name}\n{layer.activation}" for layer in hidden],
            activity=[layer.magnitude for layer in hidden],
            dead=[layer.dead for layer in hidden],
            saturated=[layer.mostly_saturated & ~layer.dead for layer in hidden],
        ).plot(ax)

    def plot(self, ax=None):
        """Draw the units.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : HiddenUnitsDisplay
            This one, with `ax_`, `figure_` and `bars_`.
        """
        ax = axes_for(self, ax)
        self.bars_ = []
        widths = [len(activity) for activity in self.activity]
        gap = max(1, round(sum(widths) / 50))
        starts = np.cumsum([0, *widths[:-1]]) + gap * np.arange(len(widths))
        active, dead, saturated = COLOURS[0], "#222222", COLOURS[1]
        parts = zip(starts, self.activity, self.dead, self.saturated, strict=True)
        for start, activity, is_dead, is_saturated in parts:
            where = start + np.arange(len(activity))
            colours = np.where(is_saturated, saturated, active)
            self.bars_.append(ax.bar(where, activity, width=0.9, color=colours))
            if is_dead.any():  # their bars have no height
                ax.plot(where[is_dead], activity[is_dead], "x", color=dead, clip_on=False, zorder=3)
        self._explain(ax, {"active": active, "saturated": saturated}, dead)
        ax.set_xticks(starts + (np.array(widths) - 1) / 2, self.layers)
        ax.tick_params(axis="x", length=0, pad=8)
        ax.set_xlim(-1, starts[-1] + widths[-1])
        ax.set_ylabel("mean absolute activity of a unit")
        ax.spines[["top", "right"]].set_visible(False)
        return self

    def _explain(self, ax, colours, dead):
        """Draw a legend with the counts of each kind of unit."""
        from matplotlib.lines import Line2D
        from matplotlib.patches import Patch

        n, n_dead, n_saturated = (
            sum(map(np.sum, part))
            for part in (map(np.ones_like, self.dead), self.dead, self.saturated)
        )
        counts = {"active": n - n_dead - n_saturated, "saturated": n_saturated}
        handles = [
            Patch(color=colour, label=f"{kind} ({counts[kind]})")
            for kind, colour in colours.items()
        ]
        handles.append(
            Line2D([], [], color=dead, marker="x", linestyle="", label=f"dead ({n_dead})")
        )
        legend_below(ax, handles, lines=5)
