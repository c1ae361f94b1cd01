"""What a user writes for `activation`, resolved to a name, arguments and arrays."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

from sklmlp.nn import constructor_arguments, output_rule, resolve, resolve_one


class Power(nn.Module):
    def __init__(self, exponent, shift=0.0):
        super().__init__()
        self.exponent, self.shift = exponent, shift

    def forward(self, z):
        return (z + self.shift) ** self.exponent


class Forgetful(nn.Module):
    def __init__(self, exponent):
        super().__init__()
        self.power = exponent

    def forward(self, z):
        return z**self.power


@pytest.mark.parametrize(
    "instance, name, arguments",
    [
        (nn.ReLU(inplace=True), "relu", {}),
        (nn.LeakyReLU(0.3), "leaky_relu", {"negative_slope": 0.3}),
        (nn.ELU(alpha=2.0), "elu", {"alpha": 2.0}),
        (nn.Hardtanh(-2.0, 3.0), "hardtanh", {"min_val": -2.0, "max_val": 3.0}),
        (nn.GELU("tanh"), "gelu", {"approximate": "tanh"}),
        (nn.RReLU(0.1, 0.2), "rrelu", {"lower": 0.1, "upper": 0.2}),
        (nn.Softplus(beta=2.0), "softplus", {"beta": 2.0}),
        (nn.Threshold(0.1, 20.0), "threshold", {"threshold": 0.1, "value": 20.0}),
        (nn.Softmax(dim=1), "softmax", {"dim": 1}),
        (nn.MultiheadAttention(4, 2, bias=False), "multihead_attention",
         {"embed_dim": 4, "num_heads": 2, "bias": False}),
    ],
)  # fmt: skip
def test_instances_are_read_back(instance, name, arguments):
    """A torch.nn instance resolves to its entry's name and the arguments that it was made with."""
    choice = resolve_one(instance)
    assert choice.name == name
    assert choice.arguments == arguments
    assert choice.custom is None


def test_prelu_instance_brings_its_slopes():
    """An instance's own numbers come along as arrays."""
    instance = nn.PReLU(4)
    with torch.no_grad():
        instance.weight.copy_(torch.arange(4.0))
    assert_array_equal(resolve_one(instance).arrays["weight"], np.arange(4))


def test_arguments_of_an_own_module_are_read_back():
    """Arguments that a module keeps under their names are read from it, defaults left out."""
    assert constructor_arguments(Power(3)) == {"exponent": 3}
    assert constructor_arguments(Power(3, shift=1.0)) == {"exponent": 3, "shift": 1.0}


def test_a_module_that_forgets_its_arguments():
    """A module that keeps an argument under another name is told what to do."""
    with pytest.raises(TypeError, match="Forgetful does not keep its argument 'exponent'"):
        constructor_arguments(Forgetful(3))


def test_one_activation_stands_for_every_layer():
    """A single activation is repeated, a list is taken in order."""
    assert [choice.name for choice in resolve("gelu", 3)] == ["gelu"] * 3
    assert [choice.name for choice in resolve(["gelu", "elu"], 2)] == ["gelu", "elu"]
    assert resolve("gelu", 0) == []


@pytest.mark.parametrize(
    "activation, rule",
    [
        ("logistic", "logistic"),
        (["relu", "Sigmoid"], "logistic"),
        ("relu", "identity"),
        (["logistic", "relu"], "identity"),
        ("gelu", "identity"),
        ([], "identity"),
        (np.tanh, "identity"),
    ],
)
def test_output_layer_is_drawn_by(activation, rule):
    """As in scikit-learn the output layer shares the bound of 'logistic', else of the identity."""
    assert output_rule(activation).name == rule
