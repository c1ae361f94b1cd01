"""Search along the gradient of a predictor: neural architecture optimization.

Luo et al. 2018, :arxiv:`1808.07233`: a good architecture, as a vector, moves uphill in what a
network predicts, and what it is then nearest to is tried. There the vectors are learned; here they
are the encoded values themselves, shares of choices and scaled numbers.
"""

import numpy as np

from sklmlp.search.architecture.evolution import child_of
from sklmlp.search.architecture.planned import PlannedSampler, at_random
from sklmlp.search.architecture.predictor import best_of
from sklmlp.search.architecture.surrogate import Latest


class NAOSampler(PlannedSampler):
    """Propose what a trial becomes on its way uphill in a predictor.

    For each trial, a network of an ensemble is drawn, and a place from which a way leads uphill in
    what it predicts: one of the best trials, with two of its values mutated so that no two ways are
    the same, or, one time in two, a random place. Of the values that the points of the way are
    nearest to, those for which the network predicts the best score are proposed first.

    Parameters
    ----------
    n_initial : int, default=16
        Trials before this number are drawn at random.
    n_best : int, default=20
        From how many of the best trials a way may begin.
    step_size : float, default=0.4
        Length of the first step along the direction of the gradient; later ones are ever shorter. A
        choice is 1 where it is made, a number goes from -1 to 1.
    n_steps : int, default=12
        Steps of a way.
    is_allowed : callable or None, default=None
        `is_allowed(values)` tells of the values of a trial, by the names of its parameters,
        whether it may be tried. A parameter that no trial has had yet is not among them; if that
        makes it raise a KeyError, they may. None allows all.
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
        self, *, n_initial=16, n_best=20, step_size=0.4, n_steps=12, is_allowed=None,
        seed=None,
    ):  # fmt: skip
        super().__init__(is_allowed, seed)
        self.n_initial, self.n_best = n_initial, n_best
        self.step_size, self.n_steps = step_size, n_steps
        self._latest = Latest()

    def proposals(self, knowledge, rng):
        """Yield the values along ways uphill, the best in what one network predicts first."""
        if knowledge.number < self.n_initial or not knowledge.told:
            yield from at_random(knowledge, rng)
        space, ensemble = knowledge.space, self._latest.of(knowledge, self.seed)
        best = best_of(knowledge.told, self.n_best)
        while True:
            if rng.random() < 0.5:
                begin = space.draw(rng)
            else:
                begin = child_of(best[rng.integers(len(best))], space, rng, n_mutations=2)
            member = int(rng.integers(ensemble.n_members))
            [vector] = ensemble.encoder.encode([space.asked(begin)])
            points = ascent(ensemble, vector, member, self.step_size, self.n_steps)
            reached = [ensemble.encoder.decode(each) for each in points]
            vectors = ensemble.encoder.encode([space.asked(each) for each in reached])
            for i in np.argsort(-ensemble.predict(vectors, member), kind="stable"):
                yield reached[i]


def ascent(ensemble, vector, member, step_size, n_steps):
    """Yield the points on a way uphill in what one network predicts.

    Parameters
    ----------
    ensemble : Ensemble
    vector : ndarray of shape (n_columns,)
        Where it begins.
    member : int
        Of the ensemble.
    step_size : float
        Length of the first step, before the point is projected, along the direction of the
        gradient. The length falls linearly to zero, which would be that of a step after the last.
    n_steps : int

    Yields
    ------
    vector : ndarray of shape (n_columns,)
        Shares of choices, and numbers from -1 to 1.
    """
    for i in range(n_steps):
        gradient = ensemble.gradient(vector[None], member)[0]
        direction = gradient / max(np.linalg.norm(gradient), np.finfo(float).tiny)
        length = step_size * (1 - i / n_steps)
        [vector] = ensemble.encoder.project(vector[None] + length * direction)
        yield vector
