"""The methods that share weights, by name."""

from functools import partial

from sklmlp.search.architecture.cars import CARSSampler
from sklmlp.search.architecture.darts import DARTSSampler, GDASSampler
from sklmlp.search.architecture.enas import ENASSampler
from sklmlp.search.architecture.inheriting import MorphismSampler
from sklmlp.search.architecture.random_shared import RandomSharedSampler
from sklmlp.spelling import did_you_mean

SHARED_METHODS = {
    "random-shared": RandomSharedSampler,
    "enas": ENASSampler,
    "darts": DARTSSampler,
    "darts-unrolled": partial(DARTSSampler, unrolled=True),
    "gdas": GDASSampler,
    "cars": CARSSampler,
    "morphism": MorphismSampler,
}
"""Name -> what makes the sampler of a problem and a seed."""


def make_shared_sampler(method, problem, seed=None):
    """Make the sampler of a method that shares weights, for a study of one's own.

    Parameters
    ----------
    method : str
        A key of `SHARED_METHODS`.
    problem : Problem
        The space, and what its candidates would train.
    seed : int or None, default=None
        None takes another one each time.

    Returns
    -------
    sampler : SharedWeightsSampler

    Raises
    ------
    ValueError
        If there is no method of this name.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklmlp import MLPClassifier
    >>> from sklmlp.search.architecture import Problem, make_shared_sampler
    >>> problem = Problem.of(MLPClassifier(), *load_iris(return_X_y=True))
    >>> make_shared_sampler("darts-unrolled", problem, seed=0).unrolled
    True
    """
    if method not in SHARED_METHODS:
        raise ValueError(
            f"method={method!r} shares no weights. {did_you_mean(str(method), SHARED_METHODS)} "
            f"Those that do are: {', '.join(SHARED_METHODS)}."
        )
    return SHARED_METHODS[method](problem, seed=seed)
