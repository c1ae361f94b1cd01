"""A function of tensors as the loss."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import log_loss
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def halves(z, y):
    return 0.5 * (z - y).square().mean(1)


def summed(z, y):
    return 0.5 * (z - y).square().sum(1)


def of_class(z, y):
    return cross_entropy(z, y, reduction="none")


def of_each(z, y):
    return binary_cross_entropy_with_logits(z, y, reduction="none").sum(1)


FUNCTIONS = {
    "binary": of_each,
    "multiclass": of_class,
    "multilabel": of_each,
    "regression": halves,
    "regressions": summed,  # whose reported loss is the mean, and what is descended the sum
}
OPTIONS = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "lbfgs": {"solver": "lbfgs"},
    "adamw": {"solver": "adamw"},
    "batches": {"batch_size": 16},
    "float32": {"dtype": "float32"},
    "ensemble": {"n_estimators": 2},
    "early stopping": {"early_stopping": True, "scoring": "loss"},
    "by autograd": {"activation": "prelu"},
    "no hidden layer": {"hidden_layer_sizes": ()},
}


@pytest.mark.parametrize("options", OPTIONS)
def test_a_function_learns_what_the_built_in_loss_learns(options, kind):
    """The formula of a built-in loss, given as a function, ends in the same predictions."""
    X, y = make_table(kind)
    weight = np.random.default_rng(0).uniform(0.5, 2, len(X))
    built_in = make(kind, **OPTIONS[options]).fit(X, y, weight)
    custom = make(kind, loss=FUNCTIONS[kind], **OPTIONS[options]).fit(X, y, weight)
    tolerance = 1e-4 if options == "float32" else 1e-6
    prediction = "predict_proba" if hasattr(built_in, "predict_proba") else "predict"
    got, expected = getattr(custom, prediction)(X), getattr(built_in, prediction)(X)
    assert_allclose(got, expected, tolerance, tolerance)
    assert_array_equal(custom.predict(X).shape, built_in.predict(X).shape)
    if kind != "regressions" and options != "ensemble":
        assert_allclose(custom.loss_, built_in.loss_, rtol=1e-5)


def test_a_loss_of_torch_that_gives_a_value_per_sample():
    """An instance with reduction="none" is a function like any other, its class weights too."""
    X, y = make_table("multiclass")
    loss = nn.CrossEntropyLoss(reduction="none", weight=torch.tensor([1.0, 1.0, 30.0]).double())
    model = make("multiclass", loss=loss, max_iter=100).fit(X, y)
    assert (model.predict(X) == 2).mean() > 0.6
    assert (make("multiclass", max_iter=100).fit(X, y).predict(X) == 2).mean() < 0.6


def test_a_model_keeps_what_predictions_need():
    """Clones, pickles and partial fits go on with the function; the network stores none."""
    X, y = make_table("multiclass")
    model = make("multiclass", loss=of_class).fit(X, y)
    assert model._spec.loss_params == {}
    assert (model._spec.loss, model.out_activation_) == ("log_loss", "softmax")
    twin = pickle.loads(pickle.dumps(model))
    assert_array_equal(twin.predict_proba(X), model.predict_proba(X))
    assert twin.loss is of_class
    assert_array_equal(clone(model).fit(X, y).predict_proba(X), model.predict_proba(X))
    assert_allclose(model.partial_fit(X, y).loss_, log_loss(y, twin.predict_proba(X)), rtol=1e-2)


@pytest.mark.parametrize(
    "function, message",
    [
        (lambda z, y: (z - y).square(), "returned shape (60, 1) for 60 samples; expected one value "
         "per sample, shape (60,)."),
        (lambda z, y: (z - y).square().mean(), "returned shape () for 60 samples; expected one "
         "value per sample, shape (60,)."),
        (lambda z, y: None, "returned NoneType for 60 samples; expected one value per sample, "
         "shape (60,)."),
        (lambda z, y: (z.detach() - y)[:, 0], "returned values without a gradient; compute them "
         "from the logits by operations of torch."),
    ],
)  # fmt: skip
def test_what_is_no_loss_is_refused(function, message):
    """The error says what came back and what is expected."""
    X, y = make_table("regression")
    function.__qualname__ = "mine"
    with pytest.raises(ValueError) as caught:
        make("regression", loss=function).fit(X, y)
    assert str(caught.value) == f"loss=mine {message}"


def test_parameters_of_built_in_losses_have_no_effect():
    """Those of the built-in losses are refused with a function."""
    X, y = make_table("multiclass")
    with pytest.raises(ValueError) as caught:
        make("multiclass", loss=of_class, label_smoothing=0.1).fit(X, y)
    assert str(caught.value) == (
        "label_smoothing=0.1 has no effect with loss=of_class. Use loss='log_loss', or "
        "label_smoothing=0.0."
    )


@pytest.mark.parametrize("stratify", [False, True])
def test_a_validation_split_of_several_classes(stratify):
    """With `stratify` each class has its share of the rows that are held out."""
    X, y = make_table("multiclass", n_samples=300)
    seen = []

    def scorer(estimator, X, y):
        seen.append(np.bincount(y, minlength=3) / len(y))
        return 0.0

    options = {"early_stopping": True, "scoring": scorer, "validation_fraction": 0.3, "max_iter": 1}
    make("multiclass", stratify=stratify, **options).fit(X, y)
    training, held_out = seen
    assert np.allclose(training, held_out, atol=0.01) == stratify


def test_a_split_of_labels_is_not_stratified():
    """Multilabel targets have no classes to stratify by."""
    X, y = make_table("multilabel")
    with pytest.raises(ValueError) as caught:
        make("multilabel", early_stopping=True, stratify=True).fit(X, y)
    assert str(caught.value) == (
        "stratify=True is for one label a sample, and y has 3 labels; use stratify=False."
    )
