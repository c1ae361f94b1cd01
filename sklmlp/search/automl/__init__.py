"""Raw table in, ensemble out: tuned, halved and blended within a budget."""

from sklmlp.search.automl.classifier import AutoMLPClassifier
from sklmlp.search.automl.regressor import AutoMLPRegressor

__all__ = ["AutoMLPClassifier", "AutoMLPRegressor"]
