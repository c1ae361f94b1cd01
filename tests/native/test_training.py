"""Blocks of epochs against autograd and torch.optim, in float64."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from sklmlp.native import Limits, Optimizer, Rows, train_epochs
from sklmlp.native.plan import activations, losses
from tests.native import reference
from tests.native.networks import ADAM, MODULES, Network
from tests.native.philox import kept

N, BATCH, EPOCHS = 38, 16, 4  # batches of 16, 16 and 6: twelve steps


def rows(network, weight=None, n=N, seed=0):
    """Rows for a network."""
    x = np.random.default_rng(seed).normal(size=(n, network.n_features)).astype(network.dtype)
    return Rows(n, x, network.targets(n), weight)


def orders(n=N, n_epochs=EPOCHS, seed=3):
    """The orders of epochs as scikit-learn shuffles them."""
    rng, order, drawn = np.random.RandomState(seed), np.arange(n), []
    for _ in range(n_epochs):
        permutation = np.arange(n)
        rng.shuffle(permutation)
        order = order[permutation]
        drawn.append(order)
    return drawn


def train(network, data, options=ADAM, n_shards=1, n_threads=1, batch_size=BATCH, **more):
    """Train by the engine; return the state and the block."""
    limits = more.pop("limits", Limits(EPOCHS, max_seconds=np.inf))
    state = more.pop("state", None) or network.state(options, data.n_rows)
    block = train_epochs(
        network.plan,
        state,
        data,
        options,
        limits,
        batch_size=batch_size,
        rng=np.random.RandomState(3),
        n_shards=n_shards,
        n_threads=n_threads,
        **more,
    )
    return state, block


def assert_equals_autograd(network, options=ADAM, weight=None, n_shards=1, rates=None):
    """Train by both and compare what was learned and the losses."""
    data = rows(network, weight)
    flat_rates = None if rates is None else np.ravel(rates)
    state, block = train(network, data, options, n_shards, n_shards, rates=flat_rates)
    expected = reference.train(network, data.x, data.y, options, orders(), BATCH, weight, rates)
    np.testing.assert_allclose(state.flat, network.flat(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(block.losses, expected, rtol=1e-10)
    if network.normalization == "batch":
        np.testing.assert_allclose(state.buffers, network.initial_buffers(), rtol=1e-10, atol=1e-12)
    return state, block


ARGUMENTS = {
    "leaky_relu": {"negative_slope": 0.2},
    "elu": {"alpha": 1.3},
    "celu": {"alpha": 0.75},  # torch's derivative takes alpha in single precision
    "softplus": {"beta": 1.5, "threshold": 1.0},
    "threshold": {"threshold": 0.1, "value": -0.3},
    "hardtanh": {"min_val": -0.4, "max_val": 0.8},
    "softshrink": {"lambd": 0.3},
    "hardshrink": {"lambd": 0.2},
}


def test_every_activation_is_tested():
    """The modules of the tests are the activations of the engine."""
    assert set(MODULES) == set(activations())


@pytest.mark.parametrize("n_shards", [1, 3])
@pytest.mark.parametrize("activation", sorted(MODULES))
def test_activations_train_as_by_autograd(activation, n_shards):
    """A network of any activation learns what autograd and torch's Adam learn."""
    arguments = ARGUMENTS.get(activation, {})
    assert_equals_autograd(Network(activation=activation, arguments=arguments), n_shards=n_shards)


LOSSES = {
    "log_loss": [{}, {"label_smoothing": 0.1}],
    "binary_log_loss": [{}, {"label_smoothing": 0.1}],
    "focal": [{"focal_gamma": 1.5}],
    "binary_focal": [{"focal_gamma": 1.5}],
    "hinge": [{}],
    "binary_hinge": [{}],
    "squared_error": [{}],
    "absolute_error": [{}],
    "huber": [{"huber_delta": (0.3, 0.7, 1.0, 0.5)}],
    "poisson": [{}],
    "gamma": [{}],
    "quantile": [{"quantile": 0.3}],
    "quantiles": [{"quantile": (0.1, 0.5, 0.8, 0.9)}],
    "gaussian": [{}],
}


def test_every_loss_is_tested():
    """The losses of the tests are those of the engine."""
    assert set(LOSSES) == set(losses())


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("loss", "arguments"), [(loss, each) for loss, all_ in LOSSES.items() for each in all_]
)
def test_losses_train_as_by_autograd(loss, arguments, weighted):
    """A network of any loss learns what autograd and Adam learn, with weights or without."""
    network = Network(n_outputs=4, loss=loss, loss_arguments=arguments, activation="tanh")
    weight = np.random.default_rng(7).uniform(0, 2, N) if weighted else None
    assert_equals_autograd(network, replace(ADAM, alpha=0.3), weight, n_shards=2)


OPTIMIZERS = {
    "sgd": Optimizer("sgd", learning_rate_init=0.1),
    "momentum": Optimizer("sgd", momentum=0.9, learning_rate_init=0.05),
    "nesterov": Optimizer("sgd", momentum=0.9, nesterov=True, learning_rate_init=0.05),
    "adam": Optimizer("adam", beta_1=0.8, beta_2=0.95, epsilon=1e-3, learning_rate_init=0.02),
    "adamw": Optimizer("adamw", weight_decay=0.1, epsilon=1e-3, learning_rate_init=0.02),
}


@pytest.mark.parametrize("option", ["plain", "alpha", "clipped", "rates", "invscaling"])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("n_shards", [1, 2])
def test_optimizers_train_as_torchs(name, option, n_shards):
    """Each optimizer takes torch's steps, with a penalty, bounded gradients and changing rates."""
    options, rates = OPTIMIZERS[name], None
    if option == "alpha":
        options = replace(options, alpha=0.5)
    if option == "clipped":
        options = replace(options, max_grad_norm=0.3, alpha=0.1)
    if option == "invscaling":
        options = replace(options, power_t=0.4)
    if option == "rates":
        rates = np.linspace(0.01, 0.1, EPOCHS * 3).reshape(EPOCHS, 3)
    state, _ = assert_equals_autograd(Network(), options, n_shards=n_shards, rates=rates)
    if option == "rates":
        assert state.learning_rate == 0.1
    if option == "invscaling":
        expected = options.learning_rate_init / (EPOCHS * N + 1) ** 0.4
        assert state.learning_rate == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("transposed", [(False, False, False), (True, True, True)])
@pytest.mark.parametrize("hidden", [(), (40,), (3, 70, 2)])
def test_matrices_may_lie_either_way(transposed, hidden):
    """Matrices are (fan in, fan out) or (fan out, fan in) in memory, of any width."""
    network = Network(hidden=hidden, transposed=transposed, n_features=37, n_outputs=19)
    assert_equals_autograd(network, n_shards=2)


LAYERS = [
    (activation, normalization, residual)
    for activation in ("relu", "gelu", "prelu", "glu")
    for normalization in (None, "batch", "layer", "rms")
    for residual in (False, True)
    if activation in ("prelu", "glu") or normalization or residual  # plain ones stand above
]


@pytest.mark.parametrize("n_shards", [1, 3])
@pytest.mark.parametrize(("activation", "normalization", "residual"), LAYERS)
def test_what_stands_in_a_layer_trains_as_by_autograd(
    activation, normalization, residual, n_shards
):
    """Normalizations, skips and learned activations have autograd's gradients, together too."""
    # SGD, for Adam makes noise of gradients that are 0, as those of biases in front of a mean
    network = Network(
        hidden=(7, 12, 12),
        activation=activation,
        residual=residual,
        normalization=normalization,
        n_slopes=2,
        transposed=(False, True, False, True),
    )
    assert_equals_autograd(network, OPTIMIZERS["nesterov"], n_shards=n_shards)


def test_a_batch_of_one_row_is_normalized_by_running_statistics():
    """Batch normalization uses what it has seen where a batch has no variance."""
    network = Network(normalization="batch")
    options, data = OPTIMIZERS["momentum"], rows(network, n=BATCH + 1)
    state, _ = train(network, data, options, n_shards=2)
    drawn = orders(BATCH + 1)
    reference.train(network, data.x, data.y, options, drawn, BATCH)
    np.testing.assert_allclose(state.flat, network.flat(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(state.buffers, network.initial_buffers(), rtol=1e-10)
    assert state.t == 2 * EPOCHS and state.n_batch_normalizations == EPOCHS


@pytest.mark.parametrize("activation", ["relu", "glu"])
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("n_shards", [1, 2])
def test_dropout_is_philox(activation, residual, n_shards):
    """What dropout leaves is decided by Philox4x32-10 of step, layer, row and unit."""
    network = Network(dropout=0.3, activation=activation, residual=residual, hidden=(70, 11))
    data, seed = rows(network), 2**40 + 17

    def masks(step, n):
        parts = [kept(seed, step, i, n, width, 0.3) for i, width in enumerate(network.hidden)]
        return [torch.from_numpy(part.astype(float)) for part in parts]

    state, block = train(network, data, n_shards=n_shards, dropout_seed=seed)
    expected = reference.train(network, data.x, data.y, ADAM, orders(), BATCH, masks=masks)
    np.testing.assert_allclose(state.flat, network.flat(), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(block.losses, expected, rtol=1e-10)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("n_shards", [1, 2])
def test_sparse_rows_train_as_dense_ones(index, transposed, n_shards):
    """CSR rows and the same rows dense lead to the same network."""
    network = Network(n_features=30, transposed=(transposed, False, True))
    dense = rows(network)
    dense.x[np.random.default_rng(2).uniform(size=dense.x.shape) < 0.8] = 0
    csr = sparse.csr_array(dense.x)
    data = Rows(
        N,
        y=dense.y,
        values=csr.data,
        indices=csr.indices.astype(index),
        indptr=csr.indptr.astype(index),
    )
    state, block = train(network, data, n_shards=n_shards)
    expected, expected_block = train(network, dense)
    np.testing.assert_allclose(state.flat, expected.flat, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(block.losses, expected_block.losses, rtol=1e-12)


def test_batches_without_weight_are_skipped():
    """A batch whose rows weigh nothing takes no step and no rate, and moves nothing."""
    network, weight = Network(), np.ones(N)
    weight[orders()[1][:BATCH]] = 0  # the first batch of the second epoch
    rates = np.linspace(0.01, 0.1, EPOCHS * 3).reshape(EPOCHS, 3)
    state, _ = assert_equals_autograd(network, weight=weight, rates=rates)
    skipped = sum(
        weight[order[start : start + BATCH]].sum() == 0
        for order in orders()
        for start in range(0, N, BATCH)
    )
    assert skipped >= 1 and state.t == 3 * EPOCHS - skipped


def test_rows_in_place_are_not_shuffled():
    """Without an order rows are trained on as they lie."""
    network = Network()
    data, state = rows(network), network.state(ADAM)
    train_epochs(network.plan, state, data, ADAM, Limits(2, np.inf), batch_size=BATCH, n_shards=2)
    reference.train(network, data.x, data.y, ADAM, [np.arange(N)] * 2, BATCH)
    np.testing.assert_allclose(state.flat, network.flat(), rtol=1e-10, atol=1e-11)


def test_some_rows_may_take_part():
    """Rows that are not in the order have no part in training."""
    network = Network()
    data = rows(network)
    state = replace(network.state(ADAM), order=np.arange(0, N, 2))
    poisoned = replace(data, x=data.x.copy())
    poisoned.x[1::2] = np.nan
    state, block = train(network, poisoned, state=state)
    assert np.isfinite(state.flat).all() and np.isfinite(block.losses).all()
    assert set(state.order) == set(range(0, N, 2)) and state.n_rows_seen == EPOCHS * (N // 2)


@pytest.mark.parametrize("blocks", [(1, 1, 1, 1), (3, 1), (2, 2)])
def test_blocks_join_without_a_seam(blocks):
    """Training in several blocks is training in one, bit by bit."""
    network = Network(dropout=0.2, normalization="batch")
    data = rows(network)
    whole, block = train(network, data)
    state, rng, curve = network.state(ADAM, N), np.random.RandomState(3), []
    for n_epochs in blocks:
        part = train_epochs(
            network.plan,
            state,
            data,
            ADAM,
            Limits(n_epochs, np.inf),
            batch_size=BATCH,
            rng=rng,
            n_shards=1,
        )
        curve += part.losses.tolist()
    np.testing.assert_array_equal(state.flat, whole.flat)
    np.testing.assert_array_equal(curve, block.losses)
    assert (state.t, state.n_rows_seen) == (whole.t, whole.n_rows_seen)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_shards", [1, 2, 5])
def test_bits_depend_on_shards_alone(dtype, n_shards):
    """Any number of threads gives the bits that one thread gives, for a number of shards."""
    network = Network(dtype=dtype, hidden=(70, 33), normalization="batch", dropout=0.1)
    data, options = rows(network), replace(ADAM, max_grad_norm=0.5, alpha=0.1)
    expected, expected_block = train(network, data, options, n_shards)
    for n_threads in (1, 2, 3, 8):
        state, block = train(network, data, options, n_shards, n_threads)
        np.testing.assert_array_equal(state.flat, expected.flat)
        np.testing.assert_array_equal(block.losses, expected_block.losses)


def test_shards_agree_to_rounding():
    """One shard and several differ by rounding alone."""
    network = Network(hidden=(70, 33))
    data = rows(network)
    one, several = (train(network, data, n_shards=n)[0] for n in (1, 7))
    np.testing.assert_allclose(one.flat, several.flat, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("activation", sorted(MODULES))
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_invalid_numbers_end_a_block(activation, value):
    """NaN and infinity in a row reach the loss or the weights, and are not hidden by a kernel."""
    network = Network(activation=activation, hidden=(9,))
    data = rows(network)
    data.x[5, 2] = value
    _, block = train(network, data)
    by_torch = Network(activation=activation, hidden=(9,))
    expected = reference.train(by_torch, data.x, data.y, ADAM, orders()[:1], BATCH)
    if not np.isfinite(expected[0]):
        assert block.reason == "not_finite" and block.n_epochs == 1
        assert not np.isfinite(block.losses[0])
    else:
        np.testing.assert_allclose(block.losses[0], expected[0], rtol=1e-10)


def test_float32_follows_float64():
    """Training in float32 gives the numbers of float64 to single precision."""
    results = []
    for dtype in ("float32", "float64"):
        network = Network(dtype=dtype)
        data = rows(Network(dtype="float64"))
        data = replace(data, x=data.x.astype(dtype))
        results.append(train(network, data, OPTIMIZERS["momentum"])[0].flat)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("params", "options"),
    [
        ({"solver": "adam"}, Optimizer("adam", learning_rate_init=0.001, alpha=1e-4)),
        (
            {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5},
            Optimizer(
                "sgd",
                momentum=0.9,
                nesterov=True,
                learning_rate_init=0.5,
                power_t=0.5,
                alpha=1e-4,
            ),
        ),
    ],
)
def test_scikit_learn_has_the_same_numbers(params, options):
    """Loss curve, weights and the number of epochs are those of scikit-learn's own fit."""
    network = Network(n_features=64, n_outputs=10, hidden=(20,), transposed=(False, False))
    x, y = load_digits(return_X_y=True)
    x, y = x[:500] / 16, y[:500]
    theirs = MLPClassifier((20,), max_iter=40, tol=1e-2, random_state=0, **params).fit(x, y)
    rng, flat, intercepts = np.random.RandomState(0), [], []
    for fan_in, fan_out in ((64, 20), (20, 10)):
        bound = np.sqrt(6 / (fan_in + fan_out))
        flat.append(rng.uniform(-bound, bound, (fan_in, fan_out)).ravel())
        intercepts.append(rng.uniform(-bound, bound, fan_out))
    state = network.state(options, 500)
    state.flat[:] = np.concatenate([*flat, *intercepts])
    block = train_epochs(
        network.plan,
        state,
        Rows(500, x, y),
        options,
        Limits(40, np.inf, tol=1e-2, n_iter_no_change=10),
        batch_size=200,
        rng=rng,
        n_shards=2,
    )
    assert block.n_epochs == theirs.n_iter_
    np.testing.assert_allclose(block.losses, theirs.loss_curve_, rtol=1e-10)
    learned = [*map(np.ravel, theirs.coefs_), *theirs.intercepts_]
    np.testing.assert_allclose(state.flat, np.concatenate(learned), rtol=1e-8, atol=1e-10)
    logits = network.plan.forward(state.flat, x)
    np.testing.assert_array_equal(logits.argmax(1), theirs.predict(x))


class TestLimits:
    """When a block ends."""

    def test_epochs(self):
        """A block ends after its epochs, and says so."""
        _, block = train(Network(), rows(Network()))
        assert (block.n_epochs, block.reason) == (EPOCHS, "epochs")
        assert len(block.losses) == len(block.seconds) == len(block.learning_rates) == EPOCHS
        assert (block.seconds > 0).all() and (block.learning_rates == 0.01).all()

    def test_seconds(self):
        """A block whose time is over ends with the epoch."""
        _, block = train(Network(), rows(Network()), limits=Limits(100, max_seconds=0.0))
        assert (block.n_epochs, block.reason) == (1, "seconds")

    def test_training_loss(self):
        """A loss that does not improve by tol ends the block as scikit-learn's rule does."""
        limits = Limits(100, np.inf, tol=1e9, n_iter_no_change=3)
        state, block = train(Network(), rows(Network()), limits=limits)
        # the first epoch improves on infinity, each of the next four does not by 1e9
        assert (block.n_epochs, block.reason, state.no_improvement) == (5, "converged", 4)
        assert state.best_loss == min(block.losses)

    def test_a_rule_that_is_off(self):
        """Without the rule neither the best loss nor the count moves."""
        state, _ = train(Network(), rows(Network()))
        assert (state.best_loss, state.no_improvement) == (np.inf, 0)

    def test_stop(self):
        """A raised flag ends a block before its next step, with no epoch done."""
        state, block = train(
            Network(), rows(Network()), limits=Limits(100, np.inf, stop=bytearray(b"\1"))
        )
        assert (block.n_epochs, block.reason, state.t) == (0, "stopped", 0)
