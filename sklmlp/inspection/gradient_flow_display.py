"""Display of the gradient's norm in each layer."""

import numpy as np

from sklmlp.inspection.gradients import gradient_norms, initial_module
from sklmlp.inspection.layers import one_network
from sklmlp.inspection.plotting import COLOURS, axes_for


class GradientFlowDisplay:
    """The gradient's norm by layer, when the fit began and at its end.

    Where activations are flat the gradient shrinks from layer to layer on its way from the output
    to the input [1]_; the layers in front do not learn then. Use :meth:`from_estimator` to make
    one.

    Parameters
    ----------
    layers : list of str
    start, end : ndarray of shape (n_layers,)
        The norms of the mean loss's gradient with respect to each layer's weight matrix.
    name : str, default=None
        What to call the network in the legend, where several are drawn on the same axes.

    Attributes
    ----------
    ax_ : matplotlib.axes.Axes
    figure_ : matplotlib.figure.Figure
    start_line_, end_line_ : matplotlib.lines.Line2D

    References
    ----------
    .. [1] Glorot & Bengio (2010), "Understanding the difficulty of training deep feedforward
       neural networks". AISTATS.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.exceptions import VanishingSignalWarning
    >>> from sklmlp.inspection import GradientFlowDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> deep = MLPClassifier((16,) * 5, activation="logistic", solver="lbfgs", random_state=0)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", VanishingSignalWarning)  # it is to be seen
    ...     deep = deep.fit(X, y)
    >>> display = GradientFlowDisplay.from_estimator(deep, X, y)
    >>> bool(display.start[0] < display.start[-1] / 100)
    True
    """

    def __init__(self, *, layers, start, end, name=None):
        self.layers = layers
        self.start = start
        self.end = end
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, X, y, *, name=None, ax=None):
        """Draw the gradients of a fitted estimator.

        Parameters
        ----------
        estimator : MLPClassifier or MLPRegressor
            Fitted; of an ensemble one of its `estimators_`. Its `random_state` must be an
            integer, from which the weights that the fit began with are drawn again.
        X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
            Rows to take the gradient of, such as those of training.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their targets.
        name : str, default=None
            What to call the network in the legend.
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : GradientFlowDisplay
        """
        estimator = one_network(estimator)
        start = gradient_norms(estimator, X, y, initial_module(estimator))
        end = gradient_norms(estimator, X, y)
        layers = [f"hidden {i}" for i in range(len(end) - 1)] + ["output"]
        return cls(layers=layers, start=start, end=end, name=name).plot(ax)

    def plot(self, ax=None):
        """Draw the norms.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, default=None
            Where to draw; None is a new figure.

        Returns
        -------
        display : GradientFlowDisplay
            This one, with `ax_`, `figure_` and the lines.
        """
        ax = axes_for(self, ax)
        self.ax_, self.figure_ = ax, ax.figure
        called = "" if self.name is None else f"{self.name}, "
        colour = COLOURS[len(ax.lines) // 2 % len(COLOURS)]
        where = np.arange(len(self.layers))
        (self.start_line_,) = ax.plot(
            where, self.start, "o--", color=colour, fillstyle="none", label=f"{called}at the start"
        )
        (self.end_line_,) = ax.plot(
            where, self.end, "o-", color=colour, label=f"{called}at the end"
        )
        ax.set_yscale("log")
        ax.set_xticks(where, self.layers, rotation=90 if len(where) > 6 else 0)
        ax.set(xlabel="layer", ylabel="norm of the gradient")
        ax.grid(alpha=0.25)
        ax.legend(frameon=False)
        return self
