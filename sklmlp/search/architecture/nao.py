"""Search along the gradient of a predictor: neural architecture optimization.

Luo et al. 2018, :arxiv:`1808.07233`: a good architecture, as a vector, moves uphill in what a
network predicts, and what it is then nearest to is tried. There the vectors are learned; here they
are the encoded values themselves, one-hot choices and scaled numbers, relaxed to any number.
"""

from sklmlp.search.architecture.planned import PlannedSampler, at_random
from sklmlp.search.architecture.predictor import best_of
from sklmlp.search.architecture.surrogate import Latest


class NAOSampler(PlannedSampler):
    """Propose what one of the best trials becomes on its way uphill in a predictor.

    Parameters
    ----------
    n_initial : int, default=16
        Trials before this number are drawn at random.
    n_best : int, default=10
        From how many of the best trials a way begins.
    step_size : float, default=0.2
        Length of a step along the direction of the gradient. A choice is 1 where it is made, a
        number goes from -1 to 1.
    n_steps : int, default=20
        Steps of a way. The values along it are proposed, the first that is new is tried.
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
        self, *, n_initial=16, n_best=10, step_size=0.2, n_steps=20, is_allowed=None, seed=None
    ):
        super().__init__(is_allowed, seed)
        self.n_initial, self.n_best = n_initial, n_best
        self.step_size, self.n_steps = step_size, n_steps
        self._latest = Latest()

    def proposals(self, knowledge, rng):
        """Yield the values along ways that begin at good trials, each uphill for one network."""
        if knowledge.number < self.n_initial or not knowledge.told:
            yield from at_random(knowledge, rng)
        space, ensemble = knowledge.space, self._latest.of(knowledge, self.seed)
        best = best_of(knowledge.told, self.n_best)
        while True:
            begin = best[rng.integers(len(best))]
            values = {**space.draw(rng), **begin.values}  # with what it was not asked for
            member = int(rng.integers(ensemble.n_members))
            [first] = ensemble.encoder.encode([values])
            for vector in ascent(ensemble, first, member, self.step_size, self.n_steps):
                yield ensemble.encoder.decode(vector)


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
        Length of a step; the direction is that of the gradient.
    n_steps : int

    Yields
    ------
    vector : ndarray of shape (n_columns,)
        From -1 to 1 in each column.
    """
    for _ in range(n_steps):
        gradient = ensemble.gradient(vector[None], member)[0]
        length = (gradient**2).sum() ** 0.5
        if length == 0:
            return
        vector = (vector + step_size * gradient / length).clip(-1, 1)
        yield vector
