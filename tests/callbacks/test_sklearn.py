"""scikit-learn's callbacks see a fit epoch by epoch, can end it, and cost nothing where unset."""

import pickle
import runpy
import sys

import numpy as np
import pandas as pd
import pytest
import sklearn.base
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from sklmlp import MLPClassifier, MLPRegressor, compat
from tests.tables import make, make_table

callbacks = pytest.importorskip("sklearn.callback")  # scikit-learn before 1.9 has none


class Recorder:
    """Notes every hook with its task; a function may ask for the end of the fit."""

    def __init__(self, stop=lambda context: False):
        self.seen, self.stop = [], stop

    def setup(self, estimator, context):
        self.seen.append(("setup", context.task_name))

    def teardown(self, estimator, context):
        self.seen.append(("teardown", context.task_name))

    def on_fit_task_begin(self, estimator, context):
        self.seen.append(("begin", context.task_name))

    def on_fit_task_end(self, estimator, context):
        self.seen.append(("end", context.task_name))
        return self.stop(context)


class Propagated(Recorder):
    """A recorder that meta-estimators pass on."""

    max_propagation_depth = None


class Asking(Recorder):
    """Keeps what it may ask for at the end of each task."""

    def on_fit_task_end(
        self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None
    ):
        self.seen.append((context.task_name, X, y, metadata, fitted_estimator))


def scores_of(monitor, task="epoch"):
    """{path of the task: score} of a ScoringMonitor's log, root left out."""
    rows = [row for row in monitor.get_logs().data if row["task_name"] == task]
    return {row["task_id_path"][1:]: row["score"] for row in rows}


def scorer(estimator, X, y):
    return {"score": estimator.score(X, y)}


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_hooks(solver, early_stopping, short_fits):
    """One task an epoch, inside that of the fit, in order."""
    recorder = Recorder()
    model = make("binary", solver=solver, max_iter=3, early_stopping=early_stopping)
    model.set_callbacks(recorder).fit(*make_table("binary"))
    epoch = [("begin", "epoch"), ("end", "epoch")]
    around = [("setup", "fit"), ("begin", "fit")], [("end", "fit"), ("teardown", "fit")]
    assert recorder.seen == around[0] + 3 * epoch + around[1]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_scoring_monitor(solver, kind, short_fits):
    """The score of an epoch is that of a fit that ends with it."""
    X, y = make_table(kind)
    monitor = callbacks.ScoringMonitor(scoring=scorer)
    params = {"solver": solver, "learning_rate_init": 0.01}
    model = make(kind, **params).set_callbacks(monitor).fit(X, y)
    got = scores_of(monitor)
    assert list(got) == [(k,) for k in range(model.n_iter_)]
    for k, score in enumerate(got.values(), 1):
        assert_allclose(make(kind, **{**params, "max_iter": k}).fit(X, y).score(X, y), score)
    assert_allclose(scores_of(monitor, "fit")[()], model.score(X, y))


def test_scoring_monitor_of_an_ensemble(short_fits):
    """Each network has a task, in which its epochs are those of a fit by itself."""
    X, y = make_table("multiclass")
    monitor = callbacks.ScoringMonitor(scoring=scorer)
    model = make("multiclass", n_estimators=3, learning_rate_init=0.01, max_iter=4)
    model.set_callbacks(monitor).fit(X, y)
    got = scores_of(monitor)
    assert len(got) == 12
    for number, member in enumerate(model.estimators_):
        params = {**member.get_params(), "max_iter": 2}
        alone = MLPClassifier(**params).fit(X, y)
        assert_allclose(got[number, 1], alone.score(X, y))
        assert_allclose(got[number, 3], member.score(X, y))
        assert "_skl_callbacks" not in vars(member)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_stop(solver, recwarn):
    """A callback that returns True ends the fit with its epoch, without a warning."""
    X, y = make_table("regression")
    stop = Recorder(lambda context: context.task_name == "epoch" and context.task_id == 2)
    model = make("regression", solver=solver, max_iter=50).set_callbacks(stop).fit(X, y)
    assert model.n_iter_ == len(model.history_) == 3
    assert stop.seen[-1] == ("teardown", "fit")
    assert not recwarn.list


def test_stop_one_network_of_an_ensemble(short_fits):
    """A callback ends the network that it was told of, and no other."""
    X, y = make_table("regression")
    stop = Recorder(lambda context: context.parent is not None and context.parent.task_id == 1)
    model = make("regression", n_estimators=3).set_callbacks(stop).fit(X, y)
    assert [member.n_iter_ for member in model.estimators_] == [5, 1, 5]


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_what_callbacks_may_ask_for(n_estimators, short_fits):
    """They get the rows that are trained on, the weights of these, and a fitted estimator."""
    X, y = make_table("multiclass")
    frame, y = pd.DataFrame(X, columns=list("abcde")), np.array(["x", "y", "z"])[y]
    weight = np.linspace(0.5, 1.5, 60)
    asking = Asking()
    model = make("multiclass", early_stopping=True, n_estimators=n_estimators)
    model.set_callbacks(asking).fit(frame, y, weight)
    epochs = [seen for seen in asking.seen if seen[0] == "epoch"]
    assert len(epochs) == 5 * n_estimators
    for _, X_part, y_part, metadata, fitted in epochs:
        assert list(X_part.index) == [int(np.flatnonzero(frame["a"] == a)[0]) for a in X_part["a"]]
        assert len(X_part) == len(y_part) == 54
        assert_array_equal(metadata["sample_weight"], weight[X_part.index])
        assert set(fitted.predict(X_part)) <= set("xyz")
    _, X_part, y_part, metadata, fitted = next(seen for seen in asking.seen if seen[0] == "fit")
    assert X_part is frame
    assert_array_equal(fitted.predict(frame), model.predict(frame))


def test_in_a_search(short_fits):
    """A callback of the search sees the epochs of each fit, and is gone from the model after."""
    X, y = make_table("binary")
    recorder = Propagated()
    pipeline = make_pipeline(StandardScaler(), make("binary", max_iter=3))
    search = GridSearchCV(pipeline, {"mlpclassifier__alpha": [0.1, 1.0]}, cv=2)
    search.set_callbacks(recorder).fit(X, y)
    assert recorder.seen.count(("end", "epoch")) == 3 * (2 * 2 + 1)
    assert recorder.seen.count(("setup", "fit")) == 1
    best = search.best_estimator_[-1]
    gone = {compat.CALLBACKS, "_parent_callback_ctx", *compat.CALLBACK_BOOKKEEPING}
    assert not gone & set(vars(best))


def test_progress_bar(capsys, short_fits):
    """scikit-learn's progress bar shows a fit to its end."""
    pytest.importorskip("rich")
    X, y = make_table("binary")
    make("binary").set_callbacks(callbacks.ProgressBar()).fit(X, y)
    assert "MLPClassifier - fit" in capsys.readouterr().out


@pytest.mark.parametrize("failure", ["rows", "callback", "training"])
def test_callbacks_of_a_failed_fit(failure, short_fits):
    """Callbacks are taken down after a fit that fails, and the estimator is what it was."""

    def fail(context):
        raise ZeroDivisionError

    X, y = make_table("regression")
    recorder = Recorder(fail if failure == "callback" else lambda context: False)
    model = make("regression").set_callbacks(recorder)
    before = dict(vars(model))
    if failure == "training":
        model.set_params(solver="sgd", learning_rate_init=1e200)
        before = dict(vars(model))
    with (
        np.errstate(all="ignore"),
        pytest.raises((ValueError, ZeroDivisionError)),
    ):
        model.fit(X, y[:-1] if failure == "rows" else y)
    assert vars(model) == before
    assert recorder.seen[-1:] == ([] if failure == "rows" else [("teardown", "fit")])


def test_partial_fit(short_fits):
    """A partial fit is a fit of one epoch."""
    X, y = make_table("regression")
    recorder = Recorder()
    make("regression").set_callbacks(recorder).partial_fit(X, y).partial_fit(X, y)
    assert recorder.seen.count(("end", "epoch")) == recorder.seen.count(("teardown", "fit")) == 2


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_nobody_is_told_where_nobody_listens(n_estimators, monkeypatch, short_fits):
    """Without callbacks a fit has no contexts and looks at no weights."""
    monkeypatch.setattr(MLPRegressor, "_init_callback_context", None)
    monkeypatch.setattr(MLPRegressor, "_current_model", None)
    X, y = make_table("regression")
    model = make("regression", n_estimators=n_estimators)
    model.set_callbacks(Recorder()).set_callbacks().fit(X, y)
    assert model.n_iter_ == 5


@pytest.mark.parametrize("n_estimators", [1, 3])
def test_watching_changes_no_number(n_estimators, kind, short_fits):
    """A fit that is looked at gives the numbers of one that is not."""
    X, y = make_table(kind)
    model = make(kind, n_estimators=n_estimators).fit(X, y)
    watched = make(kind, n_estimators=n_estimators).set_callbacks(Asking()).fit(X, y)
    assert_array_equal(watched.predict(X), model.predict(X))


def test_beside_skorchs_callbacks(short_fits):
    """Callbacks of both kinds hear of the same epochs, and either may end the fit."""

    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    X, y = make_table("regression")
    recorder = Recorder()
    model = make("regression", callbacks=[Stop()]).set_callbacks(recorder).fit(X, y)
    assert model.n_iter_ == recorder.seen.count(("end", "epoch")) == 2
    recorder = Recorder(lambda context: context.task_name == "epoch")
    model = make("regression", callbacks=[Callback()]).set_callbacks(recorder).fit(X, y)
    assert model.n_iter_ == 1


def test_clones_and_pickles_keep_them():
    """As with scikit-learn's estimators, a clone shares the callbacks and a pickle has them."""
    recorder = Recorder()
    recorder.stop = None  # a lambda has no pickle
    model = make("regression").set_callbacks(recorder)
    assert sklearn.base.clone(model)._skl_callbacks == [recorder]
    twin = pickle.loads(pickle.dumps(model))
    assert [type(callback) for callback in twin._skl_callbacks] == [Recorder]


def test_without_the_module(monkeypatch):
    """Where scikit-learn has no callbacks the estimators have no `set_callbacks`."""
    monkeypatch.setitem(sys.modules, "sklearn.callback", None)
    stand_in = runpy.run_path(compat.__file__)["CallbackSupportMixin"]
    assert not hasattr(stand_in, "set_callbacks")
    assert stand_in.__bases__ == (object,)
