"""ONNX: onnxruntime predicts what the estimator predicts, by itself and inside a Pipeline."""

import sys
import warnings
from dataclasses import fields, make_dataclass

import numpy as np
import onnxruntime
import pandas as pd
import polars as pl
import pytest
import skl2onnx
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
)
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    RobustScaler,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)
from torch import nn

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.activations import ACTIVATIONS
from sklmlp.io import register_onnx_converter, to_onnx
from sklmlp.io.onnx import layers as onnx_layers
from sklmlp.io.onnx.predictions import BY_LINK, LINKS, PROBABILITIES
from sklmlp.losses import LINKS as NAMED_LINKS
from sklmlp.losses import LOSSES
from sklmlp.nn import Spec
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


def load(model):
    """A session of onnxruntime."""
    return onnxruntime.InferenceSession(model.SerializeToString())


def shape_of(output):
    """The declared shape of one row of an output; onnxruntime's is what it has inferred itself."""
    return tuple(size.dim_value for size in output.type.tensor_type.shape.dim[1:])


def run(model, X):
    session = load(model)
    inputs = {"X": X} if isinstance(X, np.ndarray) else X
    outputs = session.run(None, inputs)
    declared = [shape_of(output) for output in model.graph.output]
    given = [output.shape[1:] if isinstance(output, np.ndarray) else () for output in outputs]
    assert declared == given
    return outputs


def assert_agrees(estimator, X, **options):
    """Labels are the same, and numbers agree to 1e-5."""
    got = run(to_onnx(estimator, dtype=X.dtype, **options), X)
    if hasattr(estimator, "predict_proba"):
        label, probabilities = got
        expected = estimator.predict_proba(X)
        assert probabilities.dtype == X.dtype
        assert_allclose(probabilities, expected, rtol=0, atol=1e-5)
        assert_array_equal(label, estimator.predict(X))
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


@pytest.mark.parametrize("in_pipeline", [False, True])
@pytest.mark.parametrize("n_estimators", [1, 3])
@pytest.mark.parametrize(
    "loss, kind",
    [
        (loss, kind)
        for loss in ("squared_error", *REGRESSIONS)
        for kind in ("regression", "regressions")
        if (loss, kind) != ("quantiles", "regressions")  # several quantiles are for one target
    ],
)
def test_losses_of_values(loss, kind, n_estimators, in_pipeline, short_fits):
    """Each loss of a regressor has the predictions of `predict`, in the shape that is declared."""
    X, y = make_table(kind)
    params = {"loss": loss, **REGRESSIONS.get(loss, {}), "n_estimators": n_estimators}
    model = make("regression", **params)
    model = make_pipeline(StandardScaler(), model) if in_pipeline else model
    assert_agrees(model.fit(X, np.exp(y / 3)), X)


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


@pytest.mark.parametrize(
    "form, kind, dtype",
    [
        (form, KINDS[(i + 3 * j) % len(KINDS)], dtype)
        for i, form in enumerate(FORMS)
        for j, dtype in enumerate(DTYPES)
    ],
)
def test_every_activation_and_output(form, kind, dtype):
    """An estimator's graph agrees for every activation in each dtype; kinds of targets take turns.

    An activation's operators and those of the outputs do not know of each other.
    """
    activation = FORMS[form]
    widths = (8, 4) if isinstance(activation, list) else (8,)
    model, X, _ = fitted(kind, activation=activation, hidden_layer_sizes=widths)
    assert_agrees(model, X.astype(dtype))


def test_the_table_has_every_activation_and_loss():
    """Nothing that the other tables have is without a line here."""
    assert set(LINKS) | set(PROBABILITIES) == set(LOSSES)
    assert set(BY_LINK) == set(NAMED_LINKS)
    assert set(onnx_layers.ACTIVATIONS) == set(ACTIVATIONS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_ensembles_and_linear_models(kind, dtype):
    """An ensemble predicts the mean over its networks; a network may have no hidden layer."""
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


COLUMNS = {
    "real": lambda rng: rng.normal(size=60),
    "gaps": lambda rng: np.where(rng.random(60) < 0.2, np.nan, rng.normal(size=60)),
    "whole": lambda rng: rng.integers(0, 5, 60),
    "codes": lambda rng: rng.integers(0, 4, 60) + 10**9,  # float32 cannot tell these apart
    "text": lambda rng: np.array(["u", "v", "w"])[rng.integers(0, 3, 60)],
    "truth": lambda rng: rng.random(60) > 0.5,
}
NUMBERS, WORDS = ["real", "whole"], ["text", "truth"]
NUMBERS_AND_WORDS = [*NUMBERS, *WORDS]


def filled(numbers="mean"):
    return make_pipeline(SimpleImputer(strategy=numbers), StandardScaler())


STEPS = {
    "standard": (NUMBERS, StandardScaler),
    "standard of truth": (["truth", "real"], StandardScaler),
    "min and max": (["whole", "real"], MinMaxScaler),
    "robust": (NUMBERS, RobustScaler),
    "normalizer": (NUMBERS, Normalizer),
    "bins": (NUMBERS, lambda: KBinsDiscretizer(3, encode="onehot-dense", strategy="uniform")),
    "nothing": (["whole", "real", "truth"], lambda: "passthrough"),
    "imputer": (["gaps", "whole"], lambda: SimpleImputer(strategy="median")),
    "imputer in front": (["gaps", "whole"], filled),
    "imputer that tells": (["gaps", "real"], lambda: SimpleImputer(add_indicator=True)),
    "imputer of zeros": (["whole", "real"], lambda: SimpleImputer(missing_values=0)),
    "one-hot": (WORDS, OneHotEncoder),
    "one-hot of whole": (["codes"], lambda: OneHotEncoder(handle_unknown="ignore")),
    "one-hot of both": (["text", "whole"], lambda: OneHotEncoder(drop="if_binary")),
    "ordinal": (["text", "codes"], OrdinalEncoder),
    "ordinal of real": (["real"], OrdinalEncoder),
    "ordinal of unknown": (
        ["text", "whole"],
        lambda: OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
    ),
    "union": (NUMBERS, lambda: make_union(StandardScaler(), MinMaxScaler())),
    "by name": (
        NUMBERS_AND_WORDS,
        lambda: make_column_transformer((StandardScaler(), NUMBERS), (OneHotEncoder(), WORDS)),
    ),
    "by position": (
        ["real", "whole", "text"],
        lambda: make_column_transformer((StandardScaler(), [0, 1]), (OneHotEncoder(), [2])),
    ),
    "the rest passes": (
        NUMBERS_AND_WORDS,
        lambda: make_column_transformer((OneHotEncoder(), ["text"]), remainder="passthrough"),
    ),
    "the rest is dropped": (
        NUMBERS_AND_WORDS,
        lambda: make_column_transformer((OneHotEncoder(), ["text"]), (MinMaxScaler(), ["real"])),
    ),
    "a column twice": (
        ["real", "whole", "text"],
        lambda: make_column_transformer(
            (OneHotEncoder(), ["text", "whole"]), (StandardScaler(), NUMBERS)
        ),
    ),
    "filled by kind": (
        ["gaps", "whole", "text"],
        lambda: make_column_transformer(
            (filled("median"), ["gaps", "whole"]),
            (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder()), ["text"]),
        ),
    ),
}
FORMS_OF_TABLES = {
    "pandas": pd.DataFrame,
    "objects": lambda columns: pd.DataFrame(columns).astype(object),
    "categories": lambda columns: pd.DataFrame(columns).astype(
        {name: "category" for name in columns if name in ("text", "codes")}
    ),
    "polars": pl.DataFrame,
    "array": lambda columns: as_array(columns),
}
PASS_NO_POLARS = ("the rest passes",)  # scikit-learn 1.7 asks a polars frame for its size
ARRAYS_HAVE_NO_NAMES = ("by name", "the rest passes", "the rest is dropped", "a column twice",
                        "filled by kind")  # fmt: skip


def as_array(columns):
    """One array: of objects where there is text next to numbers."""
    table = pd.DataFrame(columns)
    return table.to_numpy(dtype=object if "text" in columns else None)


def fed(session, X):
    """The rows as a session wants them: in the types, and by the names, that it declares."""
    dtypes = {"float": "float32", "double": "float64", "string": object}
    rows = {}
    for position, wanted in enumerate(session.get_inputs()):
        if wanted.name in getattr(X, "columns", ()):
            values = np.asarray(X[wanted.name]).reshape(-1, 1)
        elif wanted.name == "X":
            values = np.asarray(X)
        else:
            assert wanted.name == f"x{position}"
            values = X[:, [position]]
        dtype = wanted.type.removeprefix("tensor(").removesuffix(")")
        rows[wanted.name] = values.astype(dtypes.get(dtype, dtype))
    return rows


TABLES = [
    (step, form)
    for step in STEPS
    for form in FORMS_OF_TABLES
    if (form != "array" or step not in ARRAYS_HAVE_NO_NAMES)
    and (form != "polars" or step not in PASS_NO_POLARS)
]


@pytest.mark.parametrize(
    "step, form, kind, is_given, dtype",
    [
        (*table, ("multiclass", "regression")[i % 2], bool(i // 2 % 2), DTYPES[(i // 4 + i) % 2])
        for i, table in enumerate(TABLES)
    ],
)
def test_columns_of_any_kind(step, form, kind, is_given, dtype, short_fits):
    """onnxruntime loads the pipeline and predicts alike, whether X is given or the fit is asked.

    Steps and forms of tables take turns at the kinds of estimators, at X and at the dtype.
    """
    names, make_step = STEPS[step]
    rng = np.random.default_rng(0)
    X = FORMS_OF_TABLES[form]({name: COLUMNS[name](rng) for name in names})
    model = make_pipeline(make_step(), make(kind)).fit(X, make_table(kind)[1])
    session = load(to_onnx(model, X if is_given else None, dtype=dtype))
    *label, numbers = session.run(None, fed(session, X))
    assert numbers.dtype == dtype
    if label:
        assert_array_equal(label[0], model.predict(X))
        assert_allclose(numbers, model.predict_proba(X), atol=1e-5)
    else:
        assert_allclose(numbers[:, 0], model.predict(X), rtol=1e-5, atol=1e-5)


def named_types(model):
    return {each.name: each.type for each in load(model).get_inputs()}


def test_types_of_the_inputs(short_fits):
    """A frame's columns are declared as they are, with floats in `dtype`; without it, as fitted."""
    rng = np.random.default_rng(0)
    X = pd.DataFrame({name: make_column(rng) for name, make_column in COLUMNS.items()})
    step = make_column_transformer(
        (SimpleImputer(), ["gaps", "whole"]), (OneHotEncoder(), ["codes", "text", "truth"])
    )
    model = make_pipeline(step, make("regression")).fit(X, COLUMNS["real"](rng))
    given = {
        "real": "float", "gaps": "float", "whole": "int64", "codes": "int64", "text": "string",
        "truth": "bool",
    }  # fmt: skip
    assert named_types(to_onnx(model, X)) == {n: f"tensor({t})" for n, t in given.items()}
    fitted = {**given, "gaps": "double", "whole": "double"}
    del fitted["real"]  # which is dropped
    assert named_types(to_onnx(model, dtype="float64")) == {
        name: f"tensor({kind})" for name, kind in fitted.items()
    }


def test_a_table_is_one_input_whatever_is_dropped(short_fits):
    """An array has all of its columns, those included that the pipeline drops."""
    X, y = make_table("regression")
    step = make_column_transformer((StandardScaler(), [1]), (MinMaxScaler(), [3, 0]))
    model = make_pipeline(step, make("regression")).fit(X, y)
    for given in (None, X):
        onnx = to_onnx(model, given)
        assert named_types(onnx) == {"X": "tensor(float)"}
        assert_allclose(run(onnx, X.astype("float32"))[0][:, 0], model.predict(X), atol=1e-5)


def test_names_that_skl2onnx_uses_itself(short_fits):
    """Columns may be called as skl2onnx calls its own values, and as the outputs."""
    X, y = make_table("multiclass", n_features=4)
    frame = pd.DataFrame(X, columns=["a", "X", "label", "probabilities"])
    model = CalibratedClassifierCV(make("multiclass"), cv=2).fit(frame, y)
    session = load(to_onnx(model, dtype="float64"))
    assert [each.name for each in session.get_inputs()] == list(frame)
    assert_allclose(session.run(None, fed(session, frame))[1], model.predict_proba(frame))


WORD_STEPS = {"one-hot": OneHotEncoder, "ordinal": OrdinalEncoder, "target": TargetEncoder}


@pytest.mark.parametrize("as_objects", [False, True])
@pytest.mark.parametrize("step", WORD_STEPS)
def test_an_array_of_words(step, as_objects, short_fits):
    """An array of words is one input of text."""
    rng = np.random.default_rng(0)
    X = np.array(["ash", "beech", "cedar"])[rng.integers(0, 3, (60, 2))]
    X = X.astype(object) if as_objects else X
    model = make_pipeline(WORD_STEPS[step](), make("regression")).fit(X, rng.normal(size=60))
    for given in (None, X, X.tolist()):
        onnx = to_onnx(model, given)
        assert named_types(onnx) == {"X": "tensor(string)"}
        assert_allclose(run(onnx, X.astype(object))[0][:, 0], model.predict(X), atol=1e-5)


def wrapped(model):
    """A fitted model inside what leaves its predictions alone."""
    X, y = make_table("multiclass")
    yield RandomizedSearchCV(model, {"alpha": [0.1]}, n_iter=1, cv=2).fit(X, y)
    grid = {"mlpclassifier__alpha": [0.1]}
    yield GridSearchCV(make_pipeline(StandardScaler(), model), grid, cv=2).fit(X, y)
    yield make_pipeline(make_pipeline(StandardScaler(), "passthrough"), model).fit(X, y)
    yield make_pipeline(FrozenEstimator(StandardScaler().fit(X)), model).fit(X, y)
    yield FrozenEstimator(model.fit(X, y))


def test_searches_frozen_estimators_and_steps_that_pass(short_fits):
    """What does no more than hold an estimator is looked through."""
    for model in wrapped(make("multiclass")):
        assert_agrees(model, make_table("multiclass")[0])


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


def table_for():
    rng = np.random.default_rng(0)
    return pd.DataFrame({"real": COLUMNS["real"](rng), "text": COLUMNS["text"](rng)}), rng


REFUSED_STEPS = {
    "no converter": (SplineTransformer(), "skl2onnx cannot convert this Pipeline: it has no "
                     "converter for SplineTransformer."),
    "a function": (FunctionTransformer(np.tanh), "skl2onnx cannot convert this Pipeline: "
                   "FunctionTransformer is not supported unless the transform function is None "
                   "(= identity). You may raise an issue at "
                   "https://github.com/onnx/sklearn-onnx/issues."),
    "float64 of this": (PowerTransformer(), "skl2onnx converts PowerTransformer for float32 rows "
                        "alone: take dtype='float32'."),
    "polynomials": (PolynomialFeatures(), "skl2onnx converts PolynomialFeatures for float32 rows "
                    "alone: take dtype='float32'."),
    "binary": (Binarizer(), "skl2onnx converts Binarizer for float32 rows alone: take "
               "dtype='float32'."),
    "positions from the end": (
        make_column_transformer((StandardScaler(), [-1])),
        "to_onnx takes the columns of a ColumnTransformer as names, or as positions that are "
        "counted from the first column; got [-1].",
    ),
}  # fmt: skip


@pytest.mark.parametrize("with_X", [False, True])
@pytest.mark.parametrize("step, message", REFUSED_STEPS.values(), ids=REFUSED_STEPS)
def test_steps_that_are_refused(step, message, with_X, short_fits):
    """A step that skl2onnx converts wrongly raises an error that says so."""
    X, y = make_table("regression")
    model = make_pipeline(clone(step), make("regression")).fit(X, y)
    with pytest.raises(ValueError) as caught:
        to_onnx(model, X if with_X else None, dtype="float64")
    assert str(caught.value) == message


def test_texts_are_refused(short_fits):
    """Texts are split into words before the model."""
    model = make_pipeline(CountVectorizer(), make("regression"))
    texts = ["one word", "and another", "and more"]
    with pytest.raises(ValueError) as caught:
        to_onnx(model.fit(texts, [0.0, 1.0, 2.0]), np.array(texts))
    assert str(caught.value) == (
        "ONNX splits texts into words by other rules than CountVectorizer: apply it before, and "
        "convert what follows."
    )


REFUSED_COLUMNS = {
    "missing text": (
        lambda n: pd.Series(["u", None, "v"] * (n // 3)),
        "The column 'it' has missing values, and ONNX has no missing text. Fit and convert with a "
        "word in their place, such as X['it'].fillna('missing').",
    ),
    "dates": (
        lambda n: pd.Series(pd.date_range("2024-01-01", periods=n)).astype("datetime64[ns]"),
        "The column 'it' has values of datetime64[ns], and ONNX has a type for numbers, truth "
        "values and text alone. Turn it into one of these before the pipeline.",
    ),
    "numbers and text": (
        lambda n: pd.Series([1, "u", 2.0] * (n // 3), dtype=object),
        "The column 'it' has values of float, int, str, and ONNX has a type for numbers, truth "
        "values and text alone. Turn it into one of these before the pipeline.",
    ),
}


@pytest.mark.parametrize("make_column, message", REFUSED_COLUMNS.values(), ids=REFUSED_COLUMNS)
def test_columns_that_are_refused(make_column, message, short_fits):
    """A column that ONNX has no type for is named, with what to do."""
    X, y = make_table("regression")
    model = make_pipeline(
        make_column_transformer((StandardScaler(), ["a"]), remainder="drop"), make("regression")
    )
    frame = pd.DataFrame({"a": X[:, 0], "it": make_column(len(X))})
    with pytest.raises(ValueError) as caught:
        to_onnx(model.fit(frame, y), frame)
    assert str(caught.value) == message


@pytest.mark.parametrize("values", [["u", None, "v"], ["u", np.nan, "v"]])
def test_categories_that_are_missing_are_refused(values, short_fits):
    """An encoder that has learned a missing text as a category cannot be asked for it."""
    frame = pd.DataFrame({"it": np.array(values * 10, dtype=object)})
    model = make_pipeline(OneHotEncoder(), make("regression")).fit(frame, np.arange(30.0))
    with pytest.raises(ValueError) as caught:
        to_onnx(model)
    assert str(caught.value) == REFUSED_COLUMNS["missing text"][1]


def test_categories_that_float32_cannot_tell_apart_are_refused(short_fits):
    """Real numbers are encoded in float32, and two that become one would be one category."""
    X = np.repeat([[1e9], [1e9 + 1]], 15, axis=0)
    model = make_pipeline(OrdinalEncoder(), make("regression")).fit(X, X[:, 0] - 1e9)
    with pytest.raises(ValueError) as caught:
        to_onnx(model, dtype="float64")
    assert str(caught.value) == (
        "The column 'x0' has categories that float32 cannot tell apart, and ONNX encodes numbers "
        "in float32. Fit it as integers or as text."
    )


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda X: X[["text"]], "X has 1 columns, and 2 were fitted."),
        (
            lambda X: X[["text", "real"]],
            "X has the columns ['text', 'real']; fitted were ['real', 'text'].",
        ),
        (
            lambda X: X.assign(text=1.0),
            "X has float32 in the column 'text', and text was fitted.",
        ),
    ],
)
def test_rows_that_were_not_fitted(change, message, short_fits):
    """Rows with other columns than the fit's are refused."""
    X, rng = table_for()
    step = make_column_transformer((StandardScaler(), ["real"]), (OneHotEncoder(), ["text"]))
    model = make_pipeline(step, make("regression")).fit(X, rng.normal(size=60))
    with pytest.raises(ValueError) as caught:
        to_onnx(model, change(X))
    assert str(caught.value) == message


def test_columns_that_are_not_known(short_fits):
    """Where the fit has kept no number of columns, the error asks for rows."""

    class Halved(BaseEstimator, TransformerMixin):
        """A transformer that keeps nothing of what it was fitted on."""

        def fit(self, X, y=None):
            return self

        def transform(self, X):
            return np.asarray(X) / 2

        def __sklearn_is_fitted__(self):
            return True

    X, y = make_table("regression")
    with pytest.raises(ValueError) as caught:
        to_onnx(make_pipeline(Halved(), make("regression")).fit(X, y))
    assert str(caught.value) == (
        "to_onnx cannot tell the columns of this pipeline. Pass a few of the rows that it was "
        "fitted on: to_onnx(pipeline, X[:10])."
    )


def test_what_onnxruntime_cannot_load_is_refused(short_fits):
    """A graph of skl2onnx's whose types do not fit together is noticed at once."""
    X, y = make_table("binary")
    model = TunedThresholdClassifierCV(make("binary"), cv=2).fit(X, y == 1)
    with pytest.raises(ValueError) as caught:
        to_onnx(model)
    assert str(caught.value) == (
        "onnxruntime cannot load what skl2onnx makes of this TunedThresholdClassifierCV: "
        "[ONNXRuntimeError] : 1 : FAIL : Type Error: Type (tensor(int64)) of output arg (label) of "
        "node (N0) does not match expected type (tensor(bool))."
    )


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
    monkeypatch.setattr("sklmlp.io.onnx.predictions.LINKS", {"poisson": None})
    monkeypatch.setattr("sklmlp.io.onnx.predictions.PROBABILITIES", {})
    model, *_ = fitted(kind)
    with pytest.raises(ValueError, match=f"predictions of the loss '{model._spec.loss}'"):
        to_onnx(model)


def test_an_unknown_part_of_a_network_is_refused():
    """A spec with something that is not expressed here is an error that names it."""
    model, *_ = fitted("regression")
    wider = make_dataclass("Wider", [("skip", str, "far")], bases=(Spec,), frozen=True)
    model._spec = wider(**{each.name: getattr(model._spec, each.name) for each in fields(Spec)})
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
