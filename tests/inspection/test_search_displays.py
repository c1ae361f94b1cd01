"""What the displays draw of a search is what its `cv_results_` say."""

import sys

import matplotlib.pyplot as plt
import numpy as np
import optuna
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import rankdata
from sklearn.base import BaseEstimator
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklmlp import MLPClassifier, MLPSearchCV, TabularMLPClassifier
from sklmlp.inspection import ParameterImportanceDisplay, ParetoDisplay, SearchHistoryDisplay
from sklmlp.inspection.importance import values_of
from sklmlp.inspection.search_displays import trials_of

DISPLAYS = [SearchHistoryDisplay, ParameterImportanceDisplay, ParetoDisplay]

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:Argument ``constant_liar`` is an experimental"),  # 4.0
]


@pytest.fixture(scope="module")
def search():
    """A search with early stops, by the log loss."""
    model = make_pipeline(StandardScaler(), MLPClassifier(8, max_iter=9, random_state=0))
    search = MLPSearchCV(model, n_trials=12, cv=2, scoring="neg_log_loss", random_state=0)
    return search.fit(*load_iris(return_X_y=True))


class Found(BaseEstimator):
    """What a search leaves behind, with given results."""

    estimator = MLPClassifier(8, alpha=0.5)
    refit = True

    def __init__(self, **results):
        self.cv_results_ = {name: np.asarray(values) for name, values in results.items()}

    def fit(self, X, y):
        """Do nothing."""


def drawn(line):
    return np.transpose(line.get_data())


def test_the_history_is_that_of_the_results(search):
    """Every trial has its score, those stopped early apart, and the best is the search's."""
    display = SearchHistoryDisplay.from_estimator(search)
    results = search.cv_results_
    scores, is_final = results["mean_test_score"], results["rung"] == results["rung"].max()
    assert 0 < is_final.sum() < 12
    numbers = np.arange(12)
    assert_array_equal(drawn(display.final_), np.transpose([numbers, scores])[is_final])
    stopped = {(x, y) for x, y in drawn(display.stopped_)}
    assert stopped <= set(zip(numbers[~is_final], scores[~is_final], strict=True))
    below = drawn(display.below_)
    assert len(stopped) + len(below) == np.count_nonzero(~is_final)
    assert (scores[below[:, 0].astype(int)] < below[:, 1]).all()
    assert display.best[-1] == search.best_score_
    expected = [max(scores[: i + 1][is_final[: i + 1]]) for i in range(12)]
    assert_array_equal(display.best_line_.get_ydata(), expected)
    assert display.ax_.get_ylabel() == "neg_log_loss"


def test_scores_that_are_much_lower_are_at_the_edge():
    """A few very bad trials do not flatten the picture, and are counted."""
    scores, rungs = [0.9, -50.0, 0.8, np.nan, 0.85, 0.7], [1, 0, 0, 0, 0, 1]
    display = SearchHistoryDisplay.from_estimator(Found(mean_test_score=scores, rung=rungs))
    assert_array_equal(drawn(display.below_), [[1, 0.7]])
    assert_array_equal(drawn(display.stopped_), [[2, 0.8], [3, np.nan], [4, 0.85]])
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert "lower than shown (1)" in labels


def test_the_history_may_be_over_seconds(search):
    """The horizontal axis then has the seconds of all fits so far."""
    display = SearchHistoryDisplay.from_estimator(search, x="seconds")
    assert_allclose(display.best_line_.get_xdata(), np.cumsum(search.cv_results_["fit_seconds"]))


def test_trials_that_failed_are_never_the_best():
    """A trial without a score leaves the best as it was, also as the first one."""
    display = SearchHistoryDisplay.from_estimator(Found(mean_test_score=[np.nan, 1, np.nan, 2]))
    assert_array_equal(display.best, [np.nan, 1, 1, 2])


@pytest.fixture(scope="module")
def planted():
    """Forty trials whose score depends on one parameter alone."""
    rng = np.random.default_rng(0)
    rates, alphas = 10 ** rng.uniform(-4, -1, 40), rng.uniform(0, 1, 40)
    pairs = zip(rates, alphas, strict=True)
    params = [{"mlp__learning_rate_init": rate, "mlp__alpha": alpha} for rate, alpha in pairs]
    search = Found(mean_test_score=-np.abs(np.log(rates / 3e-3)), params=params)
    search.estimator = make_pipeline(StandardScaler())
    return search


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")  # Optuna 4
def test_importances_are_optuna_s(planted):
    """They are PED-ANOVA's of a study whose trials have the same values and the same best ones."""
    display = ParameterImportanceDisplay.from_estimator(planted)
    scores, params = planted.cv_results_["mean_test_score"], planted.cv_results_["params"]
    ranks = {name: rankdata([each[name] for each in params]) for name in params[0]}
    kinds = dict.fromkeys(ranks, optuna.distributions.FloatDistribution(1, 40))
    study = optuna.create_study(direction="maximize")
    for i, score in enumerate(scores):
        values = {name: each[i] for name, each in ranks.items()}
        is_best = score >= np.sort(scores)[-10]
        study.add_trial(
            optuna.trial.create_trial(value=float(is_best), params=values, distributions=kinds)
        )
    expected = optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
    )
    short = {name.removeprefix("mlp__"): value for name, value in expected.items()}
    assert list(display.importances) == ["learning_rate_init", "alpha"]
    assert display.importances == pytest.approx(short)
    assert display.importances["learning_rate_init"] > 0.8
    assert [bar.get_width() for bar in display.bars_] == list(display.importances.values())


def test_layers_are_a_depth_and_widths():
    """Widths that only deep networks have count too, and what a trial leaves out is its default."""
    rng = np.random.default_rng(0)
    sizes = [tuple(rng.integers(4, 99, rng.integers(1, 3))) for _ in range(60)]
    params = [{"hidden_layer_sizes": each} for each in sizes]
    params.append({})  # has the 8 units of the estimator
    scores = [each[1] if len(each) == 2 else 0 for each in [*sizes, (8,)]]
    search = Found(mean_test_score=scores, params=params)
    found = ParameterImportanceDisplay.from_estimator(search).importances
    assert set(found) == {"depth", "width_1", "width_2"}
    assert found["width_2"] > found["width_1"]
    assert sum(found.values()) == pytest.approx(1)


def test_without_an_estimator_of_its_own_defaults_are_those_of_the_best_one_s_class():
    """What AutoML leaves as it is counts with the value that its networks have."""
    params = [*({"n_bins": n} for n in (48, 48, 48, 32, 32, 32)), {}, {}]
    search = Found(mean_test_score=[1, 1, 1, 0, 0, 0, 1, 1], params=params)
    search.estimator, search.best_estimator_ = None, TabularMLPClassifier(n_bins=7)
    assert values_of(search)[-1] == {"n_bins": 48}
    assert ParameterImportanceDisplay.from_estimator(search).importances == {"n_bins": 1.0}


def test_the_best_trials_are_those_that_the_search_ranks_first(search):
    """A trial that was stopped early is behind all that went on, whatever its score was then."""
    best_first = trials_of(search).best_first()
    assert (np.diff(search.cv_results_["rank_test_score"][best_first]) >= 0).all()
    assert len(best_first) == 12
    found = Found(mean_test_score=[3, np.nan, 1, 2], rung=[0, 1, 1, 1])
    assert_array_equal(trials_of(found).best_first(), [3, 2, 0])


def test_the_ready_space_has_importances(search):
    """A real search's parameters come out by short names, with shares of 1."""
    found = ParameterImportanceDisplay.from_estimator(search).importances
    assert {"depth", "width_1", "activation", "learning_rate_init"} <= set(found)
    assert sum(found.values()) == pytest.approx(1)


def test_the_front_has_what_nothing_beats(search):
    """A model is on the front if no other costs no more with at least its score."""
    display = ParetoDisplay.from_estimator(search)
    results = search.cv_results_
    is_final = results["rung"] == results["rung"].max()
    assert_array_equal(display.costs, results["n_parameters"][is_final])
    assert_array_equal(display.scores, results["mean_test_score"][is_final])
    rng = np.random.default_rng(0)
    costs, scores = rng.integers(1, 20, 60), rng.integers(1, 20, 60) / 10
    front = ParetoDisplay(costs=costs, scores=scores).front
    models = set(zip(costs, scores, strict=True))
    expected = {
        (cost, score)
        for cost, score in models
        if not any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in models)
    }
    assert set(zip(costs[front], scores[front], strict=True)) == expected
    assert len(front) == len(expected)


def test_the_time_of_a_row_is_a_cost():
    """Where it was measured; models without it are not drawn."""
    search = Found(mean_test_score=[0.5, 0.7], n_parameters=[10, 20])
    with pytest.raises(ValueError, match=r"no 'row_milliseconds'. Found .*AutoMLP\* does"):
        ParetoDisplay.from_estimator(search, cost="row_milliseconds")
    times = [0.2, np.nan, 0.1]
    search = Found(mean_test_score=[0.6, 0.9, 0.7], row_milliseconds=times)
    display = ParetoDisplay.from_estimator(search, cost="row_milliseconds")
    assert_array_equal(drawn(display.models_), [[0.2, 0.6], [0.1, 0.7]])
    assert_array_equal(display.front, [1])


def test_searches_of_scikit_learn_s_are_welcome():
    """They have no early stops; sizes and seconds are an error that says so."""
    search = GridSearchCV(LogisticRegression(), {"C": np.logspace(-3, 3, 9)}, cv=2)
    search.fit(*load_iris(return_X_y=True))
    display = SearchHistoryDisplay.from_estimator(search)
    assert display.are_final.all()
    assert display.best[-1] == search.best_score_
    assert ParameterImportanceDisplay.from_estimator(search).importances == {"C": 1.0}
    with pytest.raises(ValueError, match=r"no 'n_parameters'. GridSearchCV does not measure it"):
        ParetoDisplay.from_estimator(search)


def test_one_of_several_metrics_is_chosen():
    """It is the one that `refit` names, or the one asked for."""
    search = Found(mean_test_a=[1, 2], mean_test_b=[4, 3])
    with pytest.raises(ValueError, match=r"metric=True is none of the search. Use one of 'a', 'b'"):
        SearchHistoryDisplay.from_estimator(search)
    search.refit = "b"
    assert SearchHistoryDisplay.from_estimator(search).best[-1] == 4
    display = SearchHistoryDisplay.from_estimator(search, metric="a")
    assert display.best[-1] == 2
    assert display.ax_.get_ylabel() == "a"


def test_what_cannot_be_drawn_is_refused(search):
    """Errors say what was given, and what is welcome."""
    with pytest.raises(NotFittedError):
        SearchHistoryDisplay.from_estimator(MLPSearchCV(MLPClassifier()))
    with pytest.raises(ValueError, match=r"x='hours' is not known. Use 'trial' or 'seconds'"):
        SearchHistoryDisplay.from_estimator(search, x="hours")
    with pytest.raises(ValueError, match=r"top=0.01 is out of range. Use a share from 0.1 to 0.9"):
        ParameterImportanceDisplay.from_estimator(search, top=0.01)
    with pytest.raises(ValueError, match=r"cost='watts' is not known. Use 'n_parameters' or"):
        ParetoDisplay.from_estimator(search, cost="watts")
    few = Found(mean_test_score=[1.0, np.nan], params=[{"alpha": 1.0}] * 2)
    with pytest.raises(ValueError, match="has 1 trials with a score, and importances need 8"):
        ParameterImportanceDisplay.from_estimator(few)


@pytest.mark.parametrize("display", DISPLAYS)
def test_axes_and_figure_are_kept(search, display):
    """A display draws on its own figure or on given axes, returns itself and keeps both."""
    _, ax = plt.subplots()
    on_given = display.from_estimator(search, ax=ax)
    assert on_given.ax_ is ax
    assert on_given.plot() is on_given
    assert on_given.ax_ is not ax
    assert on_given.figure_ is on_given.ax_.figure


@pytest.mark.parametrize("display", DISPLAYS)
def test_without_matplotlib_the_error_says_what_to_install(monkeypatch, search, display):
    """Pictures say which extra brings it."""
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=rf"{display.__name__} needs .*sklmlp\[plot\]"):
        display.from_estimator(search)


def test_without_optuna_the_error_says_what_to_install(monkeypatch, search):
    """Importances are Optuna's, and nothing else is."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"asks Optuna for importances: .*sklmlp\[search\]"):
        ParameterImportanceDisplay.from_estimator(search)
    SearchHistoryDisplay.from_estimator(search)
