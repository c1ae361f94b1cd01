"""Display of the activity of each hidden unit."""

import numpy as np

from sklmlp.inspection.activity import activities
from sklmlp.inspection.layers import one_network, rows_for
from sklmlp.inspection.plotting import COLOURS, axes_for, legend_below


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
            layers=[f"{layer.layer}\n{layer.activation}" for layer in hidden],
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
        self.ax_, self.figure_, self.bars_ = ax, ax.figure, []
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
