"""Periodic embeddings: waves of numbers, and both kinds side by side."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sklmlp.nn.periodic import N_FREQUENCIES, Periodic, make_front

EDGES = np.array([[0.0, 1, 2], [0.0, 1, 1]], dtype=np.float32)


def test_it_is_an_affine_map_of_cosines():
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
    front, told = make_front(kind, EDGES, 4, 0.1)
    assert told == size and front(torch.randn(6, 2)).shape == (2, 6, size)


def test_both_are_one_behind_the_other():
    """The first half is piecewise-linear."""
    front, _ = make_front("both", EDGES, 4, 0.1)
    x = torch.randn(6, 2)
    both = front(x).detach()
    assert_allclose(both[:, :, :4], front.piecewise(x).detach())
    assert_allclose(both[:, :, 4:], front.periodic(x).detach())


def test_without_columns_there_is_none():
    """And nothing to embed."""
    assert make_front("both", EDGES[:0], 4, 0.1) == (None, 0)
