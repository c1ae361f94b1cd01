"""Predictors of scores: as our own regressor predicts, with the gradient of finite differences."""

import numpy as np
import optuna
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import approx_fprime, minimize
from scipy.stats import norm, rankdata, spearmanr

from sklmlp.search.architecture.history import Told
from sklmlp.search.architecture.nao import ascent
from sklmlp.search.architecture.planned import Knowledge
from sklmlp.search.architecture.predictor import best_of
from sklmlp.search.architecture.space import KnownSpace
from sklmlp.search.architecture.surrogate import Ensemble, Latest, normal_score


def loss_of(values):
    widths = [values[f"width_{i}"] for i in range(values["depth"])]
    bent = {"relu": 0.0, "tanh": 0.5, "gelu": 1.0}[values["activation"]]
    return float(sum(np.log2(width / 32) ** 2 for width in widths) - bent)


def told_at_random(n, seed=0):
    """Trials of a space with conditions, by Optuna's random sampler, and what they show of it."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    told = []
    for _ in range(n):
        trial = study.ask()
        for i in range(trial.suggest_int("depth", 1, 3)):
            trial.suggest_int(f"width_{i}", 8, 128, log=True)
        trial.suggest_categorical("activation", ["relu", "tanh", "gelu"])
        told.append(Told(trial.number, trial.params, trial.distributions, loss_of(trial.params)))
    return told, KnownSpace([(each.values, each.distributions) for each in told])


@pytest.fixture(scope="module")
def learned():
    """An ensemble that has learned from 80 trials."""
    told, space = told_at_random(80)
    return Ensemble(n_members=4).fit(space, told)


def test_normal_scores_are_quantiles_of_ranks():
    """SciPy's ranks and quantiles give the same, ties included."""
    losses = [3.0, -1.0, 7.0, -1.0, 0.5]
    expected = -norm.ppf((rankdata(losses) - 0.5) / len(losses))
    assert_allclose(normal_score(losses), expected)


def test_members_predict_as_the_regressor_does(learned):
    """The formula with a gradient is that of the networks that were fitted."""
    told, _ = told_at_random(30, seed=1)
    vectors = learned.encoder.encode([each.values for each in told])
    for member, network in enumerate(learned.regressor.estimators_):
        assert_allclose(learned.predict(vectors, member), network.predict(vectors), atol=1e-5)


def test_gradients_are_those_of_finite_differences(learned):
    """For each row and each network, with respect to all columns."""
    vectors = np.random.default_rng(0).uniform(-1, 1, (3, learned.encoder.n_columns))
    for member in range(learned.n_members):
        found = learned.gradient(vectors, member)
        for vector, gradient in zip(vectors, found, strict=True):
            expected = approx_fprime(vector, lambda v, m=member: learned.predict(v[None], m)[0])
            assert_allclose(gradient, expected, rtol=1e-3, atol=1e-4)


def test_predictions_rank_new_trials(learned):
    """Spearman's correlation with the truth is high on trials that were not learned from."""
    told, _ = told_at_random(80, seed=2)
    vectors = learned.encoder.encode([each.values for each in told])
    mean = np.mean([learned.predict(vectors, i) for i in range(learned.n_members)], axis=0)
    assert spearmanr(mean, [-each.loss for each in told]).statistic > 0.9


def test_members_differ(learned):
    """Thompson sampling needs networks that do not agree."""
    vectors = np.random.default_rng(0).uniform(-1, 1, (50, learned.encoder.n_columns))
    assert np.std([learned.predict(vectors, i) for i in range(4)], axis=0).mean() > 0.01


def test_an_ascent_goes_uphill(learned):
    """Small steps away from any border raise what the network predicts, and get shorter."""
    columns = learned.encoder.columns["activation"]
    begins = np.random.default_rng(0).uniform(-0.5, 0.5, (5, learned.encoder.n_columns))
    for begin in begins:
        begin[columns] = 1 / 3
        way = np.array([begin, *ascent(learned, begin, 0, 0.01, 5)])
        assert (np.diff(learned.predict(way, 0)) > 0).all()
        assert_allclose(way[:, columns].sum(1), 1)
        lengths = np.linalg.norm(np.diff(way, axis=0), axis=1)
        assert (lengths <= 0.01 * np.linspace(1, 0.2, 5) + 1e-12).all()
        assert (np.diff(lengths) < 0).all()


def test_an_ascent_stays_among_what_values_could_be(learned):
    """Large steps leave shares of choices that sum to one, and numbers from -1 to 1."""
    columns = learned.encoder.columns["activation"]
    for begin in learned.encoder.encode([each.values for each in told_at_random(20, seed=3)[0]]):
        for point in ascent(learned, begin, 1, 1.0, 10):
            assert point[columns].sum() == pytest.approx(1)
            assert point[columns].min() >= 0
            assert np.abs(point).max() <= 1


def test_the_projection_is_the_nearest_point(learned):
    """SciPy's minimum of the distance, under the constraints, is the same point."""
    columns = learned.encoder.columns["activation"]
    vectors = np.random.default_rng(0).normal(size=(5, learned.encoder.n_columns))
    for vector, found in zip(vectors, learned.encoder.project(vectors), strict=True):
        bounds = [(-1, 1)] * len(vector)
        bounds[columns] = [(0, 1)] * 3
        total = {"type": "eq", "fun": lambda v: v[columns].sum() - 1}
        expected = minimize(
            lambda v, to=vector: ((v - to) ** 2).sum(), np.full(len(vector), 1 / 3),
            bounds=bounds, constraints=total, method="SLSQP", tol=1e-12,
        )  # fmt: skip
        assert_allclose(found, expected.x, atol=1e-5)


def test_an_ensemble_is_trained_once_for_a_set_of_trials():
    """A batch is asked of the same networks; one trial more makes others."""
    told, space = told_at_random(12)
    latest = Latest(n_members=2, n_epochs=2)
    first = latest.of(Knowledge(12, told[:11], space), seed=0)
    assert latest.of(Knowledge(13, list(told[:11]), space), seed=0) is first
    other = latest.of(Knowledge(13, told, space), seed=0)
    assert other is not first
    again = Ensemble(n_members=2, n_epochs=2, seed=0).fit(space, told)
    vectors = again.encoder.encode([each.values for each in told])
    assert_allclose(again.predict(vectors, 1), other.predict(vectors, 1))


def test_the_best_come_first():
    """Of equal losses the earlier trial is first."""
    told = [Told(i, {}, {}, loss) for i, loss in enumerate([2.0, 1.0, 3.0, 1.0])]
    assert [each.number for each in best_of(told, 3)] == [1, 3, 0]
