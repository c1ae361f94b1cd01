"""Plans with their numbers in several arrays, and rows that do not lie side by side."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklmlp.native import Layer, Limits, Model, Optimizer, Plan, Rows, State, train_epochs

D, H, K, N = 7, 5, 3, 50
N_COEFS = D * H + H * K
PLAN = Plan(
    *(True, D, K, 0, N_COEFS + H + K, N_COEFS),
    layers=[
        Layer(D, H, H, 0, N_COEFS, activation="tanh"),
        Layer(H, K, K, D * H, N_COEFS + H, is_stored_transposed=True),
    ],
    loss="log_loss",
)
RNG = np.random.default_rng(0)
FLAT, X, Y = RNG.normal(size=PLAN.n_parameters), RNG.normal(size=(N, D)), RNG.integers(0, K, N)
W1, W2 = FLAT[: D * H].reshape(D, H), FLAT[D * H : N_COEFS].reshape(K, H).T
B1, B2 = FLAT[N_COEFS : N_COEFS + H], FLAT[N_COEFS + H :]
LAYOUTS = {
    "Fortran": np.asfortranarray,
    "every second column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "every second row": lambda x: np.repeat(x, 2, axis=0)[::2],
}


def arrays():
    return [W1.copy(), W2.copy(order="F"), B1.copy(), B2.copy()]


def test_arrays_are_as_good_as_one():
    """Logits of a model over several arrays are NumPy's, and to the bit those of one array."""
    logits = Model(PLAN, arrays())(X)
    np.testing.assert_allclose(logits, np.tanh(X @ W1 + B1) @ W2 + B2, rtol=1e-12)
    assert_array_equal(logits, PLAN.forward(FLAT, X))


def test_arrays_may_change():
    """A model computes with what its arrays hold when it is called, and keeps them alive."""
    held = arrays()
    model = Model(PLAN, held)
    held[-1][:] = 0
    del held
    np.testing.assert_allclose(model(X), np.tanh(X @ W1 + B1) @ W2, rtol=1e-12)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_of_any_layout(layout):
    """Rows that are strided give the same bits: in training in place or shuffled, and after."""
    x = LAYOUTS[layout](X)

    def train(x, rng):
        order = None if rng is None else np.arange(N)
        state = State(FLAT.copy(), np.zeros_like(FLAT), np.zeros_like(FLAT), order=order)
        rows = Rows(N, x, Y)
        train_epochs(PLAN, state, rows, Optimizer(), Limits(3), batch_size=16, rng=rng)
        return state.flat

    def gradient(x):
        values = np.empty_like(FLAT)
        return PLAN.loss_and_gradient(FLAT, Rows(N, x, Y), values), *values

    for seed in (None, 0):
        rngs = [seed if seed is None else np.random.RandomState(seed) for _ in range(2)]
        assert_array_equal(train(x, rngs[0]), train(X, rngs[1]))
    assert_array_equal(gradient(x), gradient(X))
    assert_array_equal(Model(PLAN, arrays())(x, n_threads=2), PLAN.forward(FLAT, X))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([FLAT[:-1]], "arrays hold 57 values, expected 58"),
        ([FLAT[:10], FLAT[10:]], "a layer's numbers lie in more than one array"),
    ],
)
def test_arrays_that_do_not_fit(given, message):
    """Arrays of another size, or that cut a matrix, are refused."""
    with pytest.raises(ValueError, match=message):
        Model(PLAN, given)


@pytest.mark.parametrize("shape", [(N, D + 1), (N * D,), (2, N, D)])
def test_rows_of_another_shape(shape):
    """Rows of another shape are refused."""
    with pytest.raises(ValueError, match="x is not of shape"):
        Model(PLAN, arrays())(np.zeros(shape))
