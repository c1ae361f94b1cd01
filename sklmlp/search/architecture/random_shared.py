"""Random search with shared weights: Li & Talwalkar 2019, :arxiv:`1902.07638`."""

from sklmlp.search.architecture.shared import Ranking, SharedWeightsSampler
from sklmlp.search.architecture.training import Descent, score_all


class RandomSharedSampler(SharedWeightsSampler):
    """Trains a supernet by random candidates, one a step, and ranks all by its held-out loss.

    Li & Talwalkar 2019, section 3.3. For parameters see
    :class:`~sklmlp.search.architecture.SharedWeightsSampler`.
    """

    name = "random-shared"

    def rank(self, pool, rows, rng):
        """Train all architectures alike, and score each."""
        supernet = self.make_supernet(pool, rng)
        descent = Descent(supernet, rows, self.n_steps)
        for member in rng.integers(len(pool), size=self.n_steps):
            descent.step_on(pool.architectures[member])
        return Ranking(score_all(supernet, rows, pool.architectures))
