"""The table of losses: one entry is a new loss."""

import inspect
import pickle
from numbers import Real

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.utils._param_validation import Interval, InvalidParameterError

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.losses import (
    LOSSES,
    NAMES,
    SPELLINGS,
    Loss,
    LossEntry,
    TargetRange,
    loss_parameters,
    register_loss,
)
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

ESTIMATORS = {"classifier": MLPClassifier, "regressor": MLPRegressor}


def log_cosh(huber_delta=1.0):
    """delta^2 log cosh((z - y) / delta), of positive targets: a Huber loss without a corner."""

    def value(z, y):
        error = ((z - y) / huber_delta).abs()
        return huber_delta**2 * (error + torch.log1p((-2 * error).exp()) - np.log(2)).sum(-1)

    def gradient(z, y, out=None):
        return torch.mul(huber_delta, torch.tanh((z - y) / huber_delta), out=out)

    return Loss("log_cosh", value, gradient, "identity", TargetRange(0.0))


@pytest.fixture
def new_loss():
    """The table with one entry more."""
    delta = [Interval(Real, 0, None, closed="neither")]
    register_loss(LossEntry("log_cosh", log_cosh, "regressor", parameters={"huber_delta": delta}))
    yield
    del LOSSES["log_cosh"], SPELLINGS["regressor"]["log_cosh"]
    NAMES["regressor"].remove("log_cosh")


@pytest.mark.parametrize("solver", ["adam", "lbfgs", "adamw"])
def test_one_entry_is_enough(new_loss, solver):
    """A new loss fits, predicts, pickles, and takes its parameter."""
    X, y = make_table("regression")
    y = np.abs(y)
    params = {"solver": solver, "alpha": 0.0}
    sharp = make("regression", loss="log_cosh", huber_delta=0.1, **params).fit(X, y)
    round_ = make("regression", loss="log_cosh", huber_delta=1e4, **params).fit(X, y)
    squared = make("regression", loss="squared_error", **params).fit(X, y)
    assert_allclose(round_.predict(X), squared.predict(X), 1e-3, 1e-3)
    assert np.abs(sharp.predict(X) - squared.predict(X)).max() > 1e-3
    again = pickle.loads(pickle.dumps(sharp))
    assert_array_equal(again.predict(X), sharp.predict(X))
    assert again._spec.loss_params == {"huber_delta": 0.1}


def test_one_entry_is_validated(new_loss):
    """Its parameter, its targets and what goes with it are checked."""
    X, y = make_table("regression")
    model = MLPRegressor("log_cosh")
    assert model.__sklearn_tags__().target_tags.positive_only
    with pytest.raises(ValueError, match=r"of the loss 'log_cosh', which takes y >= 0; the least"):
        model.fit(X, -np.abs(y))
    with pytest.raises(InvalidParameterError, match="The 'huber_delta' parameter of MLPRegressor"):
        MLPRegressor("log_cosh", huber_delta=-1.0).fit(X, np.abs(y))
    with pytest.raises(InvalidParameterError, match="The 'loss' parameter of MLPClassifier"):
        MLPClassifier(loss="log_cosh").fit(X, y > 0)
    with pytest.raises(ValueError) as caught:
        MLPRegressor("poisson", huber_delta=2.0).fit(X, np.abs(y))
    assert str(caught.value) == (
        "huber_delta=2.0 has no effect with loss='poisson'. Use loss='huber', or huber_delta=1.0."
    )


def test_a_name_is_unknown_without_an_entry():
    """The names that an estimator takes are those of the table."""
    X, y = make_table("regression")
    with pytest.raises(InvalidParameterError, match="The 'loss' parameter of MLPRegressor"):
        MLPRegressor("log_cosh").fit(X, np.abs(y))


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_parameters_are_those_of_the_estimator(kind):
    """Each parameter of an entry has the estimator's default and its constraints."""
    signature = inspect.signature(ESTIMATORS[kind]).parameters
    for name in NAMES[kind]:
        for parameter, default in LOSSES[name].defaults.items():
            assert signature[parameter].default == default
    constraints = loss_parameters(kind)
    assert constraints.items() <= ESTIMATORS[kind]._parameter_constraints.items()


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_complete(name):
    """A built-in loss has a gradient, a link by name, and finite best constant logits."""
    loss = LOSSES[name].loss
    assert loss.gradient is not None
    assert loss.out_activation in ("identity", "exp", "logistic", "softmax", "ordered")
    assert loss.name == LOSSES[name].name
    assert LOSSES[name].estimator == ("classifier" if name in _of_classifiers() else "regressor")


def _of_classifiers():
    names = NAMES["classifier"]
    return {*names, *(f"binary_{name}" for name in names)}


@pytest.mark.parametrize("name", [n for n in LOSSES if LOSSES[n].loss.constant is not None])
def test_the_best_constant_is_the_best(name):
    """No small step away from the best constant logits lowers the weighted loss."""
    loss, rng = LOSSES[name].loss, np.random.default_rng(0)
    n_columns = 1 if LOSSES[name].estimator == "regressor" else 3
    y = torch.from_numpy(rng.gamma(2.0, size=(51, n_columns)))
    target = y
    if LOSSES[name].estimator == "classifier":
        index = torch.from_numpy(rng.integers(0, 3, 51))
        y = torch.nn.functional.one_hot(index, 3).double()
        target = y if name.startswith("binary") else index
    weight = torch.from_numpy(rng.dirichlet(np.ones(51)))
    objective = loss.objective or loss.value
    best = loss.constant(y, weight)

    def total(z):
        return float(weight @ objective(z.expand(51, len(z)), target))

    for step in rng.normal(scale=1e-3, size=(20, len(best))):
        assert total(best) <= total(best + torch.from_numpy(step)) + 1e-12
