"""Networks that grow compute what they did before."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sklmlp.activations import ACTIVATIONS
from sklmlp.nn import ActivationSpec
from sklmlp.search.architecture.morphism import (
    Layers,
    deepen,
    identity_kind,
    units_for_identity,
    widen,
)

NAMES = [name for name, entry in ACTIVATIONS.items() if entry.elementwise]
DEEPER = {
    *("identity", "relu", "relu6", "hardtanh", "threshold", "hardshrink"),  # f(f(x)) = f(x)
    *("leaky_relu", "gelu", "silu", "hardswish", "softplus", "log_sigmoid"),  # f(x) - f(-x) = c x
}


def make_layers(widths=(5, 4), seed=0):
    rng = np.random.default_rng(seed)
    fans = [3, *widths, 2]
    return Layers(
        [rng.normal(size=shape) for shape in pairwise(fans)],
        [rng.normal(size=width) for width in fans[1:]],
    )


def outputs(layers, name):
    """What torch computes with these layers."""
    function = ActivationSpec(name).build(1, "cpu", torch.float64)
    h = torch.from_numpy(3 * np.random.default_rng(1).normal(size=(50, 3)))
    for coefs, intercepts in zip(layers.coefs[:-1], layers.intercepts[:-1], strict=True):
        h = function(h @ torch.from_numpy(coefs) + torch.from_numpy(intercepts))
    return (h @ torch.from_numpy(layers.coefs[-1])).numpy() + layers.intercepts[-1]


@pytest.mark.parametrize("name", NAMES)
def test_widening_changes_no_output(name):
    """All hidden layers may become wider, with each activation."""
    rng, layers = np.random.default_rng(2), make_layers()
    wider = widen(widen(layers, 0, 17, rng), 1, 6, rng)
    assert wider.widths == (17, 6)
    assert_allclose(outputs(wider, name), outputs(layers, name), rtol=1e-6, atol=1e-9)


def test_doubles_do_not_stay_the_same():
    """A unit and its double send on different parts, so that they learn differently."""
    wider = widen(make_layers((3,)), 0, 6, np.random.default_rng(0))
    same = np.array([[np.array_equal(a, b) for a in wider.coefs[0].T] for b in wider.coefs[0].T])
    for i, j in zip(*np.nonzero(same & ~np.eye(6, dtype=bool)), strict=True):
        assert not np.allclose(wider.coefs[1][i], wider.coefs[1][j])


@pytest.mark.parametrize("name", NAMES)
def test_deepening_changes_no_output(name):
    """A layer more passes on what it is given, or is refused where no such layer is known."""
    activation, layers = ActivationSpec(name), make_layers()
    kind = identity_kind(activation)
    assert (kind is not None) == (name in DEEPER)
    if kind is None:
        with pytest.raises(ValueError, match="cannot pass on the 4 units"):
            deepen(layers, 100, activation, np.random.default_rng(0))
        return
    least = units_for_identity(4, kind)
    for width in (least, least + 5):
        deeper = deepen(layers, width, activation, np.random.default_rng(0))
        assert deeper.widths == (5, 4, width)
        assert_allclose(outputs(deeper, name), outputs(layers, name), rtol=1e-6, atol=1e-9)
    with pytest.raises(ValueError, match=f"A layer of {least - 1} units"):
        deepen(layers, least - 1, activation, np.random.default_rng(0))


def test_the_identity_is_found_for_arguments_too():
    """The slope of a pair of units is that of the activation as it is: 1 + a of leaky ReLU."""
    steep = ActivationSpec("leaky_relu", {"negative_slope": 0.3})
    assert identity_kind(steep) == pytest.approx(1.3)


def test_layers_do_not_become_narrower():
    """What would take units away is refused, with the widths."""
    with pytest.raises(ValueError, match="has 5 units, which cannot become 4"):
        widen(make_layers(), 0, 4, np.random.default_rng(0))
