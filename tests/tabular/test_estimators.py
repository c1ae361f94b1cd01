"""The estimators for raw tables: what a fit does, and what comes out."""

import io
import pickle
import warnings
from unittest import SkipTest

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.utils.estimator_checks import estimator_checks_generator
from skorch.callbacks import Callback

from sklmlp import TabularMLPClassifier, TabularMLPRegressor
from sklmlp.io import load_skops
from sklmlp.tabular import defaults
from sklmlp.tabular.network import ends_of_cycles

SMALL = {"hidden_layer_sizes": (16,), "n_estimators": 2, "max_iter": 8, "random_state": 0}
N = 120


def make_table(kind):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N, 4))
    X[::7, 1] = np.nan
    z = X[:, 0] - X[:, 2] ** 2
    y = {
        "binary": np.array(["no", "yes"])[(z > -1).astype(int)],
        "multiclass": np.digitize(z, [-1.5, 0]),
        "multilabel": np.c_[z > -1, X[:, 3] > 0].astype(int),
        "regression": 1000 + 30 * z,
        "regressions": np.c_[z, 100 - z],
        "counts": rng.poisson(np.exp(z / 2)).astype(float),
        "positive": np.exp(z),
    }[kind]
    return X, y


CLASSES = ("binary", "multiclass", "multilabel")
CASES = {
    **{kind: (kind, {}) for kind in (*CLASSES, "regression", "regressions")},
    "absolute_error": ("regression", {"loss": "absolute_error"}),
    "quantiles": ("regression", {"loss": "quantile", "quantile": [0.9, 0.1]}),
    "gaussian": ("regression", {"loss": "gaussian"}),
    "poisson": ("counts", {"loss": "poisson"}),
    "gamma": ("positive", {"loss": "gamma"}),
    "periodic": ("binary", {"numeric_embedding": "periodic"}),
    "both embeddings": ("multiclass", {"numeric_embedding": "both"}),
}


def make(case, **params):
    kind, own = CASES[case]
    of = TabularMLPClassifier if kind in CLASSES else TabularMLPRegressor
    return of(**SMALL | own | params), *make_table(kind)


def output(model, X):
    return model.predict_proba(X) if hasattr(model, "classes_") else model.predict(X)


LEFT_OUT = {
    "check_sample_weight_equivalence_on_dense_data": "bins, scales and dropout see rows, whatever "
    "their weights, as in gradient boosting",
    "check_class_weight_classifiers": "it asks for 1,000 epochs; see "
    "test_weights_of_rows_and_of_classes_count",
}
CHECKED = {
    "hidden_layer_sizes": (8,),
    "n_estimators": 2,
    "max_iter": 8,
    "learning_rate_init": 0.1,
}


@pytest.mark.parametrize("of", [TabularMLPClassifier, TabularMLPRegressor])
def test_check_estimator(of):
    """scikit-learn's checks hold."""
    failed, n_checks = [], 0
    for model, check in estimator_checks_generator(of(**CHECKED)):
        name = check.func.__name__
        if name in LEFT_OUT:
            continue
        n_checks += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check(model)
        except SkipTest:
            pass
        except Exception as error:
            failed.append((name, error))
    assert failed == []
    assert n_checks > 50


@pytest.mark.parametrize("case", CASES)
def test_every_kind_of_target_and_loss_learns(case):
    """Predictions are better than a constant, and the same from the same seed."""
    model, X, y = make(case, max_iter=30)
    first, second = model.fit(X, y), clone(model).fit(X, y)
    assert_array_equal(output(first, X), output(second, X))
    assert first.score(X, y) > (0.6 if CASES[case][0] in CLASSES else 0.1)
    other = clone(model).set_params(random_state=1).fit(X, y)
    assert (output(other, X) != output(first, X)).any()


@pytest.mark.parametrize("case", CASES)
def test_pickles_predict_the_same(case):
    """All that was learned is in the pickle."""
    model, X, y = make(case, max_iter=2)
    model.fit(X, y)
    loaded = pickle.loads(pickle.dumps(model))
    assert_array_equal(output(loaded, X), output(model, X))


@pytest.mark.parametrize("case", ["binary", "multilabel", "regression"])
def test_skops_files_predict_the_same(case):
    """`load_skops` trusts all that an estimator consists of."""
    skops_io = pytest.importorskip("skops.io")
    model, X, y = make(case, max_iter=2)
    model.fit(X, y)
    loaded = load_skops(io.BytesIO(skops_io.dumps(model)))
    assert_array_equal(output(loaded, X), output(model, X))


def test_a_frame_of_numbers_words_and_gaps():
    """Columns are known by name; categories, gaps and unknown levels go in."""
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(size=N), "kind": rng.choice(["a", "b", "c"], N)})
    y = np.where(frame["kind"] == "a", frame["size"] > 0, frame["size"] < 0)
    frame.loc[::9, "size"] = None
    frame["kind"] = frame["kind"].astype("category")
    model = TabularMLPClassifier(**SMALL | {"max_iter": 40}).fit(frame, y)
    assert list(model.feature_names_in_) == ["size", "kind"] and model.n_features_in_ == 2
    assert model.score(frame, y) > 0.85
    later = pd.DataFrame({"size": [1.0, None], "kind": ["b", "new"]})
    assert np.isfinite(model.predict_proba(later)).all()
    with pytest.raises(ValueError, match="feature names"):
        model.predict(later[["kind", "size"]])


@pytest.mark.parametrize("case", ["binary", "multiclass"])
def test_probabilities_sum_to_one(case):
    """And the label is the most probable."""
    model, X, y = make(case)
    probability = model.fit(X, y).predict_proba(X)
    assert_allclose(probability.sum(axis=1), 1, rtol=1e-6)
    assert (probability >= 0).all()
    assert_array_equal(model.classes_[probability.argmax(axis=1)], model.predict(X))


def test_predictions_stay_in_the_range_of_targets():
    """Of targets that level off; without `clip` predictions overshoot."""
    model, X, y = make("regression", max_iter=40)
    y = np.clip(y, *np.quantile(y, [0.4, 0.6]))
    predicted = model.fit(X, y).predict(X * 3)
    assert predicted.min() == y.min() and predicted.max() == y.max()
    free = clone(model).set_params(clip=False).fit(X, y).predict(X * 3)
    assert free.min() < y.min() and free.max() > y.max()


def test_the_gaussian_loss_learns_deviations():
    """Noise that grows with a column is seen to grow."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(600, 2))
    y = X[:, 1] + np.where(X[:, 0] > 0, 1.0, 0.1) * rng.normal(size=600)
    model = TabularMLPRegressor("gaussian", **SMALL | {"max_iter": 40}).fit(X, y)
    _, std = model.predict(np.array([[-0.5, 0.0], [0.5, 0.0]]), return_std=True)
    assert std[1] > 2 * std[0] > 0


def test_quantiles_do_not_cross():
    """Each column is a quantile, in the order that was asked for."""
    model, X, y = make("quantiles", max_iter=30)
    high, low = model.fit(X, y).predict(X).T
    assert (high >= low).all()


def test_the_best_epoch_is_taken_and_all_rows_are_fitted_again():
    """The refit is as long as the first fit was good for."""
    model, X, y = make("regression", max_iter=12)
    model.fit(X, y)
    scores = model.validation_scores_
    assert len(scores) == model.max_iter_ == 12
    ends = [1, 2, 6, 12]
    assert model.n_iter_ == model.best_iteration_ == max(ends, key=lambda e: scores[e - 1])
    assert model.network_.t_ == N * model.n_iter_
    first = clone(model).set_params(refit=False).fit(X, y)
    assert first.validation_scores_ == scores and first.n_iter_ == 12
    assert first.network_.t_ == 12 * int(N * 0.85)


def test_validation_rows_of_the_user_choose_and_are_not_trained_on():
    """All rows of X are trained on, once."""
    model, X, y = make("multiclass")
    model.fit(X[:80], y[:80], X_val=X[80:], y_val=y[80:])
    assert model.network_.t_ == 80 * 8
    probability = model.network_.predict_proba(model.encoder_.transform(X[80:]))
    best = model.validation_scores_[model.best_iteration_ - 1]
    assert_allclose(best, -log_loss(y[80:], probability), rtol=1e-4)


@pytest.mark.parametrize("given", [{"X_val": 0}, {"y_val": 0}, {"sample_weight_val": 0}])
def test_half_of_the_validation_data_is_refused(given):
    """The error says what is missing."""
    model, X, y = make("binary")
    values = {"X_val": X, "y_val": y, "sample_weight_val": np.ones(N)}
    with pytest.raises(ValueError, match="provided, but"):
        model.fit(X, y, **{name: values[name] for name in given})


def test_few_rows_are_all_trained_on():
    """Nothing could be said of three held-out rows."""
    model, X, y = make("regression")
    model.fit(X[:20], y[:20])
    assert model.validation_scores_ is None and model.network_.t_ == 20 * 8


def test_every_class_is_trained_on_however_rare():
    """A class of one row is not held out."""
    model, X, y = make("multiclass")
    y = np.append(y[:-2], ["x", "z"])
    for seed in range(4):
        model.set_params(random_state=seed).fit(X, y)
        assert set(model.network_.classes_) == set(model.classes_) == set(y)


def test_weights_of_rows_and_of_classes_count():
    """Rows without weight are not learned from; a class of great weight is predicted more."""
    model, X, y = make("regression", max_iter=30)
    wrong = np.where(np.arange(N) % 2, y, 5000.0)
    fitted = model.fit(X, wrong, sample_weight=np.arange(N) % 2)
    assert abs(fitted.predict(X).mean() - y.mean()) < 100
    model, X, y = make("binary")
    plain = model.fit(X, y).predict_proba(X)[:, 0].mean()
    weighted = model.set_params(class_weight={"no": 20, "yes": 1}).fit(X, y)
    assert weighted.predict_proba(X)[:, 0].mean() > plain + 0.1


@pytest.mark.parametrize("refit", [False, True])
def test_max_time_shortens_the_schedule(refit):
    """The fit anneals within it, and the refit has its time as well: nothing is cut short."""
    model, X, y = make("regression", max_iter=50_000, max_time=1.0, refit=refit)
    model.fit(X, y)
    assert len(model.validation_scores_) == model.max_iter_ < 50_000
    assert model.best_iteration_ in ends_of_cycles(model.max_iter_)
    rows = N if refit else int(N * 0.85)
    assert model.network_.t_ == model.n_iter_ * rows


def test_max_time_that_is_long_enough_changes_nothing():
    """The same fit as without it."""
    model, X, y = make("binary")
    expected = model.fit(X, y).predict_proba(X)
    limited = clone(model).set_params(max_time=1e4).fit(X, y)
    assert_array_equal(limited.predict_proba(X), expected)


class Counter(Callback):
    """Counts epochs, and ends a fit after some."""

    epochs = 0

    def on_epoch_end(self, net, **kwargs):
        type(self).epochs += 1
        if type(self).epochs == 5:
            raise KeyboardInterrupt


def test_callbacks_follow_the_fit_with_held_out_rows():
    """They may end it; the refit takes what was best until then."""
    Counter.epochs = 0
    model, X, y = make("regression", callbacks=[Counter])
    model.fit(X, y)
    assert Counter.epochs == len(model.history_) == 5
    assert model.best_iteration_ in (1, 2, 4) and model.network_.t_ == N * model.best_iteration_


def test_verbose_prints_both_fits(capsys):
    """A line an epoch, and one before the refit."""
    model, X, y = make("regression", max_iter=3, verbose=True)
    model.fit(X, y)
    printed = capsys.readouterr().out
    assert printed.count("Validation score") == 3
    assert f"Refit on all rows for {model.best_iteration_} epochs" in printed


def test_auto_is_reported():
    """What "auto" was is an attribute; a number is taken as it is."""
    model, X, y = make("regression", max_iter="auto")
    model.fit(X, y)
    n = int(N * 0.85)
    assert model.batch_size_ == defaults.batch_size(n)
    assert model.max_iter_ == defaults.max_iter(n, model.batch_size_)
    assert model.learning_rate_init_ == defaults.LEARNING_RATE_INIT["regression"]
    model.set_params(batch_size=7, max_iter=2, learning_rate_init=0.01).fit(X, y)
    assert (model.batch_size_, model.max_iter_, model.learning_rate_init_) == (7, 2, 0.01)


def test_a_failed_fit_leaves_the_estimator_as_it_was():
    """What was learned before is still there."""
    model, X, y = make("regression", max_iter=2)
    before = model.fit(X, y).predict(X)
    with pytest.raises(ValueError):
        model.fit(X, y[:-1])
    assert_array_equal(model.predict(X), before)


def test_searches_go_over_its_parameters():
    """`GridSearchCV` clones, sets and scores."""
    model, X, y = make("multiclass", max_iter=3)
    grid = {"numeric_embedding": [None, "both"], "n_estimators": [1, 2]}
    search = GridSearchCV(model, grid, cv=2, error_score="raise").fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_the_global_generators_stay():
    """A fit draws from its own."""
    model, X, y = make("binary", max_iter=2)
    torch.manual_seed(0)
    np.random.seed(0)
    expected = torch.rand(1), np.random.rand()
    torch.manual_seed(0)
    np.random.seed(0)
    model.fit(X, y)
    assert (torch.rand(1), np.random.rand()) == expected


def test_probabilities_are_better_than_those_of_boosted_trees():
    """At the defaults of both."""
    X, y = load_breast_cancer(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=1)
    ours = TabularMLPClassifier(random_state=0).fit(X, y).predict_proba(X_test)
    trees = HistGradientBoostingClassifier(random_state=0).fit(X, y).predict_proba(X_test)
    assert log_loss(y_test, ours) < log_loss(y_test, trees)


def test_values_are_better_than_those_of_boosted_trees():
    """At the defaults of both."""
    X, y = load_diabetes(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    trees = HistGradientBoostingRegressor(random_state=0).fit(X, y).score(X_test, y_test)
    assert TabularMLPRegressor(random_state=0).fit(X, y).score(X_test, y_test) > trees
