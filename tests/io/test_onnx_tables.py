"""ONNX of raw tables: onnxruntime reads the columns as they are, and predicts alike."""

import numpy as np
import onnxruntime
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier
from sklearn.ensemble import VotingClassifier
from sklearn.pipeline import make_pipeline

from sklmlp import MLPClassifier, TableEncoder, TabularMLPClassifier, TabularMLPRegressor
from sklmlp.io import column_types, to_onnx
from sklmlp.io.onnx.tied import AVERAGES
from sklmlp.nn.tied import AVERAGES as AVERAGES_OF_NETWORKS

N = 240
SMALL = {
    "hidden_layer_sizes": (8,), "n_estimators": 2, "max_iter": 2, "n_folds": 1, "random_state": 0,
}  # fmt: skip


def make_frame():
    """Numbers with and without gaps, truths, words, and columns that say nothing."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": rng.normal(40, 9, N).astype("float32").astype("float64"),
            "visits": rng.poisson(3, N),
            "income": rng.lognormal(2, 1, N).astype("float32").astype("float64"),
            "plan": rng.choice(["basic", "plus", "pro"], N),
            "member": rng.random(N) < 0.5,
            "sex": rng.choice(["f", "m"], N),
            "city": pd.Series([f"city {i}" for i in rng.integers(0, 30, N)], dtype="category"),
            "floor": pd.Series(rng.integers(-1, 4, N), dtype="category"),
            "country": "Norway",
            "empty": np.nan,
        }
    )
    frame.loc[::7, "income"] = None
    frame.loc[::5, "plan"] = None
    return frame


def later(frame):
    """Rows with what training had not: other levels, and gaps in columns that had none."""
    frame = frame.copy()
    frame["age"] = frame["age"].where(np.arange(N) % 6 != 0, None) * 3
    frame["sex"] = frame["sex"].where(np.arange(N) % 4 != 0, "x")
    frame["city"] = frame["city"].astype(object).where(np.arange(N) % 3 != 0, "city of ours")
    return frame


def make_targets(kind, frame):
    z = (frame["age"] - 40) / 9 + (frame["plan"] == "basic") - frame["member"]
    rng = np.random.default_rng(1)
    return {
        "binary": np.where(z > 0, "yes", "no"),
        "multiclass": np.digitize(z, [-1, 0.5]),
        "multilabel": np.c_[z > 0, frame["sex"] == "f"].astype(int),
        "regression": 1000 + 30 * z.to_numpy(),
        "regressions": np.c_[z, 100 - z],
        "counts": rng.poisson(np.exp(z / 2)).astype(float),
    }[kind]


CASES = {
    **{kind: (kind, {}) for kind in ("binary", "multiclass", "multilabel", "regression")},
    "regressions": ("regressions", {"clip": False}),
    "quantiles": ("regression", {"loss": "quantile", "quantile": [0.9, 0.1]}),
    "gaussian": ("regression", {"loss": "gaussian"}),
    "poisson": ("counts", {"loss": "poisson"}),
    "without embeddings": ("multiclass", {"numeric_embedding": None}),
    "periodic": ("binary", {"numeric_embedding": "periodic"}),
    "both": ("regression", {"numeric_embedding": "both"}),
    "levels": ("binary", {"category_embedding": True, "max_one_hot": 4}),
    "levels alone": (
        "multiclass",
        {"category_embedding": True, "max_one_hot": 4, "numeric_embedding": None},
    ),
    "without layers": ("binary", {"hidden_layer_sizes": ()}),
}


@pytest.fixture(scope="module")
def fitted():
    """A function that fits the estimator of a case to the frame, once."""
    models, frame = {}, make_frame()

    def fitted(case):
        if case not in models:
            kind, params = CASES[case]
            y = make_targets(kind, frame)
            is_values = y.dtype.kind == "f"
            of = TabularMLPRegressor if is_values else TabularMLPClassifier
            models[case] = of(**SMALL | params).fit(frame, y)
        return models[case]

    return fitted


def fed(session, X):
    """The rows as a session wants them; a gap in text is any text that is no level."""
    dtypes = {"float": "float32", "double": "float64", "string": object}
    rows = {}
    for wanted in session.get_inputs():
        dtype = wanted.type.removeprefix("tensor(").removesuffix(")")
        values = np.asarray(X) if wanted.name == "X" else np.asarray(X[wanted.name])
        if dtype == "string":
            values = ["" if v is None or v != v else v for v in values.ravel()]
        rows[wanted.name] = np.reshape(values, (len(X), -1)).astype(dtypes.get(dtype, dtype))
    return rows


def assert_agrees(model, X, given=None, **options):
    """Labels are the same and numbers agree to 1e-5."""
    onnx = to_onnx(model, given, **options)
    session = onnxruntime.InferenceSession(onnx.SerializeToString())
    *label, numbers = session.run(None, fed(session, X))
    if is_classifier(model):
        assert_allclose(numbers, model.predict_proba(X), rtol=0, atol=1e-5)
        assert_array_equal(label[0], model.predict(X))
    else:
        expected = model.predict(X).reshape(len(X), -1)
        assert_allclose(numbers, expected, rtol=1e-5, atol=1e-5)
    return session


@pytest.mark.parametrize("case", CASES)
def test_estimators_of_raw_columns(case, fitted):
    """Gaps, unknown levels, truths and words go in as they are."""
    frame = make_frame()
    session = assert_agrees(fitted(case), later(frame), frame, dtype="float64")
    assert "country" in [each.name for each in session.get_inputs()]


@pytest.mark.parametrize("case", ["binary", "regression"])
def test_types_are_known_without_rows(case, fitted):
    """Columns that were left out are no inputs; numbers are float32."""
    model = fitted(case)
    session = assert_agrees(model, later(make_frame()))
    types = {each.name: each.type for each in session.get_inputs()}
    assert types == {
        "age": "tensor(float)",
        "visits": "tensor(float)",
        "income": "tensor(float)",
        "plan": "tensor(string)",
        "member": "tensor(bool)",
        "sex": "tensor(string)",
        "city": "tensor(string)",
        "floor": "tensor(int64)",
    }
    assert {name for name, kind in column_types(model).items() if kind is None} == {
        "country",
        "empty",
    }


def test_frames_of_polars(fitted):
    """They have the same columns."""
    frame = make_frame().astype({"city": str, "floor": int})
    model = fitted("multiclass")
    columns = {name: [None if v != v else v for v in frame[name].tolist()] for name in frame}
    given = pl.DataFrame(columns)
    session = onnxruntime.InferenceSession(to_onnx(model, given).SerializeToString())
    _, probabilities = session.run(None, fed(session, frame))
    assert_allclose(probabilities, model.predict_proba(frame), atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_an_array_of_numbers_is_one_input(kind, dtype):
    """Categories of numbers are found by their value, in the dtype of the table."""
    rng = np.random.default_rng(0)
    X = np.c_[rng.normal(size=(N, 2)), rng.choice([0.1, 0.7, 2.0], N), np.ones(N)]
    X[::8, 0] = np.nan
    y = X[:, 1] + (X[:, 2] == 0.7)
    X[:, :2] = X[:, :2].astype(np.float32)
    of = TabularMLPRegressor if kind == "regression" else TabularMLPClassifier
    model = of(categorical_features=[2], **SMALL).fit(X, y if kind == "regression" else y > 0.5)
    X[:3, 2] = [np.nan, 0.2, 0.1]
    session = assert_agrees(model, X, dtype=dtype)
    assert [each.name for each in session.get_inputs()] == ["X"]


@pytest.mark.parametrize("zipmap", [False, True])
def test_probabilities_as_dicts(zipmap, fitted):
    """From label to number."""
    model, frame = fitted("binary"), make_frame()
    session = onnxruntime.InferenceSession(to_onnx(model, zipmap=zipmap).SerializeToString())
    _, got = session.run(None, fed(session, frame))
    if zipmap:
        got = [[row[label] for label in model.classes_] for row in got]
    assert_allclose(got, model.predict_proba(frame), atol=1e-5)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_encoder_before_a_network(dtype, given):
    """`TableEncoder` in a pipeline, with target encodings."""
    frame = make_frame()
    network = MLPClassifier((8,), solver="lbfgs", alpha=1.0, max_iter=999, random_state=0)
    model = make_pipeline(TableEncoder(random_state=0), network)
    model.fit(frame, make_targets("multiclass", frame))
    assert_agrees(model, later(frame), frame if given else None, dtype=dtype)


def test_an_encoder_of_a_table_of_words():
    """One input of text."""
    words = np.random.default_rng(0).choice(["a", "b", "c"], (N, 2)).astype(object)
    network = MLPClassifier((4,), solver="lbfgs", alpha=1.0, max_iter=999, random_state=0)
    model = make_pipeline(TableEncoder(), network).fit(words, words[:, 0] == words[:, 1])
    words[:2, 0] = "d"
    session = assert_agrees(model, words)
    assert [each.type for each in session.get_inputs()] == ["tensor(string)"]


def test_an_estimator_inside_of_another_is_refused(fitted):
    """The error says what can be converted."""
    frame = make_frame()[["age", "income"]]
    model = VotingClassifier([("table", TabularMLPClassifier(**SMALL))])
    model.fit(frame, make_targets("binary", make_frame()))
    with pytest.raises(ValueError, match="converts a TabularMLPClassifier by itself, and not insi"):
        to_onnx(model)


def test_numbers_for_words_are_refused(fitted):
    """As `predict` refuses them."""
    frame = make_frame().assign(sex=1.0)
    with pytest.raises(ValueError, match="column 'sex', and text was fitted"):
        to_onnx(fitted("binary"), frame)


def test_a_column_called_as_an_output_is_refused():
    """ONNX has one name for one thing."""
    frame = make_frame()[["age", "income"]].rename(columns={"age": "label"})
    model = TabularMLPClassifier(**SMALL).fit(frame, make_targets("binary", make_frame()))
    with pytest.raises(ValueError, match="An output of the model is called 'label'"):
        to_onnx(model)


def test_every_average_of_members_is_known():
    """The table is as long as that of the network."""
    assert AVERAGES.keys() == AVERAGES_OF_NETWORKS.keys()
