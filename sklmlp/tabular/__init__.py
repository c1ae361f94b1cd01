"""Raw tables: numbers, words and gaps to what a network takes, and estimators that take them."""

from sklmlp.tabular.classifier import TabularMLPClassifier
from sklmlp.tabular.encoder import TableEncoder
from sklmlp.tabular.regressor import TabularMLPRegressor

__all__ = ["TableEncoder", "TabularMLPClassifier", "TabularMLPRegressor"]
