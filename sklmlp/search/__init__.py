"""Many fits at once: a search that ends with a model, a joblib backend, and search spaces."""

from sklmlp.search.automl import AutoMLPClassifier, AutoMLPRegressor
from sklmlp.search.backend import StackBackend
from sklmlp.search.comparing import compare_methods
from sklmlp.search.cv import MLPSearchCV
from sklmlp.search.samplers import sampler
from sklmlp.search.spaces import params_of, space, suggest

__all__ = [
    "AutoMLPClassifier",
    "AutoMLPRegressor",
    "MLPSearchCV",
    "StackBackend",
    "compare_methods",
    "params_of",
    "sampler",
    "space",
    "suggest",
]
