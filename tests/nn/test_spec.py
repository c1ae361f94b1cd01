"""A network's plain description, the weights that it starts from and the module that it means."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import nn

from sklmlp.losses import LOSSES
from sklmlp.nn import Spec, build_module, initial_weights, output_rule, resolve
from tests.tables import make, make_table


def make_spec(activation="relu", hidden=(8, 4), loss="squared_error"):
    return Spec(5, 3, hidden, tuple(resolve(activation, len(hidden))), loss)


def draw(spec, seed=0, dtype="float64"):
    rng = np.random.RandomState(seed)
    return initial_weights(spec, rng, np.dtype(dtype), output_rule("relu"))


@pytest.mark.parametrize(
    "activation, hidden, shapes",
    [
        ("relu", (), [(5, 3)]),
        ("relu", (8,), [(5, 8), (8, 3)]),
        ("glu", (8, 4), [(5, 16), (8, 8), (4, 3)]),
        (["glu", "tanh"], (8, 4), [(5, 16), (8, 4), (4, 3)]),
        (["tanh", "glu"], (8, 4), [(5, 8), (8, 8), (4, 3)]),
    ],
)
def test_shapes_of_the_affine_maps(activation, hidden, shapes):
    """Each map goes from the output of the layer before to the input of its activation."""
    spec = make_spec(activation, hidden)
    assert spec.shapes == shapes
    assert [coef.shape for coef in draw(spec).coefs] == shapes
    assert [bias.shape for bias in draw(spec).intercepts] == [(shape[1],) for shape in shapes]


LINKS = {
    **dict.fromkeys(("log_loss", "focal"), "softmax"),
    **dict.fromkeys(("binary_log_loss", "binary_focal"), "logistic"),
    **dict.fromkeys(("poisson", "gamma"), "exp"),
    **dict.fromkeys(("hinge", "binary_hinge", "squared_error", "absolute_error"), "identity"),
    **dict.fromkeys(("huber", "quantile", "gaussian"), "identity"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_out_activation_is_the_losss(loss):
    """A spec's output link is the one that its loss is defined with."""
    assert make_spec(loss=loss).out_activation == LINKS[loss]


def test_the_loss_has_its_parameters():
    """A spec's loss is made with the parameters that the spec has for it."""
    spec = replace(make_spec(loss="quantile"), loss_params={"quantile": [0.9, 0.1]})
    assert spec.loss_function.quantile == [0.9, 0.1]
    assert spec.out_activation == "ordered"


def test_weights_and_biases_are_drawn_layer_by_layer():
    """The draws are those of scikit-learn: a layer's coefs, its intercepts, then the next layer."""
    rng = np.random.RandomState(7)
    weights = draw(make_spec(), seed=7)
    for (fan_in, fan_out), coef, intercept in zip(
        [(5, 8), (8, 4), (4, 3)], weights.coefs, weights.intercepts, strict=True
    ):
        bound = np.sqrt(6 / (fan_in + fan_out))
        assert_array_equal(coef, rng.uniform(-bound, bound, (fan_in, fan_out)))
        assert_array_equal(intercept, rng.uniform(-bound, bound, fan_out))


@pytest.mark.parametrize("activation", ["relu", "glu", "prelu", "multihead_attention"])
def test_float32_rounds_the_same_draws(activation):
    """The numbers are drawn in float64 and rounded, so that both dtypes start alike."""
    spec = make_spec(activation)
    double, single = draw(spec), draw(spec, dtype="float32")
    for fine, coarse in zip(double.coefs, single.coefs, strict=True):
        assert coarse.dtype == np.float32
        assert_allclose(coarse, fine, rtol=1e-6)


def test_build_module_shares_the_tensors_it_is_given():
    """The module's parameters are the coefs and intercepts themselves, transposed views."""
    spec = make_spec()
    weights = draw(spec)
    weights.coefs = [torch.from_numpy(array) for array in weights.coefs]
    weights.intercepts = [torch.from_numpy(array) for array in weights.intercepts]
    module = build_module(spec, weights)
    weights.coefs[0].fill_(2.0)
    weights.intercepts[2].fill_(3.0)
    assert (module.linear_0.weight == 2.0).all()
    assert (module.linear_2.bias == 3.0).all()


def test_module_of_an_estimator_shares_memory_with_coefs(short_fits):
    """Writing into `coefs_` moves `module_`, and training `module_` moves `coefs_`."""
    X, y = make_table("regression")
    model = make("regression").fit(X, y)
    before = model.predict(X)
    model.coefs_[-1] *= 2
    model.intercepts_[-1] *= 2
    assert_allclose(model.predict(X), 2 * before)
    with torch.no_grad():
        model.module_.linear_1.weight.zero_()
    assert not model.coefs_[-1].any()


def test_assigned_coefs_are_used(short_fits):
    """A new array in `coefs_` is what predict computes with."""
    X, y = make_table("regression")
    model = make("regression").fit(X, y)
    before = model.predict(X)
    model.coefs_ = [*model.coefs_[:-1], 2 * model.coefs_[-1]]
    model.intercepts_[-1] = 2 * model.intercepts_[-1]
    assert_allclose(model.predict(X), 2 * before)


def test_module_is_plain_torch(short_fits):
    """`module_` is a Sequential of torch's own classes, in prediction mode."""
    X, y = make_table("multiclass")
    module = make("multiclass", hidden_layer_sizes=(8, 4), activation="gelu").fit(X, y).module_
    assert type(module) is nn.Sequential
    assert [type(layer) for layer in module] == [
        *(nn.Linear, nn.GELU, nn.Linear, nn.GELU, nn.Linear),
    ]
    assert not module.training
