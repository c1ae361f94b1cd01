"""What fit and predict do around the network."""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sklmlp import MLPClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

rng = np.random.RandomState(0)
X = rng.randn(60, 4)
y = X[:, 0] > 0


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("activation", ["relu", "prelu", "glu"])
def test_a_fit_does_not_depend_on_the_callers_gradient_mode(activation, mode):
    """Inside no_grad and inference_mode a fit learns the same weights as outside."""
    model = MLPClassifier((4,), activation=activation, max_iter=3, random_state=0)
    outside = model.fit(X, y).coefs_
    with mode():
        inside = model.fit(X, y).coefs_
    for a, b in zip(inside, outside, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_warm_start_keeps_to_what_its_activation_has_learned():
    """Going on with an activation of other parameters names what is missing."""
    model = MLPClassifier((4,), max_iter=2, warm_start=True).fit(X, y)
    with pytest.raises(ValueError) as error:
        model.set_params(activation="prelu").fit(X, y)
    assert str(error.value) == (
        "Training cannot go on: a network with the activations ['prelu'] asks for "
        "{'activation_0.weight': (1,)}, and what was learned is {}. Use warm_start=False to fit "
        "from scratch."
    )


def test_a_warm_start_keeps_to_the_shapes_of_what_was_learned():
    """Going on with as many slopes as units, after a single one, is refused and says so."""
    model = MLPClassifier((4,), activation="prelu", max_iter=2, warm_start=True).fit(X, y)
    per_unit = ("prelu", {"num_parameters": "per_unit"})
    with pytest.raises(ValueError, match=r"asks for \{'activation_0.weight': \(4,\)\}, and what"):
        model.set_params(activation=per_unit).fit(X, y)


def test_a_warm_start_from_given_coefs_starts_the_rest_as_it_is():
    """Where only `coefs_` and `intercepts_` were set, slopes start as a new module has them."""
    model = MLPClassifier((4,), activation="prelu", max_iter=1, learning_rate_init=1e-9)
    model.fit(X, y)
    twin = clone(model).set_params(warm_start=True)
    twin.coefs_, twin.intercepts_ = model.coefs_, model.intercepts_
    twin.classes_, twin.n_features_in_ = model.classes_, model.n_features_in_
    twin._targets = model._targets
    twin.fit(X, y)
    np.testing.assert_allclose(twin.module_.activation_0.weight.detach(), [0.25], atol=1e-6)
    np.testing.assert_allclose(twin.coefs_[0], model.coefs_[0], atol=1e-6)


def test_a_learned_slope_of_the_module_is_the_models():
    """Training the module in torch changes predictions, an activation's parameters included."""
    model = MLPClassifier((4,), activation="prelu", max_iter=2, random_state=0).fit(X, y)
    before = model.predict_proba(X)
    with torch.no_grad():
        model.module_.activation_0.weight.fill_(2.0)
    assert np.abs(model.predict_proba(X) - before).max() > 1e-3


@pytest.mark.parametrize("precision", ["highest", "high", "medium"])
def test_settings_of_torch_are_as_they_were(precision):
    """Matmul precision and thread count are put back after fit and predict."""
    before = torch.get_float32_matmul_precision(), torch.get_num_threads()
    model = MLPClassifier((4,), max_iter=2, matmul_precision=precision)
    model.fit(X.astype(np.float32), y).predict(X)
    assert (torch.get_float32_matmul_precision(), torch.get_num_threads()) == before


def test_consecutive_affine_maps_predict_as_one():
    """Identity layers are folded for many rows and not for few, with the same predictions."""
    model = MLPClassifier((8, 6, 5), activation=["identity", "identity", "tanh"], max_iter=2)
    model.fit(X, y)
    one_by_one = np.concatenate([model.predict_proba(row[None]) for row in X])
    np.testing.assert_allclose(model.predict_proba(X), one_by_one, rtol=1e-10)


@pytest.mark.parametrize("overflowing", [np.float32, np.float64])
def test_rows_whose_sum_overflows_are_looked_at_closer(overflowing):
    """Finite rows whose sum is not finite are predicted, and rows with NaN are refused."""
    model = MLPClassifier((4,), activation="tanh", max_iter=2).fit(X.astype(overflowing), y)
    huge = np.full((3, 4), np.finfo(overflowing).max)
    assert np.isfinite(model.predict_proba(huge * 0.5)).all()
    with pytest.raises(ValueError, match="Input X contains NaN"):
        model.predict(np.full((1, 4), np.nan, overflowing))
