"""The "sklmlp" backend: searches in it give what they give without it."""

import contextlib
import gc
import multiprocessing
import os
import signal
import threading
import time
import warnings
from types import SimpleNamespace

import joblib
import numpy as np
import pytest
import sklearn
import skorch
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
    permutation_test_score,
    validation_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import sklmlp
import sklmlp.training.stacking
from sklmlp import MLPClassifier, MLPRegressor, runtime, search
from sklmlp.data import rows_of
from sklmlp.data.batches import Dataset
from sklmlp.data.rows import MergedDatasets, share_memory
from sklmlp.exceptions import TrainingWarning
from sklmlp.inspection import HiddenFeatures
from sklmlp.search.coordinator import RUNNING_AT_ONCE, FitCoordinator
from sklmlp.training.steps import AutogradStep, DenseStep
from tests.pairwise import pairwise
from tests.tables import make_table

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite"),
]


@pytest.fixture(autouse=True)
def stacked(monkeypatch):
    """Train by torch's step, whose jobs wait for each other, as they do on a GPU."""
    monkeypatch.setattr(sklmlp.training.stacking, "STEPS", [DenseStep, AutogradStep])
    monkeypatch.setattr("sklmlp.training.lbfgs.is_compilable", lambda run: False)


SMALL = {"hidden_layer_sizes": (6,), "max_iter": 8, "learning_rate_init": 0.02, "random_state": 0}
ALPHAS = {"alpha": [1e-4, 1e-2, 1.0]}
X, Y = make_table("multiclass", n_samples=91)


@contextlib.contextmanager
def together(n_jobs=None):
    """In the backend; no thread is left behind, and filters of warnings are as they were."""
    threads, filters = set(threading.enumerate()), list(warnings.filters)
    with joblib.parallel_config(backend="sklmlp", n_jobs=n_jobs):
        yield
    assert set(threading.enumerate()) <= threads
    assert list(warnings.filters) == filters


@pytest.fixture
def groups(monkeypatch):
    """How many jobs were trained together, each time that some were."""
    sizes, lead = [], FitCoordinator._train_group

    def counted(self, leader):
        sizes.append(len(leader.leads))
        lead(self, leader)

    monkeypatch.setattr(FitCoordinator, "_train_group", counted)
    return sizes


def results(search):
    """What a search found, without times and ranks."""
    return {
        name: values
        for name, values in search.cv_results_.items()
        # ranks are those of the scores, up to their last digits
        if not name.endswith("_time") and not name.startswith(("param", "rank"))
    }


def assert_same_search(got, expected):
    """Scores, ranks, parameters and the refitted model agree."""
    assert got.cv_results_["params"] == expected.cv_results_["params"]
    assert results(got).keys() == results(expected).keys()
    for name, values in results(expected).items():
        assert_allclose(results(got)[name], values, rtol=1e-6, atol=1e-9, err_msg=name)
    assert got.best_params_ == expected.best_params_
    assert_allclose(got.predict_proba(X), expected.predict_proba(X), rtol=1e-6, atol=1e-9)


GRIDS = {
    "optimizer": {
        "alpha": [0, 0.1],
        "learning_rate_init": [1e-3, 1e-2],
        "beta_1": [0.5, 0.9],
        "random_state": [0, 1],
    },
    "sgd": {
        "solver": ["sgd"],
        "momentum": [0, 0.5, 0.9],
        "nesterovs_momentum": [False, True],
        "learning_rate": ["constant", "invscaling", "adaptive"],
    },
    "stopping": {
        "early_stopping": [False, True],
        "max_iter": [3, 7],
        "tol": [1e-4, 0.1],
        "n_iter_no_change": [1, 10],
    },
    "shapes": {
        "hidden_layer_sizes": [(), (4,), (5, 3)],
        "activation": ["relu", "tanh", ("leaky_relu", {"negative_slope": 0.2})],
        "batch_size": ["auto", 16],
    },
    "alone": {
        "solver": ["lbfgs", "adam"],
        "activation": ["prelu", "relu", np.tanh.__name__],
        "n_estimators": [1, 2],
    },
    "rates": {
        "solver": ["sgd", "adam"],
        "max_grad_norm": [None, 0.5],
        "learning_rate": ["cosine", "one_cycle"],
        "warmup_fraction": [0.0, 0.3],
    },
    "judging": {
        "class_weight": [None, "balanced", {0: 3}],
        "early_stopping": [True],
        "scoring": [None, "loss", "neg_log_loss"],
    },
    "arithmetic": {"dtype": ["float32", "float64"], "shuffle": [False, True]},
}


def candidates(grid, prefix=""):
    """Of a grid so many candidates that any two values meet, as a list of grids of one."""
    names = [f"{prefix}{name}" for name in grid]
    return [
        {name: [value] for name, value in zip(names, values, strict=True)}
        for values in pairwise(*grid.values())
    ]


@pytest.mark.parametrize("name", GRIDS)
def test_grid_search(name, groups):
    """A grid search finds in the backend what it finds without it, training scores included."""
    pipeline = make_pipeline(StandardScaler(), MLPClassifier(**SMALL))
    grid = candidates(GRIDS[name], "mlpclassifier__")
    search = GridSearchCV(
        pipeline, grid, cv=2, return_train_score=True, scoring="neg_log_loss", error_score="raise"
    )
    expected = sklearn.clone(search).fit(X, Y)
    with together():
        got = search.fit(X, Y)
    if name == "arithmetic":  # float32 sums in another order
        assert_allclose(
            got.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"], rtol=1e-4
        )
    else:
        assert_same_search(got, expected)
    assert sum(groups) == 2 * len(expected.cv_results_["params"])
    assert max(groups) > 1


@pytest.mark.parametrize("batch_size", ["auto", 16])
@pytest.mark.parametrize("is_weighted", [False, True])
def test_folds_of_different_sizes(batch_size, is_weighted, groups):
    """They train together; last batches are filled up with rows of no weight."""
    fit_params = {"sample_weight": np.arange(1.0, 92)} if is_weighted else {}
    search = GridSearchCV(MLPClassifier(**SMALL, batch_size=batch_size), ALPHAS, cv=4)
    search.set_params(scoring="neg_log_loss", return_train_score=True)
    expected = sklearn.clone(search).fit(X, Y, **fit_params)
    assert len(X) % 4
    with together():
        got = search.fit(X, Y, **fit_params)
    assert_same_search(got, expected)
    assert groups == [12]


SEARCHES = {
    "random": lambda mlp: RandomizedSearchCV(mlp, ALPHAS, n_iter=2, cv=3, random_state=0),
    "halving": lambda mlp: HalvingGridSearchCV(mlp, ALPHAS, cv=3, random_state=0, min_resources=20),
    "halving over epochs": lambda mlp: HalvingGridSearchCV(
        mlp, ALPHAS, cv=3, resource="max_iter", max_resources=9
    ),
    "pre_dispatch": lambda mlp: GridSearchCV(mlp, ALPHAS, cv=3, pre_dispatch=4),
    "two at once": lambda mlp: GridSearchCV(mlp, ALPHAS, cv=3, n_jobs=2),
    "one by one": lambda mlp: GridSearchCV(mlp, ALPHAS, cv=3, n_jobs=1),
}


@pytest.mark.parametrize("name", SEARCHES)
def test_searches(name):
    """Other searches find in the backend what they find without it."""
    search = SEARCHES[name](MLPClassifier(**SMALL))
    expected = sklearn.clone(search).set_params(n_jobs=None).fit(X, Y)
    with together():
        assert_same_search(search.fit(X, Y), expected)


VALIDATIONS = {
    "cross_validate": lambda mlp: cross_validate(mlp, X, Y, cv=4, scoring="neg_log_loss")[
        "test_score"
    ],
    "cross_val_predict": lambda mlp: cross_val_predict(mlp, X, Y, cv=4, method="predict_proba"),
    "learning_curve": lambda mlp: learning_curve(
        mlp, X, Y, cv=3, train_sizes=[0.5, 1.0], scoring="neg_log_loss"
    )[2],
    "incremental": lambda mlp: learning_curve(
        mlp,
        *(X, Y),
        cv=3,
        train_sizes=[0.5, 1.0],
        scoring="neg_log_loss",
        exploit_incremental_learning=True,
    )[2],
    "validation_curve": lambda mlp: validation_curve(
        mlp, X, Y, cv=3, param_name="alpha", param_range=[0.1, 1], scoring="neg_log_loss"
    )[1],
    "permutation_test_score": lambda mlp: permutation_test_score(
        mlp, X, Y, cv=3, n_permutations=5, random_state=0
    )[1],
}


@pytest.mark.parametrize("name", VALIDATIONS)
def test_validations(name, groups):
    """Functions of `sklearn.model_selection` return in the backend what they return without it."""
    mlp = MLPClassifier(**SMALL)
    expected = VALIDATIONS[name](mlp)
    assert not groups
    with together():
        assert_allclose(VALIDATIONS[name](mlp), expected, rtol=1e-6, atol=1e-9)
    assert max(groups) > 1


ENSEMBLES = {
    "bagging": lambda mlp: BaggingClassifier(mlp, n_estimators=5, random_state=0),
    "one against the rest": OneVsRestClassifier,
    "voting": lambda mlp: VotingClassifier(
        [
            ("a", mlp),
            ("b", sklearn.clone(mlp).set_params(alpha=1.0)),
            ("linear", LogisticRegression()),
        ],
        voting="soft",
    ),
    "stacking": lambda mlp: StackingClassifier(
        [("a", mlp), ("b", sklearn.clone(mlp).set_params(alpha=1.0))], LogisticRegression(), cv=3
    ),
    "columns": lambda mlp: make_pipeline(
        make_column_transformer((StandardScaler(), [0, 1, 2]), ("passthrough", [3, 4])), mlp
    ),
    "forest": lambda mlp: RandomForestClassifier(5, random_state=0),
}


@pytest.mark.parametrize("name", ENSEMBLES)
def test_meta_estimators(name):
    """Meta-estimators learn in the backend what they learn without it."""
    ensemble = ENSEMBLES[name](MLPClassifier(**SMALL))
    expected = sklearn.clone(ensemble).fit(X, Y).predict_proba(X)
    with together():
        got = ensemble.fit(X, Y).predict_proba(X)
    assert_allclose(got, expected, rtol=1e-6, atol=1e-9)


def test_several_labels(groups):
    """The classifiers of `MultiOutputClassifier` train as one stack on the same rows."""
    labels = make_table("multilabel", n_samples=91)[1]
    wrapper = MultiOutputClassifier(MLPClassifier(**SMALL))
    expected = sklearn.clone(wrapper).fit(X, labels).predict_proba(X)
    with together():
        got = wrapper.fit(X, labels).predict_proba(X)
    assert_allclose(got, expected, rtol=1e-6, atol=1e-9)
    assert groups == [3]


def test_bagging_by_weights(groups):
    """Bags whose rows have weights, zeros among them, share a stack where no batch is empty."""
    y = make_table("regression", n_samples=91)[1]
    bags = BaggingRegressor(MLPRegressor(**SMALL), n_estimators=6, random_state=0)
    weight = np.random.default_rng(0).uniform(0.5, 2, size=91)
    expected = sklearn.clone(bags).fit(X, y, sample_weight=weight).predict(X)
    with together():
        got = bags.fit(X, y, sample_weight=weight).predict(X)
    assert_allclose(got, expected, rtol=1e-6, atol=1e-9)
    assert max(groups) > 1


def test_large_tables_are_not_copied_together(monkeypatch, groups):
    """Different tables that are too large to be joined are gathered from one by one."""
    monkeypatch.setattr("sklmlp.data.rows.JOIN_BYTES", 0)
    search = GridSearchCV(
        MLPClassifier(**{**SMALL, "early_stopping": True, "n_iter_no_change": 1}), ALPHAS, cv=3
    )
    expected = sklearn.clone(search).fit(X, Y)
    with together():
        assert_same_search(search.fit(X, Y), expected)
    assert max(groups) > 1


def test_few_large_tables_wait(monkeypatch, groups):
    """While large tables wait no more tasks start, and the search finds the same."""
    search = GridSearchCV(MLPClassifier(**SMALL), {"alpha": np.logspace(-4, 0, 5)}, cv=3)
    expected = sklearn.clone(search).fit(X, Y)
    monkeypatch.setattr("sklmlp.search.coordinator.HELD_BYTES", 2 * X[:60].nbytes)
    with together():
        assert_same_search(search.fit(X, Y), expected)
    assert max(groups) <= 2 + RUNNING_AT_ONCE


def test_tables_go_with_their_fits():
    """Nothing keeps a fold's rows until the collector comes, which may take a whole search."""
    gc.collect()
    before = sum(type(each) is Dataset for each in gc.get_objects())
    gc.disable()
    try:
        with together():
            cross_validate(MLPClassifier(**SMALL), X, Y, cv=5)
        assert sum(type(each) is Dataset for each in gc.get_objects()) == before
    finally:
        gc.enable()


def test_an_error_in_a_stack_is_that_stack_s(monkeypatch, groups):
    """What goes wrong in a stack as a whole is an error of its fits, and of no other stack's."""
    train_stack = sklmlp.training.stacking.train_stack

    def failing(runs, *args):
        if runs[0].config.alpha == 1:
            raise MemoryError("no room")
        train_stack(runs, *args)

    monkeypatch.setattr("sklmlp.training.stacking.train_stack", failing)
    one_a_stack = lambda runs: ([[run] for run in runs], 1)  # noqa: E731
    monkeypatch.setattr("sklmlp.training.stacking._partition", one_a_stack)
    search = GridSearchCV(MLPClassifier(**SMALL), {"alpha": [0, 0.5, 1]}, cv=3, refit=False)
    with together(), pytest.warns(FitFailedWarning, match="(?s)3 fits failed.*no room"):
        search.fit(X, Y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, False, True]
    assert max(groups) > 3


def test_max_time_is_not_for_waiting(monkeypatch, groups):
    """Fits with a limit train alone, and their clocks stand still until they do."""
    shifts, lead = [], FitCoordinator._train_group

    def watched(self, leader):
        before, waited = leader.runs[0].state.started_at, time.monotonic() - leader.came
        lead(self, leader)
        shifts.append(leader.runs[0].state.started_at - before >= waited > 0)

    monkeypatch.setattr(FitCoordinator, "_train_group", watched)
    search = GridSearchCV(MLPClassifier(**SMALL, max_time=1e6), ALPHAS, cv=3, refit=False)
    expected = sklearn.clone(search).fit(X, Y).cv_results_["mean_test_score"]
    with together():
        search.fit(X, Y)
    assert_allclose(search.cv_results_["mean_test_score"], expected)
    assert groups == [1] * 9
    assert shifts == [True] * 9


@pytest.fixture
def clock(monkeypatch):
    """Clocks of the backend and of scikit-learn that only training moves: by 12 s a group."""
    now, meet = [0.0], FitCoordinator.train

    def meet_slowly(self, job, pool):
        train = job.train

        def train_slowly(jobs, interrupted):
            train(jobs, interrupted)
            now[0] += 12

        job.train = train_slowly
        meet(self, job, pool)

    monkeypatch.setattr(FitCoordinator, "train", meet_slowly)
    fake = SimpleNamespace(monotonic=lambda: now[0], time=lambda: now[0])
    for module in (search.backend, search.coordinator, sklearn.model_selection._validation):
        monkeypatch.setattr(module, "time", fake)


def test_fit_times_are_shares_of_training(clock, groups):
    """A candidate's `mean_fit_time` is its epochs' share of its group, without any waiting."""
    grid = {"hidden_layer_sizes": [(6,), (5, 3)], "max_iter": [2, 4]}
    search = GridSearchCV(MLPClassifier(**SMALL), grid, cv=3, refit=False)
    with together():
        search.fit(X, Y)
    assert groups == [6, 6]
    assert_allclose(search.cv_results_["mean_fit_time"], [4 / 3, 8 / 3, 4 / 3, 8 / 3])
    assert_allclose(search.cv_results_["std_fit_time"], 0, atol=1e-9)


FIT_TIMES = {
    "alone": lambda mlp: mlp,
    "within joblib's tasks": OneVsRestClassifier,
    "one after the other": lambda mlp: make_pipeline(HiddenFeatures(mlp), sklearn.clone(mlp)),
}


@pytest.mark.parametrize("name", FIT_TIMES)
def test_fit_times_add_up(name, clock, groups):
    """The times of all fits together are that of training, however many fits are in one."""
    model = FIT_TIMES[name](MLPClassifier(**SMALL))
    with together():
        found = cross_validate(model, X, Y, cv=4)
    assert max(groups) > 1
    assert_allclose(found["fit_time"], [3 * len(groups)] * 4)


def test_a_user_s_own_times_are_left_alone(clock):
    """Only what scikit-learn's searches return is corrected."""

    def task():
        MLPClassifier(**SMALL).fit(X, Y)
        return {"fit_time": 1.0}

    with together():
        assert joblib.Parallel()([joblib.delayed(task)()] * 3) == [{"fit_time": 1.0}] * 3


@pytest.mark.parametrize("n_rows", [61, 230])
@pytest.mark.parametrize(("hidden", "activation"), [((6,), "relu"), ((50, 20), "tanh")])
def test_equal_networks_stay_equal(hidden, activation, n_rows):
    """Candidates that tie tie in the backend, too: no digit depends on the place in a stack."""
    model = MLPClassifier(hidden, activation, max_iter=8, random_state=0)
    X, y = make_table("multiclass", n_samples=n_rows)
    with together():
        fits = joblib.Parallel()([joblib.delayed(sklearn.clone(model).fit)(X, y)] * 9)
    for other in fits[1:]:
        assert_array_equal(other.coefs_[0], fits[0].coefs_[0])


def test_equal_rows_lie_in_memory_once():
    """The folds that a search cuts for each candidate are one table to its stack."""
    rows = [rows_of(part.copy(), torch.float64, "cpu") for part in (X[:60], X[:60], X[30:90])]
    tables = [Dataset(each, torch.from_numpy(Y[:60])) for each in rows]
    share_memory(tables)
    assert rows[0].tensor.data_ptr() == rows[1].tensor.data_ptr()
    joint = MergedDatasets(tables)
    assert joint.sources[0][0].shape == (120, X.shape[1])
    assert joint.first_row.tolist() == [[0], [0], [60]]


def test_a_nested_search(groups):
    """The fits of a search inside of `cross_validate` train together across the outer folds."""
    search = GridSearchCV(MLPClassifier(**SMALL), ALPHAS, cv=3)
    expected = cross_validate(search, X, Y, cv=4)["test_score"]
    with together():
        got = cross_validate(search, X, Y, cv=4)["test_score"]
    assert_array_equal(got, expected)
    assert sum(groups) == 4 * (9 + 1)
    assert max(groups) > 9


def test_three_levels(monkeypatch):
    """Threads do not multiply with the depth of nesting."""
    most, run = [0], FitCoordinator._run

    def counted(self, *args):
        most[0] = max(most[0], threading.active_count())
        run(self, *args)

    monkeypatch.setattr(FitCoordinator, "_run", counted)
    voting = VotingClassifier([(str(a), MLPClassifier(**SMALL, alpha=a)) for a in (0, 1)])
    search = GridSearchCV(voting, {"0__alpha": [0, 1e-2, 1e-1, 1]}, cv=3)
    expected = cross_validate(search, X, Y, cv=3)["test_score"]
    with together():
        assert_array_equal(cross_validate(search, X, Y, cv=3, n_jobs=6)["test_score"], expected)
    assert most[0] <= threading.active_count() + 3 * 6


class Failing(ClassifierMixin, BaseEstimator):
    """Raises in `fit` where `fails` says so, before or after the network is trained."""

    def __init__(self, fails=None):
        self.fails = fails

    def fit(self, X, y):
        if self.fails == "before":
            raise ValueError("before training")
        self.mlp_ = MLPClassifier(**SMALL).fit(X, y)
        if self.fails == "after":
            raise ValueError("after training")
        self.classes_ = self.mlp_.classes_
        return self

    def predict(self, X):
        return self.mlp_.predict(X)


def test_an_exception_is_one_fit_s_alone(groups):
    """A fit that raises gets `error_score`, and the others their scores."""
    search = GridSearchCV(Failing(), {"fails": [None, "before", "after"]}, cv=3, refit=False)
    with together(), pytest.warns(FitFailedWarning, match="6 fits failed"):
        search.fit(X, Y)
    scores = search.cv_results_["mean_test_score"]
    assert np.isfinite(scores[0])
    assert np.isnan(scores[1:]).all()
    assert sum(groups) == 6


def test_a_network_that_diverges_harms_no_other():
    """A network whose weights become infinite fails alone in its stack."""
    mlp = MLPRegressor(
        hidden_layer_sizes=(6,), solver="sgd", momentum=0, max_iter=30, random_state=0
    )
    y = make_table("regression", n_samples=91)[1]
    search = GridSearchCV(mlp, {"learning_rate_init": [1e-3, 1e30]}, cv=3, refit=False)
    with pytest.warns(FitFailedWarning, match="3 fits failed"):
        expected = sklearn.clone(search).fit(X, y)
    with together(), pytest.warns(FitFailedWarning, match="3 fits failed"):
        search.fit(X, y)
    for got, wanted in zip(results(search).values(), results(expected).values(), strict=True):
        assert_allclose(got, wanted, rtol=1e-6)


def test_warnings_are_errors_of_their_own_fit():
    """With warnings as errors, the fits that warn of their end fail and the others do not."""
    mlp = MLPClassifier(**{**SMALL, "n_iter_no_change": 1, "tol": 10.0})
    search = GridSearchCV(mlp, {"max_iter": [2, 8]}, cv=3, refit=False)
    with together(), pytest.warns(FitFailedWarning, match="3 fits failed"):
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.simplefilter("ignore", TrainingWarning)
        search.fit(X, Y)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [True, False]


def test_an_error_that_is_to_be_raised_ends_the_search(groups):
    """With error_score="raise" the first error ends the other fits and reaches the caller."""
    search = GridSearchCV(Failing(), {"fails": [None, "after"]}, cv=3, error_score="raise")
    with together(), pytest.raises(ValueError, match="after training"):
        search.fit(X, Y)


def test_a_failing_search_among_others():
    """A nested search that raises ends alone; its neighbours' fits go on."""
    inner, failing = (
        GridSearchCV(Failing(), {"fails": fails}, cv=3, error_score="raise")
        for fails in ([None], [None, "after"])
    )
    outer = GridSearchCV(
        VotingClassifier([("inner", inner)]), {"inner": [inner, failing]}, cv=3, refit=False
    )
    with together(), pytest.warns(FitFailedWarning, match="3 fits failed"):
        outer.fit(X, Y)
    assert np.isnan(outer.cv_results_["mean_test_score"]).tolist() == [False, True]


def test_config_and_verbosity(capfd):
    """scikit-learn's configuration reaches the tasks, and `verbose` prints what threads print."""

    class Configured(LogisticRegression):
        def fit(self, X, y):
            self.seen_ = sklearn.get_config()["assume_finite"]
            return super().fit(X, y)

    with sklearn.config_context(assume_finite=True), together():
        found = cross_validate(Configured(), X, Y, cv=3, return_estimator=True, verbose=1)
    assert all(estimator.seen_ for estimator in found["estimator"])
    assert "Done   3 out of   3" in capfd.readouterr().err


def test_callbacks(groups):
    """Networks that somebody listens to train by themselves, with all events."""

    epochs = []

    class Counting(skorch.callbacks.Callback):
        def on_epoch_end(self, net, **kwargs):
            epochs.append(len(net.history))

    mlp = MLPClassifier(**SMALL, callbacks=[("count", Counting())])
    with together():
        cross_validate(mlp, X, Y, cv=3)
    assert groups == [1, 1, 1]
    assert epochs == [*range(1, 9)] * 3


def test_fits_within_a_fit(groups):
    """A callback may fit networks of its own, which wait for nobody."""
    seen = []

    class Fitting(skorch.callbacks.Callback):
        def on_train_end(self, net, **kwargs):
            seen.append(cross_validate(MLPClassifier(**SMALL), X, Y, cv=3)["test_score"])

    expected = cross_validate(MLPClassifier(**SMALL), X, Y, cv=3)["test_score"]
    with together():
        cross_validate(MLPClassifier(**SMALL, callbacks=[Fitting()]), X, Y, cv=3)
    assert_array_equal(seen, [expected] * 3)


def test_other_estimators_run_in_their_threads():
    """Tasks without a network of ours are run, several at a time, and give joblib's results."""
    barrier = threading.Barrier(2, timeout=20)

    def task(i):
        barrier.wait()
        return i, threading.current_thread() is threading.main_thread()

    with together():
        found = joblib.Parallel()(joblib.delayed(task)(i) for i in range(6))
    assert found == [(i, False) for i in range(6)]


def test_threads_of_torch():
    """Tasks share those of their caller, whatever others compute with as they begin."""
    n_threads, goes_on = torch.get_num_threads(), threading.Event()

    def compute():
        runtime.compute(lambda: (begun.set(), goes_on.wait()), "highest", one_thread=True)

    begun, other = threading.Event(), threading.Thread(target=compute)
    torch.set_num_threads(2 * RUNNING_AT_ONCE)
    try:
        other.start()
        begun.wait()
        with together():
            assert joblib.Parallel()([joblib.delayed(torch.get_num_threads)()] * 3) == [2, 2, 2]
    finally:
        goes_on.set()
        other.join()
        torch.set_num_threads(n_threads)


def test_generators():
    """`return_as="generator"` gives results one by one, all of them and in order."""
    models = [MLPClassifier(**SMALL, alpha=alpha) for alpha in (0, 0.01, 0.1, 1, 10)]
    expected = [sklearn.clone(model).fit(X, Y).loss_ for model in models]
    with together():
        results = joblib.Parallel(return_as="generator")(
            joblib.delayed(m.fit)(X, Y) for m in models
        )
        assert_allclose([next(results).loss_ for _ in models], expected)
        assert list(results) == []


@pytest.mark.parametrize("n_tasks", [2, 4, 9])
def test_as_many_tasks_run_as_n_jobs_says(n_tasks):
    """Tasks that wait for each other all run at a time."""
    barrier = threading.Barrier(n_tasks, timeout=60)
    with together(n_jobs=n_tasks):
        found = joblib.Parallel()([joblib.delayed(barrier.wait)()] * n_tasks)
    assert sorted(found) == list(range(n_tasks))


def test_tasks_that_wait_for_a_fit(monkeypatch):
    """A fit does not wait for a task that waits for it."""
    monkeypatch.setattr("sklmlp.search.coordinator.SECONDS_TO_WAIT", 0.05)
    is_fitted = threading.Event()

    def fit():
        MLPClassifier(**SMALL).fit(X, Y)
        is_fitted.set()

    with together(n_jobs=2):
        tasks = [joblib.delayed(is_fitted.wait)(60), joblib.delayed(fit)()]
        assert joblib.Parallel()(tasks) == [True, None]


def fit_and_predict():
    """What is done in a forked child: a fit, a search in the inherited backend, a prediction."""
    search = GridSearchCV(MLPClassifier(**SMALL), ALPHAS, cv=2).fit(X, Y)
    return MLPClassifier(**SMALL).fit(X, Y).predict(X).shape == search.predict(X).shape == (91,)


def fork():
    """Fork by hand, and give the child's exit code."""
    child = os.fork()
    if not child:
        try:
            os._exit(7 if fit_and_predict() else 1)
        finally:
            os._exit(2)
    return exit_code_of(lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), child)


def exit_code_of(wait, child):
    """The exit code of a child; one that hangs is killed after a minute."""
    killer = threading.Timer(60, os.kill, (child, signal.SIGKILL))
    killer.start()
    try:
        return wait()
    finally:
        killer.cancel()
        killer.join()


def exit_with_seven():
    os._exit(7 if fit_and_predict() else 1)


def fork_by_multiprocessing():
    child = multiprocessing.get_context("fork").Process(target=exit_with_seven)
    child.start()

    def wait():
        child.join()
        return child.exitcode

    return exit_code_of(wait, child.pid)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
@pytest.mark.parametrize("task", [fork, fork_by_multiprocessing])
def test_a_task_that_forks(task):
    """A child that a task forks fits, searches and predicts."""
    with together(n_jobs=2):
        assert joblib.Parallel()([joblib.delayed(task)()] * 3) == [7, 7, 7]


def change_filters():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")


def fail():
    change_filters()
    raise ValueError("a task failed")


def use_up():
    list(joblib.Parallel(return_as="generator")([joblib.delayed(change_filters)()] * 5))


def close_early():
    results = joblib.Parallel(return_as="generator")([joblib.delayed(change_filters)()] * 5)
    next(results)
    results.close()


def interrupted_tasks():
    yield joblib.delayed(change_filters)()
    raise KeyboardInterrupt


def use_in_calls():
    with joblib.Parallel() as parallel:
        for _ in range(3):
            parallel([joblib.delayed(change_filters)()] * 5)


CALLS = {
    "a generator": use_up,
    "a generator that is closed": close_early,
    "an error": lambda: joblib.Parallel()([joblib.delayed(fail)()] * 5),
    "no tasks": lambda: joblib.Parallel()(None),
    "Ctrl-C between tasks": lambda: joblib.Parallel(pre_dispatch=2)(interrupted_tasks()),
    "nested": lambda: joblib.Parallel()([joblib.delayed(use_up)()] * 5),
    "one pool for several calls": use_in_calls,
}


@pytest.mark.filterwarnings("ignore:.* tasks")  # joblib's, of a generator that is closed
@pytest.mark.parametrize("name", CALLS)
def test_filters_are_as_found(name):
    """However a call ends, the filters of warnings are the list that they were."""
    found, content = warnings.filters, list(warnings.filters)
    with together(), contextlib.suppress(ValueError, TypeError, KeyboardInterrupt):
        CALLS[name]()
    assert warnings.filters is found
    assert found == content


def test_filters_after_calls_at_the_same_time():
    """Calls that overlap, the first of which ends first, leave the filters as they were."""
    found, content = warnings.filters, list(warnings.filters)
    first_runs, second_runs, first_ended = (threading.Event() for _ in range(3))

    def first():
        joblib.Parallel(n_jobs=2)([joblib.delayed(meet)(first_runs, second_runs)] * 2)
        first_ended.set()

    def second():
        first_runs.wait(60)
        joblib.Parallel(n_jobs=2)([joblib.delayed(meet)(second_runs, first_ended)] * 2)

    def meet(here, there):
        with warnings.catch_warnings():
            here.set()
            assert there.wait(60)

    def in_backend(call):
        with joblib.parallel_config(backend="sklmlp"):
            call()

    threads = [threading.Thread(target=in_backend, args=(call,)) for call in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert first_ended.is_set()
    assert warnings.filters is found
    assert found == content


@pytest.mark.parametrize("n_jobs", [-1, 3])
def test_n_jobs(n_jobs):
    """`n_jobs` is how many fits may wait; negative is the default number."""
    with joblib.parallel_config(backend="sklmlp", n_jobs=n_jobs):
        assert joblib.effective_n_jobs(None) == (64 if n_jobs < 0 else 3)


def test_no_jobs():
    """`n_jobs=0` is refused as joblib's own backends do."""
    with (
        joblib.parallel_config(backend="sklmlp"),
        pytest.raises(ValueError, match="n_jobs=0 has no meaning"),
    ):
        joblib.Parallel(n_jobs=0)(joblib.delayed(len)([]) for _ in range(2))


def test_many_searches_end():
    """Thirty tiny searches, three in threads of their own at a time, all come to an end."""
    grid = {"alpha": [1e-4, 1.0], "hidden_layer_sizes": [(2,), (3,)]}
    mlp, small = MLPClassifier(max_iter=1, random_state=0), slice(None, None, 3)
    expected = GridSearchCV(mlp, grid, cv=2).fit(X[small], Y[small])

    def search():
        for _ in range(10):
            with joblib.parallel_config(backend="sklmlp"):
                got = GridSearchCV(mlp, grid, cv=2).fit(X[small], Y[small])
            found.append(got.cv_results_["mean_test_score"])

    found, threads = [], [threading.Thread(target=search, daemon=True) for _ in range(3)]
    end = time.monotonic() + 120
    # scikit-learn's refits set and put back filters in these threads, which Python < 3.14 may mix
    # up; that the backend's own threads do not is for the tests of filters above
    with warnings.catch_warnings():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(end - time.monotonic())
    assert len(found) == 30
    assert_allclose(found, [expected.cv_results_["mean_test_score"]] * 30)


def test_the_backend_is_there_after_import():
    """Importing the package registers the backend."""
    assert "sklmlp" in joblib.parallel.BACKENDS
    assert sklmlp.search.StackBackend is joblib.parallel.BACKENDS["sklmlp"]
