"""Embeddings of numbers: edges of bins and the map over them, waves, and both side by side."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sklmlp.nn import bin_edges, pad_edges
from sklmlp.nn.embeddings import N_FREQUENCIES, Periodic, PiecewiseLinear, make_front


def test_few_values_are_all_edges():
    """Each distinct number is an edge where there are no more than bins."""
    assert_array_equal(bin_edges(np.array([3.0, 1, 1, 7, 3]), 4), [1, 3, 7])


def test_many_values_have_quantiles_as_edges():
    """They are those of NumPy, the extremes included."""
    column = np.random.RandomState(0).normal(size=1000)
    expected = np.quantile(column, np.linspace(0, 1, 9), method="inverted_cdf")
    assert_allclose(bin_edges(column, 8), expected, rtol=1e-6)


def test_a_heavy_value_has_an_edge_and_leaves_the_others_their_quantiles():
    """Nine in ten are zero, and the rest still have nearly all of the bins."""
    rng = np.random.RandomState(0)
    column = np.where(rng.uniform(size=5000) < 0.9, 0.0, rng.exponential(size=5000) + 1)
    edges = bin_edges(column, 16)
    assert 0 in edges and len(edges) == 17
    rest = column[column > 0]
    shares = np.histogram(rest, edges[1:])[0] / len(rest)
    assert shares.max() < 1.5 / 15


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_edges_rise_whatever_the_units(scale):
    """Edges that are as good as equal are one."""
    column = np.array([0.0, 1e-9, 1, 1 + 1e-9, 2]) * scale
    assert_allclose(bin_edges(column, 8), np.array([0, 1, 2]) * scale, rtol=1e-6)


def test_a_constant_has_one_edge():
    """And a table of edges has two at least, which make no bin."""
    assert_array_equal(bin_edges(np.ones(5), 8), [1])
    assert_array_equal(pad_edges([bin_edges(np.ones(5), 8)]), [[1, 1]])


EDGES = [np.array([0.0, 1, 3]), np.array([-1.0, 1])]


def test_components_are_zero_and_one_at_the_ends_of_a_bin():
    """A component rises across its bin, and stays where it is on both sides."""
    front = PiecewiseLinear(pad_edges(EDGES), 2)
    x = torch.tensor([[-5.0, -1], [0, 0], [0.5, 1], [1, 9], [2, 9], [3, 9], [9, 9]])
    first, second = front.encode(x)
    assert_allclose(first, [[0, 0], [0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1], [1, 1]])
    assert_allclose(second[:4], [[0, 0], [0.5, 0], [1, 0], [1, 0]])  # the second bin is padding


def test_the_map_is_linear_between_edges():
    """It is x w + c and the sum of V over all bins to the left, at an edge."""
    front = PiecewiseLinear(pad_edges(EDGES), 2)
    with torch.no_grad():
        front.bins.normal_(generator=torch.Generator().manual_seed(0))
        at = front(torch.tensor([[0.0, 0], [1, 0], [3, 0], [2, 0]]))[0]
        weight, bias, bins = front.weight[0], front.bias[0], front.bins[0]
        assert_allclose(at[0], bias[0], rtol=1e-6)
        assert_allclose(at[1], bias[0] + weight[0] + bins[0], rtol=1e-5)
        assert_allclose(at[2], bias[0] + 3 * weight[0] + bins.sum(0), rtol=1e-5)
        assert_allclose(at[3], (at[1] + at[2]) / 2, rtol=1e-5)


def test_the_map_starts_linear():
    """Before training the bins count for nothing."""
    front = PiecewiseLinear(pad_edges(EDGES), 3)
    x = torch.tensor([[0.3, -0.2], [5.0, 2.0]])
    expected = front.bias + x.T.unsqueeze(2) * front.weight
    assert torch.equal(front(x), expected)


TABLE = np.array([[0.0, 1, 2], [0.0, 1, 1]], dtype=np.float32)


def test_a_periodic_one_is_an_affine_map_of_cosines():
    """By NumPy, column by column."""
    torch.manual_seed(0)
    front, x = Periodic(2, 3, 0.5), torch.randn(7, 2)
    for j, embedded in enumerate(front(x).detach()):
        f, p, v, c = (each[j].detach().numpy() for each in front.parameters())
        waves = np.cos(2 * np.pi * x[:, [j]].numpy() * f + p)
        assert_allclose(embedded, waves @ v + c, rtol=1e-4, atol=1e-5)


def test_frequencies_start_in_their_scale():
    """Normally distributed, and phases over all angles."""
    torch.manual_seed(0)
    front = Periodic(200, 1, 0.3)
    assert front.frequencies.shape == (200, 1, N_FREQUENCIES)
    assert front.frequencies.std().item() == pytest.approx(0.3, rel=0.05)
    assert front.phases.std().item() == pytest.approx(np.pi / 3**0.5, rel=0.05)


@pytest.mark.parametrize("kind, size", [("piecewise", 4), ("periodic", 4), ("both", 8)])
def test_the_length_of_vectors_is_told(kind, size):
    """Two kinds have as much each."""
    front, told = make_front(kind, TABLE, 4, 0.1)
    assert told == size and front(torch.randn(6, 2)).shape == (2, 6, size)


def test_both_are_one_behind_the_other():
    """The first half is piecewise-linear."""
    front, _ = make_front("both", TABLE, 4, 0.1)
    x = torch.randn(6, 2)
    both = front(x).detach()
    assert_allclose(both[:, :, :4], front.piecewise(x).detach())
    assert_allclose(both[:, :, 4:], front.periodic(x).detach())


def test_without_columns_there_is_none():
    """And nothing to embed."""
    assert make_front("both", TABLE[:0], 4, 0.1) == (None, 0)
