"""Curves of activations: what is drawn is what torch computes, and its derivative."""

import numpy as np
import pytest
import torch
from torch import nn

from sklmlp.activations import ACTIVATIONS
from sklmlp.inspection import ActivationDisplay

FUNCTIONS = [name for name, entry in ACTIVATIONS.items() if entry.elementwise]


@pytest.mark.parametrize("name", [*FUNCTIONS, "prelu", "rrelu"])
def test_curves_are_the_activation_and_its_derivative(name):
    """A solid line is torch's function, a dashed one its derivative by finite differences."""
    display = ActivationDisplay.from_names([name], z_range=(-3.97, 3.93), n_points=60)
    line, slope_line = display.lines_[name], display.slope_lines_[name]
    entry = ACTIVATIONS[name]
    module = entry.module(**entry.arguments).double().eval()

    def function(z):
        with torch.no_grad():
            return module(torch.from_numpy(z)).numpy()

    z = np.linspace(-3.97, 3.93, 60)
    np.testing.assert_allclose(line.get_xdata(), z)
    np.testing.assert_allclose(line.get_ydata(), function(z))
    expected = (function(z + 1e-6) - function(z - 1e-6)) / 2e-6
    np.testing.assert_allclose(slope_line.get_ydata(), expected, rtol=1e-6, atol=1e-8)


def test_every_form_of_an_activation_is_drawn_under_its_name():
    """Pairs, classes, instances and callables are drawn, and the legend tells them apart."""

    def cube(z):
        return z**3

    forms = [("leaky_relu", {"negative_slope": 0.2}), nn.Tanh, nn.ELU(alpha=0.5), cube]
    display = ActivationDisplay.from_names(forms)
    names = ["leaky_relu(negative_slope=0.2)", "tanh", "elu(alpha=0.5)", "cube"]
    assert list(display.lines_) == names
    texts = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert texts == [*names, "derivatives"]
    np.testing.assert_allclose(display.slopes["cube"], 3 * display.z**2)


@pytest.mark.parametrize("name", ["softmax", "glu", "multihead_attention", "log_softmax"])
def test_what_looks_across_units_is_refused(name):
    """An activation of several units has no curve, and the error says so."""
    with pytest.raises(ValueError, match=f"names has '{name}', which is no curve"):
        ActivationDisplay.from_names(["relu", name])


def test_an_unknown_name_has_the_estimators_error():
    """The error of a typo names the closest name."""
    with pytest.raises(ValueError, match="Did you mean 'gelu'"):
        ActivationDisplay.from_names("gelo")
