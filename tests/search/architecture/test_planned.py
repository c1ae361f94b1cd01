"""What all samplers that learn from trials keep, each in a study of its own."""

import copy

import numpy as np
import optuna
import pytest
from optuna.distributions import IntDistribution
from optuna.trial import TrialState

from sklmlp.search.architecture import (
    AgingEvolutionSampler,
    NAOSampler,
    PredictorSampler,
    ReinforceSampler,
    RENASSampler,
)
from sklmlp.search.architecture.space import KnownSpace

SAMPLERS = {
    "evolution": AgingEvolutionSampler,
    "nao": NAOSampler,
    "predictor": PredictorSampler,
    "reinforce": ReinforceSampler,
    "renas": RENASSampler,
}
EACH = pytest.mark.parametrize("make", SAMPLERS.values(), ids=SAMPLERS)


def suggest(trial):
    """A network: a depth, a width for each layer, an activation, a rate."""
    for i in range(trial.suggest_int("depth", 1, 3)):
        trial.suggest_int(f"width_{i}", 8, 256, log=True)
    trial.suggest_categorical("activation", ["relu", "tanh", "gelu"])
    trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    return trial.params


def loss_of(values):
    """The least loss, zero, is that of two layers of 64 units with gelu at a rate of 0.01."""
    widths = [values[f"width_{i}"] for i in range(values["depth"])]
    loss = 2 * (values["depth"] - 2) ** 2 + sum(np.log2(each / 64) ** 2 for each in widths)
    return float(loss + (values["activation"] != "gelu") + np.log10(values["rate"] / 0.01) ** 2)


def n_units(values):
    return sum(values[f"width_{i}"] for i in range(values["depth"]))


def run_batches(study, n_batches=2, batch=16, sign=1.0):
    """Ask for batches, each before any of it is told, and return what all trials were."""
    for _ in range(n_batches):
        trials = [study.ask() for _ in range(batch)]
        for trial in trials:
            suggest(trial)
        for trial in trials:
            study.tell(trial, sign * loss_of(trial.params))
    return [each.params for each in study.trials]


@EACH
def test_a_sampler_made_anew_goes_on(make):
    """On a copy of a study, another sampler of the seed proposes what the first would have."""
    study = optuna.create_study(sampler=make(seed=0))
    run_batches(study, 2)
    other = optuna.create_study(sampler=make(seed=0))
    other.add_trials(copy.deepcopy(study.trials))
    assert run_batches(study, 2, batch=6) == run_batches(other, 2, batch=6)
    assert run_batches(optuna.create_study(sampler=make(seed=1)), 1) != study.trials[:16]


@EACH
def test_maximizing_mirrors_minimizing(make):
    """The negated value in the other direction leads to the same trials."""
    down = optuna.create_study(sampler=make(seed=0))
    up = optuna.create_study(sampler=make(seed=0), direction="maximize")
    assert run_batches(down) == run_batches(up, sign=-1.0)


@EACH
def test_a_batch_has_no_repetition(make):
    """Neither among themselves nor of earlier trials, also where few are left."""

    def ask(study):
        trial = study.ask()
        return trial, (trial.suggest_int("x", 0, 6), trial.suggest_categorical("y", "abcdefg"))

    study = optuna.create_study(sampler=make(seed=0))
    found = []
    for _ in range(3):
        asked = [ask(study) for _ in range(15)]
        for trial, (x, y) in asked:
            study.tell(trial, x + (y != "c"))
        found += [values for _, values in asked]
    assert len(set(found)) == 45  # of 49


@EACH
def test_a_space_that_is_used_up_repeats(make):
    """More trials than architectures is no error."""
    study = optuna.create_study(sampler=make(seed=0))
    for _ in range(3):
        for trial in [study.ask() for _ in range(8)]:
            study.tell(trial, trial.suggest_int("x", 0, 2) + trial.suggest_float("one", 1, 1))
    assert {each.params["x"] for each in study.trials} == {0, 1, 2}


def best_of_search(sampler):
    study = optuna.create_study(sampler=sampler)
    run_batches(study, 4)
    return study.best_value


@pytest.fixture(scope="module")
def random_best():
    """The median of what random search finds."""
    return np.median([best_of_search(optuna.samplers.RandomSampler(seed=i)) for i in range(9)])


@EACH
def test_better_than_random(make, random_best):
    """At equal cost the median of three searches is less than 0.6 of random search's."""
    assert np.median([best_of_search(make(seed=i)) for i in range(3)]) < 0.6 * random_best


@EACH
def test_all_that_is_proposed_is_allowed(make):
    """After the first trials, which show the space, all proposals keep a tight bound."""
    study = optuna.create_study(sampler=make(is_allowed=lambda v: n_units(v) <= 60, seed=0))
    run_batches(study, 3)
    assert all(n_units(each.params) <= 60 for each in study.trials[16:])


@pytest.mark.parametrize("name", ["width_2", "depth"])
def test_a_value_that_is_not_known_yet_may_be_tried(name):
    """Only where a value that the trials had is not found, the KeyError is the caller's own."""

    def is_allowed(values):
        raise KeyError(name)

    space = KnownSpace([({"depth": 3}, {"depth": IntDistribution(1, 3)})])
    sampler = AgingEvolutionSampler(is_allowed=is_allowed)
    if name == "width_2":
        assert sampler.may_try(space, {"depth": 3})
    else:
        with pytest.raises(KeyError):
            sampler.may_try(space, {"depth": 3})


@EACH
def test_trials_that_fail_are_pruned_or_queued(make):
    """Queued values are tried as they are, failed trials are not repeated, pruned ones count."""
    study = optuna.create_study(sampler=make(seed=0))
    queued = {"depth": 1, "width_0": 64, "activation": "gelu", "rate": 0.01}
    study.enqueue_trial(queued)
    for number in range(30):
        trial = study.ask()
        values = suggest(trial)
        if number % 5 == 1:
            study.tell(trial, state=TrialState.FAIL)
        elif number % 5 == 2:
            trial.report(loss_of(values), step=3)
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, loss_of(values))
    assert study.trials[0].params == queued
    assert len({repr(each.params) for each in study.trials}) == 30


@EACH
def test_a_space_may_grow(make):
    """A parameter that no trial had before, and a range that widens, are drawn."""
    study = optuna.create_study(sampler=make(seed=0))
    for number in range(32):
        trial = study.ask()
        value = trial.suggest_int("x", 0, 3 if number < 20 else 30)
        if number >= 20:
            value += trial.suggest_float("late", 0, 1)
        study.tell(trial, -value)
    late = [each.params for each in study.trials[20:]]
    assert max(each["x"] for each in late) > 3
    assert len({each["late"] for each in late}) > 3


@EACH
def test_several_objectives_are_refused(make):
    """The message says what to use instead."""
    study = optuna.create_study(directions=["minimize", "minimize"], sampler=make(seed=0))
    with pytest.raises(ValueError, match="nsga2"):
        study.ask().suggest_float("x", 0, 1)


@EACH
def test_a_seed_that_is_none_is_drawn(make):
    """Two samplers without a seed differ, and two of one seed do not."""
    found = [run_batches(optuna.create_study(sampler=make()), 1) for _ in range(2)]
    assert found[0] != found[1]
