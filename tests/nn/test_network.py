"""A network in training: one flat tensor that the module's parameters are views of."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklmlp.activations import ACTIVATIONS
from sklmlp.data import ConvertedRows
from sklmlp.native import is_available
from sklmlp.nn import Network, Spec, can_compile, initial_weights, is_stored_transposed, resolve

TABLE = list(ACTIVATIONS)
CPU = torch.device("cpu")


def make_network(activation="relu", hidden=(8, 4), dtype=torch.float64, n_outputs=3, **parts):
    activations = tuple(resolve(activation, len(hidden)))
    spec = Spec(5, n_outputs, hidden, activations, "squared_error", **parts)
    weights = initial_weights(
        spec, np.random.RandomState(0), np.dtype("float64"), resolve("identity", 1)[0]
    )
    return Network(spec, weights, dtype, CPU), weights


def rows(n=6, dtype=torch.float64):
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(0), dtype=dtype)


@pytest.mark.parametrize("name", TABLE)
def test_flat_holds_every_learned_number_once(name):
    """`flat` is as long as the module has parameters, which all lie in its memory."""
    network, _ = make_network(name)
    parameters = list(network.module.parameters())
    assert network.flat.numel() == sum(p.numel() for p in parameters)
    start = network.flat.data_ptr()
    end = start + network.flat.numel() * network.flat.element_size()
    assert all(start <= p.data_ptr() < end for p in parameters)


def test_modules_that_are_built_late_compute_what_the_network_does(monkeypatch):
    """Weights go into `flat` without modules; those that are asked for later share its memory."""
    with monkeypatch.context() as patched:
        patched.setattr("sklmlp.nn.network.build_layers", None)
        network, weights = make_network()
        network.flat.detach().mul_(2)
    a = rows().numpy()
    for coef, intercept in zip(weights.coefs[:-1], weights.intercepts[:-1], strict=True):
        a = np.maximum(a @ (2 * coef) + 2 * intercept, 0)
    expected = a @ (2 * weights.coefs[-1]) + 2 * weights.intercepts[-1]
    assert_allclose(network.module(rows()).detach().numpy(), expected, rtol=1e-12)
    assert not network.module.training


@pytest.mark.parametrize("name", TABLE)
def test_writing_into_flat_moves_the_module(name):
    """Parameters are views: a number written into `flat` is the module's."""
    network, _ = make_network(name)
    network.flat.detach().fill_(0.125)
    assert all((p == 0.125).all() for p in network.module.parameters())
    assert all((value == 0.125).all() for value in network.coefs + network.intercepts)


@pytest.mark.parametrize("name", TABLE)
def test_gradient_is_what_autograd_fills(name):
    """Backpropagation adds into `gradient`, which is every parameter's `grad` and `flat`'s."""
    network, _ = make_network(name)
    network.module(rows()).square().sum().backward()
    assert network.flat.grad is network.gradient
    by_parameter = [p.grad for p in network.module.parameters()]
    total = sum(gradient.double().square().sum() for gradient in by_parameter)
    assert total > 0
    assert_allclose(network.gradient.square().sum().item(), total.item(), rtol=1e-12)


def test_coefs_come_first_then_intercepts_with_the_longer_side_contiguous():
    """`flat` begins with the coefs, transposed where fan out is smaller; `n_coefs` is their end."""
    network, weights = make_network()
    flat = network.flat.detach().numpy()
    stored = [coef.T if is_stored_transposed(*coef.shape) else coef for coef in weights.coefs]
    expected = np.concatenate([a.ravel() for a in stored + weights.intercepts])
    assert_array_equal(flat[: len(expected)], expected)
    for view, coef in zip(network.coefs, weights.coefs, strict=True):
        assert_array_equal(view, coef)
    assert network.n_coefs == 5 * 8 + 8 * 4 + 4 * 3


def test_a_learned_slope_stands_behind_what_alpha_sees():
    """PReLU's slopes are in `flat` after the intercepts, outside the penalty's part."""
    network, _ = make_network("prelu")
    assert_array_equal(network.flat.detach()[-2:].numpy(), [0.25, 0.25])
    assert network.n_coefs + (8 + 4 + 3) + 2 == network.flat.numel()


@pytest.mark.parametrize("hidden", [(), (8,), (8, 4)])
def test_logits_are_the_forward_pass_written_in_numpy(hidden):
    """Logits are affine maps with the activation between each two of them."""
    network, weights = make_network("tanh", hidden)
    x = rows()
    z = x.numpy()
    for i, (coef, intercept) in enumerate(zip(weights.coefs, weights.intercepts, strict=True)):
        z = (np.tanh(z) if i else z) @ coef + intercept
    assert_allclose(network.logits(x).numpy(), z, rtol=1e-12)


def test_identity_stack_is_one_affine_map():
    """Layers without a nonlinearity between them collapse to the product of their maps."""
    network, weights = make_network("identity", (8, 6, 4))
    coef, intercept = np.eye(5), np.zeros(5)
    for more, shift in zip(weights.coefs, weights.intercepts, strict=True):
        coef, intercept = coef @ more, intercept @ more + shift
    x = rows()
    assert_allclose(network.logits(x).numpy(), x.numpy() @ coef + intercept, rtol=1e-10)


def test_glu_takes_twice_the_units_that_it_gives():
    """The affine map before GLU has 2 h outputs, the one behind it h inputs."""
    network, _ = make_network("glu", (8, 4))
    assert [tuple(coef.shape) for coef in network.coefs] == [(5, 16), (8, 8), (4, 3)]
    assert [tuple(bias.shape) for bias in network.intercepts] == [(16,), (8,), (3,)]


@pytest.mark.parametrize("name", TABLE)
def test_weights_are_copies_that_make_the_same_network(name):
    """`weights` copies: going on with training does not change them, and they start a twin."""
    network, _ = make_network(name)
    x = rows()
    before, kept = network.logits(x).clone(), network.weights(np.dtype("float64"))
    network.flat.detach().zero_()
    twin = Network(network.spec, kept, torch.float64, CPU)
    assert_array_equal(twin.logits(x).numpy(), before.numpy())


def test_networks_of_equal_weights_share_nothing():
    """Two networks from one set of weights train apart."""
    one, weights = make_network()
    other = Network(one.spec, weights, torch.float64, CPU)
    one.flat.detach().zero_()
    assert other.flat.detach().abs().sum() > 0
    assert all(np.abs(coef).sum() > 0 for coef in weights.coefs)


@pytest.mark.parametrize("name", TABLE)
def test_float32(name):
    """A network in float32 has all its parameters and its logits in float32."""
    network, _ = make_network(name, dtype=torch.float32)
    assert {p.dtype for p in network.module.parameters()} == {torch.float32}
    assert network.logits(rows(dtype=torch.float32)).dtype == torch.float32


@pytest.mark.skipif(not is_available(), reason="the compiled engine is not built")
@pytest.mark.parametrize("n", [1, 6, 700])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"hidden": ()},
        {"hidden": (40, 40, 3), "activation": "prelu"},
        {"activation": "glu", "normalization": "layer"},
        {"normalization": "batch", "residual": True},
        {"normalization": "rms", "dropout": (0.5, 0.5)},
    ],
    ids=str,
)
def test_compiled_logits_are_the_modules(parts, dtype, n):
    """A network that was compiled has the logits of its module, as the weights are by then."""
    network, _ = make_network(**parts, dtype=dtype)
    assert can_compile(network.spec)
    x, random = rows(n, dtype), torch.Generator().manual_seed(1)
    network.compile()
    network.module.train()
    if n > 1:
        network(x + 1)  # moves running statistics
    network.flat.detach().add_(torch.rand(network.flat.shape, generator=random, dtype=dtype))
    logits = network.logits(x)
    expected = network.module.eval()(x).detach()
    assert logits.dtype == dtype
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5}[dtype]
    assert_allclose(logits, expected, rtol=tolerance, atol=10 * tolerance)
    every_other = torch.stack([x, x], dim=1)[:, 0]
    assert_array_equal(network.logits(every_other), logits)


@pytest.mark.skipif(not is_available(), reason="the compiled engine is not built")
def test_sparse_rows_go_through_the_module():
    """A network that was compiled takes CSR too."""
    network, _ = make_network("tanh")
    expected = network.logits(rows())
    network.compile()
    x = ConvertedRows(sparse.csr_array(rows().numpy()), torch.float64, CPU).take_sparse(slice(6))
    assert_allclose(network.logits(x), expected, rtol=1e-12)
