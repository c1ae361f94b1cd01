"""Facts by layer: against NumPy over weights and activities that are written out."""

import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import entropy
from sklearn.preprocessing import scale
from torch import nn

import sklmlp.inspection.layers
from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.inspection import diagnose

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def rank(matrix):
    """Effective rank by SciPy's entropy."""
    return np.exp(entropy(np.linalg.svd(matrix, compute_uv=False)))


@pytest.fixture(scope="module")
def fitted(digits):
    """Two hidden layers, one flat on one side and one on both."""
    mlp = MLPClassifier((11, 6), activation=["relu", "tanh"], max_iter=20, random_state=0)
    mlp.fit(scale(digits[0]), digits[1])
    mlp.intercepts_[0][[1, 5]] = -1e3  # never on
    return mlp


@pytest.mark.parametrize("values_at_a_time", [2**20, 64 * 7])
def test_facts_are_those_of_numpy(fitted, digits, monkeypatch, values_at_a_time):
    """All columns agree with NumPy, whatever the number of runs that rows come in."""
    monkeypatch.setattr(sklmlp.inspection.layers, "VALUES_AT_A_TIME", values_at_a_time)
    X, y = scale(digits[0]), digits[1]
    facts = diagnose(fitted, X, y)
    first = np.maximum(X @ fitted.coefs_[0] + fitted.intercepts_[0], 0)
    second = np.tanh(first @ fitted.coefs_[1] + fitted.intercepts_[1])
    logits = second @ fitted.coefs_[2] + fitted.intercepts_[2]
    layers = first, second, logits
    assert list(facts.index) == ["hidden 0", "hidden 1", "output"]
    assert list(facts["activation"]) == ["relu", "tanh", None]
    assert list(facts["units"]) == [11, 6, 10]
    expected = {
        "weight_norm": [np.linalg.norm(coef) for coef in fitted.coefs_],
        "effective_rank": [rank(a) for a in layers],
        "mean": [a.mean() for a in layers],
        "std": [a.std() for a in layers],
        "dead": [(first == 0).all(0).mean(), 0.0, np.nan],
        "saturated": [0.0, (1 - second**2 < 0.05).mean(), np.nan],
    }
    for column, values in expected.items():
        np.testing.assert_allclose(facts[column], values, rtol=1e-9, err_msg=column)
    assert facts["dead"]["hidden 0"] >= 2 / 11
    assert facts["saturated"]["hidden 1"] > 0


def test_without_targets_there_is_no_gradient(fitted, digits):
    """X alone will do: the gradient is then NaN, and nothing else."""
    X, y = digits
    without, with_y = diagnose(fitted, X), diagnose(fitted, X, y)
    assert without["gradient_norm"].isna().all()
    assert with_y["gradient_norm"].gt(0).all()
    pd.testing.assert_frame_equal(
        without.drop(columns="gradient_norm"), with_y.drop(columns="gradient_norm")
    )


def test_sparse_rows_and_frames(digits):
    """Sparse rows, and frames whose columns have names, have the facts of the same dense rows."""
    X, y = digits
    mlp = MLPClassifier((6,), activation="logistic", max_iter=3, random_state=0).fit(X, y)
    pd.testing.assert_frame_equal(diagnose(mlp, sp.csr_matrix(X), y), diagnose(mlp, X, y))
    frame = pd.DataFrame(X).add_prefix("pixel_")
    named = MLPClassifier((6,), activation="logistic", max_iter=3, random_state=0).fit(frame, y)
    pd.testing.assert_frame_equal(diagnose(named, frame, y), diagnose(mlp, X, y))


@pytest.mark.parametrize("activation", ["glu", "softmax", nn.Softsign(), lambda z: z.sin()])
def test_saturation_where_it_is_not_defined(digits, activation):
    """Across units, and for one's own function, there is no slope to call flat."""
    mlp = MLPClassifier((4,), activation=activation, max_iter=2, random_state=0).fit(*digits)
    saturated = diagnose(mlp, digits[0])["saturated"]["hidden 0"]
    assert np.isnan(saturated) == (not isinstance(activation, nn.Softsign))


def test_a_network_without_hidden_layers(digits):
    """The output has facts also where it is all there is."""
    X = digits[0]
    mlp = MLPRegressor(hidden_layer_sizes=(), solver="lbfgs", random_state=0).fit(X, X[:, 3])
    facts = diagnose(mlp, X, X[:, 3])
    assert list(facts.index) == ["output"]
    np.testing.assert_allclose(facts["mean"], mlp.predict(X).mean(), rtol=1e-9)
    np.testing.assert_allclose(facts["effective_rank"], 1.0)


def test_a_layer_of_zeros_has_no_rank(digits):
    """Where all units are dead there is no direction left."""
    X, y = digits
    mlp = MLPClassifier((4,), max_iter=2, random_state=0).fit(X, y)
    mlp.intercepts_[0][:] = -1e3
    facts = diagnose(mlp, X, y).loc["hidden 0"]
    assert facts["dead"] == 1
    assert facts["effective_rank"] == facts["mean"] == facts["std"] == facts["gradient_norm"] == 0


def test_without_pandas_the_error_says_what_to_install(monkeypatch, fitted, digits):
    """A frame needs pandas."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="diagnose needs pandas: pip install"):
        diagnose(fitted, digits[0])
