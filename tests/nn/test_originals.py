"""The authors' own layers, of the packages tabm and rtdl_num_embeddings, with our weights."""

import numpy as np
import rtdl_num_embeddings as originals
import tabm
import torch
from numpy.testing import assert_allclose

from sklmlp.nn import TiedNetwork
from sklmlp.nn.embeddings import N_FREQUENCIES, Periodic, PiecewiseLinear

K, N = 4, 11
EDGES = np.sort(np.random.RandomState(0).normal(size=(3, 6)).astype(np.float32), axis=1)


def copy_into(theirs, ours):
    """Copy numbers into a parameter."""
    assert theirs.shape == ours.shape
    theirs.data.copy_(ours.data)


def inside(columns):
    """Rows within the bins, where both maps are the same."""
    shares = torch.rand(N, columns, generator=torch.Generator().manual_seed(0))
    low, high = torch.from_numpy(EDGES[:columns, 0]), torch.from_numpy(EDGES[:columns, -1])
    return low + shares * (high - low)


def test_embeddings_are_version_b():
    """Of `PiecewiseLinearEmbeddings`."""
    ours = PiecewiseLinear(EDGES, 5)
    ours.bins.data.normal_(generator=torch.Generator().manual_seed(0))
    bins = list(torch.from_numpy(EDGES))
    theirs = originals.PiecewiseLinearEmbeddings(bins, 5, activation=False, version="B")
    copy_into(theirs.linear0.weight, ours.weight.squeeze(1))
    copy_into(theirs.linear0.bias, ours.bias.squeeze(1))
    copy_into(theirs.linear.weight, ours.bins)
    x = inside(3)
    expected = theirs(x).transpose(0, 1).detach()
    assert_allclose(ours(x).detach(), expected, rtol=1e-5, atol=1e-6)


def test_members_are_those_of_tabm():
    """Of `LinearBatchEnsemble`, with `LinearEnsemble` behind them."""
    torch.manual_seed(0)
    network = TiedNetwork(
        3, 2, np.empty((0, 2)), [0, 1, 2], hidden_layer_sizes=(7, 6), n_members=K, dropout=0.0
    ).train()
    for parameter in network.parameters():
        parameter.data.normal_()
    x = torch.randn(N, 3)
    h = x.unsqueeze(1).expand(N, K, 3)  # their members are the second axis
    for layer in network.layers:
        theirs = tabm.LinearBatchEnsemble(*layer.weight.shape, k=K, scaling_init="ones")
        copy_into(theirs.weight, layer.weight.T)
        for name in ("r", "s", "bias"):
            copy_into(getattr(theirs, name), getattr(layer, name))
        h = theirs(h).relu()
    head = tabm.LinearEnsemble(6, 2, k=K)
    copy_into(head.weight, network.head)
    copy_into(head.bias, network.head_bias.squeeze(1))
    expected = head(h).transpose(0, 1).detach()
    assert_allclose(network(x).detach(), expected, rtol=1e-4, atol=1e-5)


def test_periodic_embeddings_are_those_of_two_phases():
    """A sine is a cosine of another phase: `PeriodicEmbeddings` without an activation."""
    torch.manual_seed(0)
    half = N_FREQUENCIES // 2
    theirs = originals.PeriodicEmbeddings(
        3, 5, n_frequencies=half, frequency_init_scale=0.1, activation=False, lite=False
    )
    ours = Periodic(3, 5, 0.1)
    ours.frequencies.data = theirs.periodic.weight.data.repeat(1, 2).unsqueeze(1)
    ours.phases.data = torch.tensor([0.0, -torch.pi / 2]).repeat_interleave(half).repeat(3, 1, 1)
    copy_into(ours.weight, theirs.linear.weight)
    copy_into(ours.bias.squeeze(1), theirs.linear.bias)
    x = torch.randn(N, 3)
    expected = theirs(x).transpose(0, 1).detach()
    assert_allclose(ours(x).detach(), expected, rtol=1e-4, atol=1e-5)
