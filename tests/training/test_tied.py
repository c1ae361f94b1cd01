"""The training step of members that share their matrices, against autograd."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import sklmlp
import sklmlp.training.stacking
from sklmlp.nn import TiedNetwork, bin_edges, pad_edges
from sklmlp.training.steps import AutogradStep, TiedStep

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N, N_NUMBERS, N_COLUMNS = 90, 3, 5
BLOCKS = [0, 1, 2, 3, 3]


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


def make_tied(kind, average, n_numbers=N_NUMBERS, hidden=(7, 6), dropout=0.0, **params):
    """A multilayer perceptron whose module is a `TiedNetwork`."""
    X, y = make_rows(kind)
    edges = pad_edges([bin_edges(X[:, j], 6) for j in range(n_numbers)])
    module_params = {
        "edges": edges, "blocks": BLOCKS, "hidden_layer_sizes": hidden, "n_members": 3,
        "embedding_size": 2, "dropout": dropout, "average": average,
    }  # fmt: skip
    is_class = kind in ("binary", "multiclass", "multilabel")
    make = sklmlp.MLPClassifier if is_class else sklmlp.MLPRegressor
    shared = {"module": TiedNetwork, "batch_size": 16, "max_iter": 4, "random_state": 0}
    return make(**shared | {"module_params": module_params} | params), X, y


def both_ways(monkeypatch, *args, **params):
    """Fit by the step by hand, and by autograd."""
    fitted = []
    for steps in ([TiedStep], [AutogradStep]):
        monkeypatch.setattr(sklmlp.training.stacking, "STEPS", steps)
        mlp, X, y = make_tied(*args, **params)
        fitted.append(mlp.fit(X, y, sample_weight=np.arange(N) % 3))
    return *fitted, X


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
    "one hidden layer": ("multiclass", "softmax", {"hidden": (5,)}),
    "no hidden layer": ("multiclass", "softmax", {"hidden": ()}),
}


@pytest.mark.parametrize("case", CASES)
def test_by_hand_is_by_autograd(case, monkeypatch):
    """Weights and losses after some epochs are those of autograd."""
    kind, average, params = CASES[case]
    hand, autograd, X = both_ways(monkeypatch, kind, average, **params)
    assert_allclose(hand.loss_curve_, autograd.loss_curve_, rtol=1e-10)
    assert_allclose(hand.predict(X[:20]), autograd.predict(X[:20]), rtol=1e-9)
    for name, value in autograd.module_.state_dict().items():
        assert_allclose(hand.module_.state_dict()[name], value, rtol=1e-8, atol=1e-10, err_msg=name)


def test_by_hand_is_by_autograd_with_dropout(monkeypatch):
    """So they are where units are dropped, in the same places."""

    def kept(shape):
        return np.random.RandomState(shape[1]).binomial(1, 0.7, size=tuple(shape)) / 0.7

    def mask(self, shape, like):
        return like.new_tensor(kept(shape))

    def masks(self, shapes):
        return [self.network.flat.new_tensor(kept(shape)) for shape in shapes]

    monkeypatch.setattr(TiedNetwork, "_mask", mask)
    monkeypatch.setattr(TiedStep, "masks", masks)
    hand, autograd, _ = both_ways(monkeypatch, "multiclass", "softmax", dropout=0.3)
    assert_allclose(hand.loss_curve_, autograd.loss_curve_, rtol=1e-10)
    for name, value in autograd.module_.state_dict().items():
        assert_allclose(hand.module_.state_dict()[name], value, rtol=1e-8, atol=1e-10, err_msg=name)
