"""Dropout, normalization and residual layers: against torch, written out by hand."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch.nn import functional as F

from sklmlp.nn import Network, Spec, dropout_rates, initial_weights, part_state, resolve
from sklmlp.nn.layers import EPSILON, NORMALIZATIONS, Dropout

CPU = torch.device("cpu")
HIDDEN = (5, 8, 8)  # the first and the last skip are the identity, the second is a projection
ACTIVATIONS = ["tanh", "glu", ["prelu", "glu", "identity"]]


def make_network(activation="tanh", hidden=HIDDEN, dtype=torch.float64, seed=0, **options):
    """A network on 5 features with 3 outputs whose numbers are all drawn again."""
    choices = tuple(resolve(activation, len(hidden)))
    spec = Spec(5, 3, hidden, choices, "squared_error", **options)
    rng = np.random.RandomState(seed)
    weights = initial_weights(spec, rng, np.dtype("float64"), resolve("identity", 1)[0])
    network = Network(spec, weights, dtype, CPU)
    generator = torch.Generator().manual_seed(seed)
    network.flat.detach().normal_(generator=generator)
    return network


def rows(n=6, seed=0):
    return torch.randn(n, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def normalized(kind, z, state):
    """The normalizations as their papers have them, in training."""
    if kind is None:
        return z
    axis = 0 if kind == "batch" else 1
    if kind == "rms":
        mean, square = 0, z.square().mean(1, keepdim=True)
    else:
        mean = z.mean(axis, keepdim=True)
        square = (z - mean).square().mean(axis, keepdim=True)
    return (z - mean) / torch.sqrt(square + EPSILON) * state["weight"] + state.get("bias", 0)


ELEMENTWISE = {"tanh": torch.tanh, "identity": lambda z: z, "glu": F.glu}


def by_hand(weights, activations, normalization, residual, x, masks=None):
    """Logits in training, from `Weights` of tensors."""
    state = weights.state
    for i, name in enumerate(activations):
        within = f"residual_{i}.layer." if residual else ""
        z = x @ weights.coefs[i] + weights.intercepts[i]
        z = normalized(normalization, z, part_state(state, f"{within}normalization_{i}"))
        if name == "prelu":
            h = torch.where(z > 0, z, state[f"{within}activation_{i}.weight"] * z)
        else:
            h = ELEMENTWISE[name](z)
        h = h if masks is None else h * masks[i]
        if residual:
            skip = state.get(f"residual_{i}.projection.weight")
            h = h + (x if skip is None else x @ skip.T)
        x = h
    return x @ weights.coefs[-1] + weights.intercepts[-1]


def learned_tensors(network):
    """`Weights` of tensors that need a gradient, and all of them in a list."""
    weights = network.weights(np.dtype("float64"))

    def leaf(array):
        tensor = torch.from_numpy(array)
        return tensor.requires_grad_() if tensor.is_floating_point() else tensor

    weights.coefs = [leaf(array) for array in weights.coefs]
    weights.intercepts = [leaf(array) for array in weights.intercepts]
    weights.state = {name: leaf(array) for name, array in weights.state.items()}
    return weights


def assert_same_gradients(network, weights):
    """Gradients of a network's parameters are those of tensors, wherever they lie in `flat`."""
    values = [*weights.coefs, *weights.intercepts, *weights.state.values()]
    values = [tensor for tensor in values if tensor.grad is not None]
    assert sum(tensor.numel() for tensor in values) == network.flat.numel()
    named = network.module.named_modules()
    linears = [m for name, m in named if name.split(".")[-1].startswith("linear_")]
    for linear, coef, intercept in zip(linears, weights.coefs, weights.intercepts, strict=True):
        assert_allclose(linear.weight.grad.T.numpy(), coef.grad.numpy(), rtol=1e-9, atol=1e-11)
        assert_allclose(linear.bias.grad.numpy(), intercept.grad.numpy(), rtol=1e-9, atol=1e-11)
    expected = torch.cat([tensor.grad.reshape(-1) for tensor in values]).sort().values
    got = network.gradient.sort().values  # the others' names differ, their numbers do not
    assert_allclose(got.numpy(), expected.numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_forward_and_gradient_are_those_of_the_formulas(activation, normalization, residual):
    """In training, logits and gradients are those of the layers written out by hand."""
    network = make_network(activation, normalization=normalization, residual=residual)
    weights, x = learned_tensors(network), rows()
    names = activation if isinstance(activation, list) else [activation] * len(HIDDEN)
    network.train(len(x))
    logits, expected = network(x), by_hand(weights, names, normalization, residual, x)
    assert_allclose(logits.detach().numpy(), expected.detach().numpy(), rtol=1e-10, atol=1e-12)
    logits.square().sum().backward()
    expected.square().sum().backward()
    assert_same_gradients(network, weights)


@pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])
@pytest.mark.parametrize("residual", [False, True])
def test_penalised_numbers_come_first(normalization, residual):
    """`flat` begins with coefs and projections, `n_coefs` numbers; the rest is not penalised."""
    network = make_network("prelu", normalization=normalization, residual=residual)
    matrices = [p for p in network.module.parameters() if p.ndim == 2]
    end = network.flat.data_ptr() + network.n_coefs * network.flat.element_size()
    assert all(p.data_ptr() < end for p in matrices)
    assert all(p.data_ptr() >= end for p in network.module.parameters() if p.ndim == 1)
    assert network.n_coefs == sum(p.numel() for p in matrices)
    assert [s.numel() for s in network.matrix_shapes] == [p.numel() for p in _in_flat(matrices)]
    assert network.n_coefs == 25 + 40 + 64 + 24 + 40 * residual


def _in_flat(parameters):
    return sorted(parameters, key=lambda p: p.data_ptr())


@pytest.mark.parametrize("normalization", [None, *NORMALIZATIONS])
def test_weights_make_the_same_network(normalization):
    """What `weights` gives starts a twin that predicts alike, running statistics included."""
    network = make_network(normalization=normalization, residual=True, dropout=(0.5, 0.0, 0.5))
    network.seed(lambda: 0)
    network.train(6)
    network(3 + rows())
    twin = Network(network.spec, network.weights(np.dtype("float64")), torch.float64, CPU)
    assert_array_equal(twin.logits(rows()).numpy(), network.logits(rows()).numpy())


def test_projection_starts_by_glorots_rule():
    """A projection is uniform within sqrt(6 / (fan in + width)), and drawn after the coefs."""
    choices = tuple(resolve("relu", 2))
    spec = Spec(5, 3, (300, 5), choices, "squared_error", residual=True)
    plain = Spec(5, 3, (300, 5), choices, "squared_error")
    rule = resolve("identity", 1)[0]
    rng = np.random.RandomState(0)
    weights = initial_weights(spec, rng, np.dtype("float64"), rule)
    expected = initial_weights(plain, np.random.RandomState(0), np.dtype("float64"), rule)
    for got, coef in zip(weights.coefs, expected.coefs, strict=True):
        assert_array_equal(got, coef)
    for i, shape in enumerate([(300, 5), (5, 300)]):
        bound = np.sqrt(6 / 305)
        projection = weights.state[f"residual_{i}.projection.weight"]
        assert projection.shape == shape
        assert 0.98 * bound < np.abs(projection).max() <= bound
        assert abs(projection.std() - bound / np.sqrt(3)) < 0.05 * bound


def test_one_row_is_normalized_by_running_statistics():
    """A training batch of one row has no variance: batch normalization does as in prediction."""
    network, x = make_network(normalization="batch"), rows()
    network.train(len(x))
    network(x)
    before = [buffer.clone() for buffer in network.module.buffers()]
    network.train(1)
    logits = network(x[:1])
    assert_array_equal(logits.detach().numpy(), network.logits(x[:1]).numpy())
    for buffer, value in zip(network.module.buffers(), before, strict=True):
        assert_array_equal(buffer.numpy(), value.numpy())


def test_restore_brings_back_numbers_and_statistics():
    """A restored network predicts as it did at the snapshot."""
    network, x = make_network(normalization="batch", residual=True), rows()
    before, snapshot = network.logits(x).clone(), network.snapshot()
    network.train(len(x))
    network(5 + x)
    network.flat.detach().add_(1)
    assert not np.allclose(network.logits(x).numpy(), before.numpy())
    network.restore(snapshot)
    assert_array_equal(network.logits(x).numpy(), before.numpy())


# Dropout ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
def test_dropout_zeroes_its_share_and_scales_the_rest(p):
    """A share p of values is zero, within 5 standard deviations, and the others 1 / (1 - p)."""
    dropout, n = Dropout(p).train(), 100_000
    dropout.generator = torch.Generator().manual_seed(0)
    values = dropout(torch.ones(n, dtype=torch.float64))
    n_dropped = int((values == 0).sum())
    assert abs(n_dropped - p * n) < 5 * np.sqrt(n * p * (1 - p))
    assert_allclose(values[values != 0].numpy(), 1 / (1 - p))


def test_dropout_is_torchs():
    """From the same generator's state, torch's own dropout drops the same values."""
    x = rows(1000)
    ours = Dropout(0.3).train()
    ours.generator = torch.Generator().manual_seed(7)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(7)
        expected = F.dropout(x, 0.3)
    assert_allclose(ours(x).numpy(), expected.numpy(), rtol=1e-15)


def test_dropout_does_nothing_in_prediction():
    """In eval mode dropout returns its input."""
    x = rows()
    assert Dropout(0.9).eval()(x) is x


def test_dropout_in_a_network_draws_from_its_generator_alone():
    """Masks are drawn layer by layer from the network's seed; torch's own generator stands."""
    network, x = make_network(dropout=(0.5, 0.0, 0.3)), rows()
    weights = learned_tensors(network)
    network.seed(lambda: 11)
    network.train(len(x))
    state = torch.get_rng_state()
    logits = network(x)
    assert_array_equal(torch.get_rng_state().numpy(), state.numpy())
    generator, masks = torch.Generator().manual_seed(11), []
    for width, p in zip(HIDDEN, (0.5, 0.0, 0.3), strict=True):
        kept = torch.ones(len(x), width, dtype=torch.float64)
        if p:
            kept.bernoulli_(1 - p, generator=generator).div_(1 - p)
        masks.append(kept)
    expected = by_hand(weights, ["tanh"] * 3, None, False, x, masks)
    assert_allclose(logits.detach().numpy(), expected.detach().numpy(), rtol=1e-12)
    logits.square().sum().backward()
    expected.square().sum().backward()
    assert_same_gradients(network, weights)


@pytest.mark.parametrize(
    "dropout, n_hidden_layers, rates",
    [
        (0.0, 2, (0.0, 0.0)),
        (0.25, 3, (0.25, 0.25, 0.25)),
        ([0.1, 0], 2, (0.1, 0.0)),
        (np.array([0.5]), 1, (0.5,)),
        (0.5, 0, ()),
    ],
)
def test_rates_of_hidden_layers(dropout, n_hidden_layers, rates):
    """A single rate is that of all hidden layers, a list has one for each."""
    assert dropout_rates(dropout, n_hidden_layers) == rates


@pytest.mark.parametrize("dropout", [[0.5, 1.0], [0.1, -0.1], [0.1, "0.2"], [0.1, np.nan]])
def test_a_rate_outside_the_range_is_an_error(dropout):
    """Rates are numbers of at least 0 and less than 1."""
    with pytest.raises(ValueError, match=r"dropout takes rates of at least 0 and less than 1, got"):
        dropout_rates(dropout, 2)


def test_another_number_of_rates_is_an_error():
    """A list of rates is as long as there are hidden layers."""
    with pytest.raises(ValueError, match="dropout has 3 entries for 2 hidden layers"):
        dropout_rates([0.1, 0.2, 0.3], 2)
