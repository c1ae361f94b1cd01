"""ONNX: onnxruntime answers what the estimator answers, by itself and inside a Pipeline."""

import sys
import warnings

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import skl2onnx
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from torch import nn

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.activations import ACTIVATIONS
from sklmlp.io import register_onnx_converter, to_onnx
from sklmlp.io.onnx_answers import LINKS, PROBABILITIES
from sklmlp.losses import LOSSES
from tests.io.test_state import Power, cube
from tests.tables import KINDS, make, make_table

DTYPES = ["float32", "float64"]
FORMS = {
    **{name: name for name in ACTIVATIONS},
    "leaky_relu of another slope": ("leaky_relu", {"negative_slope": 0.3}),
    "prelu a unit": ("prelu", {"num_parameters": "per_unit"}),
    "rrelu between": ("rrelu", {"lower": 0.1, "upper": 0.7}),
    "elu of another alpha": ("elu", {"alpha": 0.5}),
    "celu of another alpha": ("celu", {"alpha": 0.5}),
    "gelu by tanh": ("gelu", {"approximate": "tanh"}),
    "steep softplus": ("softplus", {"beta": 4, "threshold": 2}),
    "high threshold": ("threshold", {"threshold": 0.5, "value": -1.0}),
    "narrow hardtanh": ("hardtanh", {"min_val": -0.3, "max_val": 0.4}),
    "wide softshrink": ("softshrink", {"lambd": 0.2}),
    "wide hardshrink": ("hardshrink", {"lambd": 0.2}),
    "attention of two heads": ("multihead_attention", {"num_heads": 2}),
    "attention without bias": ("multihead_attention", {"bias": False, "embed_dim": 8}),
    "an instance": nn.PReLU(8),
    "one a layer": ["selu", "glu"],
}


def run(model, X):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    inputs = {"X": X} if isinstance(X, np.ndarray) else X
    return session.run(None, inputs)


def assert_agrees(estimator, X, **options):
    """Labels are the same, and numbers agree to 1e-5."""
    got = run(to_onnx(estimator, dtype=X.dtype, **options), X)
    if hasattr(estimator, "predict_proba"):
        label, probabilities = got
        expected = estimator.predict_proba(X)
        assert probabilities.dtype == X.dtype
        assert_allclose(probabilities, expected, rtol=0, atol=1e-5)
        sure = np.abs(np.sort(expected)[..., -1] - 0.5) > 1e-4
        assert_array_equal(label[sure], estimator.predict(X)[sure])
    else:
        assert got[0].dtype == X.dtype
        expected = estimator.predict(X).reshape(len(X), -1)
        assert_allclose(got[0], expected, rtol=1e-5, atol=1e-5)


def fitted(kind, **params):
    X, y = make_table(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return make(kind, **params).fit(X, y), 2 * X, y


REGRESSIONS = {
    "absolute_error": {},
    "huber": {"huber_delta": 0.5},
    "gamma": {},
    "poisson": {},
    "quantile": {"quantile": 0.3},
    "quantiles": {"loss": "quantile", "quantile": [0.9, 0.1, 0.5]},
    "gaussian": {},
}


@pytest.mark.parametrize("n_estimators", [1, 3])
@pytest.mark.parametrize("loss", REGRESSIONS)
def test_losses_of_values(loss, n_estimators):
    """Each loss of a regressor has the answers of `predict`."""
    X, y = make_table("regression")
    params = {"loss": loss, **REGRESSIONS[loss], "n_estimators": n_estimators}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = make("regression", **params).fit(X, np.exp(y / 3))
    assert_agrees(model, X)


@pytest.mark.parametrize("n_estimators", [1, 3])
@pytest.mark.parametrize("loss", ["focal", "hinge"])
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel"])
def test_losses_of_classes(kind, loss, n_estimators):
    """Each loss of a classifier has its labels, and probabilities or decision values."""
    estimator, X, _ = fitted(kind, loss=loss, n_estimators=n_estimators)
    if loss == "focal":
        assert_agrees(estimator, X)
        return
    label, decision = run(to_onnx(estimator, dtype=X.dtype), X)
    assert_array_equal(label, estimator.predict(X))
    expected = estimator.decision_function(X)
    assert_allclose(decision[:, 1] if kind == "binary" else decision, expected, atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("normalization", [None, "batch", "layer", "rms"])
def test_layers(normalization, residual, dtype):
    """Normalizations, skips and dropout are those of prediction."""
    params = {"normalization": normalization, "residual": residual, "dropout": 0.2}
    estimator, X, _ = fitted("multiclass", hidden_layer_sizes=(8, 8, 6), **params)
    assert_agrees(estimator, X.astype(dtype))


class Line(nn.Linear):
    """A network of one's own."""

    def __init__(self, n_features_in, n_outputs):
        super().__init__(n_features_in, n_outputs)


def test_an_own_module_is_refused():
    """A user's module is named as what ONNX has no operators for."""
    estimator, _, _ = fitted("regression", module=Line)
    with pytest.raises(ValueError, match=r"module=.*Line"):
        to_onnx(estimator)


@pytest.mark.parametrize("activation", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_activation_and_output(kind, activation):
    """An estimator's graph agrees for every activation and kind of target, in both dtypes."""
    widths = (8, 4) if isinstance(activation, list) else (8,)
    model, X, _ = fitted(kind, activation=activation, hidden_layer_sizes=widths)
    for dtype in DTYPES:
        assert_agrees(model, X.astype(dtype))


def test_the_table_has_every_activation_and_loss():
    """Nothing that the other tables have is without a line here."""
    assert set(LINKS) | set(PROBABILITIES) == set(LOSSES)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_ensembles_and_linear_models(kind, dtype):
    """An ensemble's answer is the mean over its networks; a network may have no hidden layer."""
    for params in ({"n_estimators": 3}, {"hidden_layer_sizes": ()}, {"dtype": "float32"}):
        model, X, _ = fitted(kind, **params)
        assert_agrees(model, X.astype(dtype))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_estimators", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_pipelines(kind, n_estimators, dtype, short_fits):
    """skl2onnx's pipelines agree too, labels and types included."""
    X, y = make_table(kind)
    model = make_pipeline(StandardScaler(), make(kind, n_estimators=n_estimators)).fit(X, y)
    assert_agrees(model, X.astype(dtype))


LABELS = {
    "text": np.array(["ash", "beech", "cedar"]),
    "objects": np.array(["ash", "beech", "cedar"], dtype=object),
    "small integers": np.array([3, 7, 9], dtype=np.uint8),
    "floats": np.array([1.0, 2.0, 5.0]),
}


def answers_alike(model, X, y, dtype):
    label, probabilities = run(to_onnx(model, dtype=dtype), X.astype(dtype))
    assert_array_equal(label.astype(y.dtype), model.predict(X.astype(dtype)))
    assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_labels(labels, n_classes, dtype, short_fits):
    """Labels of any dtype that ONNX has come out as they went in, a single class included."""
    X, y = make_table("multiclass")
    y = labels[y % n_classes]
    answers_alike(make("multiclass").fit(X, y), X, y, dtype)


def test_truth_values_are_labels(short_fits):
    """So do True and False, in a pipeline too."""
    X, y = make_table("binary")
    y = y.astype(bool)
    for model in (make("binary"), make_pipeline(StandardScaler(), make("binary"))):
        answers_alike(model.fit(X, y), X, y, "float32")


def test_labels_of_no_type_are_refused():
    """Labels that ONNX cannot hold are an error that shows them."""
    model, *_ = fitted("multiclass")
    model.classes_ = np.array([1, "b", 2.5], dtype=object)
    with pytest.raises(ValueError, match=r"no type for the labels \[1 'b' 2.5\] of object"):
        to_onnx(model)


# zipmap ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("labels", [np.arange(3), LABELS["text"]], ids=["integers", "text"])
@pytest.mark.parametrize("in_pipeline", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
def test_zipmap(labels, in_pipeline, dtype, short_fits):
    """With `zipmap=True` a row's probabilities are a dict by label."""
    X, y = make_table("multiclass")
    model = make("multiclass")
    model = make_pipeline(StandardScaler(), model) if in_pipeline else model
    model.fit(X, labels[y])
    label, rows = run(to_onnx(model, dtype=dtype, zipmap=True), X.astype(dtype))
    assert_array_equal(label, model.predict(X))
    for row, expected in zip(rows, model.predict_proba(X), strict=True):
        assert list(row) == list(labels)
        assert_allclose(list(row.values()), expected, atol=1e-5)


def test_zipmap_takes_one_label_a_row():
    """Several labels a row have no dict."""
    model, *_ = fitted("multilabel")
    with pytest.raises(ValueError, match="zipmap=True takes one label a row"):
        to_onnx(model, zipmap=True)


# Inside other estimators -----------------------------------------------------------------------


def test_a_data_frame_names_the_inputs(short_fits):
    """With a data frame the model has an input a column, as skl2onnx reads it."""
    X, y = make_table("multiclass")
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"]).assign(c=np.array(["u", "v"])[y % 2])
    model = make_pipeline(
        make_column_transformer((StandardScaler(), ["a", "b"]), (OneHotEncoder(), ["c"])),
        make("multiclass"),
    ).fit(frame, y)
    got = run(to_onnx(model, frame), {name: frame[[name]].to_numpy() for name in frame})
    assert_array_equal(got[0], model.predict(frame))
    assert_allclose(got[1], model.predict_proba(frame), atol=1e-5)


def test_inside_voting(short_fits):
    """Ours are found however deep they are, and rows of the given table's dtype are taken."""
    X, y = make_table("multiclass")
    parts = [(str(i), make("multiclass", random_state=i)) for i in range(2)]
    model = VotingClassifier(parts, voting="soft", flatten_transform=False).fit(X, y)
    got = run(to_onnx(model, X), X.astype(np.float32))
    assert_allclose(got[1], model.predict_proba(X), atol=1e-5)


def test_skl2onnx_by_itself(short_fits):
    """A registered class can be converted by skl2onnx's own function, columns of it included."""

    class Mine(MLPClassifier):
        pass

    X, y = make_table("multiclass")
    model = Mine((8,), max_iter=5, random_state=0).fit(X, y)
    register_onnx_converter(Mine)
    onnx = skl2onnx.to_onnx(
        model, X[:1].astype(np.float32), options={"zipmap": "columns"}, target_opset=17
    )
    _, *columns = run(onnx, X.astype(np.float32))
    assert_allclose(np.stack(columns, 1), model.predict_proba(X), atol=1e-5)


# What cannot be expressed ----------------------------------------------------------------------


@pytest.mark.parametrize("in_pipeline", [False, True])
@pytest.mark.parametrize("activation", [cube, Power, Power(3), (Power, {"exponent": 3})])
def test_own_activations_are_refused_by_name(activation, in_pipeline, short_fits):
    """ONNX has no operators for what is somebody's own, and the error says what it is."""
    X, y = make_table("regression")
    model = make("regression", activation=activation)
    model = make_pipeline(StandardScaler(), model) if in_pipeline else model
    with pytest.raises(ValueError, match=r"no operators for the activation '(cube|Power)'"):
        to_onnx(model.fit(X, y))


@pytest.mark.parametrize("dim", [0, 1])
def test_softmax_over_rows_is_refused(dim, short_fits):
    """An activation that mixes rows has no meaning in prediction row by row."""
    model, X, _ = fitted("regression", activation=("softmax", {"dim": dim}))
    if dim == 1:
        assert_agrees(model, X)
    else:
        with pytest.raises(ValueError, match="dim=-1 for Softmax, got dim=0"):
            to_onnx(model)


@pytest.mark.parametrize("kind", ["regression", "multiclass"])
def test_an_unknown_loss_is_refused(kind, monkeypatch):
    """A loss that has no line in the table is named."""
    monkeypatch.setattr("sklmlp.io.onnx_answers.LINKS", {"poisson": None})
    monkeypatch.setattr("sklmlp.io.onnx_answers.PROBABILITIES", {})
    model, *_ = fitted(kind)
    with pytest.raises(ValueError, match=f"answers of the loss '{model._spec.loss}'"):
        to_onnx(model)


def test_an_unknown_part_of_a_network_is_refused():
    """A spec with something that is not expressed here is an error that names it."""
    model, *_ = fitted("regression")
    vars(model._spec)["skip"] = "far"
    with pytest.raises(ValueError, match="no operators for a network with skip='far'"):
        to_onnx(model)


@pytest.mark.parametrize(
    "options, message", [({"dtype": "float16"}, "dtype takes"), ({"zipmap": 3}, "zipmap takes")]
)
def test_options_are_checked(options, message):
    """Options that there are not are named with those that there are."""
    model, *_ = fitted("regression")
    with pytest.raises(ValueError, match=message):
        to_onnx(model, **options)


def test_without_onnx_the_error_says_what_to_install(monkeypatch):
    """An extra that is missing is named with the command that brings it."""
    model, *_ = fitted("regression")
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r"pip install sklmlp\[onnx\]"):
        to_onnx(model)


def test_an_unfitted_estimator_is_refused():
    """There is nothing to export before a fit."""
    with pytest.raises(NotFittedError):
        to_onnx(MLPRegressor())
