"""An instance of `Loss` as the loss of an estimator."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.metrics import mean_tweedie_deviance
from torch import nn

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.io import to_onnx
from sklmlp.losses import Loss, TargetRange, log_sigmoid
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

POSITIVE = TargetRange(0.0)


def poisson(z, y):
    return (torch.xlogy(y, y) - y * z - y + z.exp()).sum(-1)


def poisson_gradient(z, y):
    return z.exp() - y


def squared(z, y):
    return 0.5 * (z - y).square().sum(-1)


def of_class(z, y):
    return nn.functional.cross_entropy(z, y, reduction="none")


def of_each(z, y):
    return nn.functional.binary_cross_entropy_with_logits(z, y, reduction="none").sum(1)


def margin(z, y):
    return (1 - (2 * y - 1) * z).relu().sum(-1)


def margin_of_class(z, y):
    return margin(z, nn.functional.one_hot(y, z.shape[1]))


def tweedie(z, y):
    """Half the Tweedie deviance of power 1.5 of exp(z)."""
    mu = z.exp()
    return (4 * y.sqrt() - 2 * y / mu.sqrt() - 2 * mu.sqrt()).neg().sum(-1)


OURS = {
    "poisson": (poisson, "regression", {"link": "exp", "target_range": POSITIVE}),
    "squared_error": (squared, "regression", {}),
    "log_loss": (of_class, "multiclass", {}),
    "binary_log_loss": (of_each, "binary", {}),
    "multilabel_log_loss": (of_each, "multilabel", {}),
    "hinge": (margin_of_class, "multiclass", {"has_probabilities": False}),
    "binary_hinge": (margin, "binary", {"has_probabilities": False}),
}
OPTIONS = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.01},
    "lbfgs": {"solver": "lbfgs"},
    "batches": {"batch_size": 16},
    "ensemble": {"n_estimators": 2},
    "early stopping": {"early_stopping": True},
}


def data(kind, loss):
    X, y = make_table(kind)
    return X, np.abs(y) if loss.target_range.is_positive else y


def outputs(model, X):
    names = ("predict", "predict_proba", "decision_function")
    return {name: getattr(model, name)(X) for name in names if hasattr(model, name)}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", OURS)
def test_an_instance_learns_what_the_equal_built_in_loss_learns(name, options):
    """Predictions, scores, the link and the tags are those of the loss of the table."""
    value, kind, more = OURS[name]
    loss = Loss("mine", value, **more)
    X, y = data(kind, loss)
    built_in = make(kind, loss=name.split("_", 1)[-1] if "_l" in name or "_h" in name else name)
    if name in ("squared_error", "log_loss"):
        built_in.set_params(loss=name)
    built_in.set_params(**OPTIONS[options]).fit(X, y)
    mine = make(kind, loss=loss, **OPTIONS[options]).fit(X, y)
    got, expected = outputs(mine, X), outputs(built_in, X)
    assert got.keys() == expected.keys()
    for method, output in got.items():
        assert_allclose(output, expected[method], 1e-6, 1e-6)
    assert mine.out_activation_ == built_in.out_activation_
    assert_allclose(mine.score(X, y), built_in.score(X, y))
    tags, others = mine.__sklearn_tags__(), built_in.__sklearn_tags__()
    assert tags.target_tags.positive_only == others.target_tags.positive_only


@pytest.mark.parametrize("options", ["adam", "lbfgs", "batches"])
def test_a_gradient_that_is_given_is_what_is_descended(options):
    """A gradient, right or wrong, stands in place of autograd's."""
    X, y = data("regression", Loss("mine", poisson, link="exp", target_range=POSITIVE))
    gradients = {"given": poisson_gradient, "none": None, "zero": lambda z, y: torch.zeros_like(z)}
    models = {
        name: make(
            "regression", loss=Loss("mine", poisson, g, "exp"), alpha=0.0, **OPTIONS[options]
        ).fit(X, y)
        for name, g in gradients.items()
    }
    assert_allclose(models["given"].predict(X), models["none"].predict(X), 1e-6)
    initial = make("regression", loss="poisson", alpha=0.0, solver="adam", max_iter=1)
    start = initial.set_params(learning_rate_init=1e-300).fit(X, y).predict(X)
    assert_allclose(models["zero"].predict(X), start, 1e-6)


def test_a_loss_that_the_table_does_not_have():
    """The Tweedie deviance falls as scikit-learn's metric does."""
    X, y = make_table("regression")
    y = np.abs(y)
    loss = Loss("tweedie", tweedie, link="exp", target_range=POSITIVE)
    model = make("regression", loss=loss, alpha=0.0, solver="lbfgs", max_iter=100).fit(X, y)
    deviance = mean_tweedie_deviance(y, model.predict(X), power=1.5) / 2
    constant = mean_tweedie_deviance(y, np.full(len(y), y.mean()), power=1.5) / 2
    assert_allclose(tweedie(torch.tensor(model.predict(X)).log()[:, None],
                            torch.tensor(y)[:, None]).mean().item(), deviance)  # fmt: skip
    assert deviance < 0.8 * constant


def test_clones_pickles_and_get_params_keep_the_instance():
    """An instance is kept as it is; a pickle refers to its functions by name."""
    loss = Loss("mine", poisson, poisson_gradient, "exp", POSITIVE)
    X, y = data("regression", loss)
    model = make("regression", loss=loss).partial_fit(X, y)
    assert clone(model).loss is loss
    assert model.get_params()["loss"] is loss
    again = pickle.loads(pickle.dumps(model))
    assert again.loss == loss
    assert_array_equal(again.predict(X), model.predict(X))
    assert_array_equal(again.partial_fit(X, y).predict(X), model.partial_fit(X, y).predict(X))


def test_repr():
    """The repr says what was given, functions by name."""
    loss = Loss("mine", poisson, poisson_gradient, "exp", POSITIVE)
    assert repr(loss) == (
        "Loss(name='mine', value=poisson, gradient=poisson_gradient, link='exp', "
        "target_range='y >= 0')"
    )
    assert repr(MLPRegressor(Loss("mine", squared))) == (
        "MLPRegressor(loss=Loss(name='mine', value=squared))"
    )


def test_a_link_of_ones_own():
    """Predictions are what a function makes of logits."""
    X, y = make_table("regression")
    loss = Loss("mine", squared, link=torch.nn.functional.softplus)
    model = make("regression", loss=loss).fit(X, y)
    logits = X
    for i, (coef, intercept) in enumerate(zip(model.coefs_, model.intercepts_, strict=True)):
        logits = logits @ coef + intercept
        logits = logits if i == len(model.coefs_) - 1 else np.maximum(logits, 0)
    assert_allclose(model.predict(X), np.log1p(np.exp(logits))[:, 0])
    assert model.out_activation_ == "softplus"


@pytest.mark.parametrize("params", [{"dtype": "float32"}, {"normalize_y": True}], ids=str)
def test_onnx_has_the_named_links(params):
    """A model with a user's loss and a link of the table is exported."""
    reference = pytest.importorskip("onnx.reference")
    X, y = data("regression", Loss("mine", poisson, target_range=POSITIVE))
    loss = Loss("mine", poisson, link="exp", target_range=POSITIVE)
    model = make("regression", loss=loss, **params).fit(X, y)
    (got,) = reference.ReferenceEvaluator(to_onnx(model)).run(None, {"X": X.astype("f4")})
    assert_allclose(got.ravel(), model.predict(X), rtol=1e-4)


def test_onnx_does_not_guess_a_link_of_ones_own():
    """A function as the link is refused, also under the name of another."""

    def exp(z):
        return 2 * z

    X, y = make_table("regression")
    pytest.importorskip("onnx")
    with pytest.raises(ValueError) as caught:
        to_onnx(make("regression", loss=Loss("mine", squared, link=exp)).fit(X, y))
    assert str(caught.value) == (
        "to_onnx has no operators for the link 'exp' of the loss 'mine'. It has for exp, identity, "
        "logistic, softmax."
    )


@pytest.mark.parametrize(
    "takes, y, message",
    [
        (TargetRange(0.0), -1.0, "takes y >= 0; the least is -1.0."),
        (TargetRange(0.0, includes_low=False), 0.0, "takes y > 0; the least is 0.0."),
        (TargetRange(0.0, 1.0), 2.0, "takes 0 <= y <= 1; the largest is 2.0."),
        (TargetRange(0.0, 1.0, False, False), 1.0, "takes 0 < y < 1; the largest is 1.0."),
        (TargetRange(high=1.0), 2.0, "takes y <= 1; the largest is 2.0."),
    ],
    ids=str,
)
def test_targets_out_of_the_range(takes, y, message):
    """The error names the loss, its range and the value that is outside."""
    X = np.random.default_rng(0).normal(size=(20, 2))
    targets = np.full(20, 0.5)
    targets[3] = y
    with pytest.raises(ValueError) as caught:
        MLPRegressor(Loss("mine", squared, target_range=takes)).fit(X, targets)
    assert str(caught.value) == (
        f"Some value(s) of y are out of the valid range of the loss 'mine', which {message}"
    )


def test_normalize_y_with_a_range_that_scaling_leaves():
    """Targets between two bounds are not scaled to mean 0."""
    X, y = np.ones((20, 2)), np.full(20, 0.5)
    loss = Loss("mine", squared, target_range=TargetRange(0.0, 1.0))
    with pytest.raises(ValueError) as caught:
        MLPRegressor(loss, normalize_y=True).fit(X, y)
    assert str(caught.value) == (
        f"normalize_y=True does not go with loss={loss!r}, which takes 0 <= y <= 1: scaled targets "
        "are outside of that. Use normalize_y=False."
    )


def test_what_a_loss_refuses():
    """Unknown links, links for a classifier, and gradients of another shape are refused."""
    with pytest.raises(ValueError) as caught:
        Loss("mine", squared, link="log")
    assert str(caught.value) == (
        "link='log' of the loss 'mine' is not known. Use 'identity', 'exp', 'logistic', 'softmax', "
        "or a function of logits."
    )
    X, y = make_table("multiclass")
    loss = Loss("mine", of_class, link="exp")
    with pytest.raises(ValueError) as caught:
        MLPClassifier(loss=loss).fit(X, y)
    assert str(caught.value) == (
        f"loss={loss!r} has a link, and a classifier has its own: the softmax or logistic function "
        "for a loss with probabilities. Leave link=None."
    )
    X, y = make_table("regression")
    with pytest.raises(ValueError) as caught:
        MLPRegressor(Loss("mine", squared, lambda z, y: (z - y)[:, 0])).fit(X, y)
    assert str(caught.value) == (
        f"The gradient of loss=mine returned shape ({len(X)},) for logits of shape ({len(X)}, 1); "
        "expected that shape."
    )


@pytest.mark.parametrize("early_stopping", [False, True])
def test_what_early_stopping_looks_at(early_stopping):
    """`stops_by_loss` makes the validation score the negative loss."""
    X, y = make_table("regression")
    model = make("regression", loss=Loss("m", squared, stops_by_loss=early_stopping))
    model.set_params(early_stopping=True).fit(X, y)
    equal = model.history_[-1]["valid_score"] == -model.history_[-1]["valid_loss"]
    assert equal == early_stopping


def test_no_probabilities():
    """Without probabilities there are decision values, and the error says so."""
    loss = Loss("mine", margin, has_probabilities=False)
    with pytest.raises(AttributeError) as caught:
        MLPClassifier(loss=loss).predict_proba  # noqa: B018
    assert str(caught.value.__cause__) == (
        "loss='mine' has no probabilities; it has decision_function."
    )
    assert hasattr(MLPClassifier(loss=loss), "decision_function")
    assert not hasattr(MLPClassifier(loss=Loss("mine", margin)), "decision_function")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_sigmoid_is_that_of_torch(dtype):
    """To the last bit, and where it is infinite or not a number."""
    z = torch.linspace(-800, 800, 20_001, dtype=dtype)
    z = torch.cat([z, z.new_tensor([0.0, 1e-30, np.inf, -np.inf, np.nan])]).requires_grad_()
    ours, theirs = log_sigmoid(z), nn.functional.logsigmoid(z)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)
    slopes = [torch.autograd.grad(each.sum(), z)[0] for each in (ours, theirs)]
    torch.testing.assert_close(*slopes, equal_nan=True)
