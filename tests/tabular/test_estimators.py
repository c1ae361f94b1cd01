"""The estimators for raw tables: what a fit does, and what comes out."""

import io
import pickle
import warnings
from unittest import SkipTest

import joblib
import numpy as np
import pytest
import scipy.special
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
from sklmlp.tabular.calibration import learn_temperature, tempered
from sklmlp.tabular.network import Budget, ends_of_cycles

SMALL = {
    "hidden_layer_sizes": (16,), "n_estimators": 2, "max_iter": 8, "n_folds": 1, "random_state": 0,
}  # fmt: skip
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


EXPECTED_FAILED = {
    "check_sample_weight_equivalence_on_dense_data": "bins, scales and dropout see rows, whatever "
    "their weights, as in gradient boosting",
}
CHECKED = {
    "hidden_layer_sizes": (8,),
    "n_estimators": 2,
    "max_iter": 8,
    "learning_rate_init": 0.1,
    "n_folds": 1,
}


@pytest.mark.parametrize("of", [TabularMLPClassifier, TabularMLPRegressor])
def test_check_estimator(of):
    """scikit-learn's checks hold, but for one that row weights cannot."""
    failed, n_checks = [], 0
    checks = estimator_checks_generator(
        of(**CHECKED), expected_failed_checks=EXPECTED_FAILED, mark="skip"
    )
    for model, check in checks:
        n_checks += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check(model)
        except SkipTest:
            pass
        except Exception as error:
            failed.append((check, error))
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


def make_frame():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(size=N), "kind": rng.choice(["a", "b", "c"], N)})
    y = np.where(frame["kind"] == "a", frame["size"] > 0, frame["size"] < 0)
    frame.loc[::9, "size"] = None
    frame["kind"] = frame["kind"].astype("category")
    return frame, y


def by_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    return joblib.load(file)


def by_skops(model):
    skops_io = pytest.importorskip("skops.io")
    return load_skops(io.BytesIO(skops_io.dumps(model)))


FILES = {
    "pickle": lambda model: pickle.loads(pickle.dumps(model)),
    "joblib": by_joblib,
    "skops": by_skops,
}


@pytest.fixture(scope="module")
def of_a_frame():
    """A classifier with all of its parts, and the frame that it was fitted to."""
    frame, y = make_frame()
    embeddings = {"numeric_embedding": "both", "category_embedding": True, "max_one_hot": 2}
    model = TabularMLPClassifier(**SMALL | embeddings | {"max_iter": 2}).fit(frame, y)
    assert model.additive_ is not None and model.encoder_.n_levels_ == [3]
    return model, frame


@pytest.mark.parametrize("form", FILES)
def test_files_of_a_model_of_a_frame(form, of_a_frame):
    """Levels, target encodings, embeddings and the additive model are in it; a row is encoded."""
    model, frame = of_a_frame
    loaded = FILES[form](model)
    assert_array_equal(loaded.predict_proba(frame), model.predict_proba(frame))
    assert_array_equal(loaded.predict_proba(frame[:1]), model.predict_proba(frame[:1]))


def test_a_frame_of_numbers_words_and_gaps():
    """Columns are known by name; categories, gaps and unknown levels go in."""
    pd = pytest.importorskip("pandas")
    frame, y = make_frame()
    model = TabularMLPClassifier(**SMALL | {"max_iter": 40}).fit(frame, y)
    assert list(model.feature_names_in_) == ["size", "kind"] and model.n_features_in_ == 2
    assert model.score(frame, y) > 0.85
    later = pd.DataFrame({"size": [1.0, None], "kind": ["b", "new"]})
    assert np.isfinite(model.predict_proba(later)).all()
    with pytest.raises(ValueError, match="feature names"):
        model.predict(later[["kind", "size"]])


def test_vectors_of_levels_tell_what_means_do_not():
    """Levels of one mean that turn the sign of another column are told apart by their vectors."""
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    level, x = rng.integers(0, 12, 900), rng.normal(size=900)
    X = pd.DataFrame({"x": x, "level": pd.Series(level.astype(str), dtype="category")})
    y, scores = (x > 0) ^ (level % 2 == 0), []
    for embedding in (False, True):
        model = TabularMLPClassifier(
            (16,), n_estimators=2, max_one_hot=2, category_embedding=embedding, max_iter=25,
            n_folds=1, random_state=0,
        )  # fmt: skip
        scores.append(model.fit(X[:600], y[:600]).score(X[600:], y[600:]))
    assert scores[0] < 0.85 and scores[1] > 0.95


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


class Lengths(TabularMLPClassifier):
    """Keeps what it trains on."""

    def _train(self, rows, n_epochs, held_out, *args):
        fit = super()._train(rows, n_epochs, held_out, *args)
        fit.network.held_out_logits = fit.course.held_out_logits
        self.__dict__.setdefault("fits", []).append((rows, n_epochs, held_out, fit.network))
        return fit


def test_folds_hold_out_each_row_once_and_choose_together():
    """The epoch is the best by the mean of the folds' scores, and all rows are fitted again."""
    _, X, y = make("multiclass")
    y[0] = 7  # of one row
    X[:, 3] = np.arange(N)
    model = Lengths(**SMALL | {"n_folds": 3}).fit(X, y)
    *folds, last = model.fits
    assert len(folds) == model.n_folds_ == 3
    held_out = np.concatenate([each[2].X[:, 3] for each in folds])
    assert_array_equal(np.sort(held_out), np.arange(1, N))
    for rows, _, part, _ in folds:
        assert set(rows.y) == set(y) and len(rows.y) + len(part.y) == N
        assert np.bincount(part.y)[:3] == pytest.approx(np.bincount(y)[:3] / 3, abs=1)
    sizes = [len(each[2].y) for each in folds]
    scores = [each[3].validation_scores_ for each in folds]
    assert_allclose(model.validation_scores_, np.average(scores, axis=0, weights=sizes))
    assert model.best_iteration_ == last[1] and len(last[0].y) == N
    plain = Lengths(**SMALL | {"n_folds": 3}, calibrate=False).fit(X, y)
    best = max(ends_of_cycles(8), key=lambda end: plain.validation_scores_[end - 1])
    assert plain.best_iteration_ == best


def test_folds_choose_the_length_by_probabilities_that_are_tempered():
    """The log loss of all held-out rows, as scikit-learn has it, is least after temperatures."""
    model, X, y = make("multiclass", n_folds=3)
    model = Lengths(**model.get_params()).fit(X, y)
    *folds, _ = model.fits
    truth = np.concatenate([each[2].y for each in folds])
    losses = {}
    for end in ends_of_cycles(8):
        z = np.concatenate([each[3].held_out_logits[end] for each in folds])
        probability = scipy.special.softmax(z, axis=1)
        temperature = learn_temperature(probability, truth)
        losses[end] = log_loss(truth, tempered(probability, temperature))
    assert model.best_iteration_ == min(losses, key=losses.get)


def test_folds_are_for_small_tables():
    """Of 1,000 rows on a share is enough; callbacks follow one fit."""
    assert [defaults.n_folds(n) for n in (40, 999, 1000)] == [5, 5, 1]
    model, X, y = make("regression", n_folds="auto", callbacks=[Callback()], max_iter=1)
    assert model.fit(X, y).n_folds_ == 1
    assert model.set_params(callbacks=None).fit(X, y).n_folds_ == 5


def test_folds_without_a_refit_are_refused():
    """None of their networks is the model."""
    model, X, y = make("regression", n_folds=4, refit=False)
    with pytest.raises(ValueError, match="n_folds=4 needs refit=True"):
        model.fit(X, y)


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


FOLLOWING = [(False, 1, 0), (True, 1, 1 / 0.85), (True, 3, 2 + 3 / 2)]
"""Refit, folds, and what follows the first fit over what that takes."""


@pytest.mark.parametrize("refit, n_folds, following", FOLLOWING)
def test_max_time_shortens_the_schedule(refit, n_folds, following, monkeypatch):
    """The fit anneals within it, and what follows has its time: nothing is cut short."""
    budgets = []

    def n_epochs(budget, seconds, most):
        budgets.append(budget)
        return 7

    monkeypatch.setattr(Budget, "n_epochs", n_epochs)
    model, X, y = make("regression", max_iter=50, max_time=1e4, refit=refit, n_folds=n_folds)
    model.fit(X, y)
    assert [budget.following for budget in budgets] == [pytest.approx(following)]
    assert len(model.validation_scores_) == model.max_iter_ == 7
    assert model.best_iteration_ in ends_of_cycles(7)
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
    """At the defaults of both, but for the folds, which take their time."""
    X, y = load_breast_cancer(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=1)
    ours = TabularMLPClassifier(n_folds=1, random_state=0).fit(X, y).predict_proba(X_test)
    trees = HistGradientBoostingClassifier(random_state=0).fit(X, y).predict_proba(X_test)
    assert log_loss(y_test, ours) < log_loss(y_test, trees)


def test_values_are_better_than_those_of_boosted_trees():
    """At the defaults of both, but for the folds, which take their time."""
    X, y = load_diabetes(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, random_state=0)
    trees = HistGradientBoostingRegressor(random_state=0).fit(X, y).score(X_test, y_test)
    ours = TabularMLPRegressor(n_folds=1, random_state=0).fit(X, y)
    assert ours.score(X_test, y_test) > trees
