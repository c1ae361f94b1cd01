"""REINFORCE: a policy over options, learned from the trials so far.

Zoph & Le 2017, :arxiv:`1611.01578`, with a policy whose choices are independent, and with rejection
of what is not allowed, as in TabNAS: Yang et al. 2022, :arxiv:`2204.07615`.
"""

import copy

import numpy as np

from sklmlp.search.architecture.encoding import Options, contains
from sklmlp.search.architecture.history import Replay
from sklmlp.search.architecture.planned import PlannedSampler, at_random
from sklmlp.search.architecture.policy import Policy, sample_allowed
from sklmlp.search.architecture.surrogate import normal_score

N_SAMPLES = 32
"""Samples of the policy, of which the probability of being allowed is estimated."""


class ReinforceSampler(PlannedSampler):
    """Propose samples of a policy that makes the options of good trials more likely.

    Each parameter is a choice among finite options: its values where they are few, else bins, in
    which a number is drawn. The reward of a trial is the normal score of its rank among those
    before it, so that units and outliers of values do not matter.

    Parameters
    ----------
    learning_rate : float, default=0.25
        Step of the policy's logits, for a reward of one standard deviation above the usual.
    entropy_weight : float, default=0.1
        Weight of the policy's entropy in what it ascends at first.
    n_warmup : int, default=50
        The number of trials in which `entropy_weight` falls to zero.
    n_initial : int, default=16
        Trials before this number are drawn at random.
    is_allowed : callable or None, default=None
        `is_allowed(values)` tells of the values of a trial, by the names of its parameters,
        whether it may be tried. Samples that are not are rejected, and the gradient is corrected by
        the estimated probability of being allowed. A parameter that no trial has had yet is not
        among the values; if that makes it raise a KeyError, they may be tried. None allows all.
    seed : int or None, default=None
        None takes another one each time.

    Examples
    --------
    >>> import optuna
    >>> from sklmlp.search.architecture import ReinforceSampler
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study(sampler=ReinforceSampler(seed=0))
    >>> study.optimize(lambda trial: trial.suggest_int("n", 0, 11), n_trials=60)
    >>> study.best_value
    0.0
    """

    def __init__(
        self, *, learning_rate=0.25, entropy_weight=0.1, n_warmup=50, n_initial=16,
        is_allowed=None, seed=None,
    ):  # fmt: skip
        super().__init__(is_allowed, seed)
        self.learning_rate, self.entropy_weight = learning_rate, entropy_weight
        self.n_warmup, self.n_initial = n_warmup, n_initial
        self._replay = Replay(self._new_policy, self._learned)

    def proposals(self, knowledge, rng):
        """Yield samples of the policy."""
        if knowledge.number < self.n_initial or not knowledge.told:
            yield from at_random(knowledge, rng)
        policy = self.policy(knowledge)
        options = options_of(knowledge.space)
        while True:
            for choices in policy.sample(rng, 16):
                yield values_of(options, choices, rng)

    def policy(self, knowledge):
        """Return the policy after all trials that are known.

        Parameters
        ----------
        knowledge : Knowledge

        Returns
        -------
        policy : Policy
            A choice for each parameter of the space, in its order.
        """
        return self._replay.up_to(knowledge.space, knowledge.told)

    def _new_policy(self, space):
        return Policy(
            [options.size for options in options_of(space).values()],
            learning_rate=self.learning_rate,
            entropy_weight=self.entropy_weight,
            n_warmup=self.n_warmup,
        )

    def _learned(self, policy, space, told):
        """Return the policy after one trial more, the last of `told`."""
        policy, options = copy.deepcopy(policy), options_of(space)
        reward = normal_score([each.loss for each in told])[-1]
        choices = choices_of(options, told[-1].values)
        if policy.baseline is None:
            policy.baseline, policy.variance = 0.0, 1.0  # of normal scores
        policy.update([choices], [reward], allowed=self._allowed(policy, space, options, told[-1]))
        return policy

    def _allowed(self, policy, space, options, trial):
        """Return samples that are allowed; None where nothing was rejected."""
        if self.is_allowed is None:
            return None

        def is_allowed(choices):
            return self.may_try(space, values_of(options, choices))

        rng = self._rng(trial.number, 1)
        allowed, probability = sample_allowed(policy, rng, is_allowed, N_SAMPLES)
        if probability in (0.0, 1.0):
            return None
        asked = [space.asked(values_of(options, choices)) for choices in allowed]
        return np.array([choices_of(options, values) for values in asked])


def options_of(space):
    """Return the options of each parameter of a space, by its name."""
    return {name: Options(distribution) for name, distribution in space.distributions.items()}


def choices_of(options, values):
    """Return the options of the values of a trial, -1 for what it was not asked for.

    Parameters
    ----------
    options : dict
        Name -> Options.
    values : dict
        Of a trial.

    Returns
    -------
    choices : ndarray of int of shape (n_parameters,)
    """
    return np.array(
        [
            each.option_of(values[name])
            if name in values and contains(each.distribution, values[name])
            else -1
            for name, each in options.items()
        ],
        dtype=int,
    )


def values_of(options, choices, rng=None):
    """Return values of the options that were chosen.

    Parameters
    ----------
    options : dict
        Name -> Options.
    choices : array-like of int of shape (n_parameters,)
    rng : numpy.random.Generator or None, default=None
        Draws a number in its bin. None takes the middle.
    """
    shares = np.full(len(options), 0.5) if rng is None else rng.random(len(options))
    return {
        name: each.value_of(choice, share)
        for (name, each), choice, share in zip(options.items(), choices, shares, strict=True)
    }
