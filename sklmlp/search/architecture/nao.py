"""Search along the gradient of a predictor: neural architecture optimization.

Luo et al. 2018, :arxiv:`1808.07233`: a good architecture, as a vector, moves uphill in what a
network predicts, and what it is then nearest to is tried. There the vectors are learned; here they
are the encoded values themselves, shares of choices and scaled numbers.
"""

import numpy as np

from sklmlp.search.architecture.planned import PlannedSampler, at_random
from sklmlp.search.architecture.predictor import best_of
from sklmlp.search.architecture.surrogate import Latest


class NAOSampler(PlannedSampler):
    """Propose what good trials become on their way uphill in a predictor.

    For each trial, a network of an ensemble is drawn. Ways uphill in what it predicts begin at some
    of the best trials and at random ones. Of the values that the points of all ways are nearest to,
    those are proposed first for which it predicts the best score.

    Parameters
    ----------
    n_initial : int, default=16
        Trials before this number are drawn at random.
    n_best : int, default=10
        From how many of the best trials a way may begin.
    n_ways : int, default=8
        How many ways there are for a trial. A quarter of them begins at random.
    step_size : float, default=0.25
        Length of a step along the direction of the gradient. A choice is 1 where it is made, a
        number goes from -1 to 1.
    n_steps : int, default=12
        Steps of a way.
    is_allowed : callable or None, default=None
        `is_allowed(values)` tells of the values of a trial, by the names of its parameters,
        whether it may be tried. None allows all.
    seed : int or None, default=None
        None takes another one each time.

    Examples
    --------
    >>> import optuna
    >>> from sklmlp.search.architecture import NAOSampler
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study(sampler=NAOSampler(seed=0))
    >>> study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=30)
    >>> study.best_value < 1e-2
    True
    """

    def __init__(
        self, *, n_initial=16, n_best=10, n_ways=8, step_size=0.25, n_steps=12, is_allowed=None,
        seed=None,
    ):  # fmt: skip
        super().__init__(is_allowed, seed)
        self.n_initial, self.n_best, self.n_ways = n_initial, n_best, n_ways
        self.step_size, self.n_steps = step_size, n_steps
        self._latest = Latest()

    def proposals(self, knowledge, rng):
        """Yield the values along ways uphill, in the order of what one network predicts."""
        if knowledge.number < self.n_initial or not knowledge.told:
            yield from at_random(knowledge, rng)
        space, ensemble = knowledge.space, self._latest.of(knowledge, self.seed)
        best = best_of(knowledge.told, self.n_best)
        while True:
            begins = [
                best[rng.integers(len(best))].values if i % 4 else space.asked(space.draw(rng))
                for i in range(self.n_ways)
            ]
            member = int(rng.integers(ensemble.n_members))
            begin = ensemble.encoder.encode(begins)  # (n_ways, n_columns)
            points = ascent(ensemble, begin, member, self.step_size, self.n_steps)
            reached = [ensemble.encoder.decode(each) for each in np.concatenate(list(points))]
            vectors = ensemble.encoder.encode([space.asked(each) for each in reached])
            for i in np.argsort(-ensemble.predict(vectors, member), kind="stable"):
                yield reached[i]


def ascent(ensemble, vectors, member, step_size, n_steps):
    """Yield the points on ways uphill in what one network predicts.

    Parameters
    ----------
    ensemble : Ensemble
    vectors : ndarray of shape (n_ways, n_columns)
        Where they begin.
    member : int
        Of the ensemble.
    step_size : float
        Length of a step before the point is projected; the direction is that of the gradient.
    n_steps : int

    Yields
    ------
    vectors : ndarray of shape (n_ways, n_columns)
        Shares of choices, and numbers from -1 to 1.
    """
    for _ in range(n_steps):
        gradients = ensemble.gradient(vectors, member)
        lengths = np.linalg.norm(gradients, axis=1, keepdims=True)
        directions = gradients / np.maximum(lengths, np.finfo(float).tiny)
        vectors = ensemble.encoder.project(vectors + step_size * directions)
        yield vectors
