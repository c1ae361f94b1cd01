"""Rows: every kind of table is taken, none is copied or densified as a whole."""

import functools
import os
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone, is_classifier

from sklmlp.data import ConvertedRows, rows_of
from tests.pairwise import pairwise
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SPARSE = [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.csc_array]


def whole_numbers(kind):
    """A table whose X are small integers, which every dtype holds exactly."""
    X, y = make_table(kind)
    return np.round(3 * X).clip(0, 9), y


CONTAINERS = [
    np.ndarray.tolist,
    np.asfortranarray,
    lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    lambda X: X[::-1].copy()[::-1],
    lambda X: X.astype(">f8"),
    lambda X: X.astype(object),
    lambda X: X.astype(np.int64),
    lambda X: X.astype(np.uint8),
    lambda X: X.astype(np.int16),
    pd.DataFrame,
    lambda X: pd.DataFrame(X).astype("Int64"),
    lambda X: pl.DataFrame(X, schema=list("abcde")),
    np.ma.masked_array,
    torch.tensor,
    lambda X: torch.tensor(X, requires_grad=True),
    lambda X: torch.nn.Parameter(torch.tensor(X)),
    lambda X: [torch.tensor(row, requires_grad=True) for row in X],
    lambda X: torch.tensor(X).to(torch.int16),
    lambda X: X.astype(np.longdouble),
    *SPARSE,
    *(sparse.coo_matrix, sparse.coo_array, sparse.lil_matrix, sparse.lil_array),
    *(sparse.dok_matrix, sparse.dok_array, sparse.dia_matrix, sparse.dia_array),
    *(sparse.bsr_matrix, sparse.bsr_array),
]
KINDS = ["binary", "multiclass", "multilabel", "regression", "regressions"]


@functools.cache
def fitted_on_an_array(kind, solver):
    """The fit that each container is to give."""
    return make(kind, solver=solver).fit(*whole_numbers(kind))


@pytest.mark.parametrize("container, solver, kind", pairwise(CONTAINERS, ["adam", "lbfgs"], KINDS))
def test_every_container_gives_the_same_fit(container, solver, kind):
    """Lists, strided and swapped arrays, integers, frames and sparse tables all train alike."""
    X, y = whole_numbers(kind)
    expected = fitted_on_an_array(kind, solver)
    got = make(kind, solver=solver).fit(container(X), y)
    for a, b in zip(got.coefs_, expected.coefs_, strict=True):
        assert a.dtype == np.float64
        assert_allclose(a, b, rtol=1e-9, atol=1e-12)
    assert_allclose(got.predict(container(X)), expected.predict(X), rtol=1e-9)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int32, np.uint8, bool])
def test_what_is_computed_in(dtype, kind):
    """float32 computes in float32, everything else in float64, as scikit-learn does."""
    X, y = whole_numbers(kind)
    estimator = make(kind).fit((X > 1 if dtype is bool else X).astype(dtype), y)
    expected = np.float32 if dtype == np.float32 else np.float64
    assert {a.dtype.type for a in estimator.coefs_ + estimator.intercepts_} == {expected}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_what_tensors_are_computed_in(dtype):
    """Tensors are computed in as arrays are; bfloat16, which NumPy has not, in float32."""
    X, y = whole_numbers("regression")
    estimator = make("regression").fit(torch.tensor(X).to(dtype), y)
    expected = {torch.float32: np.float32, torch.bfloat16: np.float32}.get(dtype, np.float64)
    assert estimator.coefs_[0].dtype == expected
    same = make("regression").fit(X.astype(expected), y)
    assert_allclose(estimator.coefs_[0], same.coefs_[0], rtol=1e-6)


@pytest.mark.parametrize("asked", ["float32", "float64"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_dtype_parameter(asked, dtype):
    """`dtype=` decides what is computed in, whatever X is."""
    X, y = whole_numbers("regression")
    estimator = make("regression", dtype=asked).fit(X.astype(dtype), y)
    assert estimator.coefs_[0].dtype == asked
    assert next(estimator.module_.parameters()).numpy(force=True).dtype == asked


@pytest.mark.parametrize("fitted_on", [np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_answers_come_in_the_dtype_of_X(dtype, fitted_on):
    """Predicted values and probabilities have the dtype of the rows asked about."""
    for kind, method in [("regressions", "predict"), ("multiclass", "predict_proba")]:
        X, y = make_table(kind)
        estimator = make(kind).fit(X.astype(fitted_on), y)
        assert getattr(estimator, method)(X.astype(dtype)).dtype == dtype


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_float32_probabilities_sum_to_one(kind):
    """Probabilities are normalised in the dtype that they are returned in."""
    X, y = make_table(kind, n_samples=500)
    proba = make(kind).fit(X.astype(np.float32), y).predict_proba(X.astype(np.float32))
    assert_allclose(proba.sum(axis=1, dtype=np.float64), 1, atol=2 * np.finfo(np.float32).eps)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_feature_names(frame):
    """Names are learned, and rows with other names are refused with scikit-learn's message."""
    X, y = make_table("binary")
    named = frame({name: X[:, i] for i, name in enumerate("abcde")})
    estimator = make("binary").fit(named, y)
    assert_array_equal(estimator.feature_names_in_, list("abcde"))
    estimator.predict(named)
    swapped = frame({name: X[:, i] for i, name in enumerate("bacde")})
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.predict(swapped)
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        estimator.predict(X)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_read_only_arrays(solver):
    """Read-only rows, targets and weights train without a warning and stay as they are."""
    X, y = make_table("regression")
    weight = np.full(len(y), 2.0)
    before = X.copy(), y.copy(), weight.copy()
    for array in (X, y, weight):
        array.flags.writeable = False
    estimator = make("regression", solver=solver, early_stopping=solver == "adam")
    estimator.fit(X, y, sample_weight=weight).predict(X)
    for array, kept in zip((X, y, weight), before, strict=True):
        assert_array_equal(array, kept)


@pytest.mark.parametrize("dtype", ["float32", "float64", "longdouble", "uint8", "int64"])
def test_memory_maps_give_the_same_fit(dtype, tmp_path):
    """A memory-mapped table trains and predicts like the array that it holds."""
    X, y = whole_numbers("multiclass")
    X = X.astype(dtype)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    expected = make("multiclass").fit(X, y)
    got = make("multiclass").fit(mapped, y)
    for a, b in zip(got.coefs_, expected.coefs_, strict=True):
        assert_allclose(a, b, rtol=1e-5)
    assert_allclose(got.predict_proba(mapped), expected.predict_proba(X), rtol=1e-4)


PROLOGUE = """
import gc, threading, warnings
import numpy as np
from scipy import sparse
import sklmlp
from sklearn.exceptions import ConvergenceWarning
warnings.simplefilter("ignore", ConvergenceWarning)

def memory():  # MiB of our own; pages of mapped files belong to the system
    with open("/proc/self/status") as status:
        return int(dict(line.split(":", 1) for line in status)["RssAnon"].split()[0]) / 1024

def growth(function):
    gc.collect()
    before, highest, over = memory(), [0.0], threading.Event()
    def watch():
        while not over.wait(0.002):
            highest[0] = max(highest[0], memory())
    watcher = threading.Thread(target=watch)
    watcher.start()
    function()
    over.set()
    watcher.join()
    return highest[0] - before

def fit_and_predict(X, y, **options):
    model = sklmlp.MLPClassifier((4,), max_iter=1, max_fun=2, batch_size=256, **options)
    assert len(model.fit(X, y).predict(X)) == len(y)

rng = np.random.default_rng(0)
small = rng.normal(size=(512, 5))  # for what is loaded at first use
fit_and_predict(small, rng.integers(0, 2, 512), early_stopping=True)
fit_and_predict(sparse.csr_array(small), rng.integers(0, 2, 512), solver="lbfgs")
"""


def run(tmp_path, script):
    """What a script prints in a process of its own, after the prologue."""
    path = tmp_path / "script.py"
    path.write_text(PROLOGUE + textwrap.dedent(script), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_memory_maps_are_never_copied_whole(tmp_path):
    """Training, validating and predicting on mapped files of 288 MiB takes less than that."""
    printed = run(
        tmp_path,
        """
        for dtype in ("float32", "uint8"):  # computed in as it is, and converted
            n, d = 3 * 2**14, 6 * 2**10 // np.dtype(dtype).itemsize
            X = np.lib.format.open_memmap("FOLDER/X.npy", mode="w+", dtype=dtype, shape=(n, d))
            X[:, :2] = rng.integers(0, 9, (n, 2))
            y = (X[:, 0] > X[:, 1]).astype(int)
            del X
            X = np.load("FOLDER/X.npy", mmap_mode="r")
            print(dtype, growth(lambda: fit_and_predict(X, y, early_stopping=True)))
        """.replace("FOLDER", str(tmp_path)),
    )
    growths = dict(line.split() for line in printed.splitlines())
    assert set(growths) == {"float32", "uint8"}
    assert all(float(growth) < 240 for growth in growths.values()), growths


def test_sparse_tables_are_never_densified_whole(tmp_path):
    """A table that would take 1 GiB as an array trains and predicts in a fifth of that."""
    printed = run(
        tmp_path,
        """
        n, d = 2**13, 2**14
        entries = rng.normal(size=2 * n), (np.repeat(np.arange(n), 2), rng.integers(0, d, 2 * n))
        y = rng.integers(0, 2, n)
        for container, options in [
            (sparse.csr_array, {"early_stopping": True}),
            (sparse.csc_matrix, {"solver": "sgd"}),
            (sparse.csc_array, {"solver": "lbfgs"}),
        ]:
            X = container(entries, shape=(n, d))
            print(growth(lambda: fit_and_predict(X, y, **options)))
        """,
    )
    growths = [float(line) for line in printed.splitlines()]
    assert len(growths) == 3
    assert max(growths) < 200, growths


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("container", SPARSE)
def test_sparse_tables_with_early_stopping_and_partial_fit(container, early_stopping):
    """Sparse rows give what dense ones give, over a validation split and call by call."""
    X, y = whole_numbers("multiclass")

    def train(X):
        estimator = make("multiclass", early_stopping=early_stopping, batch_size=16).fit(X, y)
        estimator.set_params(early_stopping=False)
        return estimator.partial_fit(X, y).partial_fit(X, y)

    got, expected = train(container(X)), train(X)
    assert got.validation_scores_ == expected.validation_scores_
    assert_allclose(got.predict_proba(container(X)), expected.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize(
    "container, dtype, hidden, kind",
    pairwise(SPARSE, [np.float32, np.float64], [(), (5,), (40,), (40, 40)], KINDS),
)
def test_few_values_are_multiplied_sparse(container, dtype, hidden, kind):
    """Rows of few values are never made dense in training and predicting, with the same result."""
    rng = np.random.RandomState(0)
    dense = np.where(rng.rand(90, 60) < 0.04, rng.rand(90, 60), 0).astype(dtype)
    dense[:3] = 0  # rows without a value
    X, y = container(dense), make_table(kind, 90)[1]
    assert rows_of(X, torch.float64, "cpu").is_multiplied_sparse
    weight = rng.randint(0, 3, 90)
    model = make(kind, hidden_layer_sizes=hidden, batch_size=40, max_iter=10)
    expected = clone(model).fit(dense, y, weight)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConvertedRows, "take", None)
        patch.setattr("sklmlp.base.warn_of_failed_learning", lambda *args, **kwargs: None)
        got = clone(model).fit(X, y, weight)
        in_place = clone(model).set_params(shuffle=False).fit(X, y)
        prediction = got.predict(X)
    rtol = 1e-3 if dtype == np.float32 else 1e-9
    assert_allclose(got.loss_curve_, expected.loss_curve_, rtol=rtol)
    if is_classifier(model):
        assert (prediction == expected.predict(dense)).mean() > 0.98
    else:
        assert_allclose(prediction, expected.predict(dense), rtol=10 * rtol, atol=rtol)
    in_place_too = clone(model).set_params(shuffle=False).fit(dense, y)
    assert_allclose(in_place.loss_curve_, in_place_too.loss_curve_, rtol=rtol)


def test_many_rows_are_predicted_in_chunks(monkeypatch):
    """Predicting chunk by chunk gives the predictions of predicting at once."""
    X, y = make_table("regression")
    estimator = make("regression").fit(X, y)
    at_once = estimator.predict(X)
    monkeypatch.setattr("sklmlp.fitted_network.VALUES_AT_A_TIME", 56)  # seven rows of eight units
    assert_allclose(estimator.predict(X), at_once, rtol=1e-12)
