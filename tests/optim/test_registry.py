"""The table of solvers: one entry is a new solver."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from sklmlp.optim import SOLVERS, Solver, lookup_solver, register_solver
from tests.optim.plain_torch import Lion
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def lion():
    """The table with one entry more."""
    register_solver(Solver("lion", Lion, is_elementwise=True))
    yield
    del SOLVERS["lion"]


def test_one_entry_is_enough(lion):
    """A solver that torch lacks trains, takes its arguments, and goes on from a pickle."""
    X, y = make_table("regression")
    params = {"solver": "lion", "learning_rate_init": 0.01, "alpha": 0.0}
    one = make("regression", **params, max_iter=1).fit(X, y)
    start = make("regression", alpha=0.0, max_iter=1, learning_rate_init=1e-300).fit(X, y)
    steps = np.concatenate([(a - b).ravel() for a, b in zip(one.coefs_, start.coefs_, strict=True)])
    assert set(np.abs(steps).round(9)) <= {0.0, 0.01}
    model = make("regression", **params, solver_params={"betas": (0.5, 0.9)})
    model.partial_fit(X, y).partial_fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.partial_fit(X, y).predict(X), model.partial_fit(X, y).predict(X))


def test_arguments_of_one_entry_are_checked(lion):
    """What it does not take is refused with what it takes."""
    X, y = make_table("regression")
    with pytest.raises(ValueError) as caught:
        make("regression", solver="Lion", solver_params={"momentum": 0.9}).fit(X, y)
    assert str(caught.value) == (
        "solver 'Lion' has no argument 'momentum'; solver_params takes 'betas'."
    )


def test_no_solver_of_this_name():
    """Without an entry the name is unknown, and the closest is asked for."""
    with pytest.raises(ValueError, match=r"^solver 'lion' is not known\. "):
        lookup_solver("lion")
    with pytest.raises(ValueError, match=r"^solver 'LBFGS' is not known. Did you mean 'lbfgs'\?"):
        lookup_solver("LBFGS")


@pytest.mark.parametrize("name", SOLVERS)
def test_flags(name):
    """Only SGD follows scikit-learn's schedules, and only L-BFGS is not stochastic."""
    assert SOLVERS[name].supports_sklearn_schedules == (name == "sgd")
    assert SOLVERS[name].is_stochastic == (name != "lbfgs")
    assert lookup_solver(name) is SOLVERS[name]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_files_know_our_optimizers(name, momentum):
    """The checks of a model file pass the options and moments that a fit leaves behind."""
    X, y = make_table("regression")
    state = make("regression", solver=name, momentum=momentum).fit(X, y)._optimizer
    kind = SOLVERS[name].optimizer
    assert set(state["options"]) == {"lr", *kind.option_checks}
    assert all(holds(state["options"][option]) for option, holds in kind.option_checks.items())
    assert set(state["moments"]) == kind.names_of_moments(state["options"])
