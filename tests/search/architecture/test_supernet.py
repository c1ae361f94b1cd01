"""A supernet is what it says: its parts are networks, its mixtures are sums."""

import itertools

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from sklmlp.nn import ActivationSpec
from sklmlp.search.architecture.pool import Architecture
from sklmlp.search.architecture.supernet import Supernet

ACTIVATIONS = [ActivationSpec("relu"), ActivationSpec("tanh"), ActivationSpec("gelu")]
MODULES = [nn.ReLU(), nn.Tanh(), nn.GELU()]
CLOSE = {"rtol": 1e-12, "atol": 1e-12}


def make_supernet(depths=(0, 1, 2), n_networks=2):
    """A supernet of two hidden layers in float64, and rows."""
    rng = np.random.default_rng(0)
    supernet = Supernet(
        *(3, 2, [6, 5], depths, ACTIVATIONS, rng), n_networks=n_networks, dtype=torch.float64
    )
    return supernet, torch.from_numpy(rng.normal(size=(7, 3)))


def linear(coefs, intercepts):
    """torch's layer with these weights."""
    layer = nn.Linear(*coefs.shape, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(coefs.T)
        layer.bias.copy_(intercepts)
    return layer


def alone(supernet, architecture, k):
    """torch's own network with the weights of one architecture of the k-th network."""
    layers, fan_in = [], 3
    for i, (width, choice) in enumerate(
        zip(architecture.widths, architecture.activations, strict=True)
    ):
        coefs, intercepts = supernet.coefs[i][k], supernet.intercepts[i][k, 0]
        layers += [linear(coefs[:fan_in, :width], intercepts[:width]), MODULES[choice]]
        fan_in = width
    coefs, intercepts = supernet.heads[len(architecture.widths)]
    return nn.Sequential(*layers, linear(coefs[k, :fan_in], intercepts[k, 0]))


@pytest.mark.parametrize(
    "widths, activations",
    [((), ()), ((4,), (0,)), ((6,), (1,)), ((2, 5), (2, 2)), ((6, 1), (1, 0))],
)
def test_a_part_is_a_network_of_its_own(widths, activations):
    """Logits and gradients of an architecture are those of a stand-alone network."""
    supernet, x = make_supernet()
    architecture = Architecture(widths, activations)
    logits = supernet.logits(x, architecture)
    first = supernet.heads[len(widths)][0] if not widths else supernet.coefs[0]
    (gradient,) = torch.autograd.grad(logits.square().sum(), first)
    for k in range(2):
        network = alone(supernet, architecture, k)
        expected = network(x)
        assert_allclose(logits[k].detach(), expected.detach(), **CLOSE)
        expected.square().sum().backward()
        slope = network[0].weight.grad.T
        assert_allclose(gradient[k][:, : slope.shape[1]], slope, **CLOSE)
        assert not gradient[k][:, slope.shape[1] :].any()


def test_a_mixture_is_the_sum_of_its_parts():
    """Widths, activations and depths are weighed as the sums over all options, written out."""
    supernet, x = make_supernet((1, 2), n_networks=1)
    rng = np.random.default_rng(1)
    levels = [[2, 6], [1, 3, 5]]
    of_depth, *shares = (torch.from_numpy(rng.dirichlet(np.ones(n))) for n in (2, 2, 3, 3, 3))
    of_width, of_activation = shares[:2], shares[2:]
    masks = [
        sum(p * (torch.arange(most) < width) for p, width in zip(share, widths, strict=True))
        for share, widths, most in zip(of_width, levels, (6, 5), strict=True)
    ]
    got = supernet.mixed_logits(x, of_depth, masks, of_activation)[0]
    h, expected = x, 0.0
    for i in range(2):
        z = h @ supernet.coefs[i][0] + supernet.intercepts[i][0]
        h = torch.zeros_like(z)
        for (p, width), (q, module) in itertools.product(
            zip(of_width[i], levels[i], strict=True), zip(of_activation[i], MODULES, strict=True)
        ):
            part = module(z)[:, :width]
            h = h + p * q * nn.functional.pad(part, (0, z.shape[1] - width))
        coefs, intercepts = supernet.heads[i + 1]
        expected = expected + of_depth[i] * (h @ coefs[0] + intercepts[0])
    assert_allclose(got.detach(), expected.detach(), **CLOSE)


def test_a_mixture_of_one_option_is_the_architecture():
    """Where all weights are one or zero the mixture is that part of the supernet."""
    supernet, x = make_supernet()
    one = torch.eye(3, dtype=torch.float64)
    masks = [torch.arange(6) < 4, torch.arange(5) < 3]
    got = supernet.mixed_logits(x, one[2], masks, [one[1], one[0]])
    expected = supernet.logits(x, Architecture((4, 3), (1, 0)))
    assert_allclose(got.detach(), expected.detach(), **CLOSE)
