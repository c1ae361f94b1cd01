"""Architecture search: samplers of Optuna that learn from trials, and from shared weights."""

from sklmlp.search.architecture.cars import CARSSampler
from sklmlp.search.architecture.darts import DARTSSampler, GDASSampler
from sklmlp.search.architecture.enas import ENASSampler
from sklmlp.search.architecture.inheriting import MorphismSampler
from sklmlp.search.architecture.problem import Problem
from sklmlp.search.architecture.random_shared import RandomSharedSampler
from sklmlp.search.architecture.shared import SharedWeightsSampler
from sklmlp.search.architecture.shared_methods import SHARED_METHODS, make_shared_sampler

__all__ = [
    "SHARED_METHODS",
    "CARSSampler",
    "DARTSSampler",
    "ENASSampler",
    "GDASSampler",
    "MorphismSampler",
    "Problem",
    "RandomSharedSampler",
    "SharedWeightsSampler",
    "make_shared_sampler",
]
