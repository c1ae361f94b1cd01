"""Displays of activations and of loss curves, and what all displays share: axes and colors."""

import numpy as np
import torch

from sklmlp.inspection.layers import networks_of, slope
from sklmlp.nn import describe, resolve_one

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222")
"""Okabe & Ito's (2008), which everyone can tell apart."""


def axes_for(display, ax=None):
    """Return the axes to draw on: those given, or new ones.

    Parameters
    ----------
    display : object
        Keeps the axes as `ax_`, and their figure as `figure_`. It is named in the error where
        matplotlib is not installed.
    ax : matplotlib.axes.Axes or None

    Returns
    -------
    ax : matplotlib.axes.Axes
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{type(display).__name__} needs matplotlib: pip install 'sklmlp[plot]'"
        ) from error
    if ax is None:
        _, ax = plt.subplots(layout="constrained")
    display.ax_, display.figure_ = ax, ax.figure
    return ax


def legend_below(ax, handles, lines=4):
    """Draw a legend: under the axes where a layout makes room for it, else in them.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
    handles : list of artists
    lines : int, default=4
        How many lines of text there are between the axes and the legend.
    """
    handles = [handle for handle in handles if not handle.get_label().startswith("_")]  # unnamed
    figure, place = ax.figure, ax.get_subplotspec()
    if figure.get_layout_engine() is None:  # nothing would make room below the axes
        ax.legend(handles=handles, framealpha=0.8)
        return
    room = 0.95 * figure.bbox.width / (1 if place is None else place.get_gridspec().ncols)
    for n_columns in (3, 2, 1):
        legend = ax.legend(
            handles=handles, frameon=False, ncols=n_columns, loc="upper center",
            bbox_to_anchor=(0.5, 0), borderaxespad=lines,
        )  # fmt: skip
        legend.set_in_layout(False)  # a legend that is too wide would leave no room for the axes
        figure.draw_without_rendering()  # it learns its width
        width = legend.get_window_extent().width
        if width <= room:
            break
    for text in legend.get_texts():
        text.set_fontsize(text.get_fontsize() * min(1, room / width))
    legend.set_in_layout(True)


class ActivationDisplay:
    """Activations and their derivatives as functions of one number.

    Use :meth:`from_names` to make one.

    Parameters
    ----------
    z : ndarray of shape (n_points,)
        What goes in.
    values, slopes : dict of str to ndarray of shape (n_points,)
        What comes out, and the derivative of that, by the activation's name.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    lines_, slope_lines_ : dict of str to matplotlib.lines.Line2D
        The curves by name: solid ones, and dashed ones of the derivatives.

    Examples
    --------
    >>> from sklmlp.inspection import ActivationDisplay
    >>> display = ActivationDisplay.from_names(["tanh", ("leaky_relu", {"negative_slope": 0.2})])
    >>> sorted(display.lines_)
    ['leaky_relu(negative_slope=0.2)', 'tanh']
    """

    def __init__(self, *, z, values, slopes):
        self.z = z
        self.values = values
        self.slopes = slopes

    @classmethod
    def from_names(cls, names, *, z_range=(-4.0, 4.0), n_points=401, ax=None):
        """Draw activations.

        Parameters
        ----------
        names : list
            Each in any form that `activation` takes: a name, a pair of a name and arguments, a
            `torch.nn.Module` class or instance, a callable on tensors. Activations across the
            units of a layer, such as 'softmax', are no curves.
        z_range : (float, float), default=(-4.0, 4.0)
            From where to where.
        n_points : int, default=401
            Points of each curve.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : ActivationDisplay
        """
        if isinstance(names, str):
            names = [names]
        z = torch.linspace(*z_range, n_points, dtype=torch.float64)
        values, slopes = {}, {}
        for choice in map(resolve_one, names):
            activation = _function_of_one_number(choice, z)
            name = describe(choice)
            with torch.no_grad():
                values[name] = activation(z).numpy()
            slopes[name] = slope(activation, z).numpy()
        return cls(z=z.numpy(), values=values, slopes=slopes).plot(ax)

    def plot(self, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : ActivationDisplay
            This one, with `ax_`, `figure_` and the lines.
        """
        ax = axes_for(self, ax)
        self.lines_, self.slope_lines_ = {}, {}
        for i, (name, value) in enumerate(self.values.items()):
            colour = COLOURS[i % len(COLOURS)]
            (self.lines_[name],) = ax.plot(self.z, value, color=colour, label=name)
            (self.slope_lines_[name],) = ax.plot(
                self.z, self.slopes[name], color=colour, linestyle="--", linewidth=1.2
            )
        ax.plot([], [], color="#222222", linestyle="--", linewidth=1.2, label="derivatives")
        ax.set(xlabel="z", ylabel="activation(z)")
        ax.grid(alpha=0.25)
        ax.legend(frameon=False)
        return self


def _function_of_one_number(choice, z):
    """Return the activation's module, if each output depends on one input alone."""
    try:
        module = choice.build(1, dtype=z.dtype).eval()
        with torch.no_grad():
            together, one_by_one = module(z[None, :])[0], module(z[:, None])[:, 0]
        is_elementwise = torch.allclose(together, one_by_one, equal_nan=True)
    except (ValueError, RuntimeError, IndexError, TypeError, AssertionError):
        is_elementwise = False
    if not is_elementwise or np.shape(together) != np.shape(z):
        raise ValueError(
            f"names has {describe(choice)!r}, which is no curve: its outputs depend on several "
            "units of a layer. Supported are elementwise activations, such as 'relu' and 'gelu'."
        )
    return module


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

        self.score_ax_, self.lines_ = None, {}
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
