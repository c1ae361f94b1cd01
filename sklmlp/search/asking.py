"""The candidates of a search in order: as given, the user's, and a sampler's proposals.

The n-th candidate depends on the seed, on n, and on what was told before it was asked for. So a
search that was killed asks again for what it had, and finds the same.
"""

import copy

from sklmlp.runtime import compute
from sklmlp.search.evaluation import Candidate
from sklmlp.search.ledger import from_record
from sklmlp.search.samplers import find_method, import_optuna, quietly, sampler
from sklmlp.search.suggestions import Recorded, express

MOST_TRIES = 1000
"""Proposals in a row that may be too large, before the space is said to have none that is not."""


class Asker:
    """The stream of candidates.

    Parameters
    ----------
    estimator : estimator
        As it is given: the first candidate.
    initial_params : list of dict
        The next candidates.
    problem : Problem
        The space, and what is allowed.
    method : str or optuna.samplers.BaseSampler
    seed : int
        Of the sampler, if `method` is a name.

    Attributes
    ----------
    given : list of dict
        The first candidates, of which the sampler proposes none.
    most : int or None
        How many candidates there are, if their number is known beforehand.
    """

    def __init__(self, estimator, initial_params, problem, method, seed):
        optuna = import_optuna()
        self.suggest, self.is_allowed = problem.suggest, problem.is_allowed
        self.own = estimator.get_params()
        given, self.most = [{}, *initial_params], None
        self.given = [each for each in given if self.is_allowed is None or self.is_allowed(each)]
        if not isinstance(method, str):
            self.reads_pruned = isinstance(method, optuna.samplers.TPESampler)
            proposing = copy.deepcopy(method)  # one of the user's is left as it is
            directions = ["maximize"]
        else:
            entry = find_method(method)
            self.reads_pruned, directions = entry.reads_pruned, list(entry.directions)
            proposing = None
            if entry.make is None:
                self.most = len(self.given)
            else:
                proposing = sampler(method, random_state=seed, problem=problem)
        with quietly():
            self.study = optuna.create_study(directions=directions, sampler=proposing)
        self.asked = []  # by number: parameters and trial, None for those that were given

    def candidate(self, number):
        """Return the candidate of a number; those of smaller numbers are asked for on the way."""
        self._ask_until(number)
        params, trial = self.asked[number]
        return Candidate(number, dict(params), None if trial is None else dict(trial.params))

    def _ask_until(self, number):
        while len(self.asked) <= number:
            self.asked.append(self._ask(len(self.asked)))

    def _ask(self, number):
        if number < len(self.given):
            return self.given[number], None
        # a Gaussian process of dozens of trials takes ten times as long on two threads
        return compute(self._propose, "highest", one_thread=True)

    def _propose(self):
        """Return a proposal of the sampler: parameters and trial."""
        with quietly():
            for _ in range(MOST_TRIES):
                trial = self.study.ask()
                params = self.suggest(trial)
                if self.is_allowed is None or self.is_allowed(params):
                    return params, trial
                self._tell(trial, self._states().FAIL)
        raise ValueError(
            f"None of {MOST_TRIES} candidates in a row has as few parameters as max_parameters "
            "asks for. Raise it, or make the layers of space smaller."
        )

    def recorded(self, record):
        """Return a candidate that was written down, perhaps by another process.

        Parameters
        ----------
        record : dict
            See `sklmlp.search.ledger.as_record`.
        """
        number, values = record["number"], record["values"]
        params = self.given[number] if values is None else self.suggest(Recorded(values))
        return from_record(record, Candidate(number, dict(params)))

    def tell(self, candidate):
        """Let the sampler learn from a candidate that is done with.

        One that was stopped early has been pruned, where the sampler reads that.
        """
        self._ask_until(candidate.number)
        trial, states = self.asked[candidate.number][1], self._states()
        if candidate.has_failed or candidate.score != candidate.score:
            if trial is not None:
                self._tell(trial, states.FAIL)
            return
        is_complete = candidate.is_final or not self.reads_pruned
        state = states.COMPLETE if is_complete else states.PRUNED
        if trial is not None and trial.params == candidate.values:
            if len(self.study.directions) == 1:  # Optuna knows no course of several objectives
                with quietly():
                    for n_epochs, score in dict(candidate.rungs).items():
                        trial.report(score, n_epochs)
            self._tell(trial, state, self._objectives(candidate) if is_complete else None)
            return
        if trial is not None:
            self._tell(trial, states.FAIL)  # another process has asked for something else
        self._add(candidate, state)

    def _add(self, candidate, state):
        """Add a trial that the sampler has not proposed, if it could have."""
        if candidate.values is not None:
            recorded = Recorded(candidate.values)
            self.suggest(recorded)
            trial = recorded.values, recorded.distributions
        else:
            trial = express({**self.own, **candidate.params}, self.suggest)
        if trial is None:
            return
        values, distributions = trial
        optuna = import_optuna()
        with quietly():
            self.study.add_trial(
                optuna.trial.create_trial(
                    state=state,
                    values=self._objectives(candidate),
                    params=values,
                    distributions=distributions,
                    intermediate_values=dict(candidate.rungs),
                )
            )

    def _objectives(self, candidate):
        """Return what the sampler is told of: the score, and for some the size."""
        return [candidate.score, float(candidate.n_parameters)][: len(self.study.directions)]

    def _tell(self, trial, state, values=None):
        with quietly():
            self.study.tell(trial, values, state=state)

    def _states(self):
        return import_optuna().trial.TrialState
