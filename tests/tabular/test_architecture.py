"""Notebooks show the network of a tabular estimator within scikit-learn's diagrams."""

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sklmlp import TabularMLPClassifier, TabularMLPRegressor
from tests.nn.test_architecture import Dataset

X = pd.DataFrame(
    {"x": np.linspace(0, 1, 120), "word": [f"w{i % 4}" for i in range(120)], "z": [1.0, 2.0] * 60}
)


def fit(estimator, y, **params):
    """An estimator that has trained for an epoch."""
    params = {"max_iter": 1, "n_folds": 1, "random_state": 0, **params}
    return estimator(hidden_layer_sizes=(16, 8), n_estimators=2, **params).fit(X, y)


def number(words):
    return int(words.replace(",", ""))


@pytest.mark.parametrize("embedding", ["piecewise", None])
def test_a_fitted_network(embedding):
    """Shapes go from the encoded columns to the classes, and counts add up to all parameters."""
    model = fit(
        TabularMLPClassifier, np.arange(120) % 3, numeric_embedding=embedding, dropout=0.2,
        category_embedding=embedding is not None, max_one_hot=2,
    )  # fmt: skip
    shown = Dataset(make_pipeline(model)._repr_html_())
    head, *layers, output = shown.rows
    assert head == ["layer", "kind", "shape", "parameters"]
    module = model.network_.module_
    assert output[:3] == ["output", "linear, softmax", "8 → 3"]
    kind = "linear, relu, dropout 0.2"
    assert [row[:2] for row in layers[-2:]] == [["hidden 0", kind], ["hidden 1", kind]]
    assert layers[-2][2].endswith(" → 16") and layers[-1][2] == "16 → 8"
    if embedding is None:
        assert len(layers) == 2
    else:
        assert layers[0][:2] == ["input", "piecewise embeddings, vectors of levels"]
        columns, inputs = layers[0][2].split(" → ")
        assert int(columns) == len(model.encoder_.get_feature_names_out())
        assert layers[1][2].startswith(f"{inputs} → ")
    total = sum(p.numel() for p in module.parameters())
    assert sum(number(row[3]) for row in shown.rows[1:]) == total
    assert shown.caption == f"2 members, {total:,} parameters, on cpu"


def test_before_a_fit():
    """What the parameters say is shown, and what they cannot say is a question mark."""
    shown = Dataset(TabularMLPRegressor(hidden_layer_sizes=16)._repr_html_())
    assert shown.rows[1:] == [
        ["input", "piecewise embeddings", "? → ?", "?"],
        ["hidden 0", "linear, relu, dropout 0.1", "? → 16", "?"],
        ["output", "linear", "16 → ?", "?"],
    ]
    assert shown.caption == "8 members, not fitted, device='auto'"


@pytest.mark.parametrize("sizes", [-3, (), None, ("<i>", "&")])
def test_parameters_that_make_no_sense_are_shown_as_they_are(sizes):
    """Showing never fails, and what users wrote is no HTML."""
    model = TabularMLPClassifier(sizes, dropout="<b>", numeric_embedding="<u>")
    assert Dataset(model._repr_html_()).rows[-1][0] == "output"
