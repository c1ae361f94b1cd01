"""Aging evolution: who may be a parent, how likely, and what its child is."""

from math import comb

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import chisquare

from sklmlp.search.architecture import AgingEvolutionSampler
from sklmlp.search.architecture.evolution import child_of, tournament
from sklmlp.search.architecture.history import Told
from sklmlp.search.architecture.space import KnownSpace

SPACE = {
    "a": IntDistribution(0, 5),
    "b": FloatDistribution(0, 1),
    "c": CategoricalDistribution(["x", "y", "z"]),
    "single": IntDistribution(3, 3),
}


def test_the_winner_is_as_likely_as_combinatorics_say():
    """The r-th best of P wins a tournament of S with probability C(P - r, S - 1) / C(P, S)."""
    rng, losses = np.random.default_rng(0), [0.0, 0.0, 5.0, 2.0, 9.0, 1.0, 3.0, 4.0]
    told = [Told(i, {}, {}, loss) for i, loss in enumerate(losses)]
    by_rank = [5, 3, 6, 7, 2, 4]  # of the last six: the first two, the best of all, have died
    wins = [tournament(told, 6, 3, rng).number for _ in range(3000)]
    counts = [wins.count(number) for number in by_rank[:4]]
    assert sum(counts) == len(wins)
    expected = [3000 * comb(6 - rank, 2) / comb(6, 3) for rank in range(1, 5)]
    assert chisquare(counts, expected).pvalue > 0.01


@pytest.mark.parametrize("n_mutations", [1, 2, 5])
def test_a_child_differs_in_as_many_values_as_mutate(n_mutations):
    """What has one value only is never among them."""
    rng, space = np.random.default_rng(0), KnownSpace([({}, SPACE)])
    for _ in range(50):
        parent = Told(0, space.draw(rng), SPACE, 0.0)
        child = child_of(parent, space, rng, n_mutations)
        different = [name for name in SPACE if child[name] != parent.values[name]]
        assert len(different) == min(n_mutations, 3)


def reference(history, population_size, tournament_size, orders):
    """Algorithm 1 of Real et al. 2019 with a queue: the parents, given the orders of the draws."""
    queue, parents = list(history[:population_size]), []
    for order, born in zip(orders, history[population_size:], strict=True):
        sample = [queue[i] for i in order[:tournament_size]]
        parents.append(min(sample, key=lambda each: each.loss))
        queue.append(born)
        queue.pop(0)
    return parents


class Orders:
    """A generator whose draws are known."""

    def __init__(self, orders):
        self.orders = iter(orders)

    def choice(self, _, size, replace):
        assert not replace
        return next(self.orders)[:size]


def test_parents_are_those_of_the_algorithm():
    """A queue that is written down as in the paper has the same winners, draw for draw."""
    rng = np.random.default_rng(0)
    history = [Told(i, {}, {}, float(loss)) for i, loss in enumerate(rng.permutation(60))]
    orders = [rng.permutation(10) for _ in range(50)]
    draws = Orders(orders)
    found = [tournament(history[: 10 + i], 10, 4, draws) for i in range(50)]
    assert found == reference(history, 10, 4, orders)


def test_trials_are_children_of_the_living():
    """After the first population each differs in one value from one of the last completed."""
    study = optuna.create_study(sampler=AgingEvolutionSampler(8, 3, seed=0))
    study.optimize(lambda trial: sum(trial.suggest_int(f"x{i}", 0, 9) for i in range(6)), 60)
    values = [list(each.params.values()) for each in study.trials]
    for place in range(8, 60):
        living = np.array(values[place - 8 : place])
        assert (living != values[place]).sum(1).min() == 1


@pytest.mark.parametrize("sizes", [(5, 6), (5, 0), (0, 0)])
def test_sizes_that_cannot_be_are_refused(sizes):
    """The message says which were given."""
    with pytest.raises(ValueError, match=rf"population_size={sizes[0]}; got {sizes[1]}\."):
        AgingEvolutionSampler(*sizes)
