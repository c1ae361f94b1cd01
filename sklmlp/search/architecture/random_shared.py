"""Random search with shared weights: Li & Talwalkar 2019, :arxiv:`1902.07638`."""

from sklmlp.search.architecture.shared import Ranking, SharedWeightsSampler
from sklmlp.search.architecture.training import Descent, score_all


class RandomSharedSampler(SharedWeightsSampler):
    """Train a supernet by random candidates, one a step, and rank all by its held-out loss.

    Li & Talwalkar 2019, section 3.3. For parameters see
    :class:`~sklmlp.search.architecture.SharedWeightsSampler`.

    Examples
    --------
    >>> import optuna
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.search.architecture import Problem, RandomSharedSampler
    >>> space = {"hidden_layer_sizes": [(2,), (32,), (32, 32)]}
    >>> problem = Problem.of(MLPClassifier(), *load_iris(return_X_y=True), space)
    >>> sampler = RandomSharedSampler(problem, seed=0, n_steps=60)
    >>> study = optuna.create_study(direction="maximize", sampler=sampler)
    >>> sorted(problem.suggest(study.ask())["hidden_layer_sizes"] for _ in range(3))
    [(2,), (32,), (32, 32)]
    """

    name = "random-shared"

    def rank(self, pool, rows, rng):
        """Train all architectures alike, and score each."""
        supernet = self.make_supernet(pool, rng)
        descent = Descent(supernet, rows, self.n_steps)
        for member in rng.integers(len(pool), size=self.n_steps):
            descent.step_on(pool.architectures[member])
        return Ranking(score_all(supernet, rows, pool.architectures))
