"""REINFORCE on a study: its policy is what the policy class makes of the trials, one by one."""

from itertools import product

import numpy as np
import optuna
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm, rankdata

from sklmlp.search.architecture import ReinforceSampler
from sklmlp.search.architecture.policy import Policy
from sklmlp.search.architecture.reinforce import options_of, values_of
from tests.search.architecture.studies import knowledge_of


def suggest(trial):
    depth = trial.suggest_int("depth", 1, 3)
    for i in range(depth):
        trial.suggest_int(f"width_{i}", 4, 16, step=4)
    trial.suggest_categorical("activation", ["relu", "tanh"])
    return trial.params


def n_units(values):
    return sum(values[f"width_{i}"] for i in range(values["depth"]))


def searched(n_trials, **options):
    sampler = ReinforceSampler(seed=0, **options)
    study = optuna.create_study(sampler=sampler, direction="maximize")
    study.optimize(lambda trial: float(n_units(suggest(trial))), n_trials)
    return sampler, study, knowledge_of(study)


def test_the_policy_is_that_of_the_trials_one_by_one():
    """Options are places in lists, rewards normal scores of ranks, what was not asked is -1."""
    sampler, study, knowledge = searched(25)
    names = list(knowledge.space.distributions)
    lists = {"depth": [1, 2, 3], "activation": ["relu", "tanh"]}
    lists |= {f"width_{i}": [4, 8, 12, 16] for i in range(3)}
    policy = Policy(
        [len(lists[name]) for name in names], learning_rate=0.25, entropy_weight=0.1, n_warmup=50
    )
    policy.baseline, policy.variance = 0.0, 1.0
    for place, trial in enumerate(study.trials):
        values = [each.value for each in study.trials[: place + 1]]
        reward = norm.ppf((rankdata(values)[-1] - 0.5) / len(values))
        choices = [
            lists[name].index(trial.params[name]) if name in trial.params else -1 for name in names
        ]
        policy.update([choices], [reward])
    assert_allclose(sampler.policy(knowledge).logits, policy.logits)


def test_the_policy_prefers_what_scored_well():
    """Deep and wide is best, and the activation has no part."""
    sampler, _, knowledge = searched(100)
    probabilities = sampler.policy(knowledge).probabilities()
    by_name = dict(zip(knowledge.space.distributions, probabilities, strict=True))
    assert by_name["depth"].argmax() == 2
    assert all(by_name[f"width_{i}"].argmax() == 3 for i in range(3))
    assert by_name["depth"][2] > by_name["activation"][:2].max()


def test_a_bound_is_kept_and_reached():
    """The policy's allowed samples are nearer to the bound than what is allowed is on average."""
    sampler, study, knowledge = searched(50, is_allowed=lambda values: n_units(values) <= 24)
    assert all(n_units(each.params) <= 24 for each in study.trials[16:])
    networks = [w for n in (1, 2, 3) for w in product((4, 8, 12, 16), repeat=n) if sum(w) <= 24]
    options = options_of(knowledge.space)
    drawn = sampler.policy(knowledge).sample(np.random.default_rng(0), 500)
    units = np.array([n_units(values_of(options, choices)) for choices in drawn])
    assert units[units <= 24].mean() > np.mean([sum(each) for each in networks]) + 2


def test_the_probability_of_being_allowed_is_asked_for_once_per_architecture():
    """What `is_allowed` said is kept."""
    asked = []

    def is_allowed(values):
        asked.append(tuple(values.items()))
        return n_units(values) <= 24

    searched(40, is_allowed=is_allowed)
    assert len(asked) == len(set(asked))
    assert len(asked) <= 2 * (4 + 16 + 64)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_number_without_a_step_is_learned_in_bins(seed):
    """The best tenth of a logarithmic scale is found, and drawn within."""
    study = optuna.create_study(sampler=ReinforceSampler(seed=seed))
    study.optimize(
        lambda trial: abs(np.log10(trial.suggest_float("rate", 1e-6, 1e2, log=True)) + 2.5), 100
    )
    last = [each.params["rate"] for each in study.trials[-30:]]
    assert np.mean([1e-3 <= each <= 1e-2 for each in last]) > 0.5
    assert len(set(last)) == 30
