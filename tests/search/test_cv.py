"""MLPSearchCV: scikit-learn's contract, and halving that goes on."""

import warnings

import numpy as np
import pytest
import sklearn
from scipy.stats import loguniform
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_iris
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, make_scorer
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    ParameterGrid,
    RandomizedSearchCV,
    ShuffleSplit,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from sklmlp import MLPClassifier, MLPRegressor, MLPSearchCV, TabularMLPClassifier
from tests.tables import make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MODEL = make_pipeline(
    StandardScaler(),
    MLPClassifier(8, max_iter=9, learning_rate_init=0.02, random_state=0),
)
GRID = {
    "mlpclassifier__learning_rate_init": [1e-3, 1e-2, 1e-1],
    "mlpclassifier__activation": ["relu", "tanh", ("leaky_relu", {"negative_slope": 0.1})],
}
FROM_A_CLOCK = ("time", "seconds")


@pytest.fixture(scope="module")
def table():
    """Three classes in 90 rows."""
    return make_table("multiclass", 90)


def search(model=MODEL, space="auto", **params):
    """A short search; whatever else is asked for."""
    defaults = {"n_trials": 6, "cv": 2, "random_state": 0, "batch_size": 4, "min_epochs": 2}
    return MLPSearchCV(model, space, **{**defaults, **params})


def without_times(results):
    """Results but for what a clock has measured, comparable by ==."""
    return {
        name: np.ma.filled(np.ma.asarray(values, dtype=object), "masked").tolist()
        for name, values in results.items()
        if not any(each in name for each in FROM_A_CLOCK)
    }


@pytest.fixture(scope="module")
def fitted(table):
    """A search with halving, fitted once."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return search(n_trials=9, factor=2).fit(*table)


# The results


@pytest.mark.parametrize("return_train_score", [False, True])
def test_the_results_are_those_of_a_grid_search(table, return_train_score):
    """Without halving, the columns of a grid are GridSearchCV's, to the last bit."""
    params = {"cv": 3, "return_train_score": return_train_score, "refit": False}
    theirs = GridSearchCV(MODEL, GRID, **params).fit(*table)
    ours = MLPSearchCV(MODEL, GRID, method="grid", halving=False, **params).fit(*table)
    grid, results = without_times(theirs.cv_results_), without_times(ours.cv_results_)
    assert list(ours.cv_results_["params"][1:]) == list(ParameterGrid(GRID))
    assert set(results) - set(grid) == {"n_epochs", "rung", "n_parameters"}
    for name, values in grid.items():
        if not name.startswith("rank"):
            assert results[name][1:] == values, name
        assert type(theirs.cv_results_[name]) is type(ours.cv_results_[name])
        assert theirs.cv_results_[name][:1].__class__ is ours.cv_results_[name][:1].__class__
        dtypes = (getattr(each.cv_results_[name], "dtype", None) for each in (ours, theirs))
        assert next(dtypes) == next(dtypes)


def test_the_results_are_those_of_a_random_search(table):
    """So are those of RandomizedSearchCV's candidates, with several metrics and the refit."""
    space = {"mlpclassifier__learning_rate_init": loguniform(1e-3, 1e-1)}
    params = {"scoring": ["accuracy", "neg_log_loss"], "refit": "neg_log_loss", "cv": 2}
    theirs = RandomizedSearchCV(MODEL, space, n_iter=4, random_state=0, **params).fit(*table)
    candidates = list(theirs.cv_results_["params"])
    ours = MLPSearchCV(
        MODEL, space, initial_params=candidates, n_trials=5, halving=False, **params
    ).fit(*table)
    for name in ("split0_test_accuracy", "mean_test_neg_log_loss", "std_test_accuracy"):
        np.testing.assert_array_equal(ours.cv_results_[name][1:], theirs.cv_results_[name])
    assert ours.best_score_ == max(ours.cv_results_["mean_test_neg_log_loss"])
    assert set(ours.scorer_) == set(theirs.scorer_)
    if ours.best_index_ > 0:
        assert ours.best_params_ == theirs.best_params_
        np.testing.assert_array_equal(ours.predict_proba(table[0]), theirs.predict_proba(table[0]))


def test_the_first_candidate_is_the_estimator_as_it_is(fitted, table):
    """Trial 0 has no parameters, is trained to its end, and has the scores of cross-validation."""
    assert fitted.cv_results_["params"][0] == {}
    scores = [fitted.cv_results_[f"split{k}_test_score"][0] for k in range(2)]
    assert scores == cross_val_score(MODEL, *table, cv=2).tolist()
    assert fitted.best_score_ >= np.mean(scores)


def test_candidates_that_went_further_rank_first(fitted):
    """The best is of the last rung, whatever the scores of those that were stopped."""
    results = fitted.cv_results_
    assert results["rung"][fitted.best_index_] == results["rung"].max()
    order = np.argsort(results["rank_test_score"], kind="stable")
    assert (np.diff(results["rung"][order]) <= 0).all()
    assert results["rank_test_score"].dtype == np.int32


def test_epochs_are_those_of_the_rungs(fitted):
    """Candidates have trained for the epochs of a rung, or to the end."""
    assert set(fitted.cv_results_["n_epochs"]) <= {2, 4, 8, 9}
    assert set(fitted.cv_results_["n_epochs"][fitted.cv_results_["rung"] == 0]) == {2}
    assert (fitted.cv_results_["fit_seconds"] > 0).all()


def test_a_candidate_s_scores_are_those_of_a_fit_that_never_paused(fitted, table):
    """Halving changes which candidates are trained on, and no score of those that were."""
    results = fitted.cv_results_
    (ends,) = np.nonzero(results["n_epochs"] == 9)
    assert len(ends) > 1
    for k in ends:
        model = clone(MODEL).set_params(**results["params"][k])
        scores = cross_val_score(model, *table, cv=2)
        assert results["mean_test_score"][k] == scores.mean()


def test_parameters_are_counted(fitted, table):
    """`n_parameters` is the number of weights of the network."""
    for k in (0, fitted.best_index_):
        network = clone(MODEL).set_params(**fitted.cv_results_["params"][k]).fit(*table)[-1]
        numbers = sum(p.numel() for p in network.module_.parameters())
        assert fitted.cv_results_["n_parameters"][k] == numbers


def test_the_estimator_is_left_as_it_was(table):
    """A search changes neither the estimator nor its parameters."""
    model = clone(MODEL)
    before = repr(model.get_params())
    search(model, n_trials=2).fit(*table)
    assert repr(model.get_params()) == before
    assert not hasattr(model[-1], "coefs_")


def test_seeds_that_are_none_are_drawn(table):
    """An estimator without a `random_state` is searched reproducibly, and goes on in its rungs."""
    model = clone(MODEL).set_params(mlpclassifier__random_state=None)
    one, other = (search(model, refit=False).fit(*table).cv_results_ for _ in range(2))
    assert without_times(one) == without_times(other)


# Decisions


def test_no_candidate_is_larger_than_allowed(table):
    """`max_parameters` holds for every candidate, and is enforced before training."""
    space = {"mlpclassifier__hidden_layer_sizes": [(4,), (9,), (20,), (4, 4)]}
    results = search(space=space, max_parameters=100, n_trials=8).fit(*table).cv_results_
    # 5 features, 3 classes: 9 w + 3 for one layer of w units, and 20 more for the second of 4
    assert set(results["n_parameters"]) == {39, 59, 75, 84}


def test_a_space_without_small_networks_is_refused(table, monkeypatch):
    """Where none is small enough the error says what to change."""
    monkeypatch.setattr("sklmlp.search.asking.MOST_TRIES", 3)
    with pytest.raises(ValueError, match="max_parameters"):
        search(max_parameters=70, space={"mlpclassifier__hidden_layer_sizes": [9, 10]}).fit(*table)


class Failing(ClassifierMixin, BaseEstimator):
    """Fails where it is told to."""

    def __init__(self, fails=False):
        self.fails = fails

    def fit(self, X, y):
        if self.fails:
            raise ValueError("told to fail")
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def test_a_candidate_that_fails_ends_nothing(table):
    """It gets `error_score`, ranks last, and scikit-learn's warning tells of it."""
    failing = search(Failing(), {"fails": [True]}, n_trials=3, error_score=-1.0)
    with pytest.warns(FitFailedWarning, match="4 fits failed out of a total of 6"):
        failing.fit(*table)
    assert failing.cv_results_["mean_test_score"].tolist()[1:] == [-1.0, -1.0]
    assert failing.best_params_ == {}


def test_errors_are_raised_if_wanted(table):
    """`error_score="raise"` raises the first."""
    with pytest.raises(ValueError, match="told to fail"):
        search(Failing(), {"fails": [True]}, n_trials=2, error_score="raise").fit(*table)


def test_all_failing_is_an_error(table):
    """Where no fit succeeds there is no result, as in scikit-learn."""
    with pytest.raises(ValueError, match="All the 4 fits failed"):
        search(Failing(True), {"fails": [True]}, n_trials=2).fit(*table)


def test_estimators_without_a_network_are_fitted_in_full(table):
    """Any estimator can be searched through; there is nothing to pause."""
    ours = search(LogisticRegression(), {"C": loguniform(1e-3, 1e3)}).fit(*table)
    assert set(ours.cv_results_["rung"]) == {0}
    assert ours.cv_results_["n_parameters"].tolist() == [0] * 6


# Contract


def test_a_refit_callable_chooses(table):
    """`refit` may be a function of the results."""
    ours = search(refit=lambda results: len(results["params"]) - 1).fit(*table)
    assert ours.best_index_ == 5
    assert not hasattr(ours, "best_score_")


def test_a_scoring_callable_may_give_several_metrics(table):
    """So may `scoring`, and `refit` names the one that decides."""

    def scores(estimator, X, y):
        return {"right": estimator.score(X, y), "wrong": 1 - estimator.score(X, y)}

    ours = search(scoring=scores, refit="right").fit(*table)
    assert ours.multimetric_
    assert ours.best_score_ == ours.cv_results_["mean_test_right"][ours.best_index_]
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_wrong"], 1 - ours.cv_results_["mean_test_right"]
    )


def test_groups_reach_the_splitter(table):
    """`groups` splits, and nothing else gets it."""
    X, y = table
    groups = np.arange(len(y)) % 5
    ours = search(cv=GroupKFold(3), n_trials=2).fit(X, y, groups=groups)
    theirs = GridSearchCV(MODEL, {}, cv=GroupKFold(3)).fit(X, y, groups=groups)
    assert ours.cv_results_["mean_test_score"][0] == theirs.cv_results_["mean_test_score"][0]


def test_weights_are_split_with_the_rows(table):
    """`sample_weight` reaches the fits of the folds, as in scikit-learn's searches."""
    X, y = table
    weight = np.random.default_rng(0).uniform(size=len(y))
    network = MODEL[-1]
    ours = search(network, n_trials=1).fit(X, y, sample_weight=weight)
    theirs = GridSearchCV(network, {}, cv=2).fit(X, y, sample_weight=weight)
    assert ours.best_score_ == theirs.best_score_


def test_metadata_is_routed(table):
    """With metadata routing the scorer gets what it requests."""
    X, y = table
    weight = np.random.default_rng(0).uniform(size=len(y))
    with sklearn.config_context(enable_metadata_routing=True):
        scorer = make_scorer(accuracy_score).set_score_request(sample_weight=True)
        network = clone(MODEL[-1]).set_fit_request(sample_weight=True)
        ours = search(network, scoring=scorer, n_trials=1).fit(X, y, sample_weight=weight)
        theirs = GridSearchCV(network, {}, scoring=scorer, cv=2).fit(X, y, sample_weight=weight)
    assert ours.best_score_ == theirs.best_score_


def test_random_folds_are_drawn_once(table):
    """A splitter that draws other folds at each call is called once."""
    ours = search(cv=ShuffleSplit(2, test_size=0.3), n_trials=3)
    ours.fit(*table)
    assert ours.n_splits_ == 2


def test_feature_names_and_frames(table):
    """Names of columns are those of the best estimator."""
    X, y = load_iris(return_X_y=True, as_frame=True)
    ours = search(n_trials=2).fit(X, y)
    assert list(ours.feature_names_in_) == list(X.columns)
    assert ours.predict(X).shape == y.shape


def test_it_nests(table):
    """Nested cross-validation is `cross_val_score` of a search, with and without threads."""
    ours = search(n_trials=3)
    alone = cross_val_score(ours, *table, cv=2)
    together = cross_val_score(clone(ours).set_params(n_jobs=2), *table, cv=2)
    np.testing.assert_array_equal(alone, together)


def test_tabular_estimators(table):
    """Networks of raw tables pause and go on too, and are refitted on all rows in the end."""
    params = {"n_estimators": 2, "additive": False, "calibrate": False, "random_state": 0}
    model = TabularMLPClassifier(8, max_iter=6, **params)
    space = {"hidden_layer_sizes": [(4,), (8,)], "n_bins": [2, 4]}
    ours = search(model, space, n_trials=2, min_epochs=3).fit(*table)
    assert ours.cv_results_["n_epochs"].tolist().count(6) >= 1
    scores = cross_val_score(model, *table, cv=2)
    assert ours.cv_results_["mean_test_score"][0] == scores.mean()


def test_regressors(table):
    """Regressors are scored by R2."""
    X, y = make_table("regression", 60)
    ours = search(MLPRegressor(hidden_layer_sizes=4, max_iter=4, random_state=0), n_trials=3)
    assert ours.fit(X, y).score(X, y) == ours.best_estimator_.score(X, y)


@pytest.mark.parametrize("backend", ["sklmlp", "loky"])
def test_backends(table, fitted, backend):
    """Every backend of joblib computes the same."""
    import joblib

    with joblib.parallel_config(backend=backend, n_jobs=2):
        ours = search(n_trials=9, factor=2, refit=False).fit(*table)
    assert without_times(ours.cv_results_) == without_times(fitted.cv_results_)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_scikit_learn_s_checks():
    """It passes scikit-learn's checks of estimators."""
    estimator = MLPSearchCV(
        LogisticRegression(), {"C": [0.1]}, method="grid", cv=2, error_score="raise"
    )
    results = check_estimator(estimator, on_skip=None, on_fail=None)
    assert [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"] == []


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"space": "autos"}, "space='autos' is not known"),
        ({"space": {"alpha": [1]}}, "'alpha', which is no parameter of Pipeline"),
        ({"space": {"mlpclassifier__alpha": []}}, "no values to choose from"),
        ({"space": {"mlpclassifier__alpha": 3}}, "takes a list of values, a distribution"),
        ({"method": "tpa"}, "method='tpa' is not known.*tpe"),
        ({"n_trials": 0}, "n_trials"),
        ({"factor": 1}, "factor"),
        ({"estimator": LogisticRegression()}, "with 0 in it"),
    ],
)
def test_errors_name_what_is_wrong(table, params, message):
    """What a search cannot work with is refused by name."""
    with pytest.raises(ValueError, match=message):
        search().set_params(**params).fit(*table)
