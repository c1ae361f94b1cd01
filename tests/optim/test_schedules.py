"""Learning rates step by step: against torch's schedulers, alone and in fits."""

import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from torch.optim import lr_scheduler

from sklmlp import MLPRegressor
from sklmlp.config import TrainingConfig
from sklmlp.optim.schedules import DECAYS, SCHEDULES, factor
from sklmlp.training import train_networks
from tests.optim.plain_torch import (
    N_EPOCHS,
    PARAMS,
    RATE,
    X,
    Y,
    adamw,
    assert_trains_as_torch,
    groups,
    sgd,
)
from tests.tables import make, make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

N = 40


def torchs(name, optimizer, n_steps):
    """torch's scheduler of a name."""
    if name == "one_cycle":
        return lr_scheduler.OneCycleLR(
            optimizer, RATE, total_steps=n_steps, pct_start=0.3, cycle_momentum=False
        )
    return {
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, n_steps),
        "linear": lambda: lr_scheduler.LinearLR(optimizer, 1.0, 0.0, n_steps),
        "exponential": lambda: lr_scheduler.ExponentialLR(optimizer, 0.01 ** (1 / n_steps)),
    }[name]()


def rates_of(make_scheduler, n_steps=N):
    """The rates of a scheduler of torch, step by step, as shares of the full one."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, rates = make_scheduler(optimizer), []
    for _ in range(n_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step(), scheduler.step()
    return rates


@pytest.mark.parametrize("name", DECAYS)
def test_decays_are_torchs(name):
    """Each decay has the rates of torch's scheduler."""
    ours = [factor(name, step, N) for step in range(N)]
    assert_allclose(ours, rates_of(lambda o: torchs(name, o, N)), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("n_steps", [5, 11, 40, 101])
@pytest.mark.parametrize("rise", [0.1, 0.3, 0.55])
def test_one_cycle_is_torchs(rise, n_steps):
    """So has one_cycle, wherever its top is."""
    ours = [factor("one_cycle", step, n_steps, rise) for step in range(n_steps)]

    def theirs(optimizer):
        return lr_scheduler.OneCycleLR(
            optimizer, 1.0, total_steps=n_steps, pct_start=rise, cycle_momentum=False
        )

    assert_allclose(ours, rates_of(theirs, n_steps), rtol=1e-10)
    default = [factor("one_cycle", step, n_steps) for step in range(n_steps)]
    assert (default == ours) == (rise == 0.3)


@pytest.mark.parametrize("warmup", [4, 10, 30])
@pytest.mark.parametrize("name", DECAYS)
def test_warm_up_is_torchs(name, warmup):
    """The rate rises as torch's LinearLR has it, and what is left of the steps is the decay's."""

    def theirs(optimizer):
        rise = lr_scheduler.LinearLR(optimizer, 1 / warmup, 1.0, warmup - 1)
        decay = torchs(name, optimizer, N - warmup)
        return lr_scheduler.SequentialLR(optimizer, [rise, decay], [warmup])

    ours = [factor(name, step, N, warmup / N) for step in range(N)]
    assert_allclose(ours, rates_of(theirs), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("warmup_fraction", [0.0, 0.13, 0.5, 0.999])
@pytest.mark.parametrize("n_steps", [1, 2, 3, 10])
@pytest.mark.parametrize("name", SCHEDULES)
def test_short_schedules(name, n_steps, warmup_fraction):
    """However few the steps, each has a rate above 0 and up to the full one; the last one stays."""
    rates = [factor(name, step, n_steps, warmup_fraction) for step in range(n_steps + 2)]
    assert all(0 < rate <= 1 for rate in rates)
    assert rates[n_steps - 1] == rates[n_steps] == rates[n_steps + 1]


@pytest.mark.parametrize("activation", ["tanh", "prelu"])  # by hand, and by autograd
@pytest.mark.parametrize("solver", ["sgd", "adamw", "muon"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_fits_follow_torchs_scheduler(name, solver, activation):
    """Ten steps are those of plain torch with its scheduler; sgd's buffer is not rescaled."""

    def muon(module):
        matrices, rest = groups(module)
        return [torch.optim.Muon([matrices], RATE), torch.optim.AdamW([rest], RATE)]

    optimizers_of = {"sgd": sgd, "adamw": adamw, "muon": muon}[solver]
    params = {"activation": activation, "solver": solver, "learning_rate": name}
    assert_trains_as_torch(optimizers_of, lambda each: torchs(name, each, 2 * N_EPOCHS), **params)


@pytest.mark.parametrize("callbacks", [None, []])
@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw"])
def test_the_history_has_the_last_rate_of_an_epoch(solver, callbacks):
    """`lr` is the rate of an epoch's last step, after the warm-up of two epochs falling."""
    params = {**PARAMS, "solver": solver, "learning_rate": "linear", "warmup_fraction": 0.4}
    model = make("regressions", callbacks=callbacks, **params).fit(X, Y)
    rates = [record["lr"] / RATE for record in model.history_]
    assert_allclose(rates, [2 / 4, 4 / 4, 5 / 6, 3 / 6, 1 / 6])


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw"])
def test_partial_fits_go_along_the_schedule(solver):
    """As many calls as the schedule has epochs are one fit; after its end the rate stays."""
    params = {**PARAMS, "solver": solver, "learning_rate": "cosine", "warmup_fraction": 0.2}
    whole = make("regressions", **params).fit(X, Y)
    parts = make("regressions", **params)
    for _ in range(N_EPOCHS):
        parts.partial_fit(X, Y)
    assert_allclose(parts.coefs_[0], whole.coefs_[0], 1e-12)
    last = parts.history_[-1]["lr"]
    assert parts.partial_fit(X, Y).history_[-1]["lr"] == last > 0


def test_a_warm_start_begins_the_schedule_anew():
    """Each `fit` has the whole schedule."""
    model = make("regressions", learning_rate="linear", warm_start=True).fit(X, Y).fit(X, Y)
    rates = [record["lr"] for record in model.history_]
    assert len(rates) == 10
    assert rates[:5] == rates[5:]


@pytest.mark.parametrize("params", [{}, {"max_grad_norm": 0.1}], ids=str)
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_an_ensemble_follows_it_together(name, solver, params):
    """Each network of a stack ends as if alone, also after others have left it."""
    X, y = make_table("multiclass")
    model = make("multiclass", solver=solver, learning_rate=name, n_estimators=4, **params)
    model.set_params(max_iter=12, batch_size=25, early_stopping=True, n_iter_no_change=2)
    model.set_params(learning_rate_init=0.05 if solver == "adam" else 0.3)
    members = clone(model).fit(X, y).estimators_
    assert len({member.n_iter_ for member in members}) > 1
    for member in members:
        alone = clone(model).set_params(n_estimators=1, random_state=member.random_state).fit(X, y)
        assert_allclose(member.coefs_[0], alone.coefs_[0], 1e-9, 1e-12)
        assert_allclose(member.loss_curve_, alone.loss_curve_, 1e-9)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_a_stack_of_different_schedules(solver):
    """Networks that agree at first, and whose rates and bounds part later, end as if alone."""
    options = [
        {"max_iter": 4},
        {"max_iter": 8},
        {"max_iter": 8, "learning_rate": "linear"},
        {"max_iter": 8, "learning_rate": "constant", "max_grad_norm": 0.05},
        {"max_iter": 8, "learning_rate_init": 0.003},
    ]
    shared = {"hidden_layer_sizes": (8,), "solver": solver, "learning_rate": "cosine"}
    models = [MLPRegressor(random_state=0, **{**shared, **o}) for o in options]
    configs = [TrainingConfig.from_estimator(model) for model in models]
    unused = None, (None, None, None)
    data = clone(models[0])._check_data(configs[0], X, Y, *unused, reset=True, incremental=False)
    runs = [
        run
        for pair in zip(models, configs, strict=True)
        for run in pair[0]._prepare_runs([pair], data, reset=True, incremental=False)
    ]
    train_networks(runs)
    for run, model in zip(runs, models, strict=True):
        model.fit(X, Y)
        assert run.state.stopping.n_iter == model.n_iter_
        for got, expected in zip(run.network.coefs, model.coefs_, strict=True):
            assert_allclose(got.numpy(), expected, 1e-9, 1e-12)


@pytest.mark.parametrize("solver", ["adam", "adamw", "lbfgs"])
@pytest.mark.parametrize("name", ["invscaling", "adaptive"])
def test_schedules_of_scikit_learn_say_that_they_are_of_sgd(name, solver):
    """With another solver they warn, since scikit-learn takes them, and change nothing."""
    message = (
        rf"^learning_rate='{name}' has no effect with solver='{solver}'\. Use solver='sgd' or "
        r"learning_rate='cosine', or learning_rate='constant'\.$"
    )
    with pytest.warns(UserWarning, match=message):
        scheduled = make("regressions", solver=solver, learning_rate=name).fit(X, Y)
    assert_array_equal(scheduled.coefs_[0], make("regressions", solver=solver).fit(X, Y).coefs_[0])


@pytest.mark.parametrize("name", SCHEDULES)
def test_lbfgs_has_no_schedule(name):
    """Schedules beyond scikit-learn's are refused with it."""
    message = (
        rf"^learning_rate='{name}' has no effect with solver='lbfgs'\. Use solver='adam', or "
        r"learning_rate='constant'\.$"
    )
    with pytest.raises(ValueError, match=message):
        make("regressions", solver="lbfgs", learning_rate=name).fit(X, Y)
