"""A policy that is rewarded by shared weights: ENAS, Pham et al. 2018, :arxiv:`1802.03268`."""

import numpy as np

from sklmlp.search.architecture.grid import Grid
from sklmlp.search.architecture.policy import Policy
from sklmlp.search.architecture.shared import Ranking, SharedWeightsSampler
from sklmlp.search.architecture.training import Descent, score_all

WARMUP = 0.25
"""The share of steps in which weights learn from random candidates, before any is rewarded."""

STEPS_A_REWARD, N_REWARDED = 10, 16
"""Steps of the weights between two updates of the policy, and the candidates of an update."""

N_ALLOWED = 128
"""Candidates by which the probability of what is allowed is estimated."""

LEARNING_RATE, ENTROPY_WEIGHT = 0.5, 0.1
"""Of the policy."""

SHARE_FIRST = 0.1
"""The share of the pool that the policy draws in the end, and that goes in front."""


class ENASSampler(SharedWeightsSampler):
    """Train a supernet by what a policy draws, and the policy by the supernet's held-out loss.

    In the end the policy draws a tenth of the pool. These candidates are proposed in the order of
    their scores, and after them the others: Pham et al. 2018, section 2.2. The policy is the
    factorized one of TabNAS, in place of a recurrent network. What is not in the pool, such as
    what `max_parameters` forbids, is as if it were rejected. For parameters see
    :class:`~sklmlp.search.architecture.SharedWeightsSampler`.

    Examples
    --------
    >>> import optuna
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.search.architecture import ENASSampler, Problem
    >>> X, y = load_iris(return_X_y=True)
    >>> space = {"hidden_layer_sizes": [(2,), (8,), (8, 8), (99, 99)]}
    >>> problem = Problem.of(MLPClassifier(), X, y, space, max_parameters=500)
    >>> sampler = ENASSampler(problem, seed=0, n_steps=60)
    >>> study = optuna.create_study(direction="maximize", sampler=sampler)
    >>> sorted(problem.suggest(study.ask())["hidden_layer_sizes"] for _ in range(3))
    [(2,), (8,), (8, 8)]
    """

    name = "enas"

    def rank(self, pool, rows, rng):
        """Train weights and policy by turns."""
        grid, supernet = Grid(pool), self.make_supernet(pool, rng)
        n_warmup = int(WARMUP * self.n_steps)
        policy = Policy(
            grid.sizes,
            learning_rate=LEARNING_RATE,
            entropy_weight=ENTROPY_WEIGHT,
            n_warmup=max(1, (self.n_steps - n_warmup) // STEPS_A_REWARD // 2),
        )
        descent = Descent(supernet, rows, self.n_steps)
        for step in range(self.n_steps):
            if step >= n_warmup and (step - n_warmup) % STEPS_A_REWARD == 0:
                self._reward(policy, grid, supernet, rows, rng)
            if step % STEPS_A_REWARD == 0:
                members = draw(policy, grid, rng, STEPS_A_REWARD)
            descent.step_on(pool.architectures[members[step % STEPS_A_REWARD]])
        scores = np.array(score_all(supernet, rows, pool.architectures))
        n_first = max(1, int(SHARE_FIRST * len(pool)))
        is_later = np.ones(len(pool), dtype=bool)
        # the n largest sums of log odds and Gumbel noise are a draw of n without replacement
        is_later[np.argsort(-(_log_odds(policy, grid) + rng.gumbel(size=len(pool))))[:n_first]] = 0
        return Ranking(scores, np.lexsort((-scores, is_later)))

    def _reward(self, policy, grid, supernet, rows, rng):
        """Let the policy learn from the scores of what it draws."""
        members = draw(policy, grid, rng, N_REWARDED)
        scores = score_all(supernet, rows, [grid.pool.architectures[m] for m in members])
        least = min((s for s in scores if np.isfinite(s)), default=0.0)
        rewards = [s if np.isfinite(s) else least for s in scores]
        allowed = grid.choices[draw(policy, grid, rng, N_ALLOWED)]
        policy.update(grid.choices[members], rewards, allowed=allowed)


def draw(policy, grid, rng, n):
    """Draw members of a pool as a policy would that rejects all others.

    Parameters
    ----------
    policy : Policy
        Its first draws are uniform over the pool.
    grid : Grid
    rng : numpy.random.Generator
    n : int

    Returns
    -------
    members : ndarray of int of shape (n,)
    """
    odds = _log_odds(policy, grid)
    p = np.exp(odds - odds.max())
    return rng.choice(len(p), size=n, p=p / p.sum())


def _log_odds(policy, grid):
    with np.errstate(divide="ignore"):
        return grid.log_odds(np.log(policy.probabilities()))
