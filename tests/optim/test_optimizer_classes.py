"""`solver` as a class of optimizers, or an entry that is not in the table."""

import io
import pickle
import re

import pytest
import skops.io
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils import estimator_html_repr

import sklmlp.search  # noqa: F401 - the joblib backend "sklmlp"
from sklmlp.io import load_skops
from sklmlp.optim import SOLVERS, Solver
from tests.optim.plain_torch import RATE, Lion, X, Y, assert_trains_as_torch, groups
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

LION = Solver("lion", Lion, is_elementwise=True)


class NeedsClosure(torch.optim.SGD):
    """An optimizer that looks at the loss several times a step."""

    def step(self, closure):
        """One step."""


CLASSES = {
    torch.optim.Adam: {"amsgrad": True, "weight_decay": 0.2},
    torch.optim.SGD: {"momentum": 0.9, "nesterov": True, "weight_decay": 0.2},
    torch.optim.NAdam: {"betas": (0.8, 0.99), "weight_decay": 0.2},
    Lion: {"betas": (0.5, 0.9)},
}


@pytest.mark.parametrize("activation", ["tanh", "prelu"])  # by hand, and by autograd
@pytest.mark.parametrize("optimizer", CLASSES)
def test_ten_steps_of_a_class_are_those_of_plain_torch(optimizer, activation):
    """A fit ends where the class itself takes the same module, given the same arguments."""
    given = CLASSES[optimizer]

    def plain(module):
        matrices, rest = groups(module, given.get("weight_decay", 0.0))
        if optimizer is Lion:  # it has no decay
            matrices, rest = ({"params": group["params"]} for group in (matrices, rest))
        return [optimizer([matrices, rest], lr=RATE, **given)]

    assert_trains_as_torch(plain, solver=optimizer, solver_params=given, activation=activation)


@pytest.mark.parametrize("solver", [Lion, LION], ids=["class", "entry"])
def test_an_entry_is_what_its_class_is(solver):
    """An entry trains as its class, one flat tensor at a time or not."""
    expected = make("regressions", solver=Lion).fit(X, Y)
    assert_array_equal(make("regressions", solver=solver).fit(X, Y).coefs_[0], expected.coefs_[0])


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_a_class_of_the_table_is_its_name(name):
    """A class that has a name trains as by that name, the matrices of Muon apart."""
    by_name = make("regressions", solver=name).fit(X, Y)
    by_class = make("regressions", solver=SOLVERS[name].optimizer).fit(X, Y)
    assert_array_equal(by_class.coefs_[0], by_name.coefs_[0])
    assert by_class.loss_curve_ == by_name.loss_curve_


def test_the_entry_of_lbfgs_is_lbfgs():
    """An entry of the table is what its name is, where it is not stochastic too."""
    model = make("regressions", solver=SOLVERS["lbfgs"]).fit(X, Y)
    assert_array_equal(model.coefs_[0], make("regressions", solver="lbfgs").fit(X, Y).coefs_[0])
    assert not hasattr(model, "partial_fit")
    assert hasattr(make("regressions", solver=Lion), "partial_fit")


@pytest.mark.parametrize("solver", [torch.optim.SGD, Lion, LION], ids=["torch", "class", "entry"])
def test_partial_fits_go_on_across_files(solver):
    """Moments go on across a pickle and a skops file, which trusts torch's classes."""
    params = {"solver": solver, "shuffle": False}
    if solver is torch.optim.SGD:
        params["solver_params"] = {"momentum": 0.9}
    whole = make("regressions", **params).partial_fit(X, Y).partial_fit(X, Y).partial_fit(X, Y)
    half = pickle.loads(pickle.dumps(make("regressions", **params).partial_fit(X, Y)))
    file = io.BytesIO(skops.io.dumps(half.partial_fit(X, Y)))
    trusted = [] if solver is torch.optim.SGD else [Lion]
    again = load_skops(file, trusted=trusted).partial_fit(X, Y)
    assert again.solver == solver
    assert_array_equal(again.coefs_[0], whole.coefs_[0])


def test_a_class_of_a_users_is_not_trusted_by_itself():
    """A skops file that names a user's class is refused with the name of it."""
    file = io.BytesIO(skops.io.dumps(make("regressions", solver=Lion).fit(X, Y)))
    with pytest.raises(ValueError, match=re.escape("tests.optim.plain_torch.Lion")):
        load_skops(file)


def test_a_class_without_a_path_is_refused_by_files_alone():
    """A class that is defined in a function trains and is cloned; saving it is an error."""

    class Local(Lion):
        """Not to be imported."""

    model = clone(make("regressions", solver=Local)).fit(X, Y)
    message = r"solver .*Local cannot be saved: it is defined inside a function .* Define it at "
    with pytest.raises(pickle.PicklingError, match=message):
        pickle.dumps(model)


@pytest.mark.parametrize("backend", ["sequential", "sklmlp"])
def test_a_search_goes_over_names_and_classes(backend):
    """A grid takes names, classes and entries, and the best one is refitted."""
    import joblib

    table = make_table("multiclass")
    grid = {"solver": ["adam", torch.optim.RAdam, LION], "learning_rate_init": [0.01]}
    with joblib.parallel_config(backend=backend):
        search = GridSearchCV(make("multiclass"), grid, cv=2).fit(*table)
    assert search.best_params_["solver"] in grid["solver"]
    for params, score in zip(
        search.cv_results_["params"], search.cv_results_["split0_test_score"], strict=True
    ):
        alone = GridSearchCV(make("multiclass"), {k: [v] for k, v in params.items()}, cv=2)
        assert alone.fit(*table).cv_results_["split0_test_score"][0] == score


def test_it_is_shown_as_what_was_given():
    """The repr names the class, and diagrams do."""
    model = make("regressions", solver=torch.optim.RAdam)
    assert "solver=<class 'torch.optim.radam.RAdam'>" in repr(model)
    assert "torch.optim.radam.RAdam" in estimator_html_repr(model.fit(X, Y))
    assert clone(model).get_params()["solver"] is torch.optim.RAdam
    assert model.set_params(solver__eps=0.1).solver_params == {"eps": 0.1}


@pytest.mark.parametrize(
    "params, error, message",
    [
        ({"solver": dict}, TypeError, "solver takes a name, a subclass of torch.optim.Optimizer, "),
        ({"solver": Solver("x", dict)}, TypeError, r"solver takes .* got <class 'dict'>\."),
        ({"solver": torch.optim.LBFGS}, ValueError, r"calls a closure .* Use solver='lbfgs', or "),
        ({"solver": NeedsClosure}, ValueError, r"NeedsClosure' calls a closure for more gradients"),
        ({"solver": torch.optim.SparseAdam}, ValueError, "does not support dense gradients"),
        ({"solver": Solver("adam", Lion)}, ValueError, "is another one .* a name of its own"),
        (
            {"solver": Lion, "solver_params": {"momentum": 0.9}},
            ValueError,
            r"Lion' has no argument 'momentum'; solver_params takes 'betas'\.",
        ),
        (
            {"solver": SOLVERS["sgd"], "solver_params": {"momentum": 0.9}},
            ValueError,
            "solver='sgd' has the parameters momentum and nesterovs_momentum instead",
        ),
    ],
)
def test_errors(params, error, message):
    """What cannot be an optimizer of a fit is refused, with what can."""
    with pytest.raises(error, match=message):
        make("regressions", **params).fit(X, Y)
