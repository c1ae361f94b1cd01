"""Whatever stands in a hidden layer, its output is what the output layer gets."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import nn

from sklmlp import MLPClassifier
from sklmlp.fitted_network import fitted_networks
from sklmlp.inspection import (
    GradientFlowDisplay,
    HiddenFeatures,
    HiddenUnitsDisplay,
    LossCurveDisplay,
    diagnose,
    linear_equivalent,
)
from sklmlp.nn.architecture import rows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

NETWORKS = {
    "batch normalization": {"normalization": "batch", "activation": "tanh"},
    "layer normalization and skips": {"normalization": "layer", "residual": True},
    "skips and dropout": {"residual": True, "dropout": 0.2, "activation": "tanh"},
    "dropout by layer": {"dropout": [0.1, 0.3], "activation": "prelu"},
    "gates": {"normalization": "rms", "activation": "glu"},
    "attention": {"activation": "multihead_attention"},
}


class Own(nn.Module):
    """A network of one's own."""

    def __init__(self, n_features_in, n_outputs):
        super().__init__()
        self.first = nn.Linear(n_features_in, 8)
        self.second = nn.Linear(8, n_outputs)

    def forward(self, x):
        return self.second(self.first(x).relu())


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS)
def network(request, digits):
    """A network with something besides affine maps and activations."""
    params = {"hidden_layer_sizes": (12, 8), "max_iter": 4, "random_state": 0}
    return MLPClassifier(**params, **request.param).fit(*digits)


def test_hidden_features_are_what_the_output_layer_gets(network, digits):
    """The last hidden layer's features through coefs_[-1] are the probabilities."""
    features = HiddenFeatures(network).fit(*digits).transform(digits[0])
    logits = features @ network.coefs_[-1] + network.intercepts_[-1]
    np.testing.assert_allclose(softmax(logits, 1), network.predict_proba(digits[0]), rtol=1e-6)


def test_facts_and_gradients(network, digits):
    """Activity is that of the hidden features; gradients reach every layer, and nothing changes."""
    X, y = digits
    before = network.predict_proba(X)
    facts = diagnose(network, X, y)
    for layer in (0, 1):
        features = HiddenFeatures(network, layer=layer).fit(X, y).transform(X)
        mean, std = facts.loc[f"hidden {layer}", ["mean", "std"]]
        np.testing.assert_allclose([mean, std], [features.mean(), features.std()], rtol=1e-6)
    display = GradientFlowDisplay.from_estimator(network, X, y)
    assert (display.start > 0).all()
    assert (display.end > 0).all()
    assert len(HiddenUnitsDisplay.from_estimator(network, X).bars_) == 2
    np.testing.assert_array_equal(network.predict_proba(X), before)


def test_the_table_counts_every_parameter(network):
    """Slopes, normalizations, projections and attention are counted with their layer."""
    total = sum(p.numel() for p in network.module_.parameters())
    shown = rows(network, fitted_networks(network))
    assert sum(int(count.replace(",", "")) for *_, count in shown) == total


@pytest.mark.parametrize("params", [{"normalization": "layer"}, {"residual": True}])
def test_more_than_affine_maps_in_a_row_is_not_folded(digits, params):
    """Normalization and skips are named in the error; without hidden layers there are none."""
    mlp = MLPClassifier((4,), activation="identity", max_iter=2, **params).fit(*digits)
    with pytest.raises(ValueError, match=f"more than affine maps in a row: {next(iter(params))}="):
        linear_equivalent(mlp)
    linear_equivalent(mlp.set_params(hidden_layer_sizes=()).fit(*digits))


def test_dropout_is_folded(digits):
    """In prediction there is no dropout, and the maps are one."""
    mlp = MLPClassifier((4,), activation="identity", dropout=0.5, max_iter=2).fit(*digits)
    coef, intercept = linear_equivalent(mlp)
    expected = softmax(digits[0] @ coef + intercept, 1)
    np.testing.assert_allclose(mlp.predict_proba(digits[0]), expected, rtol=1e-9)


def test_a_module_of_ones_own(digits):
    """Its layers are not known: loss curve and table are there, the rest says where to look."""
    X, y = digits
    mlp = MLPClassifier(module=Own, max_iter=3, random_state=0)
    assert [kind for _, kind, *_ in rows(mlp, [])] == ["Own"]
    mlp.fit(X, y)
    shown = rows(mlp, fitted_networks(mlp))
    assert [(name, count) for name, *_, count in shown] == [("first", "520"), ("second", "90")]
    assert mlp._repr_html_().count("sklmlp-architecture") == 1
    assert len(LossCurveDisplay.from_estimator(mlp).train_loss) == 3
    for look in (
        lambda: diagnose(mlp, X),
        lambda: linear_equivalent(mlp),
        lambda: HiddenFeatures(mlp).fit(X, y),
        lambda: GradientFlowDisplay.from_estimator(mlp, X, y),
    ):
        with pytest.raises(ValueError, match=r"module=Own, whose layers are not.*module_"):
            look()


def test_the_start_is_that_of_weight_init(digits):
    """Weights are drawn again as the fit drew them, whatever the rule."""
    X, y = digits
    params = {"hidden_layer_sizes": (6,), "random_state": 0, "weight_init": "orthogonal"}
    mlp = MLPClassifier(**params, max_iter=3, class_weight={"a": 2.0}).fit(X, y)
    start = GradientFlowDisplay.from_estimator(mlp, X, y).start
    begun = MLPClassifier(**params, max_iter=1, learning_rate_init=1e-300).fit(X, y)
    assert not np.allclose(begun.coefs_[0], mlp.coefs_[0])
    h = torch.from_numpy(np.maximum(X @ begun.coefs_[0] + begun.intercepts_[0], 0))
    W = torch.tensor(begun.coefs_[1], requires_grad=True)
    index = torch.from_numpy(np.searchsorted(mlp.classes_, y))
    z = h @ W + torch.from_numpy(begun.intercepts_[1])
    nn.functional.cross_entropy(z, index).backward()
    np.testing.assert_allclose(start[1], float(W.grad.norm()), rtol=1e-9)
