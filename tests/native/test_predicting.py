"""Logits, and the gradient of all rows, against torch."""

from itertools import product

import numpy as np
import pytest
import torch
from scipy import sparse

from sklmlp.native import Rows, instruction_set
from sklmlp.native.extension import engine
from tests.native import reference
from tests.native.networks import MODULES, Network

KINDS = [
    *({"activation": name} for name in MODULES),
    *({"normalization": name, "residual": True} for name in ("batch", "layer", "rms")),
    {"dropout": 0.5, "residual": True, "activation": "glu"},
    {"hidden": ()},
    {"transposed": (True, False, False), "hidden": (70, 33)},
]


def random_rows(network, n):
    """Rows, and running statistics that are not the initial ones."""
    rng = np.random.default_rng(4)
    for norm in network.normalizations if network.normalization == "batch" else ():
        norm.running_mean.copy_(torch.from_numpy(rng.normal(size=norm.num_features)))
        norm.running_var.copy_(torch.from_numpy(rng.uniform(0.5, 2, norm.num_features)))
    return rng.normal(size=(n, network.n_features)).astype(network.dtype)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(("n", "n_threads"), [(1, 1), (2, 1), (3000, 1), (3000, 3)])
def test_logits_are_those_of_torch(kind, n, n_threads):
    """One row and many have torch's logits, on one thread and on several."""
    network = Network(**kind)
    x = random_rows(network, n)
    z = network.plan.forward(network.flat(), x, network.initial_buffers(), n_threads)
    with torch.no_grad():
        expected = network.logits(torch.from_numpy(x), training=False)
    np.testing.assert_allclose(z, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("name", ["baseline", "avx2", "avx512"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_of_any_shape_are_numpys(name, transposed, dtype):
    """An affine map and its gradient are NumPy's, for sizes around those of vectors and tiles."""
    best, rtol = instruction_set(), 1e-4 if dtype == "float32" else 1e-12
    rng = np.random.default_rng(0)
    try:
        engine().use_instruction_set(name)
        for n, d, k in product((1, 2, 3, 13, 40), (1, 7, 64, 300), (1, 3, 8, 9, 16, 33, 70)):
            kind = {
                "loss": "squared_error",
                "hidden": (),
                "transposed": (transposed,),
                "dtype": dtype,
            }
            network = Network(n_features=d, n_outputs=k, **kind)
            x, y = (rng.normal(size=(n, size)).astype(dtype) for size in (d, k))
            flat, gradient = network.flat(), np.empty(d * k + k, dtype)
            coefs = flat[:-k].reshape((k, d) if transposed else (d, k))
            z = x @ (coefs.T if transposed else coefs) + flat[-k:]
            np.testing.assert_allclose(network.plan.forward(flat, x), z, rtol, 100 * rtol)
            network.plan.loss_and_gradient(flat, Rows(n, x, y), gradient, n_threads=2)
            slope = (z - y).T @ x if transposed else x.T @ (z - y)
            np.testing.assert_allclose(gradient[:-k], slope.ravel(), rtol, 100 * rtol)
            np.testing.assert_allclose(gradient[-k:], (z - y).sum(0), rtol, 100 * rtol)
    finally:
        engine().use_instruction_set(best)


def test_no_rows_have_no_logits():
    """An empty table is no error."""
    network = Network()
    assert network.plan.forward(network.flat(), np.empty((0, 7))).shape == (0, 3)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_bits_of_predictions_do_not_depend_on_threads(n_threads):
    """Logits are the same bits on any number of threads."""
    network = Network(dtype="float32", hidden=(70, 33))
    x = random_rows(network, 5000)
    expected = network.plan.forward(network.flat(), x)
    z = network.plan.forward(network.flat(), x, n_threads=n_threads)
    np.testing.assert_array_equal(z, expected)


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_sparse_rows_have_the_logits_of_dense_ones(index):
    """CSR rows are multiplied as they are."""
    network = Network(n_features=30)
    x = random_rows(network, 100)
    x[abs(x) < 1] = 0
    csr = sparse.csr_array(x)
    arrays = {"indices": csr.indices.astype(index), "indptr": csr.indptr.astype(index)}
    rows = Rows(100, values=csr.data, **arrays)
    expected = network.plan.forward(network.flat(), x)
    z = network.plan.forward(network.flat(), rows)
    np.testing.assert_allclose(z, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("is_sparse", [False, True])
@pytest.mark.parametrize(
    "kind",
    [{}, {"activation": "prelu", "normalization": "layer"}, {"loss": "squared_error"}],
    ids=str,
)
def test_the_gradient_of_all_rows_is_autograds(kind, weighted, n_threads, is_sparse):
    """The sum of weighted losses and its gradient are those of autograd, over several chunks."""
    network, n = Network(**kind), 3000
    x, y = random_rows(network, n), network.targets(n)
    weight = np.random.default_rng(8).uniform(0, 2, n) if weighted else None
    rows = Rows(n, x, y, weight)
    if is_sparse:
        csr = sparse.csr_array(x)
        arrays = {"values": csr.data, "indices": csr.indices, "indptr": csr.indptr}
        rows = Rows(n, None, y, weight, **arrays)
    gradient = np.full(network.plan.n_parameters, np.nan)
    total = network.plan.loss_and_gradient(network.flat(), rows, gradient, n_threads)
    z = network.logits(torch.from_numpy(x))
    reported, descended = reference.objective(network, z, torch.from_numpy(y))
    w = torch.ones(n) if weight is None else torch.from_numpy(weight)
    (descended * w).sum().backward()
    assert total == pytest.approx(float((reported * w).sum()), rel=1e-11)
    np.testing.assert_allclose(gradient, network.gradient(), rtol=1e-9, atol=1e-9)


def test_the_gradient_of_all_rows_has_no_batches():
    """A network that is normalized by batches has no gradient of all rows."""
    network = Network(normalization="batch")
    rows, gradient = Rows(3, np.ones((3, 7)), np.zeros(3, int)), np.empty(network.flat().size)
    with pytest.raises(ValueError, match=r"^the gradient of all rows has no batches"):
        network.plan.loss_and_gradient(network.flat(), rows, gradient)
