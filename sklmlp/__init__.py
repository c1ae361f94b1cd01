"""Multilayer perceptrons with scikit-learn's contract and torch's reach."""

from sklmlp import search
from sklmlp.classifier import MLPClassifier
from sklmlp.regressor import MLPRegressor
from sklmlp.search import AutoMLPClassifier, AutoMLPRegressor, MLPSearchCV
from sklmlp.tabular import TableEncoder, TabularMLPClassifier, TabularMLPRegressor
from sklmlp.versions import __version__, show_versions

__all__ = [
    "AutoMLPClassifier",
    "AutoMLPRegressor",
    "MLPClassifier",
    "MLPRegressor",
    "MLPSearchCV",
    "TableEncoder",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
    "__version__",
    "search",
    "show_versions",
]
