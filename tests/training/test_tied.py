"""The compiled step of members that share their matrices, against autograd."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import sklmlp
import sklmlp.training.stacking
from sklmlp.native import is_available
from sklmlp.nn import Network, TiedNetwork, bin_edges, pad_edges
from sklmlp.tabular.network import Plan, TiedClassifier, TiedRegressor
from sklmlp.training.steps import AutogradStep, CompiledStep
from tests.native.philox import kept

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.skipif(not is_available(), reason="the compiled engine is not built"),
]

N, N_NUMBERS, N_COLUMNS = 90, 3, 5
BLOCKS = [0, 1, 2, 3, 3]
BATCHES = 6  # five of 16 rows, and one of 10


def make_rows(kind):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(N, N_COLUMNS))
    X[:, 0] = X[:, 0].round(0)
    X[:, 3:] = X[:, 3:] > 0
    z = X[:, 0] - X[:, 1] ** 2 + X[:, 3]
    y = {
        "regression": z + 0.1 * rng.normal(size=N),
        "counts": rng.poisson(np.exp(0.3 * z)),
        "two outputs": np.c_[z, -z + X[:, 4]],
        "binary": z > 0,
        "multiclass": np.digitize(z, [-1, 0]),
        "multilabel": np.c_[z > 0, X[:, 1] > X[:, 2]].astype(int),
    }[kind]
    return X, y


def make_tied(
    kind,
    average,
    n_numbers=N_NUMBERS,
    n_levels=(),
    hidden=(7, 6),
    dropout=0.0,
    tied=False,
    **params,
):
    """A multilayer perceptron whose module is a `TiedNetwork`; `tied` is one for `fit_by`."""
    X, y = make_rows(kind)
    for j, n in enumerate(n_levels, N_COLUMNS - len(n_levels)):  # some codes are no level
        X[:, j] = np.random.RandomState(j).randint(-1, n + 1, N)
    edges = pad_edges([bin_edges(X[:, j], 6) for j in range(n_numbers)])
    module_params = {
        "edges": edges, "blocks": BLOCKS, "hidden_layer_sizes": hidden, "n_members": 3,
        "embedding_size": 2, "dropout": dropout, "average": average, "n_levels": n_levels,
    }  # fmt: skip
    estimators = (
        (TiedRegressor, TiedClassifier) if tied else (sklmlp.MLPRegressor, sklmlp.MLPClassifier)
    )
    make = estimators[kind in ("binary", "multiclass", "multilabel")]
    shared = {"module": TiedNetwork, "batch_size": 16, "max_iter": 4, "random_state": 0}
    return make(**shared | {"module_params": module_params} | params), X, y


def fit_by(step, monkeypatch, *args, plan=None, **params):
    """Fit by one step, by the optimizer of the estimator or by Muon."""
    monkeypatch.setattr(sklmlp.training.stacking, "STEPS", [step])
    mlp, X, y = make_tied(*args, tied=plan is not None, **params)
    weight = np.arange(N) % 3
    mlp.fit(X, y, weight) if plan is None else mlp.fit_by(plan, X, y, weight)
    return mlp


def assert_is_autograd(monkeypatch, *args, **params):
    """Weights, losses and predictions of the compiled step are those of autograd."""
    compiled, autograd = (
        fit_by(step, monkeypatch, *args, **params) for step in (CompiledStep, AutogradStep)
    )
    assert_allclose(compiled.loss_curve_, autograd.loss_curve_, rtol=1e-10)
    for name, value in autograd.module_.state_dict().items():
        ours = compiled.module_.state_dict()[name]
        assert_allclose(ours, value, rtol=1e-8, atol=1e-10, err_msg=name)


CASES = {
    "binary": ("binary", "logistic", {}),
    "multiclass": ("multiclass", "softmax", {}),
    "multilabel": ("multilabel", "logistic", {}),
    "squared error": ("regression", "identity", {"normalize_y": True}),
    "two outputs": ("two outputs", "identity", {}),
    "gaussian": ("regression", "gaussian", {"loss": "gaussian"}),
    "quantiles": ("regression", "identity", {"loss": "quantile", "quantile": [0.1, 0.9]}),
    "poisson": ("counts", "exp", {"loss": "poisson"}),
    "without numbers": ("multiclass", "softmax", {"n_numbers": 0}),
    "levels": ("multiclass", "softmax", {"n_levels": (4, 9)}),
    "levels alone": ("binary", "logistic", {"n_numbers": 0, "n_levels": (4,), "hidden": (5,)}),
    "levels, no hidden layer": ("regression", "identity", {"n_levels": (4,), "hidden": ()}),
    "one hidden layer": ("multiclass", "softmax", {"hidden": (5,)}),
    "no hidden layer": ("multiclass", "softmax", {"hidden": ()}),
    "wide": ("multiclass", "softmax", {"hidden": (37, 66, 3)}),
    "sgd": ("regression", "identity", {"solver": "sgd", "nesterovs_momentum": True}),
    "clipped": ("regression", "identity", {"max_grad_norm": 0.3, "alpha": 0.1}),
    "schedule": ("binary", "logistic", {"learning_rate": "cosine"}),
}


@pytest.mark.parametrize("case", CASES)
def test_compiled_is_autograd(case, monkeypatch):
    """Each loss, shape and optimizer has autograd's weights and losses after 24 steps."""
    kind, average, params = CASES[case]
    assert_is_autograd(monkeypatch, kind, average, **params)


MUON = {
    "square": {"hidden": (7, 7)},
    "wide and tall": {"hidden": (40, 9)},
    "clipped": {"max_grad_norm": 0.1, "alpha": 0.1},
    "levels": {"n_levels": (4, 9)},
}


@pytest.mark.parametrize("case", MUON)
def test_muon_is_that_of_torch(case, monkeypatch):
    """Muon turns matrices of any shape as torch's operators do, by the rates of coslog."""
    plan = Plan(3, matrix_factor=8.0, scale_factor=3.0, weight_decay=0.1)
    params = {"plan": plan, "dtype": "float64", "alpha": 0.0} | MUON[case]
    assert_is_autograd(monkeypatch, "multiclass", "softmax", **params)


def test_dropout_is_that_of_philox(monkeypatch):
    """Units are dropped by the random numbers of layer l k + i, and the others are stretched."""
    rate, n_layers, calls = 0.3, 2, []

    def mask(self, shape, like):
        step, layer = divmod(len(calls), n_layers)
        calls.append(shape)
        k, n, width = shape
        members = [kept(5, step, layer * k + i, n, width, rate) for i in range(k)]
        return like.new_tensor(np.array(members)) / (1 - rate)

    monkeypatch.setattr(TiedNetwork, "_mask", mask)
    monkeypatch.setattr(Network, "seed", lambda self, draw: setattr(self, "dropout_seed", 5))
    assert_is_autograd(monkeypatch, "multiclass", "softmax", dropout=rate)
    assert len(calls) == 4 * BATCHES * n_layers


def test_the_engine_trains_tables(monkeypatch):
    """The tabular estimators need no other step, with held-out rows, words and gaps or without."""
    monkeypatch.setattr(sklmlp.training.stacking, "STEPS", [CompiledStep])
    X, y = make_rows("multiclass")
    table = np.column_stack([X.astype(object), np.where(X[:, 1] > 0, "a", "b")])
    table[0, 2] = np.nan
    for params in ({}, {"numeric_embedding": None, "refit": False}):
        model = sklmlp.TabularMLPClassifier(max_iter=2, random_state=0, **params).fit(table, y)
        assert_allclose(model.predict_proba(table).sum(1), 1, rtol=1e-5)
