"""Optimizers of torch.optim as solvers: against plain torch, and through all that a fit can do."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Callback, LRScheduler

from sklmlp.optim.torch_optimizers import OPTIMIZERS
from tests.optim.plain_torch import RATE, X, Y, assert_trains_as_torch, groups
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

# A value for an argument of each solver that is not its default.
ARGUMENTS = {
    "adadelta": {"rho": 0.7, "weight_decay": 0.2},
    "adafactor": {"beta2_decay": -0.5, "weight_decay": 0.2},
    "adagrad": {"initial_accumulator_value": 0.1, "weight_decay": 0.2},
    "adamax": {"betas": (0.8, 0.99), "weight_decay": 0.2},
    "adamw": {"amsgrad": True, "weight_decay": 0.2},
    "asgd": {"lambd": 0.01, "weight_decay": 0.2},
    "muon": {"adjust_lr_fn": "match_rms_adamw", "weight_decay": 0.2},
    "nadam": {"decoupled_weight_decay": True, "weight_decay": 0.2},
    "radam": {"betas": (0.8, 0.99), "weight_decay": 0.2},
    "rmsprop": {"momentum": 0.5, "centered": True, "weight_decay": 0.2},
    "rprop": {"etas": (0.4, 1.3)},
}


def plain_optimizers(solver, module, arguments):
    """torch's optimizer of a module, with a decay of the matrices alone; none by default."""
    matrices, rest = groups(module, arguments.get("weight_decay", 0.0))
    if solver == "muon":
        return [
            torch.optim.Muon([matrices], lr=RATE, **arguments),
            torch.optim.AdamW([rest], lr=RATE),
        ]
    if solver == "rprop":
        return [torch.optim.Rprop(module.parameters(), lr=RATE, **arguments)]
    if solver == "asgd":
        rest["lambd"] = 0  # another decay
    return [OPTIMIZERS[solver]([matrices, rest], lr=RATE, **arguments)]


def test_the_table_is_torchs():
    """Every optimizer of torch.optim is there, but the two for other problems and our own two."""
    assert set(ARGUMENTS) == set(OPTIMIZERS)
    left_out = {torch.optim.Adam, torch.optim.SGD, torch.optim.SparseAdam, torch.optim.LBFGS}
    assert left_out.isdisjoint(OPTIMIZERS.values())


@pytest.mark.parametrize("activation", ["tanh", "prelu"])  # by hand, and by autograd
@pytest.mark.parametrize("with_arguments", [False, True])
@pytest.mark.parametrize("solver", sorted(ARGUMENTS))
def test_ten_steps_are_those_of_plain_torch(solver, with_arguments, activation):
    """A fit ends where torch's own optimizer takes the same module; biases are not decayed."""
    arguments = ARGUMENTS[solver] if with_arguments else {}
    params = {"activation": activation, "solver": solver, "solver_params": arguments or None}
    assert_trains_as_torch(lambda module: plain_optimizers(solver, module, arguments), **params)


def test_decay_beside_the_penalty():
    """A decay shrinks coefs by rate times decay at a step, and no bias; alpha is not needed."""
    model = make("regressions", solver="adamw", learning_rate_init=0.1, alpha=0, max_iter=1)
    start = clone(model).set_params(learning_rate_init=1e-300).fit(X, Y)
    plain = clone(model).fit(X, Y)
    decayed = model.set_params(solver_params={"weight_decay": 0.5}).fit(X, Y)
    for got, without, before in zip(decayed.coefs_, plain.coefs_, start.coefs_, strict=True):
        assert_allclose(got, without - 0.1 * 0.5 * before, rtol=1e-10, atol=1e-13)
    for got, without in zip(decayed.intercepts_, plain.intercepts_, strict=True):
        assert_array_equal(got, without)


@pytest.mark.parametrize("spelling, name", [("Adam", "adam"), ("SGD", "sgd"), ("AdamW", "adamw")])
def test_any_spelling(spelling, name):
    """Names of torch.optim are known in any case, and mean the solver that we have of that name."""
    params = {"learning_rate": "invscaling" if name == "sgd" else "linear"}
    one = make("regressions", solver=spelling, **params).fit(X, Y).partial_fit(X, Y)
    other = make("regressions", solver=name, **params).fit(X, Y).partial_fit(X, Y)
    assert_array_equal(one.coefs_[0], other.coefs_[0])
    assert one.loss_curve_ == other.loss_curve_


@pytest.mark.parametrize(
    "params, message",
    [
        ({"solver": "adamww"}, r"solver 'adamww' is not known. Did you mean 'adamw'\? Known are: "),
        ({"solver": "qqq"}, "None is close. Known are: adam, sgd, lbfgs, adadelta, "),
        ({"solver": "SparseAdam"}, "solver 'SparseAdam' is not known"),
        ({"solver": "LBFGS"}, "Did you mean 'lbfgs'"),
        (
            {"solver": "adam", "solver_params": {"betas": (0.9, 0.99)}},
            "solver='adam' has the parameters beta_1, beta_2 and epsilon",
        ),
        (
            {"solver": "sgd", "solver_params": {"momentum": 0.5}},
            "solver='sgd' has the parameters momentum and nesterovs_momentum",
        ),
        (
            {"solver": "lbfgs", "solver_params": {"history_size": 5}},
            "solver='lbfgs' has the parameters max_fun and tol",
        ),
        ({"solver": "adamw", "solver_params": {"lr": 0.1}}, "use learning_rate_init=0.1"),
        (
            {"solver": "adamw", "solver_params": {"rho": 0.1}},
            "solver 'adamw' has no argument 'rho'; solver_params takes 'amsgrad', 'betas', ",
        ),
        ({"solver": "rprop", "solver_params": {"weight_decay": 0.1}}, "no argument 'weight_decay'"),
        ({"solver": "adamw", "solver_params": {"maximize": True}}, "no argument 'maximize'"),
        (
            {"solver": "adamw", "solver_params": {"betas": (2, 0.9)}},
            r"'adamw' cannot be built from solver_params={'betas': \(2, 0.9\)}: Invalid beta",
        ),
    ],
)
def test_errors(params, message):
    """What a solver does not take is refused, with what it takes."""
    with pytest.raises(ValueError, match=message):
        make("regressions", **params).fit(X, Y)


@pytest.mark.parametrize("solver", sorted(ARGUMENTS))
def test_partial_fits_go_on_across_a_pickle(solver):
    """Calls with a pickle between each two are calls without; the moments go on."""
    params = {"solver": solver, "solver_params": ARGUMENTS[solver], "activation": ["prelu"]}
    whole, travelling = (make("regressions", shuffle=False, **params) for _ in range(2))
    for _ in range(4):
        whole.partial_fit(X, Y)
        travelling = pickle.loads(pickle.dumps(travelling.partial_fit(X, Y)))
    for name in ("coefs_", "intercepts_"):
        for one, other in zip(getattr(whole, name), getattr(travelling, name), strict=True):
            assert_array_equal(one, other)
    # and they are the steps of a fit that nobody interrupts
    at_once = make("regressions", shuffle=False, max_iter=4, **params).fit(X, Y)
    assert_allclose(whole.coefs_[0], at_once.coefs_[0], 1e-12, 1e-14)


@pytest.mark.parametrize("options", [{}, {"early_stopping": True}, {"dtype": "float32"}], ids=str)
@pytest.mark.parametrize("solver", sorted(ARGUMENTS))
def test_fits_learn(solver, options):
    """Every solver lowers a classifier's loss, a clone repeats it, and a pickle predicts it."""
    X, y = make_table("multiclass")
    model = make("multiclass", solver=solver, max_iter=30, n_iter_no_change=30, **options)
    model.set_params(learning_rate_init=1.0 if solver == "adadelta" else 0.01).fit(X, y)
    assert model.loss_curve_[-1] < 0.95 * model.loss_curve_[0]
    assert_array_equal(clone(model).fit(X, y).coefs_[0], model.coefs_[0])
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_warm_starts_begin_with_fresh_moments():
    """A warm start equals a fit's weights taken on by another estimator."""
    model = make("regressions", solver="adamw", warm_start=True, random_state=0).fit(X, Y)
    other = make("regressions", solver="adamw", warm_start=True, random_state=0).fit(X, Y)
    other._optimizer = None
    assert_array_equal(model.fit(X, Y).coefs_[0], other.fit(X, Y).coefs_[0])


@pytest.mark.parametrize("solver", ["adamw", "muon"])
def test_ensembles(solver):
    """Each network of an ensemble is the one fitted alone from its seed."""
    model = make("multiclass", solver=solver, n_estimators=3)
    X, y = make_table("multiclass")
    for member in clone(model).fit(X, y).estimators_:
        alone = clone(model).set_params(n_estimators=1, random_state=member.random_state).fit(X, y)
        assert_array_equal(alone.coefs_[0], member.coefs_[0])


def test_rows_of_every_kind():
    """Sparse rows and rows of no weight give what dense rows and their absence give."""
    params = {"solver": "adamw", "batch_size": 60, "shuffle": False}
    dense = make("regressions", **params).fit(X, Y)
    assert_allclose(
        make("regressions", **params).fit(sparse.csr_array(X), Y).coefs_[0], dense.coefs_[0], 1e-10
    )
    weight = np.repeat([1.0, 0.0], 30)
    weighted = make("regressions", **params).fit(X, Y, weight)
    params["batch_size"] = 30
    half = make("regressions", **params).fit(X[:30], Y[:30])
    assert_allclose(weighted.coefs_[0], half.coefs_[0], 1e-10)


class Watcher(Callback):
    """Keeps the optimizer that it is shown."""

    def on_train_end(self, net, **kwargs):
        type(self).seen = net.optimizer_


@pytest.mark.parametrize("solver", ["adamw", "muon"])
def test_callbacks_see_torchs_optimizer(solver):
    """skorch's callbacks get the optimizer itself; they change no number, and their rates count."""
    alone = make("regressions", solver=solver).fit(X, Y)
    watched = make("regressions", solver=solver, callbacks=[Watcher()]).fit(X, Y)
    assert_allclose(watched.coefs_[0], alone.coefs_[0], 1e-10)  # AdamW alone is compiled
    if solver == "adamw":
        assert type(Watcher.seen) is torch.optim.AdamW
    else:
        kinds = [type(optimizer) for optimizer in Watcher.seen.optimizers]
        assert kinds == [torch.optim.Muon, torch.optim.AdamW]
    assert sum(p.numel() for group in Watcher.seen.param_groups for p in group["params"]) == sum(
        array.size for array in alone.coefs_ + alone.intercepts_
    )
    policy = LRScheduler("StepLR", step_size=2, gamma=0.1)
    steered = make("regressions", solver=solver, callbacks=[policy]).fit(X, Y)
    rates = [record["lr"] for record in steered.history_]
    assert_allclose(rates, [1e-3, 1e-3, 1e-4, 1e-4, 1e-5])


def test_chained_optimizers_take_a_checkpoint():
    """Muon with AdamW for the rest loads a state as one optimizer, and goes on from it."""
    make("regressions", solver="muon", callbacks=[Watcher()]).fit(X, Y)
    optimizer = Watcher.seen
    state = optimizer.state_dict()
    moments = [value.clone() for each in state["state"].values() for value in each.values()]
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    before = [p.detach().clone() for p in parameters]
    optimizer.step()
    once = [p.detach().clone() for p in parameters]
    for p, value in zip(parameters, before, strict=True):
        p.data.copy_(value)
    for number, each in state["state"].items():
        state["state"][number] = {name: moments.pop(0) for name in each}
    optimizer.load_state_dict(state)
    optimizer.step()
    for p, value in zip(parameters, once, strict=True):
        assert_array_equal(p.detach(), value)


def test_a_search_goes_over_solvers():
    """A grid of solvers, decays and schedules is searched as any other."""
    X, y = make_table("multiclass")
    grid = [
        {"solver": ["adam", "muon"], "learning_rate": ["constant", "one_cycle"]},
        {"solver": ["adamw"], "solver_params": [None, {"weight_decay": 0.1}]},
    ]
    search = GridSearchCV(make("multiclass"), grid, cv=2, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 6
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
