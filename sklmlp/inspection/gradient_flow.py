"""The norm of the gradient in each layer, when a fit began and at its end, and its display."""

from numbers import Integral

import numpy as np
import torch

from sklmlp import runtime
from sklmlp.compat import AnyBatchNorm
from sklmlp.data import Dataset
from sklmlp.fitted_network import fitted_networks
from sklmlp.inspection.displays import COLOURS, axes_for
from sklmlp.inspection.layers import layers_of, one_network, outputs
from sklmlp.prediction import encoded_rows
from sklmlp.preparation import initial_network


@torch.inference_mode(False)
def gradient_norms(estimator, X, y, module=None):
    """Compute the norm of the mean loss's gradient with respect to each layer's matrices.

    The loss is that of the fit, without the penalty `alpha`, and all rows weigh the same. Dropout
    is off, and batch normalization takes the statistics of the rows, as in training.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted, with one network.
    X, y : array-like of shape (n_samples, n_features), (n_samples,) or (n_samples, n_outputs)
    module : torch.nn.Module, default=None
        Another state of its network; None for the fitted one.

    Returns
    -------
    norms : ndarray of shape (n_layers - 1,)
        Hidden layers first, the output's last.
    """
    X, y = encoded_rows(estimator, X, y)
    layers, spec = layers_of(estimator, module), fitted_networks(estimator)[0].spec
    for part in (part for layer in layers for part in layer.modules()):
        if isinstance(part, AnyBatchNorm):
            part.train()  # before training its running statistics are not those of any rows
    coef = layers[0].matrices[0]
    dataset = Dataset.of(X, y, None, coef.dtype, coef.device, spec.scaling)
    loss = spec.loss_function

    @torch.enable_grad()
    def differentiate():
        for x, target, _ in dataset.slices():
            z = outputs(layers, x)[-1]
            z.backward(loss.gradient(z.detach(), target) / len(dataset))

    runtime.compute(differentiate, estimator.matmul_precision)
    return np.array([_norm(layer.matrices) for layer in layers])


def _norm(matrices):
    return float(torch.cat([p.grad.reshape(-1) for p in matrices]).norm())


def initial_module(estimator):
    """Build the network that a fit began with from the estimator's `random_state`.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted, with one network.

    Returns
    -------
    module : torch.nn.Module

    Raises
    ------
    ValueError
        If `random_state` is not an integer, which alone gives the same numbers again.
    """
    if not isinstance(estimator.random_state, Integral):
        raise ValueError(
            "The weights that the fit began with are drawn again from random_state, which must be "
            f"an integer for that; got random_state={estimator.random_state!r}."
        )
    with torch.inference_mode(False), torch.enable_grad(), runtime.neutral():
        return initial_network(estimator).module


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
