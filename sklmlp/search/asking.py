"""The candidates of a search in order: as given, the user's, and a sampler's proposals.

The n-th candidate depends on the seed, on n, and on what was told before it was asked for. So a
search that was killed asks again for what it had, and finds the same.
"""

import copy

from sklmlp.search.evaluation import Candidate
from sklmlp.search.ledger import from_record
from sklmlp.search.samplers import METHODS, import_optuna, quietly, sampler
from sklmlp.search.suggestions import Expressed, express

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
    suggest : callable
        `suggest(trial)` returns parameters.
    method : str or optuna.samplers.BaseSampler
    seed : int
        Of the sampler, if `method` is a name.
    is_allowed : callable or None
        Tells of parameters whether they may be tried.
    """

    def __init__(self, estimator, initial_params, suggest, method, seed, is_allowed=None):
        optuna, is_name = import_optuna(), isinstance(method, str)
        self.suggest, self.is_allowed = suggest, is_allowed
        self.own = estimator.get_params()
        self.given = [each for each in [{}, *initial_params] if not is_allowed or is_allowed(each)]
        # one of the user's is left as it is
        proposing = sampler(method, random_state=seed) if is_name else copy.deepcopy(method)
        self.reads_pruned = METHODS[method].reads_pruned if is_name else (
            isinstance(method, optuna.samplers.TPESampler)
        )  # fmt: skip
        with quietly():
            self.study = optuna.create_study(direction="maximize", sampler=proposing)
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
        params = self.given[number] if values is None else self.suggest(_Recorded(values))
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
            with quietly():
                for n_epochs, score in dict(candidate.rungs).items():
                    trial.report(score, n_epochs)
            self._tell(trial, state, candidate.score if is_complete else None)
            return
        if trial is not None:
            self._tell(trial, states.FAIL)  # another process has asked for something else
        self._add(candidate, state)

    def _add(self, candidate, state):
        """Add a trial that the sampler has not proposed, if it could have."""
        if candidate.values is not None:
            recorded = _Recorded(candidate.values)
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
                    value=candidate.score,
                    params=values,
                    distributions=distributions,
                    intermediate_values=dict(candidate.rungs),
                )
            )

    def _tell(self, trial, state, value=None):
        with quietly():
            self.study.tell(trial, value, state=state)

    def _states(self):
        return import_optuna().trial.TrialState


class _Recorded(Expressed):
    """Suggests what was recorded of a trial."""

    def __init__(self, values):
        super().__init__({})
        self.known = dict(values)

    def suggest_categorical(self, name, choices):
        """Return the choice that was recorded."""
        from optuna.distributions import CategoricalDistribution

        value = _as_stored(self.known[name])
        place = next(i for i, choice in enumerate(choices) if _as_stored(choice) == value)
        return self._take(name, choices[place], CategoricalDistribution(choices))


def _as_stored(choice):
    """Return the text of a choice as it comes back from a storage, where tuples are lists."""
    return repr(list(choice) if isinstance(choice, tuple) else choice)
