"""Sequential search by a predictor: an ensemble says which of many candidates to try.

Progressive search (PNAS), Liu et al. 2018, :arxiv:`1712.00559`, and BANANAS, White et al. 2021,
:arxiv:`1910.11858`, from which mutated candidates and Thompson sampling are.
"""

import numpy as np

from sklmlp.search.architecture.evolution import child_of
from sklmlp.search.architecture.planned import PlannedSampler, at_random
from sklmlp.search.architecture.surrogate import Latest


class PredictorSampler(PlannedSampler):
    """Propose the candidates that small networks, trained on the trials so far, think best.

    For each trial, candidates are drawn: half of them mutate one of the best trials, the others are
    drawn at random. One network of the ensemble, drawn too, says which is best (Thompson
    sampling). The networks are trained once for all trials that are asked for in a batch.

    Parameters
    ----------
    n_initial : int, default=16
        Trials before this number are drawn at random.
    n_candidates : int, default=100
        Among how many candidates a trial is chosen.
    n_best : int, default=20
        How many of the best trials are mutated.
    is_allowed : callable or None, default=None
        `is_allowed(values)` tells of the values of a trial, by the names of its parameters,
        whether it may be tried. A parameter that no trial has had yet is not among them; if that
        makes it raise a KeyError, they may. None allows all.
    seed : int or None, default=None
        None takes another one each time.

    Examples
    --------
    >>> import optuna
    >>> from sklmlp.search.architecture import PredictorSampler
    >>> optuna.logging.set_verbosity(optuna.logging.WARNING)
    >>> study = optuna.create_study(sampler=PredictorSampler(seed=0))
    >>> study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=30)
    >>> study.best_value < 1e-2
    True
    """

    def __init__(self, *, n_initial=16, n_candidates=100, n_best=20, is_allowed=None, seed=None):
        super().__init__(is_allowed, seed)
        self.n_initial, self.n_candidates, self.n_best = n_initial, n_candidates, n_best
        self._latest = Latest()

    def proposals(self, knowledge, rng):
        """Yield candidates in the order of what one network predicts."""
        if knowledge.number < self.n_initial or not knowledge.told:
            yield from at_random(knowledge, rng)
        space, ensemble = knowledge.space, self._latest.of(knowledge, self.seed)
        best = best_of(knowledge.told, self.n_best)
        while True:
            candidates = [
                child_of(best[rng.integers(len(best))], space, rng, n_mutations=rng.integers(1, 4))
                if i % 2
                else space.draw(rng)
                for i in range(self.n_candidates)
            ]
            vectors = ensemble.encoder.encode([space.asked(each) for each in candidates])
            scores = ensemble.predict(vectors, int(rng.integers(ensemble.n_members)))
            for i in np.argsort(-scores, kind="stable"):
                yield candidates[i]


def best_of(told, n):
    """Return the best of some trials, the best first."""
    return sorted(told, key=lambda each: (each.loss, each.number))[:n]
