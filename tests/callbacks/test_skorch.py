"""skorch's callbacks in a fit: they see it as it is, they can steer it, and they cost no number."""

import warnings
from collections import Counter

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    GradientNormClipping,
    LRScheduler,
    TensorBoard,
)

from tests.tables import KINDS, make, make_table

EVENTS = [
    *("on_train_begin", "on_epoch_begin", "on_batch_begin"),
    *("on_grad_computed", "on_batch_end", "on_epoch_end", "on_train_end"),
]


class Recorder(Callback):
    """Writes down which events came, in order."""

    def __init__(self, seen):
        self.seen = seen

    def __getattribute__(self, name):
        if name in EVENTS:
            return lambda net, **kwargs: self.seen.append(name)
        return super().__getattribute__(name)

    # what a subclass overrides is what skorch looks for
    def on_batch_begin(self, net, **kwargs):
        raise AssertionError

    on_batch_end = on_batch_begin


class Watcher(Callback):
    """Calls a function at the end of each epoch."""

    def __init__(self, function):
        self.function = function

    def on_epoch_end(self, net, **kwargs):
        self.function(net)


@pytest.mark.parametrize("activation", ["relu", "prelu"])
def test_events(activation, short_fits):
    """Every event comes once for each training, epoch and batch, in skorch's order."""
    X, y = make_table("multiclass")
    seen = []
    params = {"activation": activation, "max_iter": 3, "batch_size": 30}
    make("multiclass", callbacks=[Recorder(seen)], **params).fit(X, y)
    counts = Counter(seen)
    assert counts == dict(zip(EVENTS, [1, 3, 6, 6, 6, 3, 1], strict=True))
    assert seen[:5] == EVENTS[:5]
    assert seen[-2:] == EVENTS[-2:]


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", KINDS)
def test_watching_changes_nothing(kind, solver, short_fits):
    """A fit that is looked at gives the numbers of one that is not."""
    X, y = make_table(kind)
    watched = make(kind, solver=solver, callbacks=[Callback(), Recorder([])]).fit(X, y)
    alone = make(kind, solver=solver).fit(X, y)
    assert_allclose(watched.predict(X), alone.predict(X), rtol=1e-12)
    assert_allclose(watched.loss_, alone.loss_, rtol=1e-12)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_schedule(solver, short_fits):
    """skorch's schedules move the rate of the fit's own optimizer."""
    X, y = make_table("regression")
    schedule = LRScheduler("StepLR", step_size=2, gamma=0.1)
    model = make("regression", solver=solver, callbacks=[schedule], learning_rate_init=0.01)
    rates = [epoch["lr"] for epoch in model.fit(X, y).history_]
    assert_allclose(rates, [0.01, 0.01, 0.001, 0.001, 0.0001])
    unsteered = make("regression", solver=solver, learning_rate_init=0.01).fit(X, y)
    assert (model.coefs_[0] != unsteered.coefs_[0]).any()


def test_skorchs_early_stopping(short_fits):
    """A callback that stops ends the fit without a warning, with what was learned so far."""
    X, y = make_table("regression")
    stop = EarlyStopping(monitor="train_loss", patience=2, threshold=10.0, sink=lambda text: None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = make("regression", callbacks=[stop], max_iter=50).fit(X, y)
    assert model.n_iter_ == len(model.history_) == 3
    assert np.isfinite(model.predict(X)).all()


def test_lbfgs_can_be_stopped():
    """L-BFGS ends at the iterate at which a callback stops it."""
    X, y = make_table("regression")

    def stop(net):
        if len(net.history) == 3:
            raise KeyboardInterrupt

    model = make("regression", solver="lbfgs", max_iter=100, callbacks=[Watcher(stop)]).fit(X, y)
    assert model.n_iter_ == len(model.history_) == 3
    assert model.loss_ == model.history_[-1]["train_loss"]


@pytest.mark.parametrize("kind, scoring", [("multiclass", "accuracy"), ("regression", "r2")])
def test_scoring(kind, scoring, short_fits):
    """skorch's scorers see training and validation rows, and predictions in the user's labels."""
    X, y = make_table(kind)
    y = np.array(["a", "b", "c"])[y] if kind == "multiclass" else y
    scores = {"train": [], "valid": []}

    def note(net):
        for part, values in scores.items():
            values.append(net.history[-1, part])

    callbacks = [
        EpochScoring(scoring, name="train", on_train=True, use_caching=False),
        EpochScoring(scoring, name="valid", use_caching=False),
        Watcher(note),
    ]
    model = make(kind, callbacks=callbacks, early_stopping=True).fit(X, y)
    assert_allclose(scores["valid"], model.validation_scores_)
    assert len(scores["train"]) == 5


def test_gradients_can_be_clipped(short_fits):
    """What a callback makes of the gradient is what is descended."""
    X, y = make_table("regression")
    params = {"solver": "sgd", "momentum": 0, "max_iter": 1, "alpha": 0}
    start = make("regression", learning_rate_init=1e-300, **params).fit(X, y)
    for clip in (0.5, 0.25):
        callbacks = [GradientNormClipping(clip)]
        params_of_step = {**params, "learning_rate_init": 0.1, "callbacks": callbacks}
        moved = make("regression", **params_of_step).fit(X, 100 * y)
        steps = zip(moved.coefs_ + moved.intercepts_, start.coefs_ + start.intercepts_, strict=True)
        length = np.sqrt(sum(np.square(a - b).sum() for a, b in steps))
        assert_allclose(length, 0.1 * clip, rtol=1e-4)


def test_checkpoint(tmp_path, short_fits):
    """skorch's checkpoints hold the network that the fit was training."""
    X, y = make_table("regression")
    checkpoint = Checkpoint(monitor=None, dirname=tmp_path, f_optimizer=None, f_criterion=None)
    model = make("regression", callbacks=[checkpoint]).fit(X, y)
    stored = torch.load(tmp_path / "params.pt", weights_only=True)
    for name, value in model.module_.state_dict().items():
        assert_array_equal(stored[name].numpy(), value.numpy())


def test_checkpoint_of_the_best_epoch(tmp_path, short_fits):
    """A checkpoint that monitors a score holds the weights that early stopping keeps."""
    X, y = make_table("regression")
    scoring = EpochScoring("r2", name="r2", lower_is_better=False, use_caching=False)
    checkpoint = Checkpoint(monitor="r2_best", dirname=tmp_path, f_history=None)
    model = make(
        "regression", callbacks=[scoring, checkpoint], early_stopping=True, learning_rate_init=0.3
    ).fit(X, y)
    assert np.argmax(model.validation_scores_) < 4  # the best epoch is not the last
    stored = torch.load(tmp_path / "params.pt", weights_only=True)
    for name, value in model.module_.state_dict().items():
        assert_array_equal(stored[name].numpy(), value.numpy())


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_schedule_of_batches(solver, short_fits):
    """A schedule that steps with every batch gives torch's rates."""
    X, y = make_table("regression")
    rates = []

    class Watch(Callback):
        def on_batch_begin(self, net, **kwargs):
            rates.append(net.optimizer_.param_groups[0]["lr"])

    schedule = LRScheduler("ExponentialLR", gamma=0.5, step_every="batch")
    options = {"batch_size": 20, "max_iter": 2, "learning_rate_init": 0.1}
    make("regression", solver=solver, callbacks=[Watch(), schedule], **options).fit(X, y)
    assert_allclose(rates, 0.1 * 0.5 ** np.arange(6))


class Writer:
    """What skorch uses of a `torch.utils.tensorboard.SummaryWriter`."""

    def __init__(self):
        self.scalars, self.is_closed = {}, False

    def add_scalar(self, tag, scalar_value, global_step):
        self.scalars.setdefault(tag, []).append((global_step, scalar_value))

    def close(self):
        self.is_closed = True


@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
def test_tensorboard(solver, short_fits):
    """skorch's TensorBoard writes the curves of the fit's history."""
    X, y = make_table("regression")
    writer = Writer()
    early_stopping = solver != "lbfgs"
    model = make(
        "regression", solver=solver, callbacks=[TensorBoard(writer)], early_stopping=early_stopping
    ).fit(X, y)
    names = ["train_loss"] + early_stopping * ["train_score", "valid_loss", "valid_score"]
    for name in names:
        written = [value for _, value in writer.scalars[f"Loss/{name}"]]
        assert written == [epoch[name] for epoch in model.history_]
    assert writer.is_closed


def test_lbfgs_is_shown_the_weights_of_the_moment(short_fits):
    """A scorer sees the iterate of L-BFGS, not what a line search tried."""
    X, y = make_table("regression")
    seen = []
    watcher = Watcher(lambda net: seen.append(net.predict(X.astype(float))))
    make("regression", solver="lbfgs", callbacks=[watcher]).fit(X, y)
    for k in (1, 3):
        model = make("regression", solver="lbfgs", max_iter=k).fit(X, y)
        assert_allclose(seen[k - 1].ravel(), model.predict(X), rtol=1e-6)


def test_history_of_a_warm_start(short_fits):
    """A fit that goes on shows the callbacks the epochs of the fits before."""
    X, y = make_table("regression")
    lengths = []
    watcher = Watcher(lambda net: lengths.append(len(net.history)))
    model = make("regression", warm_start=True, callbacks=[watcher], max_iter=2)
    model.fit(X, y).fit(X, y)
    assert lengths == [1, 2, 3, 4]


def test_user_errors_pass(short_fits):
    """An exception in a callback reaches the user, and the estimator stays as it was."""
    X, y = make_table("regression")

    def fail(net):
        raise ZeroDivisionError("my own")

    model = make("regression", callbacks=[Watcher(fail)])
    with pytest.raises(ZeroDivisionError, match="my own"):
        model.fit(X, y)
    assert not hasattr(model, "coefs_")
