"""Networks with members in the engine: predictions, shards, and plans that are refused."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from sklmlp.native import (
    Front,
    Limits,
    Model,
    Optimizer,
    Rows,
    State,
    instruction_set,
    train_epochs,
)
from sklmlp.native.extension import engine
from sklmlp.nn import Network, Spec, TiedNetwork, can_compile, initial_weights, make_model
from sklmlp.nn.tied import AVERAGES

N, D, OUTPUTS = 70, 6, 4
EDGES = np.array([[-1.0, -0.3, 0.5, 1], [0, 1, 1, 1], [2, 2, 2, 2]], dtype=np.float32)
CONSTANTS = "front.left", "front.per_width", "levels.first"
MUON = Optimizer("muon", beta_2=0.95, momentum=0.95, weight_decay=0.1)


@cache
def network(
    average="softmax", hidden=(33, 20), dtype=torch.float64, edges=3, dropout=0.2, n_levels=()
):
    """A network with members, compiled."""
    loss = "gaussian" if average == "gaussian" else "squared_error"
    params = {
        "edges": EDGES[:edges], "blocks": [0, 1, 2, 3, 4, 4], "hidden_layer_sizes": hidden,
        "n_members": 3, "embedding_size": 5, "dropout": dropout, "average": average,
        "n_levels": n_levels,
    }  # fmt: skip
    spec = Spec(D, OUTPUTS, (), (), loss, module=TiedNetwork, module_params=params)
    weights = initial_weights(spec, np.random.RandomState(0), np.float64, None)
    rng = np.random.default_rng(0)
    for name, value in weights.state.items():  # bins start from zero
        if name not in CONSTANTS:
            weights.state[name] = value + rng.normal(0, 0.3, value.shape)
    made = Network(spec, weights, dtype, torch.device("cpu"))
    made.compile()
    return made


def make_rows(dtype=torch.float64, n=N):
    """Rows, of which some lie outside of all bins or at an edge."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, D))
    x[:20, 0] = np.resize(EDGES[0], 20)
    return torch.from_numpy(x).to(dtype)


@pytest.mark.parametrize("edges", [3, 0])
@pytest.mark.parametrize("average", AVERAGES)
def test_predictions_are_those_of_the_module(average, edges):
    """Averaged logits are torch's, of the flat tensor and of a fit's arrays."""
    made, x = network(average, edges=edges), make_rows()
    with torch.no_grad():
        expected = made.module.eval()(x)
    assert_allclose(made.logits(x), expected, rtol=1e-11, atol=1e-12)
    model = make_model(made.spec, made.weights(np.float64))
    assert_array_equal(model(x.numpy()), made.logits(x))
    for n in (1, 2):  # few rows have a way of their own
        assert_allclose(model(x[:n].numpy()), expected[:n], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("edges", [3, 0])
def test_codes_are_looked_up_as_in_the_module(edges):
    """Each level has its vector, and what is no level has zeros."""
    made, x = network(edges=edges, n_levels=(3, 2)), make_rows()
    x[:, 4:] = torch.from_numpy(np.random.default_rng(3).integers(-1, 4, (N, 2)))
    x[0, 4], x[1, 5] = np.nan, 1e30
    with torch.no_grad():
        expected = made.module.eval()(x)
    assert expected.isfinite().all()
    for n in (N, 2):
        assert_allclose(made.logits(x[:n]), expected[:n], rtol=1e-11, atol=1e-12)


def test_sure_members_have_a_finite_average():
    """Probabilities that are 0 in float32 have logarithms all the same."""
    made = network("softmax", dtype=torch.float32)
    x = 1e4 * make_rows(torch.float32)
    logits = made.logits(x)
    assert logits.isfinite().all() and logits.min() < -200
    with torch.no_grad():
        assert_allclose(logits, made.module.eval()(x), rtol=1e-3, atol=0.1)


def test_what_is_not_a_number_stays():
    """A row with NaN has NaN as its logits, and no other row has."""
    x = make_rows()
    x[3, 0], x[5, 4] = np.nan, np.nan
    is_nan = network().logits(x).isnan().all(1).nonzero().ravel()
    assert is_nan.tolist() == [3, 5]


def test_arrays_are_those_of_the_module():
    """The plan's order of arrays is that in which the module registers its parameters."""
    made = network()
    names = [name for name, p in made.module.named_parameters() if p.requires_grad]
    assert sum(p.numel() for p in made.module.parameters()) == made.compile().n_parameters
    at = {name: where.start for name, where in zip(names, made.segments, strict=True)}
    plan = made.compile()
    assert plan.front.bins == at["front.bins"] and plan.layers[-1].coefs == at["head"]
    for i, layer in enumerate(plan.layers[:-1]):
        offsets = layer.coefs, layer.scales_in, layer.scales_out, layer.intercepts
        assert offsets == tuple(at[f"layers.{i}.{name}"] for name in ("weight", "r", "s", "bias"))


class Other(TiedNetwork):
    """A network with members of a user's own."""


def test_other_networks_are_left_to_torch():
    """A subclass may compute anything, and bins that do not rise are none."""
    spec = network().spec
    falling = spec.module_params | {"edges": EDGES[:, ::-1]}
    assert can_compile(spec)
    assert not can_compile(replace(spec, module=Other))
    assert not can_compile(replace(spec, module_params=falling))


def train(made, n_shards=1, n_threads=1, options=MUON, dtype="float64", n_epochs=3, rows=None):
    """Train a copy; return what was learned."""
    plan, flat = made.compile(), made.flat.detach().numpy().copy()
    matrices = [(layer.coefs, layer.fan_in, layer.units) for layer in plan.layers[:-1]]
    parts, start = [], 0
    for offset, *shape in sorted(matrices):
        parts += [(start, offset - start, 0, 1.0), (offset, *shape, 8.0)]
        start = offset + shape[0] * shape[1]
    parts.append((start, plan.n_parameters - start, 0, 1.0))
    x = make_rows(made.flat.dtype).numpy() if rows is None else rows
    y = np.random.default_rng(2).normal(size=(len(x), plan.n_targets)).astype(x.dtype)
    zeros = np.zeros_like(flat), np.zeros_like(flat)
    state = State(flat, *zeros, made.statistics, np.arange(len(x)), learning_rate=0.003)
    block = train_epochs(
        plan,
        state,
        Rows(len(x), x, y),
        replace(options, parts=parts) if options.solver == "muon" else options,
        Limits(n_epochs, np.inf),
        batch_size=32,
        rng=np.random.RandomState(3),
        dropout_seed=5,
        n_shards=n_shards,
        n_threads=n_threads,
    )
    return state.flat, block


@pytest.mark.parametrize("options", [MUON, Optimizer(max_grad_norm=0.1)], ids=["muon", "adam"])
def test_shards_compute_one_gradient(options):
    """On any number of shards it is the same fit to rounding, with the same units dropped."""
    flat, block = train(network(), options=options)
    for n_shards in (2, 3):
        again, more = train(network(), n_shards, options=options)
        assert_allclose(again, flat, rtol=1e-9, atol=1e-11)
        assert_allclose(more.losses, block.losses, rtol=1e-10)


def test_threads_change_no_bit():
    """What a number of shards computes does not depend on who computes it."""
    made = network(dtype=torch.float32)
    assert_array_equal(train(made, 3, 1)[0], train(made, 3, 2)[0])


@pytest.mark.parametrize("name", ["baseline", "avx2"])
def test_instruction_sets_agree(name):
    """Each set of instructions that the processor has trains to the same numbers."""
    best, flats = instruction_set(), []
    try:
        for each in (best, name):
            engine().use_instruction_set(each)
            flats.append(train(network())[0])
    finally:
        engine().use_instruction_set(best)
    assert_allclose(flats[1], flats[0], rtol=1e-9, atol=1e-11)


def with_layer(plan, number, **changes):
    layers = list(plan.layers)
    layers[number] = replace(layers[number], **changes)
    return replace(plan, layers=layers)


BAD_PLANS = {
    "fan in": (lambda p: with_layer(p, 0, fan_in=9), "layer 0: fan_in is 9, expected 21"),
    "scales": (
        lambda p: with_layer(p, 1, scales_in=None),
        r"layer 1: scales_in lies outside of its array: 99 values from nowhere on",
    ),
    "heads": (
        lambda p: with_layer(p, 2, coefs=p.n_parameters - 200),
        "layer 2: coefs lies outside of its array: 240 values",
    ),
    "activation": (lambda p: with_layer(p, 0, activation="tanh"), "members have ReLU"),
    "bins": (
        lambda p: replace(p, front=replace(p.front, per_width=10)),
        "front: per_width lies outside of its array: 9 values from 10 on, in",
    ),
    "numbers": (
        lambda p: replace(p, front=Front(7, 3, 5, weight=0, bias=0, bins=0, left=0, per_width=0)),
        "the front has more numbers and categories than there are features",
    ),
    "levels": (
        lambda p: replace(p, front=replace(p.front, n_categories=1, n_levels=9, first=0)),
        "front: vectors lies outside of its array: 45 values from nowhere on",
    ),
}


@pytest.mark.parametrize("name", BAD_PLANS)
def test_plans_that_do_not_fit_are_refused(name):
    """Shapes and offsets of members are checked against each other and against the arrays."""
    change, message = BAD_PLANS[name]
    with pytest.raises(ValueError, match=message):
        engine().make_plan(change(network().compile()))


def test_parts_of_muon_are_all_numbers():
    """A gap between two parts, or behind the last, is refused."""
    plan, flat = network().compile(), network().flat.detach().numpy().copy()
    state = State(flat, np.zeros_like(flat), np.zeros_like(flat), network().statistics)
    data = Rows(N, make_rows().numpy(), np.zeros((N, OUTPUTS)))
    for parts in ([(0, 10, 0, 1.0)], [(0, 10, 0, 1.0), (11, plan.n_parameters - 11, 0, 1.0)]):
        options = Optimizer("muon", parts=parts)
        with pytest.raises(ValueError, match="parts do not follow each other up to n_parameters"):
            train_epochs(plan, state, data, options, Limits(1), batch_size=32)


def test_arrays_that_lie_in_two_places_are_refused():
    """A member's numbers lie in one array with the others'."""
    made = network()
    state = made.weights(np.float64).state
    arrays = [value for name, value in state.items() if name not in CONSTANTS]
    cut = [*arrays[0].reshape(2, -1), *arrays[1:]]
    with pytest.raises(ValueError, match="lie in more than one array"):
        Model(made.compile(), cut, made.statistics)
