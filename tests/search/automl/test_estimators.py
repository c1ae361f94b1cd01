"""AutoMLPClassifier and AutoMLPRegressor, from a raw table to an ensemble."""

import copy
import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from sklmlp import AutoMLPClassifier, AutoMLPRegressor, TableEncoder, TabularMLPClassifier
from sklmlp.tabular import defaults

CLASSES = {"classifier": AutoMLPClassifier, "regressor": AutoMLPRegressor}


def make(kind="classifier", **params):
    defaults = {"max_time": None, "n_trials": 3, "cv": 2, "random_state": 0, "n_jobs": 1}
    return CLASSES[kind](**defaults | params)


@pytest.fixture(scope="module")
def fitted():
    """A fit of each kind, made once; `table` is the fixture's of this module."""
    return {}


@pytest.fixture(params=["classifier", "regressor"])
def model(request, table, fitted):
    X, labels, values = table
    if request.param not in fitted:
        y = labels if request.param == "classifier" else values
        fitted[request.param] = make(request.param, n_trials=5).fit(X, y), X, y
    return fitted[request.param]


def test_the_default_is_first_then_the_portfolio_then_proposals(model):
    """Candidates are the tabular estimator as it is, known settings, and the sampler's."""
    params = model[0].cv_results_["params"]
    assert len(params) == 5
    assert params[0] == {}
    assert [each["hidden_layer_sizes"] for each in params[1:3]] == [(12,), (8,)]
    assert all("learning_rate_init" in each for each in params[3:])


def test_known_settings_go_to_the_end_and_halving_ends_proposals(model):
    """The default and the portfolio are trained for all epochs; of two proposals one goes on."""
    results = model[0].cv_results_
    assert list(results["n_epochs"][:3]) == [4, 4, 4]
    assert min(results["n_epochs"][3:]) == 1
    assert results["rung"][0] == max(results["rung"])
    assert model[0].plan_["batch_sizes"] == [1, 1, 1, 2]


def test_predictions_are_the_weighted_mean_of_networks(model):
    """The networks of folds count by their weights, and that of all rows as much as all these."""
    automl, X, _ = model
    ensemble, total = automl.ensemble_, 0.0

    def output(estimator):
        return (
            estimator.predict_proba(X) if hasattr(estimator, "classes_") else estimator.predict(X)
        )

    for weight, estimators in zip(ensemble.weights, ensemble.estimators, strict=True):
        total = total + weight * np.mean([output(each) for each in estimators], axis=0)
    total = (total + output(automl.best_estimator_)) / 2
    assert ensemble.weights.sum() == pytest.approx(1)
    if hasattr(automl, "classes_"):
        np.testing.assert_allclose(automl.predict_proba(X), total)
        np.testing.assert_array_equal(automl.predict(X), automl.classes_[total.argmax(axis=1)])
    else:
        np.testing.assert_allclose(automl.predict(X), total)


def test_held_out_predictions_score_better_than_each_candidate(model):
    """The ensemble is no worse than the best candidate by the rows that chose it."""
    automl, _, y = model
    assert not np.isnan(automl.oof_prediction_).any()
    of_best = np.array(
        [automl.cv_results_[f"split{k}_test_score"][automl.best_index_] for k in (0, 1)]
    )
    if hasattr(automl, "classes_"):
        assert -log_loss(y, automl.oof_prediction_) >= of_best.mean() - 1e-9
    else:
        assert mean_squared_error(y, automl.oof_prediction_) <= (of_best**2).mean() + 1e-9


def test_the_leaderboard_has_what_came_of_each(model):
    """One row a candidate, the best first, with its weight in the ensemble."""
    automl = model[0]
    table = automl.leaderboard()
    assert list(table.columns) == [
        *("rank", "score", "spread", "seconds", "epochs", "parameters", "weight", "params"),
    ]
    assert sorted(table.index) == list(range(5))
    assert table.index[0] == automl.best_index_
    assert table["score"].iloc[0] == automl.best_score_
    assert table["weight"].sum() == pytest.approx(1)
    assert set(table.index[table["weight"] > 0]) == set(automl.ensemble_.numbers)


def test_no_candidate_beats_one_of_the_front(model):
    """Each of `pareto_` is the best of its size or less, or of its time or less."""
    front, results = model[0].pareto_, model[0].cv_results_
    assert len(front)
    for _, row in front.iterrows():
        rivals = [
            score > row["score"] and results[cost][k] <= row[cost]
            for cost in ("n_parameters", "row_milliseconds")
            for k, score in enumerate(results["mean_test_score"])
            if not np.isnan(results["row_milliseconds"][k])
        ]
        half = len(rivals) // 2
        assert not any(rivals[:half]) or not any(rivals[half:])


def test_the_best_is_a_plain_estimator(model):
    """It is fitted to all rows, for the epochs that were best in the folds."""
    automl, X, y = model
    best = automl.best_estimator_
    assert best.max_time is None
    assert automl.plan_["n_fitted_to_all"] == 1
    assert best.n_iter_ == best.best_iteration_
    assert best.encoder_.n_features_in_ == X.shape[1]
    assert best.score(X, y) > 0.1
    assert clone(best).get_params() == best.get_params()


def test_a_pickle_predicts_the_same(model):
    """So does a copy."""
    automl, X, _ = model
    for again in (pickle.loads(pickle.dumps(automl)), copy.deepcopy(automl)):
        np.testing.assert_array_equal(again.predict(X), automl.predict(X))


def test_the_same_seed_gives_the_same_fit(table, model):
    """With a number of trials and no clock nothing depends on the machine but last bits."""
    automl, X, y = model
    again = clone(automl).set_params(n_jobs=2).fit(X, y)
    np.testing.assert_allclose(again.oof_prediction_, automl.oof_prediction_, rtol=1e-10)
    np.testing.assert_array_equal(again.ensemble_.weights, automl.ensemble_.weights)


def test_tables_are_encoded_once_a_fold(table, monkeypatch):
    """Two folds and all rows are three encodings, of four candidates."""
    X, y, _ = table
    encoded, fit_transform = [], TableEncoder.fit_transform

    def counting(self, X, y=None):
        encoded.append(len(X))
        return fit_transform(self, X, y)

    monkeypatch.setattr(TableEncoder, "fit_transform", counting)
    make(n_trials=4).fit(X, y)
    assert encoded == [45, 45, 90]


def test_without_an_ensemble_the_best_predicts(table):
    """Then one network answers."""
    X, y, _ = table
    automl = make(ensemble=False, n_trials=1).fit(X, y)
    expected = automl.best_estimator_.predict_proba(X)
    np.testing.assert_array_equal(automl.predict_proba(X), expected)
    np.testing.assert_array_equal(automl.leaderboard()["weight"], [1])


def test_larger_networks_are_not_trained(table):
    """`max_parameters` holds for all, the default too."""
    X, y, _ = table
    first, larger = make(n_trials=2).fit(X, y).cv_results_["n_parameters"]
    automl = make(max_parameters=larger - 1, n_trials=2).fit(X, y)
    assert max(automl.cv_results_["n_parameters"]) == first < larger
    assert automl.cv_results_["params"][1]["hidden_layer_sizes"] == (8,)


def test_a_candidate_that_fails_ends_nothing(table, monkeypatch):
    """It has no score, and is not in the ensemble."""
    X, y, _ = table
    fit = TabularMLPClassifier.fit

    def failing(self, *args, **kwargs):
        if self.hidden_layer_sizes == (12,):
            raise RuntimeError("no luck")
        return fit(self, *args, **kwargs)

    monkeypatch.setattr(TabularMLPClassifier, "fit", failing)
    automl = make().fit(X, y)
    assert np.isnan(automl.cv_results_["mean_test_score"][1])
    assert 1 not in automl.ensemble_.numbers
    assert automl.leaderboard().index[-1] == 1


def test_rows_are_weighed(table):
    """Rows of no weight may hold anything."""
    X, y, _ = table
    weight = np.ones(90)
    weight[::7] = 0
    other = np.where(weight == 0, "low", y)
    models = [make(n_trials=1).fit(X, labels, sample_weight=weight) for labels in (y, other)]
    scores = [each.best_score_ for each in models]
    assert scores[0] == pytest.approx(scores[1], rel=0.2)
    assert make(n_trials=1).fit(X, y).best_score_ != scores[0]


def test_groups_are_not_torn(table):
    """The rows held out are those of whole groups."""
    X, y, _ = table
    groups = np.arange(90) // 10
    splits = GroupKFold(3).split(X, y, groups)
    theirs = make(n_trials=1, cv=list(splits)).fit(X, y)
    ours = make(n_trials=1, cv=GroupKFold(3)).fit(X, y, groups=groups)
    assert ours.n_splits_ == 3
    np.testing.assert_array_equal(ours.oof_prediction_, theirs.oof_prediction_)


def test_several_labels_and_several_outputs(table):
    """Multilabel targets and several values are predicted in their columns."""
    X, _, values = table
    Y = np.column_stack([values > 0, values > 1]).astype(int)
    labels = make(n_trials=1).fit(X, Y)
    assert labels.predict_proba(X).shape == labels.predict(X).shape == (90, 2)
    assert set(np.unique(labels.predict(X))) <= {0, 1}
    outputs = make("regressor", n_trials=1).fit(X, np.column_stack([values, -values]))
    assert outputs.predict(X).shape == outputs.oof_prediction_.shape == (90, 2)


@pytest.mark.parametrize("scoring", ["accuracy", "roc_auc_ovr"])
def test_a_score_of_ones_own_decides(table, scoring):
    """Candidates and the ensemble are chosen by `scoring`."""
    X, y, _ = table
    automl = make(scoring=scoring).fit(X, y)
    assert 0 <= automl.best_score_ <= 1
    assert automl.best_score_ == max(
        score
        for score, rung in zip(
            automl.cv_results_["mean_test_score"], automl.cv_results_["rung"], strict=True
        )
        if rung == max(automl.cv_results_["rung"])
    )


def test_it_is_a_step_of_a_pipeline_and_of_cross_validation(table):
    """Nested cross-validation tells how good a search is."""
    X, y, _ = table
    scores = cross_val_score(make_pipeline("passthrough", make(n_trials=1)), X, y, cv=2)
    assert (scores > 0.3).all()


def test_arrays_of_numbers_are_tables(table):
    """Columns need no names."""
    X, y, _ = table
    automl = make(n_trials=1).fit(X[["x", "z"]].to_numpy(), y)
    assert automl.n_features_in_ == 2
    assert not hasattr(automl, "feature_names_in_")


def test_a_budget_is_planned(table):
    """With a limit the plan says what was decided, and there is a result however short it is."""
    X, y, _ = table
    automl = make(max_time=2.0, n_trials=2).fit(X, y)
    assert automl.plan_["n_trials"] <= 2
    assert 1 <= automl.plan_["max_iter"] <= 4
    assert len(automl.cv_results_["params"]) == automl.plan_["n_trials"]


def test_without_time_there_is_an_estimator_all_the_same(table):
    """It says how little it was trained."""
    X, y, _ = table
    with pytest.warns(UserWarning, match="The default is trained for one epoch on one fold"):
        automl = make(max_time=1e-9).fit(X, y)
    assert automl.n_splits_ == automl.plan_["n_trials"] == 1
    assert automl.predict_proba(X).shape == (90, 3)
    assert np.isnan(automl.oof_prediction_).any()


EXPECTED_FAILED = {
    "check_sample_weight_equivalence_on_dense_data": "folds and bins see rows, whatever they weigh",
}


@pytest.mark.parametrize("of", CLASSES)
def test_check_estimator(of, monkeypatch):
    """scikit-learn's checks hold, with one trial, but for one that row weights cannot."""
    monkeypatch.setattr(defaults, "max_iter", lambda n, size: 8)
    monkeypatch.setattr(defaults, "LEARNING_RATE_INIT", {"classification": 0.1, "regression": 0.1})
    tuned = AutoMLPClassifier._tuned
    without = lambda self, **params: tuned(self, **params).set_params(additive=False)  # noqa: E731
    monkeypatch.setattr(AutoMLPClassifier, "_tuned", without)
    results = check_estimator(
        make(of, n_trials=1),
        expected_failed_checks=EXPECTED_FAILED,
        on_skip=None,
        on_fail=None,
    )
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"}
    assert failed == {}
    assert len(results) > 50
