"""Architecture search: samplers of Optuna that learn from trials, and from shared weights.

Importing it needs Optuna.
"""

from sklmlp.search.architecture.cars import CARSSampler
from sklmlp.search.architecture.darts import DARTSSampler, GDASSampler
from sklmlp.search.architecture.enas import ENASSampler
from sklmlp.search.architecture.evolution import AgingEvolutionSampler
from sklmlp.search.architecture.inheriting import MorphismSampler
from sklmlp.search.architecture.nao import NAOSampler
from sklmlp.search.architecture.predictor import PredictorSampler
from sklmlp.search.architecture.random_shared import RandomSharedSampler
from sklmlp.search.architecture.reinforce import ReinforceSampler
from sklmlp.search.architecture.renas import RENASSampler
from sklmlp.search.architecture.shared import SharedWeightsSampler
from sklmlp.search.architecture.shared_methods import SHARED_METHODS, make_shared_sampler
from sklmlp.search.problem import Problem

__all__ = [
    "SHARED_METHODS",
    "AgingEvolutionSampler",
    "CARSSampler",
    "DARTSSampler",
    "ENASSampler",
    "GDASSampler",
    "MorphismSampler",
    "NAOSampler",
    "PredictorSampler",
    "Problem",
    "RENASSampler",
    "RandomSharedSampler",
    "ReinforceSampler",
    "SharedWeightsSampler",
    "make_shared_sampler",
]
