"""The sampler behind "tpe": what Optuna's own proposes, and the densities that it compares."""

import pickle

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.stats import kstest, norm, truncnorm

from sklmlp.search import sampler
from sklmlp.search.parzen import Mixture, Read
from sklmlp.search.samplers import quietly

STATES = optuna.trial.TrialState
SPACE = {
    "a": CategoricalDistribution(["x", "y", "z"]),
    "b": FloatDistribution(-2.0, 3.0),
    "c": FloatDistribution(1e-3, 10.0, log=True),
    "d": IntDistribution(1, 5),
}


def suggest(trial):
    """A space with conditions, and with all kinds of distributions."""
    depth = trial.suggest_int("depth", 1, 3)
    widths = [trial.suggest_int(f"width_{k}", 4, 64, log=k == 1) for k in range(depth)]
    rate = trial.suggest_float("rate", 1e-4, 1e-1, log=True)
    solver = trial.suggest_categorical("solver", ["adam", "sgd"])
    loss = abs(np.log10(rate) + 2) + abs(sum(widths) - 50) / 50
    trial.suggest_float("only", 0.5, 0.5)
    if solver == "sgd":
        nesterov = trial.suggest_categorical("nesterov", [True, False])
        loss += trial.suggest_float("momentum", 0, 0.9, step=0.1) - 0.2 * nesterov
    return loss


def history(proposing, direction, n_batches=4):
    """The parameters of a study in batches, with trials that fail and that are pruned."""
    sign = -1 if direction == "maximize" else 1
    with quietly():
        study = optuna.create_study(sampler=proposing, direction=direction)
        for _ in range(n_batches):
            asked = [(trial, sign * suggest(trial)) for trial in (study.ask() for _ in range(8))]
            for k, (trial, value) in enumerate(asked):
                trial.report(value if k != 3 else np.nan, 1 + k % 3)
                if k % 2:
                    study.tell(trial, value)
                else:
                    study.tell(trial, state=STATES.FAIL if k == 4 else STATES.PRUNED)
    return [trial.params for trial in study.trials]


@pytest.mark.skipif(
    int(optuna.__version__.split(".")[0]) < 5, reason="older ones draw in another order"
)
@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_proposals_are_optuna_s(direction):
    """Trial for trial, a search is the one that Optuna's sampler would have made."""
    options = {"seed": 1, "group": True, "multivariate": True, "constant_liar": True}
    with quietly():
        theirs = history(optuna.samplers.TPESampler(**options), direction)
    ours = history(sampler("tpe", random_state=1), direction)
    assert [list(params) for params in ours] == [list(params) for params in theirs]
    for one, other in zip(ours, theirs, strict=True):
        for name, value in one.items():
            is_float = isinstance(value, float)
            assert other[name] == (pytest.approx(value, rel=1e-9) if is_float else value)


def observed(n):
    rng = np.random.default_rng(0)
    columns = rng.integers(3, size=n), rng.uniform(-2, 3, n), 10 ** rng.uniform(-3, 1, n)
    return np.column_stack([*columns, rng.integers(1, 6, n)]).astype(float)


@pytest.mark.parametrize("n", [0, 1, 2, 40])
def test_a_density_is_a_mixture_of_products(n):
    """It is what scipy's truncated normals give, one kernel at a time, and sums to one."""
    x, points = observed(n), np.array([[0, 0.5, 0.1, 2], [2, -1.9, 9.0, 5]])
    mixture = Mixture(x, SPACE)
    weights = np.ones(n + 1)
    if n > 25:
        weights[: n - 25] = np.linspace(1 / n, 1, n - 25)
    total = np.zeros(2)
    for k in range(n + 1):
        share = np.full(3, 1 / (n + 1))
        if k < n:
            share[int(x[k, 0])] += 1
        each = (share / share.sum())[points[:, 0].astype(int)]
        seen = points[:, 1], np.log(points[:, 2]), points[:, 3]
        for column, values in enumerate(seen):
            low, high = mixture.low[column], mixture.high[column]
            center, width = mixture.centers[k, column], mixture.widths[k, column]
            kernel = truncnorm((low - center) / width, (high - center) / width, center, width)
            in_bins = kernel.cdf(values + 0.5) - kernel.cdf(values - 0.5)
            each = each * (in_bins if column == 2 else kernel.pdf(values))
        total += weights[k] / weights.sum() * each
    np.testing.assert_allclose(np.exp(mixture.log_density(points)), total, rtol=1e-9)
    grid = np.array([[a, 0.5, 0.1, d] for a in range(3) for d in range(1, 6)])
    alone = {name: SPACE[name] for name in ("a", "d")}
    densities = np.exp(Mixture(x[:, [0, 3]], alone).log_density(grid[:, [0, 3]]))
    assert densities.sum() == pytest.approx(1)


def test_draws_are_of_the_density():
    """They are within the ends and on the steps, and spread as the density is."""
    mixture = Mixture(observed(5), SPACE)
    drawn = mixture.draw(np.random.RandomState(0), 2000)
    assert set(drawn[:, 0]) == {0, 1, 2}
    assert set(drawn[:, 3]) == {1, 2, 3, 4, 5}
    assert drawn[:, 2].min() >= 1e-3
    assert drawn[:, 2].max() <= 10

    def cdf(x):
        z = (np.array([-2.0, 3.0])[:, None, None] - mixture.centers[:, 0]) / mixture.widths[:, 0]
        at = norm.cdf((x[:, None] - mixture.centers[:, 0]) / mixture.widths[:, 0])
        low, high = norm.cdf(z)
        return ((at - low) / (high - low)) @ mixture.weights

    assert kstest(drawn[:, 1], cdf).pvalue > 0.01


def test_a_trial_that_runs_has_what_it_was_proposed():
    """Others take it for a bad one before it has asked for its parameters, choices included."""
    proposing = sampler("tpe", random_state=0)
    with quietly():
        study = optuna.create_study(sampler=proposing)
        study.optimize(suggest, n_trials=30)
        asked = [study.ask() for _ in range(3)]
        for trial in asked:
            trial.suggest_int("depth", 1, 3)
    names = {"depth", "width_0", "width_1", "width_2", "rate", "solver", "nesterov", "momentum"}
    assert [set(proposing.proposed[trial.number]) for trial in asked] == [names] * 3
    space = {"solver": CategoricalDistribution(["adam", "sgd"])}
    values = [proposing.proposed[trial.number]["solver"] for trial in asked]
    running = [Read(trial, study, proposing.proposed[trial.number]) for trial in study.trials[30:]]
    assert proposing.history.bad(space, running)[-3:, 0].tolist() == values
    with quietly():
        for trial in asked:
            study.tell(trial, suggest(trial))
    assert not proposing.proposed


def test_a_sampler_of_another_study_begins_anew():
    """What it knows of one study is not mixed up with another, and it can be pickled."""
    used = sampler("tpe", random_state=3)
    history(used, "minimize", n_batches=3)
    used.rng.seed(5)
    with quietly():
        used = pickle.loads(pickle.dumps(used))
        study = optuna.create_study(sampler=used)
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=20)
    assert len(used.history.trials) == 19
    assert list(used.history.space) == ["x"]


def test_several_objectives_are_optuna_s_own():
    """A study of two values goes on with what Optuna does there."""
    with quietly():
        study = optuna.create_study(
            sampler=sampler("tpe", random_state=0), directions=["minimize"] * 2
        )

        def values(trial):
            x = trial.suggest_float("x", 0, 1)
            return x, 1 - x + trial.suggest_int("k", 0, 2)

        study.optimize(values, n_trials=20)
    assert len(study.best_trials) >= 1
    assert len(study.trials) == 20
