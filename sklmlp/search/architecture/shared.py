"""Samplers that rank candidates by shared weights before the first trial."""

from dataclasses import dataclass, field

import numpy as np
from scipy.stats import kendalltau

from sklmlp.search.architecture.pool import Pool, key_of, optuna
from sklmlp.search.architecture.rows import SearchRows
from sklmlp.search.architecture.supernet import Supernet
from sklmlp.search.architecture.training import reproducibly
from sklmlp.search.problem import LEAST_TAU

RANDOM_EVERY = 4
"""Every so many proposals one is a random member of the pool, to show how good the ranking is."""


@dataclass
class Ranking:
    """What a method has found out about the members of a pool.

    Parameters
    ----------
    scores : ndarray of shape (n,)
        The greater the better.
    order : ndarray of int of shape (n,) or None, default=None
        The members, those to be tried first in front. None is that of the scores.
    """

    scores: np.ndarray
    order: np.ndarray | None = field(default=None)

    def __post_init__(self):
        self.scores = np.nan_to_num(np.asarray(self.scores, dtype=float), nan=-np.inf)
        if self.order is None:
            self.order = np.argsort(-self.scores, kind="stable")


class SharedWeightsSampler(optuna.samplers.BaseSampler):
    """Rank a pool of trials by shared weights, then propose them one by one, the best first.

    Subclasses say by `rank` how. All their training is done before the first trial, and depends on
    the seed, the space and the rows alone. Which members of the pool have been proposed is read
    from the study. So nothing is stored, and a sampler that is made anew goes on with the same
    proposals. What is proposed is to be trained from scratch, as any trial.

    Each fourth proposal is a random member of the pool. Trials that differ in what weights are not
    shared for, such as a penalty, stand for the same architecture: the j-th trial of the r-th best
    architecture comes as if it were the (r j)-th best.

    Parameters
    ----------
    problem : Problem
        The space, and what its candidates would train.
    seed : int or None, default=None
        None takes another one each time.
    n_steps : int, default=800
        Steps of gradient descent, each on a batch of at most 128 rows.
    n_networks : int, default=1
        Supernets that are trained side by side, from different initial weights; scores are their
        means.

    Attributes
    ----------
    pool : Pool
        The trials that may be proposed. Drawn when it is first asked for.
    ranking : Ranking
        Trained when it is first asked for.

    Examples
    --------
    A ranking without any training, smaller networks first:

    >>> import optuna
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.search.architecture import Problem, SharedWeightsSampler
    >>> from sklmlp.search.architecture.shared import Ranking
    >>> class SmallestFirst(SharedWeightsSampler):
    ...     def rank(self, pool, rows, rng):
    ...         return Ranking(-pool.n_parameters)
    >>> space = {"hidden_layer_sizes": [(32,), (2,), (8, 8)]}
    >>> problem = Problem.of(MLPClassifier(), *load_iris(return_X_y=True), space)
    >>> study = optuna.create_study(sampler=SmallestFirst(problem, seed=0))
    >>> [problem.suggest(study.ask())["hidden_layer_sizes"] for _ in range(3)]
    [(2,), (8, 8), (32,)]
    """

    name = None

    def __init__(self, problem, *, seed=None, n_steps=800, n_networks=1):
        for name, value in {"n_steps": n_steps, "n_networks": n_networks}.items():
            if value < 1:
                raise ValueError(f"{name} takes a whole number from 1 on, got {value!r}.")
        self.problem, self.n_steps, self.n_networks = problem, n_steps, n_networks
        self.seed = np.random.SeedSequence().entropy % 2**32 if seed is None else int(seed)
        self._pool = self._ranking = None
        self._members = {}  # of the trials that were proposed here

    def rank(self, pool, rows, rng):
        """Train shared weights, and rank the members of a pool by them.

        Parameters
        ----------
        pool : Pool
        rows : SearchRows
            To train on, and to score by.
        rng : numpy.random.Generator

        Returns
        -------
        ranking : Ranking
        """
        raise NotImplementedError

    def make_supernet(self, pool, rng):
        """Make the supernet of a pool, on the device of its rows."""
        return Supernet(
            *(pool.n_features, pool.n_outputs, pool.widths, pool.depths, pool.activations, rng),
            n_networks=self.n_networks,
            device=pool.run.dataset.y.device,
        )

    @property
    def pool(self):
        """The trials that may be proposed."""
        if self._pool is None:
            self._pool = Pool(self.problem, self._rng(0))
        return self._pool

    @property
    def ranking(self):
        """What the method has found out about the pool."""
        if self._ranking is None:
            pool = self.pool
            self._ranking = reproducibly(
                lambda: self.rank(pool, SearchRows(pool.run, self._rng(1)), self._rng(2))
            )
            self._order = _spread(self._ranking.order, pool.architectures)
            self._places = {key_of(values): i for i, values in enumerate(pool.values)}
        return self._ranking

    @property
    def supernet_scores(self):
        """The score of each member of the pool, an ndarray; the greater the better."""
        return self.ranking.scores

    def kendall_tau(self, study):
        """Return Kendall's tau between scores of shared weights and those of training from scratch.

        Only proposals can be compared, most of which have high scores: that of the whole pool
        tends to be higher.

        Parameters
        ----------
        study : optuna.Study
            Of one objective.

        Returns
        -------
        tau : float
            From -1 to 1; NaN with fewer than two completed trials of the pool.
        """
        scores, values = [], []
        self.ranking  # noqa: B018
        for trial in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,)):
            member = self._places.get(key_of(trial.params))
            if member is not None:
                scores.append(self.ranking.scores[member])
                values.append(trial.value)
        if len(scores) < 2:
            return float("nan")
        is_maximized = study.direction == optuna.study.StudyDirection.MAXIMIZE
        return float(kendalltau(scores, values if is_maximized else np.negative(values)).statistic)

    def ranks(self, study):
        """Tell whether shared weights rank candidates on this table: whether tau reaches 0.3.

        Returns
        -------
        ranks : bool or None
            None as long as tau is not known.
        """
        tau = self.kendall_tau(study)
        return None if np.isnan(tau) else tau >= LEAST_TAU

    # What Optuna asks for

    def reseed_rng(self):
        """Keep the seed: what is proposed is read from the study."""

    def infer_relative_search_space(self, study, trial):
        """Return nothing: a proposal is looked up choice by choice."""
        return {}

    def sample_relative(self, study, trial, search_space):
        """Return nothing: a proposal is looked up choice by choice."""
        return {}

    def before_trial(self, study, trial):
        """Choose what is proposed."""
        self._members[trial.number] = self._next(study, trial.number)

    def sample_independent(self, study, trial, param_name, param_distribution):
        """Return the choice of the proposal; a random one where the space is another one."""
        values = self.pool.values[self._members[trial.number]]
        if param_name in values and _is_of(values[param_name], param_distribution):
            return values[param_name]
        sampler = optuna.samplers.RandomSampler(seed=(self.seed + trial.number) % 2**32)
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def _next(self, study, number):
        """Return the member that trial `number` proposes."""
        self.ranking  # noqa: B018
        earlier = [each for each in study.get_trials(deepcopy=False) if each.number < number]
        used = [member for member in map(self._member_of, earlier) if member is not None]
        taken = set(used)
        left = [member for member in self._order if member not in taken]
        if left and len(used) % RANDOM_EVERY != RANDOM_EVERY - 1:
            return left[0]
        left = sorted(left or self._order)
        return left[self._rng(3, len(used)).integers(len(left))]

    def _member_of(self, trial):
        """Return the member of the pool that a trial tries, or None."""
        is_running = not trial.state.is_finished() and "fixed_params" not in trial.system_attrs
        if is_running and trial.number in self._members:  # perhaps it has suggested nothing yet
            return self._members[trial.number]
        return self._places.get(key_of(trial.params))

    def _rng(self, *stream):
        return np.random.default_rng([self.seed, *stream])


def _spread(order, architectures):
    """Return an order in which the j-th member of the r-th best architecture is as the (r j)-th."""
    ranks, copies, keys = {}, {}, []
    for member in order:
        each = architectures[member]
        rank = ranks.setdefault(each, 1 + len(ranks))
        copies[each] = copies.get(each, 0) + 1
        keys.append((rank * copies[each], rank))
    return [int(order[i]) for i in sorted(range(len(order)), key=keys.__getitem__)]


def _is_of(value, distribution):
    """Tell whether a distribution has a value."""
    if hasattr(distribution, "choices"):
        return any(type(each) is type(value) and each == value for each in distribution.choices)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and distribution.low <= value <= distribution.high
