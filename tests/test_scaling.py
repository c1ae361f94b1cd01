"""`normalize_y`: what is scaled for training comes back in the units of y, everywhere."""

import pickle

import joblib
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import PoissonRegressor
from sklearn.metrics import mean_pinball_loss
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochScoring

from sklmlp import MLPRegressor
from sklmlp.inspection import HiddenFeatures, diagnose, linear_equivalent
from sklmlp.io import load_skops, to_onnx
from sklmlp.io.checkpoint import CheckpointFile
from sklmlp.losses import TargetScaling
from sklmlp.search.coordinator import FitCoordinator
from sklmlp.training.steps import AutogradStep, DenseStep
from tests.pairwise import pairwise

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 120
rng = np.random.default_rng(0)
X = rng.normal(size=(N, 3))
REAL = X @ [1, -2, 0.5] + rng.normal(size=N)
VALUES = 5e4 + 2e4 * REAL
POSITIVE = 3e-4 * np.exp(REAL / 4)
WEIGHT = rng.uniform(0.5, 2, N)
POSITIVE_LOSSES = ("poisson", "gamma")

MODELS = {
    "squared_error": {},
    "absolute_error": {},
    "huber": {"huber_delta": 1e4},
    "poisson": {},
    "gamma": {},
    "quantile": {"quantile": 0.8},
    "quantiles": {"quantile": [0.9, 0.1, 0.5]},
    "gaussian": {},
}
each_loss = pytest.mark.parametrize("name", MODELS)


def make(name, n_targets=1, **params):
    """A small model with normalize_y=True, and targets far from unit scale."""
    loss = "quantile" if name == "quantiles" else name
    defaults = {"hidden_layer_sizes": (6,), "max_iter": 8, "random_state": 0, "normalize_y": True}
    y = POSITIVE if loss in POSITIVE_LOSSES else VALUES
    if n_targets == 2:
        y = np.column_stack([y, 1e-3 * y[::-1]])
    return MLPRegressor(loss, **{**defaults, **MODELS[name], **params}), y


def by_hand(name, y, weight=None):
    """(center, scale) of targets, by NumPy."""
    mean = np.average(y, axis=0, weights=weight)
    if name in POSITIVE_LOSSES:
        return np.zeros_like(mean), mean
    return mean, np.sqrt(np.average((y - mean) ** 2, axis=0, weights=weight))


def twin(name, model, y, weight=None, **fit):
    """The same network without normalize_y, fitted to targets that were scaled by hand."""
    center, scale = by_hand(name, y, weight)
    other = clone(model).set_params(normalize_y=False)
    if name == "huber":
        other.set_params(huber_delta=model.huber_delta / float(np.ravel(scale)[0]))
    return other.fit(X, (y - center) / scale, weight, **fit), center, scale


@pytest.mark.parametrize(
    "name, weighted, solver",
    pairwise(MODELS, [False, True], ["adam", "sgd", "lbfgs", "adamw"]),
)
def test_it_is_the_fit_of_targets_scaled_by_hand(name, weighted, solver):
    """The same course and the same weights, and predictions that are scaled back."""
    weight = WEIGHT if weighted else None
    model, y = make(name, solver=solver)
    model.fit(X, y, weight)
    plain, center, scale = twin(name, model, y, weight)
    for got, expected in zip(model.coefs_, plain.coefs_, strict=True):
        assert_allclose(got, expected, rtol=1e-6, atol=1e-9)
    assert_allclose(model.loss_, plain.loss_, rtol=1e-6)
    assert_allclose(model.predict(X), center + scale * plain.predict(X), rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("quantiles", "huber")])
def test_several_targets_are_scaled_each_by_itself(name):
    """Two targets of different scale are as two targets that were scaled by hand."""
    model, y = make(name, n_targets=2)
    plain, center, scale = twin(name, model.fit(X, y), y)
    assert_allclose(model.predict(X), center + scale * plain.predict(X), rtol=1e-7)


def test_huber_delta_is_in_units_of_y():
    """Targets of a thousandth have a thousandth of the delta, and the same network."""
    model, y = make("huber", n_targets=2)
    y = np.column_stack([VALUES, VALUES / 1000])
    both = model.fit(X, y)
    small = clone(model).set_params(huber_delta=10.0).fit(X, y[:, 1])
    large = clone(model).set_params(huber_delta=1e4).fit(X, y[:, 0])
    assert_allclose(large.predict(X), 1000 * small.predict(X), rtol=1e-9)
    loss = both._spec.loss_function
    deltas = loss.gradient(torch.full((1, 2), 1e9), torch.zeros(1, 2))
    assert_allclose(deltas[0], 1e4 / np.array(both.target_scaling_.scale), rtol=1e-6)


@pytest.mark.parametrize("n_targets", [1, 2])
def test_standard_deviations_are_scaled_back(n_targets):
    """They are those of the network of scaled targets, times the scale."""
    model, y = make("gaussian", n_targets, n_estimators=2)
    mean, std = model.fit(X, y).predict(X, return_std=True)
    plain, center, scale = twin("gaussian", model, y)
    expected = plain.predict(X, return_std=True)
    assert_allclose(mean, center + scale * expected[0], rtol=1e-9)
    assert_allclose(std, scale * expected[1], rtol=1e-9)


@pytest.mark.parametrize("name", POSITIVE_LOSSES)
def test_positive_losses_start_from_the_mean(name):
    """Before training the predictions are around the mean of y."""
    model, y = make(name, learning_rate_init=1e-12, hidden_layer_sizes=(100,))
    prediction = model.fit(X, y).predict(X)
    assert 0.5 < prediction.mean() / y.mean() < 2


def test_poisson_without_hidden_layers_is_scikit_learns():
    """Without a penalty the maximum of the likelihood does not know of scales."""
    theirs = PoissonRegressor(alpha=0, tol=1e-10, max_iter=10**4).fit(X, POSITIVE / 3e-4)
    params = {"hidden_layer_sizes": (), "solver": "lbfgs", "tol": 1e-9, "max_iter": 5000}
    model = make("poisson", alpha=0.0, **params)[0].fit(X, POSITIVE)
    assert_allclose(model.predict(X), 3e-4 * theirs.predict(X), rtol=1e-4)


@pytest.mark.parametrize("y", [np.full(N, 7.0), np.full(N, 0.1), np.zeros(N)], ids=["7", ".1", "0"])
@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
def test_a_constant_target_has_scale_one(loss, y):
    """Nothing is divided by zero, nor by what rounding leaves of it; a mean is divided by."""
    scaling = MLPRegressor(loss, (2,), max_iter=1, normalize_y=True).fit(X, y).target_scaling_
    expected = y[0] if loss == "poisson" and y[0] else 1.0
    assert_allclose(scaling.scale, [expected])
    assert_allclose(scaling.center, [0.0 if loss == "poisson" else y[0]])


def test_rows_without_weight_do_not_scale():
    """A target of weight zero may be as wild as it likes."""
    y, weight = VALUES.copy(), np.ones(N)
    y[:3], weight[:3] = 1e200, 0
    scaling = MLPRegressor(normalize_y=True, max_iter=1).fit(X, y, weight).target_scaling_
    assert_allclose((scaling.center[0], scaling.scale[0]), by_hand("", VALUES[3:]), rtol=1e-9)


@pytest.mark.parametrize("size", [1e-300, 1e-150, 1e150, 1e300])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("loss", ["squared_error", "gamma"])
def test_targets_of_any_size(loss, dtype, size):
    """What no square could hold is learned as well as what is around 1."""
    model = MLPRegressor(loss, (6,), normalize_y=True, dtype=dtype, max_iter=20, random_state=0)
    y = np.exp(REAL / 4)
    expected = clone(model).fit(X, y).predict(X)
    assert_allclose(model.fit(X, size * y).predict(X) / size, expected, rtol=1e-3)


def test_large_offsets_are_subtracted_before_rounding():
    """In float32 the seconds of a day in a year's timestamps are learned."""
    y = 1.7e9 + 1000 * (X @ [1, -2, 0.5])
    model = MLPRegressor(hidden_layer_sizes=(), normalize_y=True, dtype="float32", solver="lbfgs")
    assert_allclose(model.set_params(alpha=0, tol=1e-7).fit(X, y).predict(X), y, rtol=0, atol=1.0)


# Scores


@pytest.mark.parametrize("own", [False, True], ids=["split", "X_val"])
@each_loss
def test_early_stopping_watches_the_score(name, own):
    """R2 and D2, which know no units, are those of the network of targets scaled by hand."""
    model, y = make(name, early_stopping=True)
    center, scale = by_hand(name, y)
    given, scaled = {}, {}
    if own:
        given = {"X_val": X[:40], "y_val": y[:40]}
        scaled = {"X_val": X[:40], "y_val": (y[:40] - center) / scale}
    plain = twin(name, model.fit(X, y, **given), y, **scaled)[0]
    assert_allclose(model.validation_scores_, plain.validation_scores_, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", [name for name in MODELS if name != "quantiles"])
def test_scorers_see_units_of_y(name):
    """A scorer's targets and predictions are in units of y, and so is its score."""
    model, y = make(name, early_stopping=True, scoring="neg_mean_absolute_error")
    plain, _, scale = twin(name, model.fit(X, y), y)
    assert_allclose(model.validation_scores_, scale * np.array(plain.validation_scores_), rtol=1e-7)


@pytest.mark.parametrize("name", ["squared_error", "gamma"])
def test_the_validation_loss_is_of_scaled_targets(name):
    """`scoring="loss"`, and both losses of `history_`, are those of targets scaled by hand."""
    model, y = make(name, early_stopping=True, scoring="loss")
    plain = twin(name, model.fit(X, y), y)[0]
    assert_allclose(model.validation_scores_, plain.validation_scores_, rtol=1e-9)
    for column in ("train_loss", "valid_loss"):
        got, expected = ([epoch[column] for epoch in m.history_] for m in (model, plain))
        assert_allclose(got, expected, rtol=1e-9)


def test_skorch_scorers_see_units_of_y():
    """A callback's scorer judges predictions that are scaled back."""
    scoring = EpochScoring("neg_mean_absolute_error", name="mae", on_train=True, use_caching=False)
    seen = []
    scoring.on_epoch_end = lambda net, dataset_train, **kwargs: seen.append(
        net.predict(X.astype(np.float64))
    )
    model, y = make("squared_error", callbacks=[scoring])
    model.fit(X, y)
    assert_allclose(seen[-1], model.predict(X), rtol=1e-9)


def test_alpha_means_the_same_on_every_scale():
    """Targets of another unit have the same network, and predictions in their unit."""
    model, y = make("squared_error", alpha=10.0)
    expected = model.fit(X, y).predict(X)
    coefs = [coef.copy() for coef in model.coefs_]
    assert_allclose(model.fit(X, 1e-9 * y).predict(X), 1e-9 * expected, rtol=1e-6)
    for got, want in zip(model.coefs_, coefs, strict=True):
        assert_allclose(got, want, rtol=1e-6, atol=1e-9)


@each_loss
def test_a_search_is_one_of_single_fits(name, monkeypatch):
    """Folds, whose targets are scaled each by itself, are trained side by side as if alone."""
    model, y = make(name, n_estimators=2)
    expected = cross_val_score(model, X, y, cv=3)
    monkeypatch.setattr("sklmlp.training.stacking.STEPS", [DenseStep, AutogradStep])
    sizes, lead = [], FitCoordinator._train_group

    def counted(self, leader):
        sizes.append(len(leader.leads))
        lead(self, leader)

    monkeypatch.setattr(FitCoordinator, "_train_group", counted)
    with joblib.parallel_config(backend="sklmlp"):
        assert_allclose(cross_val_score(model, X, y, cv=3), expected, rtol=1e-7)
    assert sizes == ([1, 1, 1] if name == "huber" else [3])  # whose bounds differ from fold to fold


# Going on


@each_loss
def test_the_scaling_of_the_first_call_is_kept(name):
    """Targets of later calls of partial_fit are scaled as those of the first."""
    model, y = make(name)
    model.partial_fit(X[:60], y[:60])
    before = model.target_scaling_
    model.partial_fit(X[60:], 3 * y[60:])
    assert model.target_scaling_ == before
    assert_allclose(before.scale[0], by_hand(name, y[:60])[1])


@pytest.mark.parametrize("n_estimators", [1, 2])
@each_loss
def test_a_warm_start_goes_on(name, n_estimators):
    """Two fits of half the epochs are passes over the same scaled targets."""
    model, y = make(name, n_estimators=n_estimators, warm_start=True, max_iter=3)
    before = model.fit(X, y).target_scaling_
    assert model.fit(X, 2 * y).target_scaling_ == before
    curves = [network.loss_curve_ for network in model._networks]
    assert {len(curve) for curve in curves} == {6}


@pytest.mark.parametrize("n_estimators", [1, 2])
@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True)])
def test_training_cannot_go_on_in_other_units(before, after, n_estimators):
    """A change of normalize_y asks for a new fit."""
    model, y = make("squared_error", warm_start=True, n_estimators=n_estimators)
    model.set_params(normalize_y=before).fit(X, y)
    message = (
        f"^Training cannot go on: it began with normalize_y={before}, got normalize_y={after}. "
        "Use warm_start=False to fit from scratch.$"
    )
    with pytest.raises(ValueError, match=message):
        model.set_params(normalize_y=after).fit(X, y)


def test_training_cannot_go_on_with_a_positive_loss():
    """Targets with a mean of zero are none of a positive loss."""
    model, _ = make("squared_error", warm_start=True)
    model.fit(X, POSITIVE)
    message = (
        "^Training cannot go on: normalize_y=True scaled the targets for loss='squared_error', "
        "which does not go with loss='poisson'. Use warm_start=False to fit from scratch.$"
    )
    with pytest.raises(ValueError, match=message):
        model.set_params(loss="poisson").fit(X, POSITIVE)


class Stopped(Exception):
    """What ends a fit at its first checkpoint."""


@pytest.mark.parametrize("n_estimators", [1, 2])
@each_loss
def test_a_checkpoint_goes_on_bit_for_bit(name, n_estimators, tmp_path, monkeypatch):
    """A fit that was stopped and started again ends as one that was not."""
    model, y = make(name, n_estimators=n_estimators, max_iter=6)
    whole = clone(model).fit(X, y)
    model.set_params(checkpoint=tmp_path / "fit", checkpoint_every=2)
    write = CheckpointFile.write

    def write_and_stop(self, content):
        write(self, content)
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointFile, "write", write_and_stop)
        with pytest.raises(Stopped):
            model.fit(X, y)
    assert_array_equal(model.fit(X, y).predict(X), whole.predict(X))


# Files


def all_predictions(model):
    found = [model.predict(X)]
    if model.loss == "gaussian":
        found.append(model.predict(X, return_std=True)[1])
    return found


@pytest.mark.parametrize("n_estimators", [1, 2])
@each_loss
def test_a_file_predicts_in_units_of_y(name, n_estimators, tmp_path):
    """A pickle and a skops file predict what the model does, and train on."""
    skops = pytest.importorskip("skops.io")
    model, y = make(name, n_estimators=n_estimators, solver="adam")
    model.partial_fit(X, y)
    skops.dump(model, tmp_path / "model.skops")
    copies = pickle.loads(pickle.dumps(model)), load_skops(tmp_path / "model.skops")
    expected = all_predictions(model)
    after = all_predictions(model.partial_fit(X, y))
    for copied in copies:
        for got, want in zip(all_predictions(copied), expected, strict=True):
            assert_array_equal(got, want)
        for got, want in zip(all_predictions(copied.partial_fit(X, y)), after, strict=True):
            assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("center", "scale", "message"),
    [
        ([0.0], [0.0], r"scale must be a list of finite positive numbers, got \[0.0\]"),
        ([0.0], [-1.0], r"scale must be a list of finite positive numbers, got \[-1.0\]"),
        ([np.nan], [1.0], r"center must be a list of finite numbers, got \[nan\]"),
        ([0.0], [np.inf], r"scale must be a list of finite positive numbers, got \[inf\]"),
        ([0.0], ["1"], r"scale must be a list of finite positive numbers, got \['1'\]"),
        (0.0, [1.0], "center must be a list of finite numbers, got 0.0"),
        ([0.0], [1.0, 1.0], "center and scale must have the same length, got 1 and 2"),
        ([0.0, 0.0], [1.0, 1.0], "is for 2 targets, and its network has 1 outputs for the loss"),
    ],
)
def test_a_scaling_that_no_fit_leaves_is_refused(center, scale, message, monkeypatch):
    """A state whose scaling is not finite, not positive or of another size is no model."""
    model, y = make("squared_error")
    state = model.fit(X, y).__getstate__()
    state["_spec"] = {**state["_spec"], "scaling": {"center": center, "scale": scale}}
    monkeypatch.setattr("sklmlp.io.state.checksum", lambda state, written: None)
    state["_checksum"] = None
    with pytest.raises(ValueError, match=message):
        MLPRegressor().__setstate__(state)


def test_the_checksum_covers_the_scaling():
    """A scale that was changed in a file is damage."""
    model, y = make("squared_error")
    state = model.fit(X, y).__getstate__()
    state["_spec"]["scaling"]["scale"] = (2.0,)
    with pytest.raises(ValueError, match="This state of MLPRegressor is damaged: its checksum"):
        MLPRegressor().__setstate__(state)


@pytest.mark.parametrize("n_estimators", [1, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@each_loss
def test_onnx_predicts_in_units_of_y(name, dtype, n_estimators):
    """onnxruntime's predictions are those of `predict`."""
    onnxruntime = pytest.importorskip("onnxruntime")
    model, y = make(name, n_estimators=n_estimators)
    content = to_onnx(model.fit(X, y), dtype=dtype).SerializeToString()
    session = onnxruntime.InferenceSession(content)
    (got,) = session.run(None, {"X": X.astype(dtype)})
    expected = model.predict(X)
    assert_allclose(got[:, : expected.size // N].reshape(expected.shape), expected, rtol=1e-5)


# Inspection


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("name", ["squared_error", "huber", "poisson", "gamma", "gaussian"])
def test_the_linear_equivalent_is_in_units_of_y(name, n_targets):
    """`X @ coef + intercept` are predictions, their logarithms, or logarithms of variances too."""
    model, y = make(name, n_targets, activation="identity")
    coef, intercept = linear_equivalent(model.fit(X, y))
    z = X @ coef + intercept
    if name in POSITIVE_LOSSES:
        z = np.exp(z)
    assert_allclose(z[:, :n_targets].reshape(y.shape), model.predict(X), rtol=1e-9)
    if name == "gaussian":
        std = model.predict(X, return_std=True)[1]
        assert_allclose(np.exp(z[:, n_targets:] / 2).reshape(y.shape), std, rtol=1e-9)


def test_what_the_network_itself_is_does_not_know_of_units():
    """`module_`, hidden features and gradients are those of a fit to targets scaled by hand."""
    model, y = make("squared_error")
    plain, center, scale = twin("squared_error", model.fit(X, y), y)
    with torch.no_grad():
        got, expected = (m.module_(torch.from_numpy(X)).numpy() for m in (model, plain))
    assert_allclose(got, expected, rtol=1e-9)
    scaling = model.target_scaling_
    assert_allclose((scaling.center[0], scaling.scale[0]), (center, scale))
    hidden = [HiddenFeatures(FrozenEstimator(m)).fit(X).transform(X) for m in (model, plain)]
    assert_allclose(*hidden, rtol=1e-9)
    scaled = (y - center) / scale
    norms = [diagnose(*args).gradient_norm for args in ((model, X, y), (plain, X, scaled))]
    assert_allclose(*norms, rtol=1e-7)


def test_without_it_there_is_no_scaling():
    """By default targets stay as they are."""
    assert MLPRegressor(max_iter=1).fit(X, REAL).target_scaling_ is None


# With others


@pytest.mark.parametrize("name", ["squared_error", "absolute_error", "quantile", "gaussian"])
def test_it_does_what_transformed_target_regressor_does(name):
    """Both scale targets by the mean and standard deviation, and predictions back."""
    model, y = make(name)
    other = clone(model).set_params(normalize_y=False)
    wrapped = TransformedTargetRegressor(other, transformer=StandardScaler()).fit(X, y)
    assert_allclose(model.fit(X, y).predict(X), wrapped.predict(X), rtol=1e-6)


def test_quantiles_cover_their_share():
    """Quantiles of unscaled targets have their share of them below."""
    levels = [0.1, 0.5, 0.9]
    model, y = make("quantiles", quantile=levels, solver="lbfgs", max_iter=500)
    prediction = model.fit(X, y).predict(X)
    assert_allclose((y[:, None] <= prediction).mean(axis=0), levels, atol=0.07)
    pinball = mean_pinball_loss(y, prediction[:, 1], alpha=0.5)
    assert pinball < mean_pinball_loss(y, np.full(N, np.median(y)), alpha=0.5) / 2


def test_a_scaling_says_what_it_takes():
    """Center and scale are floats, as many of the one as of the other."""
    scaling = TargetScaling([1.0, 2.0], (3.0, 4.0))
    assert (scaling.center, scaling.scale) == ((1.0, 2.0), (3.0, 4.0))
    assert_array_equal(scaling.encode([[4.0, 6.0]]), [[1.0, 1.0]])
    assert_array_equal(scaling.decode(torch.ones(1, 2)), [[4.0, 6.0]])
    assert_array_equal(scaling.decode_variance(torch.ones(1, 2)), [[9.0, 16.0]])
