"""Trials that a space may suggest, drawn beforehand, and the architectures that these stand for."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from sklmlp.search.samplers import import_optuna, quietly

optuna = import_optuna()

MOST_MEMBERS = 1000
"""Trials of a pool."""

MOST_DRAWS = 4000
"""Draws for them, where some are not allowed or come twice."""

MOST_CHECKED, LEAST_MEMBERS = 500, 100
"""Draws of which it is asked whether they are allowed, which takes a millisecond or more each; if
fewer members than these come of them it goes on."""


@dataclass(frozen=True)
class Architecture:
    """What a supernet knows of a candidate.

    Parameters
    ----------
    widths : tuple of int
        Units of each hidden layer.
    activations : tuple of int
        For each hidden layer, which of the pool's activations it has.
    """

    widths: tuple
    activations: tuple

    def n_parameters(self, n_features, n_outputs):
        """Count the coefs and intercepts."""
        fans = [n_features, *self.widths, n_outputs]
        return sum((a + 1) * b for a, b in pairwise(fans))


class Pool:
    """Allowed trials of a space: all of them where they are few, else a random sample.

    Parameters
    ----------
    problem : Problem
    rng : numpy.random.Generator
        Draws the trials.

    Attributes
    ----------
    values : list of dict
        What each trial suggested.
    architectures : list of Architecture
    activations : list of ActivationSpec
        Those that occur.
    run : TrainingRun
        That of the first member.
    n_features, n_outputs : int

    Raises
    ------
    ValueError
        If nothing that is drawn is allowed, a candidate is no stack of layers whose activations
        act on each unit by itself, or all have the same widths and activations.
    """

    def __init__(self, problem, rng):
        self.problem = problem
        self.values, params = self._draw(rng)
        self.run = self._look(params[0])
        spec = self.run.network.spec
        self.n_features, self.n_outputs = spec.n_features, spec.n_outputs
        self.activations, self._of_params = [], {}
        self.architectures = [self._read(each) for each in params]
        if len(set(self.architectures)) == 1:
            raise ValueError(
                "All candidates of this space have the same widths and activations, so there is "
                "nothing that shared weights could compare. Put lists of hidden_layer_sizes or "
                "activation into space, or choose another method."
            )

    def __len__(self):
        return len(self.values)

    def _draw(self, rng):
        """Return the values and the parameters of allowed trials, each once."""
        found, n_members = {}, 0
        for values, params in _trials(self.problem.suggest, rng):
            key = key_of(values)
            if key not in found:
                allowed = self.problem.is_allowed is None or self.problem.is_allowed(params)
                found[key] = (values, params) if allowed else None
                n_members += allowed
            is_checked = self.problem.is_allowed is not None and len(found) >= MOST_CHECKED
            if n_members == MOST_MEMBERS or (is_checked and n_members >= LEAST_MEMBERS):
                break
        found = [each for each in found.values() if each is not None]
        if not found:
            raise ValueError(
                f"None of {MOST_DRAWS} candidates has as few parameters as max_parameters asks "
                "for. Raise it, or make the layers of space smaller."
            )
        return [values for values, _ in found], [params for _, params in found]

    def _look(self, params):
        """Return the run of a candidate, if it is one that can share weights."""
        runs = self.problem.look(params)
        if not runs or runs[-1].network.spec.module is not None:
            what = runs[-1].network.spec.module.__name__ if runs else "no network at all"
            raise ValueError(
                "Methods that share weights are for the stacks of layers of MLPClassifier and "
                f"MLPRegressor; {params} makes {what}. Choose another method, such as 'tpe' or "
                "'evolution'."
            )
        for each in runs[0].network.spec.activations:
            if each.custom is not None or not each.entry.elementwise:
                raise ValueError(
                    "Weights are shared under activations that act on each unit by itself; got "
                    f"{each.name!r}. Leave it out of space, or choose another method."
                )
        return runs[0]

    def _read(self, params):
        """Return the architecture of a candidate; of those that differ in widths, look at one."""
        sizes = [name for name in params if name.rpartition("__")[2] == "hidden_layer_sizes"]
        kinds = [name for name in params if name.rpartition("__")[2] == "activation"]
        has_parts = any(hasattr(value, "get_params") for value in params.values())
        if has_parts or len(sizes) != 1:
            spec = self._look(params).network.spec
            return Architecture(spec.hidden, tuple(map(self._number, spec.activations)))
        widths = tuple(int(width) for width in np.atleast_1d(params[sizes[0]]))
        key = repr([params[name] for name in kinds]), len(widths)
        if key not in self._of_params:
            activations = self._look(params).network.spec.activations
            self._of_params[key] = tuple(map(self._number, activations))
        return Architecture(widths, self._of_params[key])

    def _number(self, activation):
        """Return the place of an activation among those that occur, and add a new one."""
        described = repr((activation.name, activation.arguments))
        known = [repr((each.name, each.arguments)) for each in self.activations]
        if described in known:
            return known.index(described)
        self.activations.append(activation)
        return len(known)

    @cached_property
    def widths(self):
        """The most units of each hidden layer."""
        depth = max(len(each.widths) for each in self.architectures)
        return [
            max(each.widths[i] for each in self.architectures if len(each.widths) > i)
            for i in range(depth)
        ]

    @cached_property
    def depths(self):
        """The numbers of hidden layers that occur, in order."""
        return sorted({len(each.widths) for each in self.architectures})

    @cached_property
    def n_parameters(self):
        """Coefs and intercepts of each member, an ndarray of shape (n,)."""
        counts = [each.n_parameters(self.n_features, self.n_outputs) for each in self.architectures]
        return np.array(counts)

    @cached_property
    def vectors(self):
        """What tells architectures apart, an ndarray of shape (n, n_numbers).

        A doubled width is one apart, as is another activation of a layer.
        """
        return np.array([self.vector(each) for each in self.architectures])

    def vector(self, architecture):
        """Return the vector of an architecture; see `vectors`."""
        vector = np.zeros((len(self.widths), 1 + len(self.activations)))
        pairs = zip(architecture.widths, architecture.activations, strict=True)
        for i, (width, choice) in enumerate(pairs):
            vector[i, 0], vector[i, 1 + choice] = np.log2(width), np.sqrt(0.5)
        return vector.ravel()

    def nearest(self, architecture, members):
        """Return which of some members is nearest to an architecture, the first of equals."""
        members = np.asarray(members)
        distances = np.square(self.vectors[members] - self.vector(architecture)).sum(1)
        return int(members[distances.argmin()])


def key_of(values):
    """Return the text of what a trial suggested; storages make lists of tuples."""
    return repr(sorted((n, list(v) if isinstance(v, tuple) else v) for n, v in values.items()))


def _trials(suggest, rng):
    """Yield (values, params) of trials: all there are if these are few, else random ones."""
    seed = int(rng.integers(2**31))
    every = _all_trials(suggest)
    if every is not None:
        yield from every
        return
    with quietly():
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        for _ in range(MOST_DRAWS):
            yield _ask(study, suggest)


def _all_trials(suggest):
    """Return (values, params) of all trials; None where they are too many for a pool."""
    with quietly():
        odometer, trials = _Odometer(), []
        study = optuna.create_study(sampler=odometer)
        try:
            while len(trials) <= MOST_MEMBERS:
                trials.append(_ask(study, suggest))
                if not odometer.turn():
                    return trials
        except _EndlessError:
            pass
    return None


def _ask(study, suggest):
    """Return what a new trial suggested, and the parameters."""
    trial = study.ask()
    params = suggest(trial)
    values = dict(trial.params)
    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    return values, params


class _EndlessError(Exception):
    """A choice has infinitely many options."""


class _Odometer(optuna.samplers.BaseSampler):
    """Goes through all combinations of finite choices, also where one depends on another.

    The last choice changes fastest. `places` are those of the running combination, `sizes` the
    numbers of options that its choices have turned out to have.
    """

    def __init__(self):
        self.places, self.sizes = [], []

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        at = len(self.sizes)
        options = _options(param_distribution)
        if at == len(self.places):
            self.places.append(0)
        self.sizes.append(len(options))
        return options[self.places[at]]

    def turn(self):
        """Go to the next combination; whether there is one."""
        self.places = self.places[: len(self.sizes)]
        while self.places and self.places[-1] + 1 == self.sizes[len(self.places) - 1]:
            self.places.pop()
        self.sizes = []
        if self.places:
            self.places[-1] += 1
        return bool(self.places)


def _options(distribution):
    """Return the options of a choice; raise where there is no end of them."""
    if hasattr(distribution, "choices"):
        return list(distribution.choices)
    low, high, step = distribution.low, distribution.high, distribution.step
    if low == high:
        return [low]
    if not step or (high - low) / step >= MOST_MEMBERS:
        raise _EndlessError
    return [low + i * step for i in range(int((high - low) / step + 1e-9) + 1)]
