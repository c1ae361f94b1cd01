"""What a fit has learned: a history, a torch module, weights to look at and to write into."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import special
from sklearn.exceptions import NotFittedError
from sklearn.metrics import log_loss, mean_poisson_deviance, mean_squared_error

from tests.tables import KINDS, make, make_pair, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SOLVERS = ["adam", "sgd", "lbfgs"]


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("early_stopping", [False, True])
def test_history(solver, early_stopping, kind):
    """`history_` has a dict an epoch, which agrees with the curves."""
    X, y = make_table(kind)
    model = make(kind, solver=solver, early_stopping=early_stopping).fit(X, y)
    history = model.history_
    names = {"epoch", "train_loss", "lr", "seconds"}
    names |= {"train_score", "valid_loss", "valid_score"} if early_stopping else set()
    assert all(set(record) == names for record in history)
    assert [record["epoch"] for record in history] == list(range(1, model.n_iter_ + 1))
    assert [record["train_loss"] for record in history] == model.loss_curve_
    assert all(record["seconds"] > 0 for record in history)
    if early_stopping:
        assert [record["valid_score"] for record in history] == model.validation_scores_


def test_history_of_lbfgs():
    """lbfgs records an entry an iteration, whose loss falls to `loss_`."""
    X, y = make_table("regression")
    model = make("regression", solver="lbfgs", max_iter=20).fit(X, y)
    losses = [record["train_loss"] for record in model.history_]
    assert len(losses) == model.n_iter_ == 20
    assert (np.diff(losses) < 0).all()
    assert losses[-1] == model.loss_


@pytest.mark.parametrize("kind", ["binary", "multiclass", "regressions", "counts"])
def test_validation_loss_in_the_history(kind):
    """`valid_loss` is the loss of the held-out rows, without the penalty."""
    X, y = make_table(kind)
    model = make(kind, early_stopping=True, max_iter=1, validation_fraction=0.5, alpha=10.0)
    weight = np.random.default_rng(0).uniform(0.1, 3, 60)
    model.fit(X, y, sample_weight=weight)
    # the rows of the split: those that weights of zero take out of a model's validation loss
    candidates = []
    for i in range(60):
        without = np.where(np.arange(60) == i, 0.0, weight)
        twin = make(kind, early_stopping=True, max_iter=1, validation_fraction=0.5, alpha=10.0)
        twin.set_params(learning_rate_init=1e-300).fit(X, y, sample_weight=without)
        candidates.append(twin.history_[0]["valid_loss"])
    base = make(kind, early_stopping=True, max_iter=1, validation_fraction=0.5, alpha=10.0)
    base.set_params(learning_rate_init=1e-300).fit(X, y, sample_weight=weight)
    held_out = np.array(candidates) != base.history_[0]["valid_loss"]
    assert held_out.sum() == 30
    rows, targets, w = X[held_out], y[held_out], weight[held_out]
    expected = {
        "binary": lambda: log_loss(targets, model.predict_proba(rows), sample_weight=w),
        "multiclass": lambda: log_loss(targets, model.predict_proba(rows), sample_weight=w),
        "regressions": lambda: (
            mean_squared_error(targets, model.predict(rows), sample_weight=w) / 2
        ),
        "counts": lambda: mean_poisson_deviance(targets, model.predict(rows), sample_weight=w) / 2,
    }[kind]()
    assert_allclose(model.history_[0]["valid_loss"], expected)


def test_rates_in_the_history():
    """`lr` is the rate that the epoch was trained with, by each of sgd's schedules."""
    X, y = make_table("regression")
    options = {"solver": "sgd", "max_iter": 6, "learning_rate_init": 0.01}

    def rates(**more):
        return [record["lr"] for record in make("regression", **options, **more).fit(X, y).history_]

    assert rates() == [0.01] * 6
    expected = [0.01] + [0.01 / (60 * epoch + 1) ** 0.5 for epoch in range(1, 6)]
    assert_allclose(rates(learning_rate="invscaling"), expected)
    adaptive = rates(learning_rate="adaptive", tol=1e6, n_iter_no_change=1)
    assert_allclose(adaptive, [0.01, 0.01, 0.01, 0.002, 0.002, 0.0004])


@pytest.mark.parametrize("solver", SOLVERS)
def test_history_goes_on(solver):
    """A warm start and `partial_fit` go on counting the epochs; a new fit begins at one."""
    X, y = make_table("regression")
    model = make("regression", solver=solver, max_iter=3, warm_start=True).fit(X, y).fit(X, y)
    assert [record["epoch"] for record in model.history_] == [1, 2, 3, 4, 5, 6]
    if solver != "lbfgs":
        assert len(model.partial_fit(X, y).history_) == 7
    assert len(model.set_params(warm_start=False).fit(X, y).history_) == 3


def test_what_a_fit_learns_of_its_course():
    """lbfgs after adam leaves none of adam's curves, and they are lists of plain floats."""
    X, y = make_table("regression")
    model = make("regression", early_stopping=True).fit(X, y)
    for values in (model.loss_curve_, model.validation_scores_):
        assert isinstance(values, list)
        assert {type(value) for value in values} == {float}
    ours, theirs = make_pair("regression", solver="lbfgs")
    theirs.fit(X, y)
    ours.fit(X, y)
    for name in ("loss_curve_", "validation_scores_", "best_validation_score_"):
        assert hasattr(ours, name) == hasattr(theirs, name), name


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_module(kind, solver):
    """`module_` computes logits, of which the link makes what the estimator predicts."""
    X, y = make_table(kind)
    model = make(kind, solver=solver).fit(X, y)
    assert isinstance(model.module_, torch.nn.Module)
    with torch.no_grad():
        logits = model.module_(torch.from_numpy(X)).numpy()
    link = {
        "softmax": lambda z: special.softmax(z, axis=1),
        "logistic": special.expit,
        "identity": np.array,
        "exp": np.exp,
    }[model.out_activation_]
    expected = link(logits)
    if hasattr(model, "predict_proba"):
        prediction = model.predict_proba(X)
        prediction = prediction[:, 1:] if kind == "binary" else prediction
    else:
        prediction = model.predict(X).reshape(expected.shape)
    assert_allclose(prediction, expected, rtol=1e-9)


def test_module_has_the_layers():
    """The module is a sequence of the affine maps and the activations between them."""
    X, y = make_table("multiclass")
    module = make("multiclass", hidden_layer_sizes=(7, 4), activation="tanh").fit(X, y).module_
    kinds = [type(layer) for layer in module]
    assert kinds == [
        torch.nn.Linear,
        torch.nn.Tanh,
        torch.nn.Linear,
        torch.nn.Tanh,
        torch.nn.Linear,
    ]
    assert [layer.out_features for layer in module if isinstance(layer, torch.nn.Linear)] == [
        7,
        4,
        3,
    ]
    assert not module.training


def test_module_shares_memory():
    """Training the module in torch changes `coefs_` and what the estimator predicts."""
    X, y = make_table("regression")
    model = make("regression").fit(X, y)
    before, module = model.score(X, y), model.module_
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    for _ in range(200):
        optimizer.zero_grad()
        error = module(torch.from_numpy(X)).squeeze(1) - torch.from_numpy(y)
        error.square().mean().backward()
        optimizer.step()
    assert model.score(X, y) > max(before, 0.8)
    first = next(module.parameters()).numpy(force=True)
    assert np.shares_memory(first, model.coefs_[0])


def test_module_in_training_mode():
    """A module that its user left in training mode predicts as in prediction."""
    X, y = make_table("regression")
    model = make("regression", activation="rrelu").fit(X, y)
    expected = model.predict(X)
    model.module_.train()
    assert_array_equal(model.predict(X), expected)


def rewrite(model, how):
    """Double the first layer's weights and forget the last bias, in one of several ways."""
    if how == "in place":
        model.coefs_[0] *= 2
        model.intercepts_[-1][:] = 0
    elif how == "an entry":
        model.coefs_[0] = model.coefs_[0] * 2
        model.intercepts_[-1] = np.zeros_like(model.intercepts_[-1])
    elif how == "the list":
        model.coefs_ = [model.coefs_[0] * 2, *model.coefs_[1:]]
        model.intercepts_ = [*model.intercepts_[:-1], np.zeros_like(model.intercepts_[-1])]
    elif how == "another layout":
        model.coefs_[0] = np.asfortranarray(model.coefs_[0] * 2)[:, ::-1][:, ::-1]
        model.intercepts_[-1] = np.zeros(2 * len(model.intercepts_[-1]))[::2]
    elif how == "read-only":
        model.coefs_[0] = model.coefs_[0] * 2
        model.intercepts_[-1] = np.zeros_like(model.intercepts_[-1])
        model.coefs_[0].flags.writeable = model.intercepts_[-1].flags.writeable = False


@pytest.mark.parametrize("asked_before", [False, True])
@pytest.mark.parametrize("how", ["in place", "an entry", "the list", "another layout", "read-only"])
@pytest.mark.parametrize("kind", ["multiclass", "regression"])
def test_changed_weights_change_predictions(kind, how, asked_before):
    """Writing into `coefs_`, or assigning it, changes what the estimator predicts at once."""
    X, y = make_table(kind)
    ours, theirs = make_pair(kind, max_iter=20)
    ours.fit(X, y)
    theirs.fit(X, y)
    if asked_before:
        ours.predict(X), ours.module_
    rewrite(ours, how)
    rewrite(theirs, how)
    method = "predict_proba" if kind == "multiclass" else "predict"
    assert_allclose(getattr(ours, method)(X), getattr(theirs, method)(X), rtol=1e-6)
    with torch.no_grad():
        logits = ours.module_(torch.from_numpy(X)).numpy()
    assert_allclose(
        special.softmax(logits, 1) if kind == "multiclass" else logits.ravel(),
        getattr(theirs, method)(X),
        rtol=1e-6,
    )


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_changed_weights_are_trained_on(solver):
    """A warm start goes on from the weights that its user has written."""
    X, y = make_table("regression")
    ours, theirs = make_pair("regression", solver=solver, warm_start=True, max_iter=3)
    for model in (ours, theirs):
        rewrite(model.fit(X, y), "in place")
        model.fit(X, y)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6)


def test_a_fit_hands_out_fresh_arrays():
    """The arrays of one fit are not written into by the next."""
    X, y = make_table("regression")
    model = make("regression", warm_start=True).fit(X, y)
    kept, values = model.coefs_, [coef.copy() for coef in model.coefs_]
    model.fit(X, y)
    model.partial_fit(X, y)
    for coef, value in zip(kept, values, strict=True):
        assert_array_equal(coef, value)


@pytest.mark.parametrize("name", ["module_", "device_", "coefs_", "history_", "loss_"])
def test_nothing_is_learnt_before_a_fit(name, kind):
    """Learned attributes are absent, or say that nothing was fitted, before `fit`."""
    model = make(kind)
    with pytest.raises((AttributeError, NotFittedError)):
        getattr(model, name)
    with pytest.raises(NotFittedError):
        model.predict(make_table(kind)[0])
    assert not hasattr(model, "n_iter_")


def test_predicting_changes_nothing(kind):
    """Predicting, scoring and looking at the module leave the estimator's own state alone."""
    X, y = make_table(kind)
    model = make(kind).fit(X, y)
    before = dict(vars(model))
    model.predict(X), model.score(X, y), model.module_, model.device_
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
