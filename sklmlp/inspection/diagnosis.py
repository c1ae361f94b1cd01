"""Facts about a fitted network: by layer, the flow of its gradient, the affine map it may equal."""

from numbers import Integral

import numpy as np
import torch

from sklmlp import runtime
from sklmlp.compat import AnyBatchNorm
from sklmlp.data import Dataset
from sklmlp.fitted_network import fitted_networks
from sklmlp.inspection.displays import COLOURS, axes_for
from sklmlp.inspection.hidden_units import activities
from sklmlp.inspection.layers import (
    layers_of,
    matrices_of,
    names_of,
    one_network,
    outputs,
    rows_for,
)
from sklmlp.prediction import encoded_rows
from sklmlp.preparation import initial_network


def diagnose(estimator, X, y=None):
    """Describe each layer of a fitted network by its activations and weights.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted; of an ensemble pass one of its `estimators_`.
    X : {array-like, sparse matrix, dataframe} of shape (n_samples, n_features)
        Rows to look at, such as those of training.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
        Their targets, for the gradient; without them `gradient_norm` is NaN.

    Returns
    -------
    facts : pandas.DataFrame
        A row for each hidden layer and one for the output, whose logits are looked at:

        - `activation`: its name, None for the output;
        - `units`: the width of the layer's output;
        - `weight_norm`: the Euclidean norm of its matrices;
        - `gradient_norm`: that of the gradient of the mean loss with respect to them;
        - `dead`: the share of units that are zero for every row, up to 1e-6;
        - `saturated`: the share of rows and units where the activation's slope is less than a
          twentieth of its steepest; for activations that are flat on both sides, such as
          'logistic' and 'tanh', and 0 for others; NaN for the output, activations across units
          and those of custom ones;
        - `effective_rank`: of the layer's output, (n_samples, units): the exponential of
          the entropy of its normalized singular values [1]_;
        - `mean`, `std`: of its output, over rows and units.

    References
    ----------
    .. [1] Roy & Vetterli (2007), "The effective rank: A measure of effective dimensionality".
       EUSIPCO.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.inspection import diagnose
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((8, 4), solver="lbfgs", random_state=0).fit(X, y)
    >>> diagnose(mlp, X, y)[["activation", "units"]]
             activation  units
    layer
    hidden 0       relu      8
    hidden 1       relu      4
    output         None      3
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("diagnose needs pandas: pip install 'sklmlp[examples]'") from error
    estimator = one_network(estimator)
    rows = activities(estimator, rows_for(estimator, X))
    gradients = np.full(len(rows), np.nan) if y is None else gradient_norms(estimator, X, y)
    return pd.DataFrame(
        {
            "activation": pd.Series([row.activation for row in rows], dtype=object),
            "units": [len(row.magnitude) for row in rows],
            "weight_norm": weight_norms(estimator),
            "gradient_norm": gradients,
            "dead": [row.dead.mean() if row.activation else np.nan for row in rows],
            "saturated": [row.saturated.mean() for row in rows],
            "effective_rank": [row.effective_rank for row in rows],
            "mean": [row.mean for row in rows],
            "std": [row.std for row in rows],
        },
    ).set_index(pd.Index([row.name for row in rows], name="layer"))


def weight_norms(estimator):
    """Return the Euclidean norm of each layer's matrices."""
    with torch.no_grad():
        return [
            float(torch.cat([p.reshape(-1) for p in matrices_of(layer)]).norm())
            for layer in layers_of(estimator)
        ]


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
    coef = matrices_of(layers[0])[0]
    dataset = Dataset.of(X, y, None, coef.dtype, coef.device, spec.scaling)
    loss = spec.loss_function

    @torch.enable_grad()
    def differentiate():
        for x, target, _ in dataset.slices():
            z = outputs(layers, x)[-1]
            z.backward(loss.gradient(z.detach(), target) / len(dataset))

    runtime.compute(differentiate, estimator.matmul_precision)
    return np.array([_norm(matrices_of(layer)) for layer in layers])


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
        return cls(layers=names_of(end), start=start, end=end, name=name).plot(ax)

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


def linear_equivalent(estimator):
    """Compute the one affine map that a network without nonlinearity collapses to.

    ``(x W + b) V + c = x (W V) + (b V + c)``: affine maps in a row are an affine map, however many
    they are. A network needs a nonlinearity between them to be more than that.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
        Fitted, with one network whose activations are all 'identity', or without hidden layers.

    Returns
    -------
    coef : ndarray of shape (n_features, n_outputs)
    intercept : ndarray of shape (n_outputs,)
        ``X @ coef + intercept`` are the logits: the predictions of a squared error, and what
        softmax, logistic and exp make probabilities and means of. With `normalize_y=True` they
        are in units of y too, but for a list of quantiles, whose steps are not affine.

    Raises
    ------
    ValueError
        If some activation is not 'identity', or normalization or skips stand between the maps.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from sklmlp import MLPRegressor
    >>> from sklmlp.inspection import linear_equivalent
    >>> X, y = load_diabetes(return_X_y=True)
    >>> deep = MLPRegressor(
    ...     hidden_layer_sizes=(20, 20), activation="identity", normalize_y=True, random_state=0
    ... ).fit(X, y)
    >>> coef, intercept = linear_equivalent(deep)
    >>> coef.shape
    (10, 1)
    >>> np.allclose(deep.predict(X), (X @ coef + intercept).ravel())
    True
    """
    estimator = one_network(estimator)
    spec = fitted_networks(estimator)[0].spec
    for i, choice in enumerate(spec.activations):
        if choice.name != "identity" or choice.custom is not None:
            raise ValueError(
                f"The activation of hidden layer {i} is {choice.name!r}, and affine maps are one "
                "affine map only without a nonlinearity between them. Only activation='identity' "
                "is supported."
            )
    for name, plain in {"normalization": None, "residual": False}.items():
        value = getattr(spec, name, plain)
        if spec.hidden and value != plain:
            raise ValueError(
                f"The network has more than affine maps in a row: {name}={value!r}. Only {name}="
                f"{plain!r} is supported."
            )
    coef, intercept = estimator.coefs_[0], estimator.intercepts_[0]
    for W, b in zip(estimator.coefs_[1:], estimator.intercepts_[1:], strict=True):
        coef, intercept = coef @ W, intercept @ W + b
    return _in_units_of_y(spec, np.array(coef), np.array(intercept))


def _in_units_of_y(spec, coef, intercept):
    """Turn an affine map to logits of scaled targets into one to logits in units of y."""
    if spec.scaling is None or spec.out_activation == "ordered":
        return coef, intercept
    dtype, n_targets = coef.dtype, len(spec.scaling.scale)
    center, scale = (np.array(each, dtype) for each in (spec.scaling.center, spec.scaling.scale))
    if spec.out_activation == "exp":  # s exp(z) = exp(z + log s)
        return coef, intercept + np.log(scale)
    coef[:, :n_targets] *= scale
    intercept[:n_targets] = intercept[:n_targets] * scale + center
    intercept[n_targets:] += 2 * np.log(scale[: len(intercept) - n_targets])  # of variances
    return coef, intercept
