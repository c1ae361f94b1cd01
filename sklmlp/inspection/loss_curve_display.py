"""The history of a fit: losses and validation scores, epoch by epoch."""

import numpy as np

from sklmlp.inspection.layers import networks_of
from sklmlp.inspection.plotting import COLOURS, axes_for, legend_below


class LossCurveDisplay:
    """Training and validation curves of a fit, of an ensemble those of all of its networks.

    Use :meth:`from_estimator` to make one.

    Parameters
    ----------
    train_loss : ndarray of shape (n_epochs,) or list of ndarray
        Of several networks, an array for each.
    valid_loss, valid_score : ndarray of shape (n_epochs,), list of ndarray or None
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
    lines_ : dict of str to matplotlib.lines.Line2D or list of Line2D
        By "train_loss", "valid_loss" and "valid_score"; of several networks, a line for each.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.inspection import LossCurveDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier(
    ...     (8,), early_stopping=True, scoring="loss", max_iter=2000, random_state=0
    ... ).fit(X, y)
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
        estimator : estimator
            A fitted `MLPClassifier` or `MLPRegressor`, or one that ends in it: a `Pipeline`, a
            search (its best estimator is drawn), an ensemble.
        name : str, default=None
            What to call the fit in the legend.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : LossCurveDisplay
        """
        networks = networks_of(estimator)

        def curve(history, key):
            known = [key in record for record in history]
            values = [record.get(key, np.nan) for record in history]
            return np.array(values, float) if any(known) else None

        def curves(key):
            found = [curve(network.history_, key) for network in networks]
            found = [each for each in found if each is not None]
            return found[0] if found and len(networks) == 1 else found or None

        keys = ("train_loss", "valid_loss", "valid_score")
        return cls(**{key: curves(key) for key in keys}, name=name).plot(ax)

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
        fits = sum(
            line.get_gid() == "train_loss" and not line.get_label().startswith("_")
            for line in ax.lines
        )
        colour = None if self.name is None else COLOURS[fits % len(COLOURS)]

        def draw(axes, key, label, colour, style):
            values = getattr(self, key)
            several = isinstance(values, list)
            count = f" of {len(values)} networks" if several else ""
            lines = []
            for losses in values if several else [values]:
                epochs = np.arange(1, len(losses) + 1)
                lines += axes.plot(
                    epochs, losses, color=colour, linestyle=style, gid=key,
                    label="_" if lines else called + label + count,
                    linewidth=0.8 if several else None,
                    marker="o" if len(losses) == 1 else None,
                )  # fmt: skip
            self.lines_[key] = lines if several else lines[0]

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
    """Return the axes for scores in the same place; those of an earlier fit where there are."""
    for other in ax.figure.axes:
        if other.get_gid() == "scores" and other.bbox.bounds == ax.bbox.bounds:
            return other
    scores = ax.twinx()
    scores.set_gid("scores")
    return scores
