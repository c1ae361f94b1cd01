"""Distributions as numbers: what Optuna would draw, what it would accept, and the way back."""

import numpy as np
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import RandomSampler
from scipy.stats import chi2_contingency, ks_2samp

from sklmlp.search.architecture.encoding import (
    MOST_OPTIONS,
    Options,
    VectorEncoder,
    contains,
    is_categorical,
    is_grid,
    mutated,
    size_of,
    uniform,
)
from sklmlp.search.architecture.space import KnownSpace

DISTRIBUTIONS = {
    "choices": CategoricalDistribution(["relu", None, True, 2.5]),
    "float": FloatDistribution(-2, 3),
    "log float": FloatDistribution(1e-5, 1e-1, log=True),
    "float with a step": FloatDistribution(0, 1, step=0.25),
    "long float with a step": FloatDistribution(-1, 1, step=0.1),
    "int": IntDistribution(2, 6),
    "int with a step": IntDistribution(4, 64, step=4),
    "long int": IntDistribution(-50, 50),
    "log int": IntDistribution(1, 300, log=True),
    "short log int": IntDistribution(1, 6, log=True),
}
EACH = pytest.mark.parametrize("distribution", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)


def drawn(distribution, n, seed=0):
    rng = np.random.default_rng(seed)
    return [uniform(distribution, rng) for _ in range(n)]


@EACH
def test_draws_are_distributed_as_those_of_optuna(distribution):
    """Two samples, one of them by Optuna's own sampler, cannot be told apart."""
    ours, sampler = drawn(distribution, 800), RandomSampler(seed=1)
    theirs = [sampler.sample_independent(None, None, "x", distribution) for _ in range(800)]
    assert {type(each) for each in ours} == {type(each) for each in theirs}
    if size_of(distribution) <= MOST_OPTIONS:
        options = Options(distribution)
        counts = [
            np.bincount([options.option_of(each) for each in values], minlength=options.size)
            for values in (ours, theirs)
        ]
        assert chi2_contingency(counts).pvalue > 0.001
    else:
        assert ks_2samp(ours, theirs).pvalue > 0.001


@EACH
def test_what_is_drawn_and_mutated_is_what_optuna_accepts(distribution):
    """Optuna takes each value, and a mutation always changes it."""
    rng = np.random.default_rng(0)
    for value in drawn(distribution, 100):
        other = mutated(distribution, value, rng)
        assert other != value
        for each in (value, other):
            assert distribution._contains(distribution.to_internal_repr(each))
            assert contains(distribution, each)


@EACH
@pytest.mark.parametrize("value", [None, True, "relu", 1, 2.5, 2.6, -3, 5, 0.75, 400, 8, 0.3])
def test_what_optuna_does_not_accept_is_not_contained(distribution, value):
    """A value from elsewhere, as of a queued trial of an earlier space, is told apart."""
    if is_categorical(distribution):
        expected = any(value is each or value == each for each in distribution.choices)
        expected = expected and any(type(value) is type(each) for each in distribution.choices)
        assert contains(distribution, value) == expected
        return
    if value is None or isinstance(value, bool | str):
        assert not contains(distribution, value)
        return
    whole = not isinstance(distribution, IntDistribution) or value == int(value)
    assert contains(distribution, value) == (whole and distribution._contains(value))


@pytest.mark.parametrize("name", ["int", "int with a step", "float with a step", "short log int"])
def test_neighbours_are_one_step_away(name):
    """Where a grid is short, a near mutation goes to the next number, and not beyond the end."""
    distribution = DISTRIBUTIONS[name]
    if size_of(distribution) > MOST_OPTIONS:
        distribution = IntDistribution(4, 32, step=4)
    rng = np.random.default_rng(0)
    for value in drawn(distribution, 50):
        other = mutated(distribution, value, rng, nearness=1)
        assert abs(other - value) == pytest.approx(distribution.step)


@EACH
def test_an_option_is_that_of_its_values(distribution):
    """A value that is drawn in a bin belongs to it, and each value of a grid to one."""
    options = Options(distribution)
    for option in range(options.size):
        for share in (0, 0.3, 0.5, 0.999):
            value = options.value_of(option, share)
            assert distribution._contains(distribution.to_internal_repr(value))
            assert options.option_of(value) == option
    if is_grid(distribution):
        values = distribution.low + distribution.step * np.arange(size_of(distribution))
        found = [options.option_of(value) for value in values]
        assert found == sorted(found)
        assert set(found) == set(range(options.size))


@EACH
def test_vectors_lead_back_to_values(distribution):
    """Nothing is lost on the way to a vector and back, also next to another parameter."""
    space = KnownSpace([({}, {"x": distribution, "y": IntDistribution(0, 3)})])
    encoder = VectorEncoder(space)
    for i, value in enumerate(drawn(distribution, 40)):
        [vector] = encoder.encode([{"x": value, "y": i % 4}])
        found = encoder.decode(vector)
        assert found["y"] == i % 4
        assert found["x"] == (value if size_of(distribution) < np.inf else pytest.approx(value))
        assert np.abs(vector).max() <= 1


def test_a_parameter_that_was_not_asked_for_is_marked():
    """Its columns are zero, and one more tells that from a number in the middle."""
    depth, width = IntDistribution(1, 2), IntDistribution(0, 2)
    records = [
        ({"depth": 1}, {"depth": depth}),
        ({"depth": 2, "width": 1}, {"depth": depth, "width": width}),
    ]
    encoder = VectorEncoder(KnownSpace(records))
    vectors = encoder.encode([values for values, _ in records])
    np.testing.assert_allclose(vectors, [[-0.5, 0, 0], [0.5, 0, 1]])
