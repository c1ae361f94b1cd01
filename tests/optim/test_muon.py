"""Muon: its orthogonal steps, torch's own, and Adam beside it."""

import copy
import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sklmlp.nn import Network, TiedNetwork
from sklmlp.nn.spec import Spec, initial_weights
from sklmlp.optim import Muon, StackedUpdate
from sklmlp.optim.muon import orthogonalized
from sklmlp.optim.schedules import coslog, factor

LR, MATRIX_FACTOR, SCALE_FACTOR = 1e-2, 5.0, 3.0


def make_network():
    params = {
        "edges": np.array([[0.0, 1.0, 2.0]]), "blocks": [0, 1], "hidden_layer_sizes": (6, 9),
        "n_members": 3, "embedding_size": 2,
    }  # fmt: skip
    spec = Spec(2, 1, (), (), "squared_error", module=TiedNetwork, module_params=params)
    weights = initial_weights(spec, np.random.RandomState(0), np.float64, None)
    return Network(spec, weights, torch.float64, torch.device("cpu"))


def make_muon(network, **options):
    module = network.module
    return Muon(
        network, module.shared, module.first_scales, LR, MATRIX_FACTOR, SCALE_FACTOR, **options
    )


@pytest.mark.parametrize("shape", [(5, 20), (20, 5), (12, 12)])
def test_orthogonalized_keeps_singular_vectors(shape):
    """Of U S V^T it makes about U V^T."""
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    singular = torch.diagonal(u.T @ orthogonalized(matrix) @ v.T)
    assert singular.min() > 0.6 and singular.max() < 1.3
    off = u.T @ orthogonalized(matrix) @ v.T - torch.diag(singular)
    assert off.abs().max() < 1e-10


def test_matrices_move_as_by_torchs_muon():
    """Up to the bfloat16 that torch orthogonalizes in, and its (n_out, n_in)."""
    network = make_network()
    matrices = [torch.nn.Parameter(p.detach().T.clone()) for p in network.module.shared]
    torchs = torch.optim.Muon(matrices, lr=LR * MATRIX_FACTOR, weight_decay=0.01)
    before = [p.detach().clone() for p in network.module.shared]
    update = StackedUpdate([make_muon(network)], network.flat.detach(), network.gradient)
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        network.gradient.normal_(generator=generator)
        for theirs, ours in zip(matrices, network.module.shared, strict=True):
            theirs.grad = ours.grad.T.clone()
        torchs.step()
        update.step()
    for theirs, ours, start in zip(matrices, network.module.shared, before, strict=True):
        moved, expected = ours.detach() - start, theirs.detach().T - start
        assert torch.linalg.vector_norm(moved - expected) < 0.02 * torch.linalg.vector_norm(moved)


def test_all_else_moves_as_by_torchs_adam():
    """Each part at its rate; torch's own Adam is the reference."""
    network = make_network()
    shared, scales = map(
        lambda parts: {id(p) for p in parts}, (network.module.shared, network.module.first_scales)
    )
    rest = [p for p in network.learned if id(p) not in shared]
    copies = [torch.nn.Parameter(p.detach().clone()) for p in rest]
    rates = [LR * (SCALE_FACTOR if id(p) in scales else 1) for p in rest]
    groups = [{"params": [p], "lr": rate} for p, rate in zip(copies, rates, strict=True)]
    adam = torch.optim.Adam(groups, betas=(0.9, 0.95))
    update = StackedUpdate([make_muon(network)], network.flat.detach(), network.gradient)
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        network.gradient.normal_(generator=generator)
        for theirs, ours in zip(copies, rest, strict=True):
            theirs.grad = ours.grad.clone()
        adam.step()
        update.step()
    for theirs, ours in zip(copies, rest, strict=True):
        assert_allclose(ours.detach(), theirs.detach(), rtol=1e-9)


def test_a_matrix_moves_by_the_formula():
    """One step, in float64, by the formula of its docstring."""
    network = make_network()
    weight = network.module.shared[1]
    start = weight.detach().clone()
    optimizer = make_muon(network, weight_decay=0.1)
    network.gradient.normal_(generator=torch.Generator().manual_seed(0))
    gradient = weight.grad.clone()
    StackedUpdate([optimizer], network.flat.detach(), network.gradient).step()
    lr = LR * MATRIX_FACTOR
    step = orthogonalized(0.05 * gradient + 0.95 * 0.05 * gradient)
    n_in, n_out = weight.shape
    expected = start * (1 - 0.1 * lr) - lr * math.sqrt(n_out / n_in) * step
    assert n_out > n_in
    assert_allclose(weight.detach(), expected, rtol=1e-10)


def test_slices_move_as_the_whole():
    """What callbacks leave unfrozen is updated parameter by parameter, to the same numbers."""
    whole, cut = make_network(), make_network()
    generator = torch.Generator().manual_seed(0)
    whole.gradient.normal_(generator=generator)
    cut.gradient.copy_(whole.gradient)
    StackedUpdate([make_muon(whole)], whole.flat.detach(), whole.gradient).step()
    optimizer, flat = make_muon(cut), cut.flat.detach()
    for part in cut.segments:
        moments = [moment[part] for moment in optimizer.moments.values()]
        steps = [torch.zeros(())]
        group = copy.copy(optimizer.group)
        optimizer.update_tensors([flat[part]], [cut.gradient[part]], moments, steps, 1, group)
    assert_allclose(cut.flat.detach(), whole.flat.detach(), rtol=1e-12)


@pytest.mark.parametrize("q", [0, 1 / 15, 3 / 15, 7 / 15, 1])
def test_coslog_is_zero_at_the_ends_of_its_cycles(q):
    """Each cycle is a power of two long."""
    assert coslog(q) == pytest.approx(0, abs=1e-12)


def test_coslog_is_one_in_the_middle_of_its_cycles():
    """Where log2(1 + 15 q) is a half and a whole number."""
    assert [coslog((2 ** (k + 0.5) - 1) / 15) for k in range(4)] == pytest.approx([1] * 4)
    assert factor("coslog", 3, 10) == coslog(0.3)
