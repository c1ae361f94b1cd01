"""Architecture search: samplers of Optuna that learn from trials. Importing it needs Optuna."""

from sklmlp.search.architecture.evolution import AgingEvolutionSampler
from sklmlp.search.architecture.nao import NAOSampler
from sklmlp.search.architecture.predictor import PredictorSampler
from sklmlp.search.architecture.reinforce import ReinforceSampler
from sklmlp.search.architecture.renas import RENASSampler

__all__ = [
    "AgingEvolutionSampler",
    "NAOSampler",
    "PredictorSampler",
    "RENASSampler",
    "ReinforceSampler",
]
