"""A fit leaves the process as it found it, and does not mind how it finds it."""

import functools
import threading
import warnings
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from sklmlp.inspection import HiddenFeatures
from sklmlp.inspection.diagnosis import gradient_norms
from sklmlp.optim.torch_optimizers import OPTIMIZERS
from tests.pairwise import pairwise
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SOLVERS = ["adam", "sgd", "lbfgs"]
ACTIVATIONS = ["relu", "prelu", "rrelu", "multihead_attention", torch.sin]
PAIRS = [(s, a) for s in SOLVERS for a in ACTIVATIONS if (s, a) != ("lbfgs", "rrelu")]


@pytest.fixture(scope="module", autouse=True)
def torch_is_loaded():
    """Have torch import what it imports at first use, which adds a filter of warnings."""
    X, y = make_table("regression")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        make("regression", activation="rrelu").fit(X, y)


def settings():
    """What of the process a fit could disturb."""
    return {
        "torch's generator": torch.get_rng_state().numpy().tolist(),
        "NumPy's generator": [np.asarray(part).tolist() for part in np.random.get_state()],
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "precision": torch.get_float32_matmul_precision(),
        "gradients": torch.is_grad_enabled(),
        "determinism": torch.are_deterministic_algorithms_enabled(),
        "warnings": list(warnings.filters),
        "errors": np.geterr(),
    }


@pytest.mark.parametrize("solver, activation", PAIRS)
def test_nothing_global_changes(solver, activation, kind):
    """Generators, default dtype, threads, precision and filters are as before after each call."""
    X, y = make_table(kind)
    before = settings()
    model = make(kind, solver=solver, activation=activation).fit(X, y)
    assert settings() == before
    if solver != "lbfgs":
        model.partial_fit(X, y)
    model.predict(X), model.score(X, y), model.module_
    assert settings() == before


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of the overflow
@pytest.mark.parametrize("activation", ACTIVATIONS[:-1])  # a sine is finite whatever it is of
def test_a_failed_fit_changes_nothing_global(activation):
    """A fit that fails in the middle puts everything back, too."""
    X, y = make_table("regression")
    before = settings()
    with pytest.raises(ValueError, match="non-finite"):
        make("regression", activation=activation).fit(X / np.abs(X).max() * 1e308, y)
    assert settings() == before


@pytest.mark.parametrize("solver, activation", PAIRS)
def test_a_seed_is_all_that_counts(solver, activation):
    """The same `random_state` gives the same weights, whatever the global generators say."""
    X, y = make_table("multiclass")
    options = {"solver": solver, "activation": activation, "early_stopping": solver != "lbfgs"}
    state, numpy_state = torch.get_rng_state(), np.random.get_state()
    try:
        first = make("multiclass", **options).fit(X, y)
        torch.manual_seed(17), np.random.seed(17)
        second = make("multiclass", **options).fit(X, y)
    finally:
        torch.set_rng_state(state), np.random.set_state(numpy_state)
    assert_array_equal(first.predict_proba(X), second.predict_proba(X))
    other = make("multiclass", **options, random_state=1).fit(X, y)
    assert not np.array_equal(first.predict_proba(X), other.predict_proba(X))


@pytest.mark.parametrize("default", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_any_default_dtype_is_fine(activation, dtype, default):
    """Torch's default dtype does not matter."""
    X, y = make_table("multiclass")
    X = X.astype(dtype)
    expected = make("multiclass", activation=activation).fit(X, y)
    kept = torch.get_default_dtype()
    torch.set_default_dtype(default)
    try:
        model = make("multiclass", activation=activation).fit(X, y)
        prediction = model.predict_proba(X)
    finally:
        torch.set_default_dtype(kept)
    if activation in ("multihead_attention", "prelu"):  # torch draws these in the default dtype
        assert_allclose(prediction, expected.predict_proba(X), rtol=0.1, atol=0.05)
    else:
        assert_array_equal(prediction, expected.predict_proba(X))


@pytest.mark.parametrize("activation", ["relu", torch.sin])
@pytest.mark.parametrize("solver", SOLVERS)
def test_fits_where_gradients_are_off(solver, activation):
    """A fit inside `torch.no_grad()` is a fit."""
    X, y = make_table("regression")
    expected = make("regression", solver=solver, activation=activation).fit(X, y)
    with torch.no_grad():
        model = make("regression", solver=solver, activation=activation).fit(X, y)
    assert_array_equal(model.coefs_[0], expected.coefs_[0])


@pytest.mark.parametrize("activation", ["relu", "prelu", torch.sin])
@pytest.mark.parametrize("solver", SOLVERS)
def test_fits_under_another_default_device(solver, activation):
    """Torch's default device does not matter: `device=` is what counts."""
    X, y = make_table("regression")
    weight = np.ones(60)
    options = {"solver": solver, "activation": activation, "early_stopping": solver == "sgd"}
    expected = make("regression", **options).fit(X, y, sample_weight=weight)
    with torch.device("meta"):
        model = make("regression", **options).fit(X, y, sample_weight=weight)
        prediction = model.predict(X)
    assert_array_equal(prediction, expected.predict(X))


@contextmanager
def set_to(get, put, value):
    """Set something of torch for a block."""
    before = get()
    put(value)
    try:
        yield
    finally:
        put(before)


CALLERS = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "another default device": lambda: torch.device("meta"),
    "a default device that is set": lambda: set_to(
        lambda: None, torch.set_default_device, torch.device("meta")
    ),
    "another default dtype": lambda: set_to(
        torch.get_default_dtype, torch.set_default_dtype, torch.float64
    ),
    "deterministic algorithms": lambda: set_to(
        torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, True
    ),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
    "gradients": torch.enable_grad,
}
"""What a caller may have set in torch, as functions that give a context manager."""


def numbers(solver, dtype):
    """What a model learns and answers, by arrays."""
    X, y = make_table("multiclass")
    X = X.astype(dtype)
    model = make("multiclass", solver=solver, max_iter=2, early_stopping=solver != "lbfgs")
    features = HiddenFeatures(FrozenEstimator(model.fit(X, y))).fit(X).transform(X)
    if solver != "lbfgs":
        model.set_params(early_stopping=False).partial_fit(X, y)
    norms = gradient_norms(model, X, y)
    return [*model.coefs_, model.predict_proba(X), model.predict(X), features, norms]


undisturbed_numbers = functools.cache(numbers)


@pytest.mark.parametrize(
    "solver, dtype, caller",
    pairwise([*SOLVERS, *sorted(OPTIMIZERS)], [np.float32, np.float64], CALLERS),
)
def test_what_the_caller_has_set_does_not_matter(solver, dtype, caller):
    """Every solver learns and predicts the same numbers, in the dtype of X, in any context."""
    expected = undisturbed_numbers(solver, dtype)
    with CALLERS[caller]():
        got = numbers(solver, dtype)
    for array, once in zip(got, expected, strict=True):
        assert array.dtype == once.dtype
        if solver in ("asgd", "nadam") and caller == "another default dtype":
            assert_allclose(array, once, rtol=0.2)  # torch counts their steps in that dtype
        else:
            assert_array_equal(array, once)


@pytest.mark.parametrize(
    "activation, normalization, caller",
    pairwise(["gelu", "softmax", "rrelu", "glu", torch.sin], [None, "batch", "layer"], CALLERS),
)
def test_what_the_caller_has_set_does_not_matter_to_layers(activation, normalization, caller):
    """Any layers learn and predict the same numbers in any context, in float32."""
    X, y = make_table("multiclass")
    X = X.astype(np.float32)
    model = make("multiclass", activation=activation, normalization=normalization)
    model.set_params(dropout=0.1, residual=True, n_estimators=2)
    expected = model.fit(X, y).predict_proba(X)
    with CALLERS[caller]():
        assert_array_equal(clone(model).fit(X, y).predict_proba(X), expected)
        assert_array_equal(model.predict_proba(X), expected)


@pytest.mark.parametrize("solver", SOLVERS)
def test_fits_side_by_side(solver):
    """Fits and predictions in several threads do not disturb each other."""
    X, y = make_table("multiclass")
    expected = [
        make("multiclass", solver=solver, random_state=seed).fit(X, y).predict_proba(X)
        for seed in range(6)
    ]
    predictions, before = [None] * 6, torch.get_num_threads()

    def work(seed):
        model = make("multiclass", solver=solver, random_state=seed).fit(X, y)
        predictions[seed] = [model.predict_proba(X) for _ in range(5)]

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for got, once in zip(predictions, expected, strict=True):
        for prediction in got:
            assert_allclose(prediction, once, rtol=1e-9)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_data_stay_as_they_are(solver, kind):
    """A fit writes neither into the rows nor into the targets nor into the weights."""
    X, y = make_table(kind)
    weight = np.linspace(0.5, 1.5, 60)
    kept = X.copy(), y.copy(), weight.copy()
    make(kind, solver=solver).fit(X, y, sample_weight=weight).predict(X)
    for array, before in zip((X, y, weight), kept, strict=True):
        assert_array_equal(array, before)
