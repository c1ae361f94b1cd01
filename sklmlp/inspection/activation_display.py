"""Curves of activations and of their derivatives."""

import numpy as np
import torch

from sklmlp.inspection.layers import slope
from sklmlp.inspection.plotting import COLOURS, axes_for
from sklmlp.nn import describe, resolve_one


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
        self.ax_, self.figure_ = ax, ax.figure
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
