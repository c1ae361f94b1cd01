"""Where a fit computes: what `device` takes, and that a GPU changes where but not what."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sklmlp.runtime import resolve_device, resolve_dtype
from tests.tables import KINDS, make, make_pair, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def one_card(monkeypatch):
    """A machine that says that it has one GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)


@pytest.mark.parametrize("device", ["auto", "cpu", "cpu:0", torch.device("cpu")])
def test_the_cpu(device, kind):
    """Without a GPU "auto" is the CPU, which has several spellings."""
    X, y = make_table(kind)
    model = make(kind, device=device).fit(X, y)
    assert model.device_.type == "cpu"
    assert {p.device.type for p in model.module_.parameters()} == {"cpu"}


@pytest.mark.parametrize(
    ("device", "message"),
    [
        ("cuda", r"device='cuda' is not available on this machine; choose 'auto' or 'cpu'"),
        ("cuda:1", r"device='cuda:1' is not available on this machine"),
        (torch.device("cuda"), r"is not available on this machine"),
        ("meta", r"device='meta' is not available on this machine"),
        ("gpu", r"device takes 'auto', 'cpu', 'cuda', 'cuda:0' and the like or 'mps', got 'gpu'"),
        ("", r"device takes 'auto'.* got ''"),
    ],
)
def test_devices_that_are_not_there(device, message, kind):
    """A device that this machine has not, or torch does not know, is an error at `fit`."""
    model = make(kind, device=device)
    with pytest.raises(ValueError, match=message):
        model.fit(*make_table(kind))
    assert not hasattr(model, "coefs_")


@pytest.mark.parametrize("device", [0, None, ["cpu"]])
def test_what_is_no_device(device):
    """Anything but a name or a torch.device is scikit-learn's error for parameters."""
    with pytest.raises(ValueError, match="The 'device' parameter of MLPRegressor must be"):
        make("regression", device=device).fit(*make_table("regression"))


def test_mps_is_not_everywhere(monkeypatch):
    """ "mps" is accepted where torch has it, and refused elsewhere."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match="device='mps' is not available"):
        make("regression", device="mps").fit(*make_table("regression"))
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device("mps").type == "mps"


def test_auto_is_the_card_where_there_is_one(one_card):
    """ "auto" takes a GPU before the CPU."""
    assert resolve_device("auto").type == "cuda"
    assert resolve_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(ValueError, match="device='cuda:1' is not available"):
        resolve_device("cuda:1")


@pytest.mark.parametrize(
    ("device", "dtype", "rows", "expected"),
    [
        ("cpu", "auto", np.float64, np.float64),
        ("cpu", "auto", np.float32, np.float32),
        ("cpu", "auto", np.int64, np.float64),
        ("cpu", "float32", np.float64, np.float32),
        ("cuda", "auto", np.float64, np.float32),
        ("cuda", "auto", np.float32, np.float32),
        ("cuda", "float64", np.float32, np.float64),
        ("mps", "auto", np.float64, np.float32),
        ("mps", "float32", np.float64, np.float32),
    ],
)
def test_dtypes_of_devices(device, dtype, rows, expected):
    """ "auto" follows X on the CPU and is float32 on a GPU; a named dtype is what is named."""
    assert resolve_dtype(dtype, np.dtype(rows), torch.device(device)) == expected


def test_mps_has_no_float64():
    """float64 on "mps" is an error that says so."""
    with pytest.raises(ValueError, match="dtype='float64' is not available on device='mps'"):
        resolve_dtype("float64", np.dtype(np.float64), torch.device("mps"))


def test_a_model_of_another_machine():
    """A model that was fitted on a GPU predicts on the CPU where there is none."""
    X, y = make_table("multiclass")
    model = make("multiclass").fit(X, y)
    expected = model.predict_proba(X)
    model._device = "cuda:3"
    state = model.__getstate__()
    moved = make("multiclass")
    moved.__setstate__(state)
    assert moved.device_ == torch.device("cpu")
    assert_allclose(moved.predict_proba(X), expected)


@pytest.mark.cuda
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_card_gives_the_same_numbers(kind, solver, early_stopping):
    """In float64 a GPU learns scikit-learn's weights, from the same starts and orders."""
    X, y = make_table(kind)
    early_stopping &= solver != "lbfgs"
    options = {"solver": solver, "early_stopping": early_stopping, "batch_size": 16}
    ours, theirs = make_pair(kind, device="cuda", dtype="float64", **options)
    weight = np.linspace(0.5, 1.5, 60)
    ours.fit(X, y, sample_weight=weight)
    theirs.fit(X, y, sample_weight=weight)
    assert ours.device_.type == "cuda"
    for got, expected in zip(ours.coefs_, theirs.coefs_, strict=True):
        assert_allclose(got, expected, rtol=1e-6, atol=1e-9)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-5)


@pytest.mark.cuda
@pytest.mark.parametrize("activation", ["relu", "prelu", "rrelu", "multihead_attention", "glu"])
def test_auto_on_a_card(activation):
    """ "auto" takes the GPU in float32, and predicts in X's dtype."""
    X, y = make_table("multiclass")
    model = make("multiclass", activation=activation, max_iter=20).fit(X, y)
    assert model.device_.type == "cuda"
    assert model.coefs_[0].dtype == np.float32
    assert model.predict_proba(X).dtype == np.float64
    assert {p.device.type for p in model.module_.parameters()} == {"cuda"}
    assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-6)


@pytest.mark.cuda
def test_partial_fit_on_a_card():
    """`partial_fit` goes on with the moments that it left on the GPU."""
    X, y = make_table("regression")
    ours, theirs = make_pair("regression", device="cuda", dtype="float64")
    for _ in range(4):
        ours.partial_fit(X, y)
        theirs.partial_fit(X, y)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6)


@pytest.mark.cuda
def test_from_a_card_to_the_cpu(monkeypatch):
    """A model that was fitted on a GPU is loaded where there is none, and predicts alike."""
    X, y = make_table("multiclass")
    model = make("multiclass", device="cuda", max_iter=20).fit(X, y)
    expected, stored = model.predict_proba(X), pickle.dumps(model)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    loaded = pickle.loads(stored)
    assert loaded.device_ == torch.device("cpu")
    assert_allclose(loaded.predict_proba(X), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.cuda
def test_weights_written_on_a_card_s_model():
    """Writing into `coefs_` of a model on a GPU changes what it predicts."""
    X, y = make_table("regression")
    model = make("regression", device="cuda").fit(X, y)
    model.predict(X)
    model.coefs_[-1][:] = 0
    assert_allclose(model.predict(X), model.intercepts_[-1][0], rtol=1e-6)
