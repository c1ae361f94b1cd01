"""Hidden layers as features: scikit-learn's contract, and the numbers of torch."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

import sklmlp.inspection.layers
from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.inspection import HiddenFeatures

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(
    "estimator",
    [
        HiddenFeatures(MLPClassifier((6, 4), max_iter=5, random_state=0)),
        HiddenFeatures(MLPRegressor(hidden_layer_sizes=(5,), max_iter=5, random_state=0), layer=0),
    ],
    ids=["classifier", "regressor"],
)
def test_scikit_learns_checks(estimator):
    """Every check of scikit-learn passes."""
    results = check_estimator(estimator, on_fail=None)
    assert len(results) > 30
    assert [r["check_name"] for r in results if r["status"] == "failed"] == []


def expected(mlp, X, layer):
    """The hidden layer's output by torch, from the network's own children."""
    with torch.no_grad():
        return mlp.module_[: 2 * layer + 2](torch.from_numpy(X)).numpy()


@pytest.mark.parametrize("values_at_a_time", [2**20, 64 * 7])
@pytest.mark.parametrize(("layer", "index"), [(-1, 2), (0, 0), (1, 1), (-3, 0)])
def test_features_are_the_layers_outputs(digits, layer, index, monkeypatch, values_at_a_time):
    """Each layer, counted from either end, and in any number of runs."""
    monkeypatch.setattr(sklmlp.inspection.layers, "VALUES_AT_A_TIME", values_at_a_time)
    X, y = digits
    mlp = MLPClassifier((8, 6, 4), ["relu", "glu", "prelu"], max_iter=3, random_state=0)
    features = HiddenFeatures(mlp, layer=layer).fit(X, y)
    fitted = mlp.fit(X, y)
    np.testing.assert_allclose(features.transform(X), expected(fitted, X, index), rtol=1e-9)
    np.testing.assert_array_equal(features.fit_transform(X, y), features.transform(X))


def test_the_estimator_is_cloned_and_a_frozen_one_reused(digits):
    """`fit` leaves the given estimator alone; a frozen one keeps its weights and needs no y."""
    X, y = digits
    mlp = MLPClassifier((4,), max_iter=2, random_state=0)
    HiddenFeatures(mlp).fit(X, y)
    with pytest.raises(NotFittedError):
        mlp.predict(X)
    mlp.fit(X, y)
    frozen = HiddenFeatures(FrozenEstimator(mlp)).fit(X[:5])
    assert frozen.estimator_.estimator is mlp
    np.testing.assert_allclose(clone(frozen).fit(X).transform(X), expected(mlp, X, 0))


def test_names_frames_and_sparse_rows(digits):
    """Features are named, `set_output` is heard, and sparse rows give the same."""
    X, y = digits
    features = HiddenFeatures(MLPClassifier((3,), max_iter=2, random_state=0)).fit(X, y)
    names = ["hiddenfeatures0", "hiddenfeatures1", "hiddenfeatures2"]
    assert list(features.get_feature_names_out()) == names
    dense = features.transform(X)
    np.testing.assert_allclose(features.transform(sp.csr_array(X)), dense)
    frame = features.set_output(transform="pandas").transform(X)
    assert isinstance(frame, pd.DataFrame)
    assert list(frame.columns) == names
    named = features.fit(pd.DataFrame(X).add_prefix("pixel_"), y)
    assert list(named.feature_names_in_[:2]) == ["pixel_0", "pixel_1"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_that_of_X(digits, dtype):
    """float32 stays float32."""
    X, y = digits[0].astype(dtype), digits[1]
    features = HiddenFeatures(MLPClassifier((3,), max_iter=2, random_state=0)).fit(X, y)
    assert features.transform(X).dtype == dtype


@pytest.mark.parametrize("layer", [2, -3])
def test_a_layer_that_is_not_there(digits, layer):
    """The error says which layers there are."""
    features = HiddenFeatures(MLPClassifier((3, 3), max_iter=2), layer=layer)
    with pytest.raises(ValueError, match=f"layer={layer} is not one of the 2 .* -2 to 1"):
        features.fit(*digits)
    assert not hasattr(features, "estimator_")


def test_what_has_no_hidden_layer_is_refused(digits):
    """Affine maps, ensembles and estimators of others are named in the error."""
    with pytest.raises(ValueError, match="no hidden layer to take features from"):
        HiddenFeatures(MLPClassifier((), max_iter=2)).fit(*digits)
    with pytest.raises(ValueError, match=r"2 networks.*estimators_"):
        HiddenFeatures(MLPClassifier((3,), n_estimators=2, max_iter=2)).fit(*digits)
    with pytest.raises(TypeError, match="MLPClassifier or MLPRegressor of sklmlp"):
        HiddenFeatures(LinearSVC()).fit(*digits)
    with pytest.raises(ValueError, match="The 'layer' parameter of HiddenFeatures must be"):
        HiddenFeatures(MLPClassifier(), layer="last").fit(*digits)


def test_weights_reach_the_network(digits):
    """Fit parameters are passed on, with and without metadata routing."""
    X, y = digits
    weight = np.where(y == "a", 5.0, 1.0)
    mlp = MLPClassifier((4,), max_iter=3, random_state=0)
    expected = clone(mlp).fit(X, y, weight).coefs_[0]
    plain = HiddenFeatures(mlp).fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(plain.estimator_.coefs_[0], expected)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = HiddenFeatures(clone(mlp).set_fit_request(sample_weight=True))
        model = make_pipeline(routed, LinearSVC().set_fit_request(sample_weight=False))
        model.fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(model[0].estimator_.coefs_[0], expected)


def test_a_model_on_learned_features_in_a_search():
    """Depth and layer are searched together, and a linear SVM on the features reads digits."""
    X, y = load_digits(return_X_y=True)
    hidden = HiddenFeatures(MLPClassifier((32, 16), max_iter=30, random_state=0))
    model = make_pipeline(StandardScaler(), hidden, LinearSVC(C=0.1))
    grid = {"hiddenfeatures__layer": [0, -1], "hiddenfeatures__estimator__alpha": [1e-4]}
    search = GridSearchCV(model, grid, cv=2).fit(X[:1200], y[:1200])
    assert search.score(X[1200:], y[1200:]) > 0.85
