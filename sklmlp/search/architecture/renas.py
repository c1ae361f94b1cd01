"""Evolution whose mutations a policy proposes: reinforced evolution.

RENASNet, Chen et al. 2019, "RENAS: reinforced evolutionary neural architecture search",
:arxiv:`1808.00193`: a tournament chooses the parent, and a policy that is learned by REINFORCE says
which of its values mutates, and to what.
"""

import copy
from dataclasses import replace

import numpy as np

from sklmlp.search.architecture.encoding import contains
from sklmlp.search.architecture.evolution import AgingEvolutionSampler, child_of, tournament
from sklmlp.search.architecture.history import Replay
from sklmlp.search.architecture.planned import at_random
from sklmlp.search.architecture.policy import Policy
from sklmlp.search.architecture.reinforce import options_of
from sklmlp.search.architecture.surrogate import normal_score


class RENASSampler(AgingEvolutionSampler):
    """Propose what a policy makes of the winner of a tournament.

    The policy has a choice among the parameters, and for each parameter one among its options. A
    trial that differs in one value from an earlier one is taken for its child, and the reward is
    by how many standard deviations its score is above the parent's.

    Parameters
    ----------
    population_size : int, default=20
        How many trials may be parents: the last ones.
    tournament_size : int, default=5
        How many of these are drawn; the best of them is the parent.
    learning_rate : float, default=0.3
        Step of the policy's logits, for a reward of one standard deviation above the usual.
    is_allowed : callable or None, default=None
        `is_allowed(values)` tells of the values of a trial, by the names of its parameters,
        whether it may be tried. A parameter that no trial has had yet is not among them; if that
        makes it raise a KeyError, they may. None allows all.
    seed : int or None, default=None
        None takes another one each time.

    Raises
    ------
    ValueError
        If a size is less than 1, or the tournament is larger than the population.

    Examples
    --------
    >>> import optuna
    >>> from sklmlp.search.architecture import RENASSampler
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study(sampler=RENASSampler(seed=0))
    >>> study.optimize(lambda trial: trial.suggest_int("n", 0, 11), n_trials=60)
    >>> study.best_value
    0.0
    """

    def __init__(
        self, population_size=20, tournament_size=5, *, learning_rate=0.3, is_allowed=None,
        seed=None,
    ):  # fmt: skip
        super().__init__(population_size, tournament_size, is_allowed=is_allowed, seed=seed)
        self.learning_rate = learning_rate
        self._replay = Replay(self._new_policy, self._learned)

    def proposals(self, knowledge, rng):
        """Yield children whose mutations are samples of the policy."""
        if knowledge.number < self.population_size or not knowledge.told:
            yield from at_random(knowledge, rng)
        policy = self.policy(knowledge)
        options, tries = options_of(knowledge.space), 0
        while True:
            parent = tournament(knowledge.told, self.population_size, self.tournament_size, rng)
            for _ in range(tries // 20):  # all so far were tried before
                parent = replace(parent, values=child_of(parent, knowledge.space, rng))
            yield self._child(parent, knowledge.space, options, policy, rng)
            tries += 1

    def policy(self, knowledge):
        """Return the policy after all trials that are known.

        Parameters
        ----------
        knowledge : Knowledge

        Returns
        -------
        policy : Policy
            A choice among the parameters of the space, then one for each of them, in its order.
        """
        return self._replay.up_to(knowledge.space, knowledge.told)

    def _child(self, parent, space, options, policy, rng):
        """Return the values of a parent, one of them as the policy says."""
        values, names = {**space.draw(rng), **parent.values}, list(options)
        for place, *chosen in policy.sample(rng, 20):
            name, option = names[place], chosen[place]
            is_own = name not in parent.values
            if not is_own and option != options[name].option_of(values[name]):
                return values | {name: options[name].value_of(option, rng.random())}
        return child_of(parent, space, rng)

    def _new_policy(self, space):
        sizes = [each.size for each in options_of(space).values()]
        return Policy([len(sizes), *sizes], learning_rate=self.learning_rate)

    def _learned(self, policy, space, told):
        """Return the policy after one trial more, the last of `told`, if that is a child."""
        names = list(space.distributions)
        parent, name = parent_of(told)
        if parent is None or not contains(space.distributions[name], told[-1].values[name]):
            return policy
        policy, scores = copy.deepcopy(policy), normal_score([each.loss for each in told])
        options = options_of(space)
        choices = np.full(1 + len(names), -1)
        choices[0] = names.index(name)
        choices[1 + choices[0]] = options[name].option_of(told[-1].values[name])
        reward = scores[-1] - scores[told.index(parent)]
        if policy.baseline is None:
            policy.baseline, policy.variance = 0.0, 1.0
        policy.update([choices], [reward])
        return policy


def parent_of(told):
    """Return the best earlier trial that differs from the last in one value, and its name.

    Parameters
    ----------
    told : list of Told
        In the order of their numbers.

    Returns
    -------
    parent : Told or None
        None if there is no such trial.
    name : str or None
        Of the parameter that differs. Where a parameter is not asked for by one of the two, it is
        the other's condition that differs.
    """
    *earlier, child = told
    best = None, None
    for each in earlier:
        different = [
            name
            for name, value in child.values.items()
            if name in each.values and each.values[name] != value
        ]
        if len(different) == 1 and (best[0] is None or each.loss < best[0].loss):
            best = each, different[0]
    return best
