"""Members that share matrices: how they start, what they compute, and their average."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sklmlp.losses import LOSSES
from sklmlp.nn import TiedNetwork
from sklmlp.nn.tied import AVERAGES, TiedLayer

EDGES = np.array([[0.0, 1, 2], [0.0, 1, 1]], dtype=np.float32)


def make_network(**params):
    torch.manual_seed(0)
    shared = {"edges": EDGES, "blocks": [0, 1, 2, 2], "hidden_layer_sizes": (5,), "n_members": 3}
    return TiedNetwork(4, 2, **shared | {"embedding_size": 2} | params).eval()


def test_a_member_is_a_layer_of_its_own_matrix():
    """Its matrix is diag(r) W diag(s)."""
    torch.manual_seed(0)
    layer = TiedLayer(torch.randn(3, 4), 6)
    layer.s.data.normal_()
    x = torch.randn(7, 4)
    for i, z in enumerate(layer(x)):
        matrix = torch.diag(layer.r[i]) @ layer.weight @ torch.diag(layer.s[i])
        assert_allclose(z.detach(), (x @ matrix + layer.bias[i]).detach(), rtol=1e-4, atol=1e-6)


def test_one_member_without_scales_is_an_ordinary_network():
    """With k = 1 and r = s = 1, and no embedding."""
    network = make_network(edges=np.empty((0, 2)), n_members=1)
    network.layers[0].r.data.fill_(1)
    plain = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))
    plain[0].weight.data, plain[0].bias.data = network.layers[0].weight.T, network.layers[0].bias[0]
    plain[2].weight.data, plain[2].bias.data = network.head[0].T, network.head_bias[0, 0]
    x = torch.randn(6, 4)
    assert_allclose(network(x).detach(), plain(x).detach(), rtol=1e-5, atol=1e-6)


def test_columns_of_one_block_start_from_one_scale():
    """A member draws a number for each column, which all of its embedding has."""
    r = make_network().layers[0].r.detach()
    # embeddings of two columns, these two columns, and two columns of one category
    first, second, category = r[:, [0, 1, 4]], r[:, [2, 3, 5]], r[:, [6, 7]]
    for block in (first, second, category):
        assert (block == block[:, :1]).all()
    assert len(np.unique(r)) == 9


def test_training_gives_the_logits_of_members():
    """And evaluation those of their mean."""
    network = make_network(dropout=0.0)
    x = torch.randn(6, 4)
    mean = network(x)
    members = network.train()(x)
    assert members.shape == (3, 6, 2)
    assert_allclose(members.mean(0).detach(), mean.detach(), rtol=1e-5)


LINKS = {
    "softmax": LOSSES["log_loss"].loss.link,
    "logistic": LOSSES["binary_log_loss"].loss.link,
    "exp": LOSSES["poisson"].loss.link,
    "identity": LOSSES["squared_error"].loss.link,
    "gaussian": LOSSES["gaussian"].loss.link,
}


@pytest.mark.parametrize("average", AVERAGES)
def test_the_average_is_that_of_predictions(average):
    """The link of the averaged logits is the mean of the members' predictions."""
    z = torch.randn(4, 9, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    link = LINKS[average]
    assert_allclose(link(AVERAGES[average](z)), link(z).mean(0), rtol=1e-12)


@pytest.mark.parametrize("average", ["softmax", "logistic"])
def test_the_average_of_sure_members_is_finite(average):
    """Probabilities that are 0 in float32 have logarithms all the same."""
    z = torch.tensor([[[300.0, -300.0]], [[250.0, -250.0]]])
    mean = AVERAGES[average](z)
    assert mean.isfinite().all()
    assert_allclose(torch.diff(mean).item(), -500, rtol=0.01)


def test_variances_follow_the_law_of_total_variance():
    """Members that disagree are less sure together."""
    z = torch.tensor([[[1.0, 0.0]], [[3.0, 0.0]]])  # means 1 and 3, variances 1
    assert_allclose(AVERAGES["gaussian"](z), [[2.0, np.log(2.0)]], rtol=1e-6)
