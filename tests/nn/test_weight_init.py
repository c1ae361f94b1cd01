"""Initial coefs by the functions of torch.nn.init, against these functions themselves."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sklmlp.nn.spec import INITIALIZERS, draw_coefs
from tests.tables import make, make_table

NEEDED = {"constant": {"val": 0.5}, "sparse": {"sparsity": 0.25}}
SHAPES = [(5, 8), (8, 4), (4, 3)]


@pytest.mark.parametrize("name", INITIALIZERS)
def test_coefs_are_torchs(name):
    """The matrices are those that torch makes, (fan out, fan in), one after the other."""
    coefs = draw_coefs((name, NEEDED.get(name, {})), SHAPES, seed=3)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        for coef, (fan_in, fan_out) in zip(coefs, SHAPES, strict=True):
            weight = torch.empty(fan_out, fan_in, dtype=torch.float64)
            getattr(torch.nn.init, f"{name}_")(weight, **NEEDED.get(name, {}))
            assert_array_equal(coef, weight.T.numpy())


@pytest.mark.parametrize("name", INITIALIZERS)
def test_torchs_generator_stands(name):
    """Nothing is drawn from torch's global generator, whether a function takes one or not."""
    state = torch.get_rng_state()
    draw_coefs((name, NEEDED.get(name, {})), SHAPES, seed=3)
    assert_array_equal(torch.get_rng_state().numpy(), state.numpy())


def first_weights(**params):
    """The weights before the first step, nearly: one step of a rate that moves nothing."""
    X, y = make_table("multiclass")
    rate = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1}
    return make("multiclass", **rate, **params).fit(X, y)


def test_orthogonal_coefs(short_fits):
    """'orthogonal' starts with coefs whose shorter side is orthonormal, and intercepts of zero."""
    model = first_weights(weight_init="orthogonal", hidden_layer_sizes=(8, 4))
    for coef in model.coefs_:
        gram = coef @ coef.T if coef.shape[0] < coef.shape[1] else coef.T @ coef
        assert_allclose(gram, np.eye(len(gram)), atol=1e-12)
    assert all(np.abs(intercept).max() < 1e-200 for intercept in model.intercepts_)


def test_arguments_reach_torch(short_fits):
    """A pair passes its arguments on; both spellings of a name are known."""
    pair = ("normal_", {"mean": 3.0, "std": 0.01})
    model = first_weights(weight_init=pair, hidden_layer_sizes=(200,))
    coefs = np.concatenate([coef.ravel() for coef in model.coefs_])
    assert abs(coefs.mean() - 3) < 0.01
    assert 0.009 < coefs.std() < 0.011


def test_the_seed_decides(short_fits):
    """The draws follow `random_state`, and both dtypes start alike."""
    one, same, other, single = (
        first_weights(weight_init="kaiming_normal", random_state=seed, dtype=dtype)
        for seed, dtype in [(0, "auto"), (0, "auto"), (1, "auto"), (0, "float32")]
    )
    assert_array_equal(one.coefs_[0], same.coefs_[0])
    assert not np.allclose(one.coefs_[0], other.coefs_[0])
    assert single.coefs_[0].dtype == np.float32
    assert_array_equal(one.coefs_[0].astype(np.float32), single.coefs_[0])


@pytest.mark.parametrize(
    "weight_init, message",
    [
        ("xavier", "weight_init 'xavier' is unknown; did you mean 'xavier_.*Known are 'auto', "),
        ("dirac", "weight_init 'dirac' is unknown"),
        (("normal", {"sd": 1}), "'normal' has no argument 'sd'; it takes 'mean', 'std'"),
        ("constant", "'constant' with the arguments {} fails on a matrix of shape"),
        (("uniform", {"a": 2.0, "b": 1.0}), "'uniform' with the arguments .* fails on a matrix"),
    ],
)
def test_what_torch_has_not_is_an_error(weight_init, message):
    """The error of an unknown name or argument lists those that are known."""
    X, y = make_table("regression")
    with pytest.raises(ValueError, match=message):
        make("regression", weight_init=weight_init).fit(X, y)


@pytest.mark.parametrize("weight_init", [("normal",), ("normal", 0.1), ("normal", {}, {})])
def test_another_kind_of_value_is_an_error(weight_init):
    """A tuple is a name and a dict of arguments."""
    X, y = make_table("regression")
    with pytest.raises(TypeError, match=r"weight_init takes 'auto', the name of a function"):
        make("regression", weight_init=weight_init).fit(X, y)
