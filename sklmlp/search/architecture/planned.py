"""What the samplers of this room share: a trial is planned as a whole, and asked for bit by bit."""

import zlib
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np

from sklmlp.search.architecture.encoding import contains, uniform
from sklmlp.search.architecture.history import key_of, told_trials
from sklmlp.search.architecture.space import KnownSpace
from sklmlp.search.samplers import import_optuna

MOST_TRIES = 200
"""Proposals of a trial that may be repetitions, or not allowed; so many random draws follow."""

optuna = import_optuna()


@dataclass(frozen=True)
class Knowledge:
    """All that a proposal may depend on.

    Parameters
    ----------
    number : int
        Of the trial that is planned.
    told : list of Told
        Earlier trials whose values are known.
    space : KnownSpace
        What earlier trials were asked for.
    """

    number: int
    told: list
    space: KnownSpace


class PlannedSampler(optuna.samplers.BaseSampler):
    """A sampler that knows what a trial is to be before the trial asks for its parameters.

    A subclass says what to try by `proposals`. The first proposal that is allowed, and that no
    earlier trial was, is the plan. A parameter that no trial was asked for before is drawn from its
    distribution. Whatever is proposed depends on the seed, on the number of the trial and on the
    trials of smaller numbers, and on nothing else.

    Parameters
    ----------
    is_allowed : callable or None
        `is_allowed(values)` tells of the values of a trial, by the names of its parameters,
        whether it may be tried. It is called often; what it said is kept. A parameter that no trial
        has had yet is not among them; if that makes it raise a KeyError, they may.
    seed : int or None
        None draws one.
    """

    def __init__(self, is_allowed=None, seed=None):
        self.is_allowed = is_allowed
        self.seed = int(np.random.default_rng().integers(2**31)) if seed is None else int(seed)
        self._plans, self._verdicts = {}, {}

    def proposals(self, knowledge, rng):
        """Yield the values of every known parameter, the most welcome first.

        Parameters
        ----------
        knowledge : Knowledge
        rng : numpy.random.Generator
        """
        raise NotImplementedError

    def infer_relative_search_space(self, study, trial):
        """Return nothing: values are given when they are asked for."""
        return {}

    def sample_relative(self, study, trial, search_space):
        """Return nothing: values are given when they are asked for."""
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        """Return the planned value of a parameter."""
        place = (study.study_name, trial.number)
        if place not in self._plans:
            self._plans[place] = self._plan(study, trial)
        plan = self._plans[place]
        if param_name in plan and contains(param_distribution, plan[param_name]):
            return plan[param_name]
        return uniform(
            param_distribution, self._rng(trial.number, zlib.crc32(param_name.encode("utf-8")))
        )

    def after_trial(self, study, trial, state, values):
        """Forget the plan of a trial that is over."""
        self._plans.pop((study.study_name, trial.number), None)

    def reseed_rng(self):
        """Leave the seed as it is: draws depend on the number of the trial."""

    def may_try(self, space, values):
        """Tell whether a trial with these values is allowed.

        Parameters
        ----------
        space : KnownSpace
        values : dict
            Of every known parameter; those that would not be asked for are left out.
        """
        if self.is_allowed is None:
            return True
        asked = space.asked(values)
        key = key_of(asked)
        if key not in self._verdicts:
            self._verdicts[key] = self._verdict(asked)
        return self._verdicts[key]

    def _verdict(self, asked):
        try:
            return bool(self.is_allowed(asked))
        except KeyError as error:
            if error.args[:1] and error.args[0] in asked:
                raise
            return True  # it misses what no trial has shown: one that tries this will show it

    def _rng(self, *numbers):
        return np.random.default_rng([self.seed, *numbers])

    def _plan(self, study, trial):
        """Return the values of a trial, by the names of all parameters that are known."""
        earlier = [each for each in study.get_trials(deepcopy=False) if each.number < trial.number]
        told = told_trials(study, earlier)
        records = [(each.params, each.distributions) for each in earlier if each.params]
        if not records:
            return {}
        knowledge = Knowledge(trial.number, told, KnownSpace(records))
        rng = self._rng(trial.number)
        seen = {key_of(values) for values, _ in records}
        proposals = self.proposals(knowledge, rng)
        tries = chain(islice(proposals, MOST_TRIES), islice(at_random(knowledge, rng), MOST_TRIES))
        return self._first_new(knowledge.space, tries, seen)

    def _first_new(self, space, tries, seen):
        """Return the first values that are allowed and new, else the first that are allowed."""
        repeated = None
        for values in tries:
            is_new = key_of(space.asked(values)) not in seen
            if (is_new or repeated is None) and self.may_try(space, values):
                if is_new:
                    return values
                repeated = values
        return repeated or {}


def at_random(knowledge, rng):
    """Yield draws of the whole space, without an end."""
    while True:
        yield knowledge.space.draw(rng)
