"""Methods that share weights: what they propose, by what gradients, and for which fits."""

import numpy as np
import optuna
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose
from scipy.stats import kendalltau

from sklmlp import MLPClassifier, MLPRegressor
from sklmlp.losses import LOSSES
from sklmlp.search import MLPSearchCV
from sklmlp.search.architecture import SHARED_METHODS, Problem, make_shared_sampler, pool
from sklmlp.search.architecture.cars import crowding, fronts
from sklmlp.search.architecture.darts import straight_through, unrolled_gradients
from sklmlp.search.architecture.enas import draw
from sklmlp.search.architecture.grid import Grid
from sklmlp.search.architecture.policy import Policy
from sklmlp.search.architecture.pool import Pool
from sklmlp.search.architecture.rows import SearchRows
from sklmlp.search.samplers import quietly
from tests.tables import make_table

SPACE = {"hidden_layer_sizes": [(2,), (24,), (2, 2), (24, 24)], "activation": ["relu", "tanh"]}


def sampler_of(method, estimator=None, data=None, space=SPACE, n_steps=60, seed=0, **options):
    X, y = data or make_table("multiclass", 200)
    problem = Problem.of(
        MLPClassifier() if estimator is None else estimator, X, y, space, **options
    )
    sampler = make_shared_sampler(method, problem, seed)
    sampler.n_steps = n_steps
    return sampler


def proposals(sampler, n, study=None):
    """Parameters of n trials, each of which is told a score that its widths decide."""
    with quietly():
        study = study or optuna.create_study(direction="maximize", sampler=sampler)
        study.sampler, found = sampler, []
        for _ in range(n):
            trial = study.ask()
            found.append(sampler.problem.suggest(trial))
            study.tell(trial, float(sum(found[-1]["hidden_layer_sizes"])))
    return found, study


@pytest.mark.parametrize("method", SHARED_METHODS)
def test_a_sampler_made_anew_goes_on(method):
    """The same seed proposes the same, also where another sampler of it takes the study over."""
    found, _ = proposals(sampler_of(method), 8)
    first, study = proposals(sampler_of(method), 3)
    assert first + proposals(sampler_of(method), 5, study)[0] == found
    assert len({repr(each) for each in found}) == 8  # all of the space


@pytest.mark.parametrize("method", SHARED_METHODS)
def test_trials_may_be_asked_for_before_any_suggests(method):
    """Proposals of a batch differ, whenever their trials suggest."""
    sampler = sampler_of(method, n_steps=20)
    with quietly():
        study = optuna.create_study(sampler=sampler)
        trials = [study.ask() for _ in range(8)]
    assert len({repr(sampler.problem.suggest(trial)) for trial in trials}) == 8


@pytest.mark.parametrize("method", SHARED_METHODS)
def test_all_that_is_proposed_is_allowed(method, monkeypatch):
    """Of 80 architectures a method of a ready space none has more parameters than may be."""
    monkeypatch.setattr(pool, "MOST_CHECKED", 200)
    sampler = sampler_of(method, space="architecture", n_steps=8, max_parameters=20_000)
    found, _ = proposals(sampler, 80)
    distinct = {repr(each): each for each in found}.values()
    assert len(distinct) > 70
    assert all(sampler.problem.is_allowed(each) for each in distinct)


@pytest.mark.parametrize("method", ["random-shared", "enas", "gdas", "cars", "morphism"])
def test_wider_is_better_where_width_decides(method):
    """Shared weights rank wide networks above narrow ones, and tau is told as SciPy computes it."""
    X, y = make_table("multiclass", 300)
    sampler = sampler_of(method, data=(X, y), n_steps=300)
    order = [each.widths[0] for each in sampler.pool.architectures]
    assert kendalltau(sampler.supernet_scores, order).statistic > 0.2
    _, study = proposals(sampler, 8)
    scores = [sum(each.widths) for each in sampler.pool.architectures]
    expected = kendalltau(sampler.supernet_scores, scores).statistic
    assert sampler.kendall_tau(study) == pytest.approx(expected)
    assert sampler.ranks(study) == (expected >= 0.3)


def test_a_search_takes_a_sampler():
    """`MLPSearchCV` trains what is proposed, as any trial."""
    X, y = make_table("multiclass", 60)
    estimator = MLPClassifier(max_iter=2, n_iter_no_change=5, random_state=0)
    problem = Problem.of(estimator, X, y, SPACE)
    method = make_shared_sampler("enas", problem, 0)
    method.n_steps = 10
    search = MLPSearchCV(estimator, SPACE, method=method, n_trials=4, cv=2, random_state=0,
                         refit=False)  # fmt: skip
    with quietly():
        search.fit(X, y)
    assert len(search.cv_results_["params"]) == 4


ROWS = np.random.default_rng(0).uniform(0.5, 2, 40)


@pytest.mark.parametrize("loss", [name for name in LOSSES if not name.startswith("binary_")])
def test_each_loss_is_descended(loss):
    """Gradients and scores are those of the loss, with weights, and sparse rows come out dense."""
    of_classes = loss in MLPClassifier._parameter_constraints["loss"][0].options
    X, y = make_table("multiclass" if of_classes else "regression", 40)
    y = y if of_classes else np.exp(y)
    estimator = (MLPClassifier if of_classes else MLPRegressor)(loss=loss, dtype="float64")
    problem = Problem.of(estimator, sp.csr_array(X), y, SPACE, sample_weight=ROWS)
    pool = Pool(problem, np.random.default_rng(0))
    rows = SearchRows(pool.run, np.random.default_rng(0), torch.float64)
    x, targets, weight = rows.batch()
    assert x.shape[1] == 5 and weight is not None
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(2, len(x), pool.n_outputs, generator=generator, dtype=torch.float64)
    z.requires_grad_()
    (got,) = rows.gradients(z, targets, weight, [z])
    for k in range(2):
        slope = pool.run.loss.gradient(z[k].detach(), targets)
        assert_allclose(got[k], slope * (weight / weight.sum())[:, None], atol=1e-12)
    x, targets, weight = rows.held_out
    z = torch.zeros(1, len(x), pool.n_outputs, dtype=torch.float64)
    expected = (pool.run.loss.value(z[0], targets) * weight).sum() / weight.sum()
    assert rows.score(lambda x: z) == pytest.approx(-float(expected))


def test_the_second_order_is_the_gradient_after_a_step():
    """DARTS's equations 7 and 8 agree with differences of the loss after one step."""
    torch.manual_seed(0)
    a, b, c = (torch.randn(4, 4, dtype=torch.float64) for _ in range(3))
    w = torch.randn(4, dtype=torch.float64).requires_grad_()
    alpha = torch.randn(4, dtype=torch.float64).requires_grad_()

    def training(w, alpha):
        return (a @ w * alpha.softmax(0)).square().sum() + (b @ w).tanh().sum()

    def held_out(w, alpha):
        return (c @ w * alpha.sigmoid()).square().sum()

    def after_step(alpha):
        (slope,) = torch.autograd.grad(training(w, alpha), w)
        return held_out(w - 0.05 * slope, alpha)

    before = w.detach().clone()
    (got,) = unrolled_gradients(
        lambda of: torch.autograd.grad(training(w, alpha), of),
        lambda of: torch.autograd.grad(held_out(w, alpha), of),
        *([w], [alpha], 0.05),
    )
    steps = 1e-5 * torch.eye(4, dtype=torch.float64)
    expected = [(after_step(alpha + s) - after_step(alpha - s)).item() / 2e-5 for s in steps]
    assert_allclose(got.detach(), expected, rtol=1e-3, atol=1e-4)
    assert torch.equal(w, before)


def test_a_straight_through_draw_is_torch_s():
    """Value and gradient are those of `torch.nn.functional.gumbel_softmax` with the same noise."""
    weights = torch.arange(5.0)
    for seed in range(20):
        alpha = torch.linspace(-1, 1, 5).requires_grad_()
        torch.manual_seed(seed)
        expected = torch.nn.functional.gumbel_softmax(alpha, tau=0.7, hard=True)
        (slope,) = torch.autograd.grad(expected @ weights, alpha)
        torch.manual_seed(seed)
        noise = -torch.empty(5).exponential_().log()
        got = straight_through(alpha, noise, 0.7)
        assert sorted(got.tolist()) == [0, 0, 0, 0, 1]
        assert_allclose(got.detach(), expected.detach(), atol=1e-6)
        assert_allclose(torch.autograd.grad(got @ weights, alpha)[0], slope, rtol=1e-4, atol=1e-6)


def test_a_policy_begins_uniform_over_the_pool():
    """Networks of more layers, and so of more choices, are not drawn less often."""
    X, y = make_table("multiclass")
    grid = Grid(Pool(Problem.of(MLPClassifier(), X, y), np.random.default_rng(0)))
    drawn = draw(Policy(grid.sizes), grid, np.random.default_rng(0), 30_000)
    depths = np.array([len(each.widths) for each in grid.pool.architectures])
    shares = np.bincount(depths[drawn]) / len(drawn)
    assert_allclose(shares[1:], np.bincount(depths)[1:] / len(depths), atol=0.015)


def test_fronts_are_those_of_the_definition():
    """A candidate's front is one behind the last of those that dominate it."""
    fitness = np.random.default_rng(0).integers(0, 6, (40, 2)).astype(float)
    front = fronts(fitness)
    for one, number in zip(fitness, front, strict=True):
        better = (fitness >= one).all(1) & (fitness > one).any(1)
        assert number == (front[better].max() + 1 if better.any() else 0)
    line = np.array([[0.0, 4], [1, 3], [3, 1], [4, 0]])
    assert_allclose(crowding(line), [np.inf, 1.5, 1.5, np.inf])


def test_an_unknown_method_is_named():
    """The message has the closest name."""
    with pytest.raises(ValueError, match="random-shared"):
        sampler_of("random-share")
