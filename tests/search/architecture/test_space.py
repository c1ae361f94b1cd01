"""What trials have shown: of a space that is a function, and of values, pruned ones as well."""

import numpy as np
import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState, create_trial

from sklmlp.search.architecture.history import Replay, key_of, told_trials
from sklmlp.search.architecture.space import KnownSpace

X = {"x": FloatDistribution(0, 1)}


def suggest(trial):
    """Depths ask for widths, one optimizer for a momentum, and a momentum for Nesterov's."""
    depth = trial.suggest_int("depth", 1, 4)
    for i in range(depth):
        trial.suggest_int(f"width_{i}", 8, 64, log=True)
    if trial.suggest_categorical("solver", ["adam", "sgd"]) == "sgd":
        momentum = trial.suggest_categorical("momentum", [0.0, 0.9])
        if momentum:
            trial.suggest_categorical("nesterov", [True, False])
    return trial.params


def test_conditions_are_found_in_the_trials():
    """Of new values for all parameters, those are left that the function asks for."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trials = [study.ask() for _ in range(80)]
    for trial in trials:
        suggest(trial)
    known = KnownSpace([(trial.params, trial.distributions) for trial in trials])
    assert set(known.conditions) == {"width_1", "width_2", "width_3", "momentum", "nesterov"}
    rng = np.random.default_rng(1)
    for _ in range(200):
        values = known.draw(rng)
        assert known.asked(values) == suggest(optuna.trial.FixedTrial(values))


def test_what_is_rare_is_not_forgotten():
    """Hundreds of trials of one depth later, another depth still asks for its widths."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trials = [study.ask() for _ in range(30)]
    for trial in trials:
        suggest(trial)
    records = [(trial.params, trial.distributions) for trial in trials]
    shallow = [record for record in records if record[0]["depth"] == 1]
    known = KnownSpace(records + 200 * shallow)
    values = known.draw(np.random.default_rng(0))
    for depth in range(1, 5):
        asked = known.asked(values | {"depth": depth})
        assert sum(name.startswith("width") for name in asked) == depth


def told(study, **trial):
    study.add_trial(create_trial(params={"x": 0.5}, distributions=X, **trial))


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_what_is_told(direction, sign):
    """A pruned trial counts by its last report; failed, running and unreported ones do not."""
    study = optuna.create_study(direction=direction)
    told(study, value=3.0)
    told(study, state=TrialState.PRUNED, intermediate_values={0: 5.0, 9: 7.0, 4: 6.0})
    told(study, state=TrialState.PRUNED)
    told(study, state=TrialState.PRUNED, intermediate_values={1: float("nan")})
    told(study, state=TrialState.FAIL)
    told(study, state=TrialState.RUNNING)
    told(study, value=1.0)
    found = told_trials(study, reversed(study.trials))
    assert [each.number for each in found] == [0, 1, 6]
    assert [each.loss for each in found] == [sign * 3.0, sign * 7.0, sign * 1.0]


def test_several_objectives_are_refused():
    """The message says how many there are, and what to use."""
    study = optuna.create_study(directions=["minimize", "maximize"])
    with pytest.raises(ValueError, match=r"one objective; got one of 2\. .*nsga2"):
        told_trials(study, [])


def test_keys_tell_values_apart():
    """The order in which a trial was asked has no part, and a list may be a value."""
    assert key_of({"a": 1, "b": [2]}) == key_of({"b": [2], "a": 1}) != key_of({"a": 1, "b": [3]})
    assert key_of({"a": 1, "b": 2}) == key_of({"b": 2, "a": 1}) != key_of({"a": 1})


def test_a_replay_is_what_learning_anew_gives():
    """What is kept saves steps, and is thrown away when an earlier trial turns up."""
    steps = []

    def learn(learner, _, trials):
        steps.append(trials[-1])
        return [*learner, trials[-1]]

    space, replay = KnownSpace([({"x": 0.5}, X)]), Replay(lambda _: [], learn)
    assert replay.up_to(space, ["a", "c"]) == ["a", "c"]
    assert replay.up_to(space, ["a", "c", "d"]) == ["a", "c", "d"]
    assert steps == ["a", "c", "d"]
    assert replay.up_to(space, ["a", "b", "c", "d"]) == ["a", "b", "c", "d"]
    assert replay.up_to(KnownSpace([]), ["a"]) == ["a"]
    assert steps == ["a", "c", "d", "a", "b", "c", "d", "a"]
