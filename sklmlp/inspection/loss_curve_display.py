"""The course of a fit: losses and validation scores, epoch by epoch."""

import numpy as np

from sklmlp.inspection.layers import one_network
from sklmlp.inspection.plotting import COLOURS, axes_for, legend_below


class LossCurveDisplay:
    """Training and validation curves of a fit.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    train_loss : ndarray of shape (n_epochs,)
    valid_loss, valid_score : ndarray of shape (n_epochs,) or None
        With early stopping.
    name : str, default=None
        What to call the fit in the legend, where several are drawn on the same axes.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
        Has the losses.
    score_ax_ : matplotlib.axes.Axes or None
        Has the scores, in the same place, with its scale on the right.
    figure_ : matplotlib.figure.Figure
    lines_ : dict of str to matplotlib.lines.Line2D
        By "train_loss", "valid_loss" and "valid_score".

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.inspection import LossCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((8,), early_stopping=True, random_state=0).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(mlp)
    >>> sorted(display.lines_)
    ['train_loss', 'valid_loss', 'valid_score']
    """

    def __init__(self, *, train_loss, valid_loss=None, valid_score=None, name=None):
        self.train_loss = train_loss
        self.valid_loss = valid_loss
        self.valid_score = valid_score
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None):
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            Fitted; of an ensemble one of its `estimators_`.
        name : str, default=None
            What to call the fit in the legend.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : LossCurveDisplay
        """
        history = one_network(estimator, any_module=True).history_

        def column(key):
            known = [key in record for record in history]
            values = [record.get(key, np.nan) for record in history]
            return np.array(values, float) if any(known) else None

        keys = ("train_loss", "valid_loss", "valid_score")
        return cls(**{key: column(key) for key in keys}, name=name).plot(ax)

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : LossCurveDisplay
            This one, with `ax_`, `score_ax_`, `figure_` and `lines_`.
        """
        ax = axes_for(self, ax)
        from matplotlib.ticker import MaxNLocator

        self.ax_, self.figure_, self.score_ax_, self.lines_ = ax, ax.figure, None, {}
        called = "" if self.name is None else f"{self.name}: "
        fits = sum(line.get_gid() == "train_loss" for line in ax.lines)
        colour = None if self.name is None else COLOURS[fits % len(COLOURS)]

        def draw(axes, key, label, colour, style):
            values = getattr(self, key)
            epochs = np.arange(1, len(values) + 1)
            (line,) = axes.plot(
                epochs, values, color=colour, linestyle=style, label=called + label, gid=key,
                marker="o" if len(values) == 1 else None,
            )  # fmt: skip
            self.lines_[key] = line

        draw(ax, "train_loss", "training loss", colour or COLOURS[0], "-")
        if self.valid_loss is not None:
            draw(ax, "valid_loss", "validation loss", colour or COLOURS[1], "--")
        if self.valid_score is not None:
            self.score_ax_ = _twin(ax)
            draw(self.score_ax_, "valid_score", "validation score", colour or COLOURS[2], ":")
            self.score_ax_.set_ylabel("score")
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.grid(alpha=0.25)
        lines = [*ax.lines, *(self.score_ax_.lines if self.score_ax_ is not None else [])]
        legend_below(ax, lines)
        return self


def _twin(ax):
    """The axes for scores in the same place; those of an earlier fit where there are."""
    for other in ax.figure.axes:
        if other.get_gid() == "scores" and other.bbox.bounds == ax.bbox.bounds:
            return other
    twin = ax.twinx()
    twin.set_gid("scores")
    return twin
