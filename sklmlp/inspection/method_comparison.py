"""A display of search methods side by side: what a score costs."""

import numpy as np

from sklmlp.inspection.displays import COLOURS, axes_for, legend_below

COLUMNS = ("family", "test_score", "spread", "seconds")
"""What the display reads of a table."""


class MethodComparisonDisplay:
    """Test score against seconds of search, a point a method.

    Use :meth:`from_table` to make one.

    Parameters
    ----------
    methods, families : list of str
        The name and the family of each method.
    seconds : ndarray of shape (n_methods,)
        That a search takes.
    scores, spreads : ndarray of shape (n_methods,)
        Mean and standard deviation of the test score.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    points_ : list of matplotlib.container.ErrorbarContainer
        One for each group of families.
    labels_ : list of matplotlib.text.Annotation
        The name of each method, the best on top, with a line to its point.

    See Also
    --------
    sklmlp.search.compare_methods : Makes the table.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklmlp.inspection import MethodComparisonDisplay
    >>> table = pd.DataFrame(
    ...     {
    ...         "family": ["manual", "RS"],
    ...         "test_score": [0.95, 0.96],
    ...         "spread": [0.0, 0.01],
    ...         "seconds": [0.5, 12.0],
    ...     },
    ...     index=["default", "random"],
    ... )
    >>> display = MethodComparisonDisplay.from_table(table)
    >>> [label.get_text() for label in display.labels_]
    ['random', 'default']
    """

    def __init__(self, *, methods, families, seconds, scores, spreads):
        self.methods = methods
        self.families = families
        self.seconds = seconds
        self.scores = scores
        self.spreads = spreads

    @classmethod
    def from_table(cls, table, *, ax=None):
        """Draw a table of `compare_methods`.

        Parameters
        ----------
        table : pandas.DataFrame
            Of :func:`sklmlp.search.compare_methods`.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : MethodComparisonDisplay
        """
        missing = [name for name in COLUMNS if name not in table]
        if missing:
            raise ValueError(
                f"table has no column {missing[0]!r}. Pass a table of compare_methods, which has "
                f"{', '.join(COLUMNS)}."
            )
        return cls(
            methods=list(table.index),
            families=list(table["family"]),
            seconds=table["seconds"].to_numpy(dtype=float),
            scores=table["test_score"].to_numpy(dtype=float),
            spreads=table["spread"].to_numpy(dtype=float),
        ).plot(ax)

    def plot(self, ax=None):
        """Draw the methods.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : MethodComparisonDisplay
            This one, with `ax_`, `figure_`, `points_` and `labels_`.
        """
        ax = axes_for(self, ax)
        groups = [_group(family) for family in self.families]
        self.points_, self.labels_ = [], []
        for k, group in enumerate(dict.fromkeys(groups)):
            chosen = np.array([each == group for each in groups])
            self.points_.append(
                ax.errorbar(
                    self.seconds[chosen], self.scores[chosen], self.spreads[chosen],
                    fmt="osD^vP"[k % 6], color=COLOURS[k % len(COLOURS)], elinewidth=0.8,
                    markersize=8, label=group,
                )
            )  # fmt: skip
        ax.set(xscale="log", xlabel="seconds of search", ylabel="test score")
        ax.margins(x=0.1)
        order = np.argsort(-self.scores, kind="stable")
        bottom, top = ax.get_ylim()
        heights = apart((self.scores[order] - bottom) / (top - bottom))
        for k, height in zip(order, heights, strict=True):
            self.labels_.append(
                ax.annotate(
                    self.methods[k], (self.seconds[k], self.scores[k]), (1.03, height),
                    textcoords="axes fraction", verticalalignment="center", fontsize="small",
                    arrowprops={
                        "arrowstyle": "-", "color": "0.75", "linewidth": 0.6,
                        "relpos": (0, 0.5), "shrinkA": 1, "shrinkB": 4,
                    },
                )
            )  # fmt: skip
        legend_below(ax, self.points_)
        return self


def apart(heights):
    """Move heights, which fall from 1 to 0, so far apart that words beside them can be read.

    Parameters
    ----------
    heights : ndarray of shape (n,)

    Returns
    -------
    heights : ndarray of shape (n,)
        In the same order, from 1 to 0 if `n` is not more than what there is room for.
    """
    gap = min(0.052, 1 / max(len(heights) - 1, 1))
    places = np.arange(len(heights)) * gap
    moved = np.minimum.accumulate(heights + places) - places  # none is too close to one above it
    back = places[::-1]
    return np.maximum.accumulate((np.maximum(moved, 0) - back)[::-1])[::-1] + back


def _group(family):
    """Return the first idea of a family: "EA + RL" is an evolution, "RL, shared weights" an RL."""
    return family.split(" + ")[0].split(",")[0]
