"""Raw tables: numbers, words and gaps to what a network takes, and estimators that take them."""

from sklmlp.tabular import defaults
from sklmlp.tabular.classifier import TabularMLPClassifier
from sklmlp.tabular.columns import as_table
from sklmlp.tabular.encoder import TableEncoder
from sklmlp.tabular.encodings import Encodings, use_encodings
from sklmlp.tabular.network import ends_of_cycles
from sklmlp.tabular.regressor import TabularMLPRegressor

__all__ = [
    "Encodings",
    "TableEncoder",
    "TabularMLPClassifier",
    "TabularMLPRegressor",
    "as_table",
    "defaults",
    "ends_of_cycles",
    "use_encodings",
]
