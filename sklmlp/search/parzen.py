"""Tree-structured Parzen estimators (Bergstra et al. 2011; Watanabe 2023, :arxiv:`2304.11127`).

Optuna's own sampler takes tens of milliseconds for a proposal of a space with conditions once there
are some hundred trials: it sorts all trials, and reads all their values, for each group of
parameters. This one makes the same proposals in about a tenth of the time: it reads a trial once,
sorts once a proposal, and does its sums on whole matrices.
"""

import math

import numpy as np
import optuna
from scipy.special import log_ndtr, ndtr, ndtri

N_STARTUP = 10
"""Finished trials before it proposes; until then values are drawn at random."""

N_DRAWN = 24
"""Values that are drawn from the density of good trials; the one that tells most is proposed."""

MOST_GOOD = 25
"""Of finished trials a tenth is good, and no more than these."""

N_RECENT = 25
"""Trials with full weight; those before count less, the older the less."""

STATES = optuna.trial.TrialState


class ParzenSampler(optuna.samplers.TPESampler):
    """Optuna's `TPESampler` with `group`, `multivariate` and `constant_liar`, made faster.

    Choices are learned together with others that come with them (`group`, `multivariate`), and
    trials that run count as bad ones (`constant_liar`), which keeps the trials of a batch apart. Of
    several objectives, or with constraints, it is Optuna's own.

    Parameters
    ----------
    seed : int or None
    """

    def __init__(self, seed=None):
        options = {"group": True, "multivariate": True, "constant_liar": True}
        super().__init__(seed=seed, n_startup_trials=N_STARTUP, n_ei_candidates=N_DRAWN, **options)
        self.rng = np.random.RandomState(seed)
        self._forget(None)

    def _forget(self, study_name):
        """Begin with a study of which nothing is known."""
        self.study_name, self.history = study_name, History([])
        self.finished = {}  # what is read of a trial, by number
        self.proposed = {}  # values of a trial that runs, and has not asked for them yet

    def reseed_rng(self):
        """Draw another seed."""
        super().reseed_rng()
        self.rng.seed()

    def infer_relative_search_space(self, study, trial):
        """Return the distributions of all parameters of earlier trials that can be learned of."""
        history = self._read(study)
        if not history.is_ranked:
            return super().infer_relative_search_space(study, trial)
        return history.space if len(history.trials) >= N_STARTUP else {}

    def sample_relative(self, study, trial, search_space):
        """Propose values of these parameters, together where they have always come together."""
        history = self._read(study)
        if not history.is_ranked:
            return super().sample_relative(study, trial, search_space)
        running, proposed = self._running(study, trial), {}
        for space in history.groups(search_space):
            proposed |= self._propose(history, running, space)
        self.proposed[trial.number] = proposed
        return {name: search_space[name].to_external_repr(v) for name, v in proposed.items()}

    def sample_independent(self, study, trial, param_name, param_distribution):
        """Propose a value of a parameter that was not known beforehand."""
        history = self._read(study)
        if not history.is_ranked or len(history.trials) < N_STARTUP:
            return super().sample_independent(study, trial, param_name, param_distribution)
        space = {param_name: param_distribution}
        value = self._propose(history, self._running(study, trial), space)[param_name]
        return param_distribution.to_external_repr(value)

    def after_trial(self, study, trial, state, values):
        """Forget what the trial was proposed: it has its values."""
        super().after_trial(study, trial, state, values)
        self.proposed.pop(trial.number, None)

    def _read(self, study):
        """Return what is known of finished trials."""
        if study.study_name != self.study_name:
            self._forget(study.study_name)
        trials = study.get_trials(deepcopy=False, states=(STATES.COMPLETE, STATES.PRUNED))
        if len(trials) != len(self.history.trials):
            for trial in trials:
                if trial.number not in self.finished:
                    self.finished[trial.number] = Read(trial, study)
            self.history = History([self.finished[trial.number] for trial in trials])
        return self.history

    def _running(self, study, current):
        """Return what is known of others that run."""
        trials = study.get_trials(deepcopy=False, states=(STATES.RUNNING,))
        others = [trial for trial in trials if trial.number != current.number]
        return [Read(trial, study, self.proposed.get(trial.number)) for trial in others]

    def _propose(self, history, running, space):
        """Return the one of some draws that good trials have rather than others."""
        good, bad = history.good(space), Mixture(history.bad(space, running), space)
        drawn = good.draw(self.rng, N_DRAWN)
        best = drawn[np.argmax(good.log_density(drawn) - bad.log_density(drawn))]
        return dict(zip(space, best.tolist(), strict=True))


class Read:
    """What is read of a trial: its values as numbers, and how it ranks among others."""

    def __init__(self, trial, study, proposed=None):
        self.number, self.distributions = trial.number, trial.distributions
        self.values = {**(proposed or {})} | {
            name: self.distributions[name].to_internal_repr(value)
            for name, value in trial.params.items()
        }
        self.rank = _rank(trial, study)


def _rank(trial, study):
    """Return a key: complete trials by value, then pruned ones that came furthest, by theirs.

    It is None where no number ranks a trial.
    """
    if trial.state == STATES.RUNNING or len(study.directions) > 1:
        return None
    if getattr(trial, "constraints", None):
        return None
    sign = -1.0 if study.direction == optuna.study.StudyDirection.MAXIMIZE else 1.0
    if trial.state == STATES.COMPLETE:
        return 0, sign * trial.value
    if not trial.intermediate_values:
        return 1, 1, 0.0
    step, value = max(trial.intermediate_values.items())
    return 1, -step, math.inf if math.isnan(value) else sign * value


class History:
    """Finished trials, and which of them are good.

    Parameters
    ----------
    trials : list of Read
        In the order of their numbers.

    Attributes
    ----------
    is_ranked : bool
        Whether a number ranks them.
    space : dict of str to optuna.distributions.BaseDistribution
        Of all parameters with more than one value, by name.
    """

    def __init__(self, trials):
        self.trials, self.mixtures, found = trials, {}, {}
        for trial in trials:
            found = trial.distributions | found
        self.space = {name: found[name] for name in sorted(found) if not found[name].single()}
        rows = [[trial.values.get(name, math.nan) for name in self.space] for trial in trials]
        self.values = np.array(rows, dtype=float).reshape(len(trials), len(self.space))
        self.columns = {name: k for k, name in enumerate(self.space)}
        self.numbers = np.array([trial.number for trial in trials])
        self.is_ranked = all(trial.rank for trial in trials)
        self.is_good = np.zeros(len(trials), dtype=bool)
        if self.is_ranked:
            ranked = sorted(range(len(trials)), key=lambda k: trials[k].rank)
            self.is_good[ranked[: min(math.ceil(0.1 * len(trials)), MOST_GOOD)]] = True

    def groups(self, space):
        """Return parts of a space whose parameters have come in the same trials."""
        groups = {}
        for name in space:
            which = (~np.isnan(self.values[:, self.columns[name]])).tobytes()
            groups.setdefault(which, {})[name] = space[name]
        return [groups[which] for which in sorted(groups, reverse=True)]

    def good(self, space):
        """Return the density of good trials."""
        names = tuple(space)
        if names not in self.mixtures:
            self.mixtures[names] = Mixture(self._values(space, self.is_good)[0], space)
        return self.mixtures[names]

    def bad(self, space, running):
        """Return the values of other trials, and of those that run, in order."""
        values, numbers = self._values(space, ~self.is_good)
        running = [each for each in running if space.keys() <= each.values.keys()]
        if not running:
            return values
        rows = [[each.values[name] for name in space] for each in running]
        order = np.argsort([*numbers, *(each.number for each in running)])
        return np.vstack([values, rows])[order]

    def _values(self, space, which):
        """Return the values of trials that have all parameters of a space, and their numbers."""
        if not self.columns.keys() >= space.keys():
            return np.empty((0, len(space))), np.empty(0)
        values = self.values[:, [self.columns[name] for name in space]]
        which = which & ~np.isnan(values).any(axis=1)
        return values[which], self.numbers[which]


class Mixture:
    """A density over a space: one kernel around each observation, and a wide one for the prior.

    A kernel is a product of a normal distribution, cut at the ends, for each number, on a
    logarithmic scale if its distribution is, and of the weights of choices.

    Parameters
    ----------
    observations : ndarray of shape (n, d)
        Older ones first; choices are positions.
    space : dict of str to optuna.distributions.BaseDistribution
    """

    def __init__(self, observations, space):
        n, distributions = len(observations), list(space.values())
        self.weights = np.append(_weights(n), 1.0)
        self.weights /= self.weights.sum()
        self.choices, self.numbers = {}, []  # columns
        for k, distribution in enumerate(distributions):
            if hasattr(distribution, "choices"):
                n_choices = len(distribution.choices)
                table = np.full((n + 1, n_choices), 1.0 / (n + 1))
                table[np.arange(n), observations[:, k].astype(int)] += 1.0
                self.choices[k] = table / table.sum(axis=1, keepdims=True)
            else:
                self.numbers.append(k)
        self.scales = [Scale(distributions[k]) for k in self.numbers]
        self.low = np.array([scale.low for scale in self.scales])
        self.high = np.array([scale.high for scale in self.scales])
        centers = np.empty((n, len(self.numbers)))
        for column, k in enumerate(self.numbers):
            centers[:, column] = self.scales[column].read(observations[:, k])
        self.centers = np.vstack([centers, (self.low + self.high) / 2])
        self.widths = np.vstack([_widths(centers, self.low, self.high), self.high - self.low])
        self.below = ndtr((self.low - self.centers) / self.widths)
        self.mass = ndtr((self.high - self.centers) / self.widths) - self.below

    def draw(self, rng, size):
        """Draw values, of shape (size, d)."""
        which = rng.choice(len(self.weights), p=self.weights, size=size)
        out = np.empty((size, len(self.choices) + len(self.numbers)))
        for k, table in self.choices.items():
            ends = np.cumsum(table[which], axis=1)
            ends[:, -1] = 1.0
            out[:, k] = np.sum(ends < rng.rand(size)[:, np.newaxis], axis=1)
        shares = rng.uniform(size=(len(self.numbers), size)).T
        z = ndtri(self.below[which] + shares * self.mass[which])
        x = np.clip(self.centers[which] + z * self.widths[which], self.low, self.high)
        for column, k in enumerate(self.numbers):
            out[:, k] = self.scales[column].write(x[:, column])
        return out

    def log_density(self, values):
        """Return the logarithm of the density at values of shape (m, d)."""
        each = np.log(self.weights) - np.log(self.mass).sum(axis=1)  # (n,)
        each = np.tile(each, (len(values), 1))  # (m, n)
        for k, table in self.choices.items():
            each += np.log(table)[:, values[:, k].astype(int)].T
        for column, k in enumerate(self.numbers):
            center, width = self.centers[:, column], self.widths[:, column]
            each += self.scales[column].log_kernel(values[:, k], center, width)
        top = each.max(axis=1)
        return top + np.log(np.exp(each - top[:, np.newaxis]).sum(axis=1))


class Scale:
    """How a number is seen: its logarithm if its distribution is logarithmic, in bins if stepped.

    Parameters
    ----------
    distribution : optuna.distributions.FloatDistribution or IntDistribution

    Attributes
    ----------
    low, high : float
        The ends, half a bin further out than those of a stepped distribution.
    """

    def __init__(self, distribution):
        self.distribution, self.half = distribution, (distribution.step or 0.0) / 2
        self.see = np.log if distribution.log else np.asarray
        self.low = float(self.see(distribution.low - self.half))
        self.high = float(self.see(distribution.high + self.half))

    def read(self, values):
        """Return values as they are seen."""
        return np.clip(self.see(values), self.low, self.high)

    def write(self, x):
        """Return the values that are seen as x."""
        low, high, step = self.distribution.low, self.distribution.high, 2 * self.half
        values = np.exp(x) if self.distribution.log else x
        if step:
            values = low + np.round((values - low) / step) * step
        return np.clip(values, low, high)

    def log_kernel(self, values, centers, widths):
        """Return the logarithm of normal densities, or of what they have in bins, (m, n)."""
        if not self.half:
            z = (self.see(values)[:, np.newaxis] - centers) / widths
            return -0.5 * z * z - np.log(widths * math.sqrt(2 * math.pi))
        values, places = np.unique(values, return_inverse=True)
        edges = [self.see(values + side * self.half)[:, np.newaxis] for side in (-1, 1)]
        return _log_mass(*((edge - centers) / widths for edge in edges))[places]


def _log_mass(a, b):
    """Return the logarithm of the normal mass between a and b, in the tail that is precise."""
    a, b = np.where(a > 0, -b, a), np.where(a > 0, -a, b)
    left, right = log_ndtr(a), log_ndtr(b)
    return right + np.log1p(-np.exp(left - right))


def _weights(n):
    """Return the weights of n observations."""
    if n < N_RECENT:
        return np.ones(n)
    return np.concatenate([np.linspace(1.0 / n, 1.0, num=n - N_RECENT), np.ones(N_RECENT)])


def _widths(centers, low, high):
    """Return the widths of kernels: in each dimension as far as the next neighbour on either side.

    The outermost have only one; none is narrower than a share of the range.
    """
    n = len(centers)
    if not n:
        return centers
    order = np.argsort(centers, axis=0)
    ends = np.vstack([low, np.take_along_axis(centers, order, axis=0), high])
    gaps = np.diff(ends, axis=0)
    widths = np.maximum(gaps[:-1], gaps[1:])
    if n >= 2:
        widths[0], widths[-1] = gaps[1], gaps[-2]
    out = np.empty_like(widths)
    np.put_along_axis(out, order, widths, axis=0)
    return np.clip(out, (high - low) / min(100.0, n + 2.0), high - low)
