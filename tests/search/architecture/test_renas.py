"""Reinforced evolution: whose child a trial is, and what its policy learns of that."""

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution

from sklmlp.search.architecture import RENASSampler
from sklmlp.search.architecture.history import Told
from sklmlp.search.architecture.renas import parent_of
from tests.search.architecture.studies import knowledge_of

SPACE = {name: IntDistribution(0, 3) for name in "abc"}


def told(*rows):
    """Trials of (a, b, c, loss)."""
    return [
        Told(i, dict(zip("abc", values, strict=True)), SPACE, float(loss))
        for i, (*values, loss) in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("rows", "number", "name"),
    [
        ([(0, 0, 0, 1), (1, 0, 0, 5)], 0, "a"),
        ([(0, 0, 0, 1), (1, 1, 0, 5)], None, None),
        ([(0, 0, 0, 2), (0, 1, 2, 1), (0, 1, 0, 5)], 1, "c"),  # the better of two
        ([(0, 0, 0, 2), (0, 0, 0, 1)], None, None),  # a repetition is no child
        ([(0, 0, 0, 2)], None, None),
    ],
)
def test_the_parent_of_a_trial(rows, number, name):
    """The best earlier trial that differs in one value."""
    parent, found = parent_of(told(*rows))
    assert found == name
    assert (parent and parent.number) == number


def test_what_was_not_asked_of_both_has_no_part():
    """A depth that changes is one mutation, though the deeper has a width more."""
    shallow = Told(0, {"depth": 1, "w0": 4}, {}, 2.0)
    deep = Told(1, {"depth": 2, "w0": 4, "w1": 9}, {}, 1.0)
    assert parent_of([shallow, deep]) == (shallow, "depth")


def test_the_policy_learns_which_mutations_help():
    """Where one value is the best of each parameter, mutations to it become likely."""
    found = []
    for seed in range(3):
        sampler = RENASSampler(seed=seed)
        study = optuna.create_study(sampler=sampler)
        study.optimize(
            lambda trial: sum(trial.suggest_int(f"x{i}", 0, 5) != 4 for i in range(6)), 100
        )
        found.append(sampler.policy(knowledge_of(study)).probabilities()[1:, :6])
    mean = np.mean(found, axis=(0, 1))  # of six parameters in three searches
    assert mean.argmax() == 4
    assert mean[4] > 1.5 / 6


def test_children_differ_from_a_parent_in_one_value():
    """The policy proposes one mutation of a living trial."""
    study = optuna.create_study(sampler=RENASSampler(10, 3, seed=0))
    study.optimize(lambda trial: sum(trial.suggest_int(f"x{i}", 0, 9) for i in range(6)), 50)
    values = [list(each.params.values()) for each in study.trials]
    for place in range(10, 50):
        assert (np.array(values[place - 10 : place]) != values[place]).sum(1).min() == 1
