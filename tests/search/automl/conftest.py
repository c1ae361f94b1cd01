"""Small tables, and fits of few epochs, for the tests of AutoML."""

import numpy as np
import pandas as pd
import pytest

from sklmlp import AutoMLPClassifier, AutoMLPRegressor
from sklmlp.search.automl import base
from sklmlp.tabular import defaults


@pytest.fixture(autouse=True)
def short_fits(monkeypatch):
    """Fits take four epochs, of small networks, and the portfolio has two settings."""
    monkeypatch.setattr(defaults, "max_iter", lambda n, size: 4)
    monkeypatch.setattr(defaults, "n_folds", lambda n: 1)
    small = {"hidden_layer_sizes": (10,), "n_estimators": 2, "n_bins": 6, "embedding_size": 2}
    for kind in (AutoMLPClassifier, AutoMLPRegressor):
        tuned = kind._tuned

        def tuned_small(self, tuned=tuned, **params):
            return tuned(self, **params).set_params(**small)

        monkeypatch.setattr(kind, "_tuned", tuned_small)
    settings = [{"hidden_layer_sizes": (12,)}, {"hidden_layer_sizes": (8,), "n_bins": 4}]
    monkeypatch.setattr(base, "portfolio", lambda task: settings)


@pytest.fixture
def table():
    """90 rows of a number with gaps, another one and a word; three classes, and values."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 2))
    words = rng.choice(["a", "b", "c"], 90)
    X = pd.DataFrame({"x": np.where(rng.random(90) < 0.1, np.nan, x[:, 0]), "z": x[:, 1]})
    X["word"] = pd.Series(words, dtype="category")
    values = x[:, 0] + (words == "b") + 0.1 * rng.normal(size=90)
    labels = np.array(["low", "middle", "high"])[np.digitize(values, [0.0, 0.8])]
    return X, labels, values
