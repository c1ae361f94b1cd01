"""When a fit ends, what it says of that, and what it leaves behind."""

import re
import signal
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

from sklmlp.data import batches
from sklmlp.native import is_available
from sklmlp.training import lbfgs
from sklmlp.training.run import TrainingRun, TrainingState
from sklmlp.training.stopping import StoppingState
from tests.tables import make, make_pair, make_table

SOLVERS = ["adam", "sgd", "lbfgs"]


@pytest.mark.filterwarnings("ignore::sklmlp.exceptions.TrainingWarning")
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_fit_that_has_not_converged_says_so(solver, kind):
    """A fit that ends at `max_iter` raises scikit-learn's ConvergenceWarning."""
    X, y = make_table(kind)
    model = make(kind, solver=solver, max_iter=3)
    with pytest.warns(ConvergenceWarning, match=r"[Mm]aximum iterations|iterations? \(|ITERATIONS"):
        model.fit(X, y)
    assert model.n_iter_ == 3


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_fit_that_has_converged_is_silent(solver, recwarn):
    """A fit that ends by itself warns of nothing."""
    X, y = make_table("regression")
    options = {"hidden_layer_sizes": (), "alpha": 1.0, "max_iter": 3000}
    model = make("regression", solver=solver, **options).fit(X, y)
    assert 2 < model.n_iter_ < 3000
    assert not recwarn.list


@pytest.mark.filterwarnings("ignore::sklmlp.exceptions.TrainingWarning")
@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("n_iter_no_change", [1, 4])
def test_patience(n_iter_no_change, early_stopping):
    """A fit ends once more than `n_iter_no_change` epochs in a row were not better by `tol`."""
    X, y = make_table("regression")
    model = make(
        "regression",
        tol=1e6,
        n_iter_no_change=n_iter_no_change,
        max_iter=100,
        early_stopping=early_stopping,
    ).fit(X, y)
    assert model.n_iter_ == n_iter_no_change + 2


@pytest.mark.filterwarnings("ignore::sklmlp.exceptions.TrainingWarning")
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_infinite_patience():
    """`n_iter_no_change=inf` trains until `max_iter`."""
    X, y = make_table("regression")
    assert make("regression", tol=1e6, n_iter_no_change=np.inf, max_iter=30).fit(X, y).n_iter_ == 30


def test_max_fun():
    """`max_fun` bounds the evaluations of lbfgs, and so its iterations."""
    X, y = make_table("regression")
    with pytest.warns(ConvergenceWarning):
        model = make("regression", solver="lbfgs", max_fun=4, max_iter=100).fit(X, y)
    assert model.n_iter_ <= 4


@pytest.mark.filterwarnings("ignore::sklmlp.exceptions.TrainingWarning")
@pytest.mark.parametrize("kind", ["binary", "multiclass", "multilabel", "regressions"])
def test_early_stopping_keeps_the_best_weights(kind):
    """The kept weights reach the best validation score on the rows that were held out."""
    X, y = make_table(kind, n_samples=150)
    seen = []

    class Watch(Callback):
        def on_epoch_end(self, net, dataset_train, dataset_valid, **kwargs):
            seen[:] = [dataset_valid.X, dataset_valid.y]

    model = make(
        kind, early_stopping=True, max_iter=300, learning_rate_init=0.05, callbacks=[Watch()]
    ).fit(X, y)
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert len(model.validation_scores_) == model.n_iter_
    assert model.best_loss_ is None
    assert_allclose(model.score(*seen), model.best_validation_score_)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_warm_start_with_early_stopping_keeps_the_best_of_all_fits():
    """A second fit that scores no better leaves the best weights, not the last ones.

    scikit-learn 1.9.1 leaves the last ones: the arrays it keeps are those that it trains on.
    """
    X, y = make_table("regression", n_samples=100)
    model = make("regression", early_stopping=True, warm_start=True, max_iter=60)
    model.set_params(learning_rate_init=0.03).fit(X, y)
    best, coefs = model.best_validation_score_, [coef.copy() for coef in model.coefs_]
    model.set_params(learning_rate_init=10.0, max_iter=2).fit(X, y)
    assert model.best_validation_score_ == best
    for now, before in zip(model.coefs_, coefs, strict=True):
        assert_array_equal(now, before)


class Interrupting:
    """A standard output that a user interrupts when it says "Iteration 3"."""

    def __init__(self, interrupt):
        self.interrupt, self.lines = interrupt, []

    def write(self, text):
        self.lines.append(text)
        if text.startswith("Iteration 3,"):
            self.interrupt()

    def flush(self):
        pass


def raise_interrupt():
    raise KeyboardInterrupt


def press_ctrl_c():
    # a shell starts what it runs in the background with SIGINT ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("interrupt", [raise_interrupt, press_ctrl_c])
@pytest.mark.parametrize("solver", SOLVERS)
def test_ctrl_c_between_epochs(solver, interrupt, early_stopping, kind, monkeypatch):
    """Ctrl-C ends a fit with a warning and leaves an estimator to predict and train on with."""
    X, y = make_table(kind)
    early_stopping &= solver != "lbfgs"
    model = make(kind, solver=solver, verbose=True, max_iter=50, early_stopping=early_stopping)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", Interrupting(interrupt))
        with pytest.warns(UserWarning, match="Training interrupted by user"):
            model.fit(X, y)
    assert 2 <= model.n_iter_ <= 3
    assert np.isfinite(model.predict(X)).all()
    assert np.isfinite(model.loss_)
    model.set_params(verbose=False, warm_start=True, max_iter=2)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)


class InterruptedActivation:
    """tanh, interrupted at one of its calls in training; trials beforehand do not count."""

    def __init__(self, at):
        self.calls, self.at = 0, at

    def __call__(self, z):
        in_training = z.requires_grad and len(z) > 2
        self.calls += in_training
        if in_training and self.calls == self.at:
            raise KeyboardInterrupt
        return torch.tanh(z)


@pytest.mark.parametrize("at", [1, 2, 9])
@pytest.mark.parametrize("solver", SOLVERS)
def test_ctrl_c_in_a_step(solver, at):
    """Ctrl-C in the middle of a step, the first included, leaves finite weights."""
    X, y = make_table("regression")
    activation = InterruptedActivation(at)
    model = make("regression", solver=solver, activation=activation, batch_size=20, max_iter=50)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model.fit(X, y)
    assert activation.calls == at
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.parametrize(
    "options",
    [
        {"solver": "adam"},
        {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.05, "tol": 0.01},
        {"solver": "sgd", "learning_rate": "invscaling", "tol": 0.1},
        {"solver": "adam", "early_stopping": True, "n_iter_no_change": 3, "tol": 1e-2},
        {"solver": "sgd", "early_stopping": True, "n_iter_no_change": 1, "tol": 1.0},
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_verbose_lines(options, kind, capsys):
    """`verbose=True` prints scikit-learn's lines, with rate, training score and times added."""
    X, y = make_table(kind)
    ours, theirs = make_pair(kind, verbose=True, **{"max_iter": 40, **options})
    theirs.fit(X, y)
    expected = capsys.readouterr().out
    ours.fit(X, y)
    assert expected.startswith("Iteration 1, loss = ")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(", learning rate")[0] for line in lines] == expected.splitlines()
    epochs = [line for line in lines if line.startswith("Iteration")]
    for line, epoch in zip(epochs, ours.history_, strict=True):
        added = f", learning rate = {epoch['lr']:g}"
        if ours.early_stopping:
            added += f", training score = {epoch['train_score']:f}"
        assert re.search(f"{re.escape(added)}, {TIMES}$", line)


TIMES = r"[0-9]+\.[0-9] s, at most [0-9]+\.[0-9] s left"


@pytest.mark.parametrize(
    ("params", "is_one_epoch", "name", "expected"),
    [
        ({"max_iter": 100, "max_time": None}, False, "", ", 10.0 s, at most 160.0 s left"),
        ({"max_iter": 20, "max_time": None}, False, "", ", 10.0 s, at most 0.0 s left"),
        ({"max_iter": 100, "max_time": 15.5}, False, "", ", 10.0 s, at most 5.5 s left"),
        ({"max_iter": 21, "max_time": 15.5}, False, "", ", 10.0 s, at most 2.0 s left"),
        ({"max_iter": 100, "max_time": 9}, False, "", ", 10.0 s, at most 0.0 s left"),
        ({"max_iter": 100, "max_time": None}, True, "", ", 10.0 s"),
        (
            {"max_iter": 100, "max_time": None},
            *(False, ", network 2 of 5"),
            ", 10.0 s, at most 160.0 s left, network 2 of 5",
        ),
    ],
)
def test_seconds_of_a_line(params, is_one_epoch, name, expected, monkeypatch):
    """What is left is the time of the epochs to `max_iter`, or of `max_time` where that is less."""
    monkeypatch.setattr("sklmlp.training.run.time", SimpleNamespace(monotonic=lambda: 110.0))
    stopping = StoppingState(n_iter=20, history=[{"seconds": 9.0}] * 10 + [{"seconds": 2.0}] * 10)
    run = TrainingRun(
        config=SimpleNamespace(**params),
        network=None,
        dataset=None,
        state=TrainingState(rng=None, stopping=stopping, started_at=100.0),
        is_one_epoch=is_one_epoch,
        name=name,
    )
    assert run.pace == expected


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", SOLVERS)
def test_lines_of_an_ensemble(solver, capsys):
    """Each line says which network of an ensemble it is of."""
    X, y = make_table("regression")
    model = make("regression", solver=solver, verbose=True, max_iter=4, n_estimators=3)
    model.fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    found = [
        re.fullmatch(f"Iteration ([0-9]+), loss = .*, {TIMES}, (network .*)", x) for x in lines
    ]
    expected = [
        (str(epoch), f"network {number} of 3")
        for number, network in enumerate(model.estimators_, 1)
        for epoch in range(1, network.n_iter_ + 1)
    ]
    assert sorted(each.groups() for each in found) == sorted(expected)


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_a_resumed_fit_says_so(n_estimators, tmp_path, monkeypatch, capsys):
    """A fit that goes on from a checkpoint prints at which epoch, and goes on counting."""
    X, y = make_table("regression")
    model = make("regression", verbose=True, max_iter=8, n_estimators=n_estimators)
    model.set_params(checkpoint=str(tmp_path / "fit"), checkpoint_every=2, random_state=0)

    def interrupt(run):
        if run.state.stopping.n_iter == 5:
            raise KeyboardInterrupt
        return False

    with monkeypatch.context() as patch, pytest.warns(UserWarning, match="interrupted by user"):
        patch.setattr(TrainingRun, "is_out_of_time", property(interrupt))
        model.fit(X, y)
    capsys.readouterr()
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    names = [""] if n_estimators == 1 else [", network 1 of 2", ", network 2 of 2"]
    resumed = [re.fullmatch("Resumed at epoch ([24])(.*)", line) for line in lines]
    began = {found[2]: int(found[1]) for found in resumed if found}
    assert 4 in began.values()  # another network may be on a thread of its own, and behind
    left = [epoch for name in names for epoch in range(began.get(name, 0) + 1, 9)]
    counted = [int(re.match("Iteration ([0-9]+), ", line)[1]) for line in lines[len(began) :]]
    assert sorted(counted) == sorted(left)
    model.fit(X, y)
    assert capsys.readouterr().out.splitlines() == [f"Resumed at epoch 8{name}" for name in names]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("solver", SOLVERS)
def test_silence(solver, capfd):
    """Without `verbose` nothing is printed."""
    X, y = make_table("regression")
    make("regression", solver=solver).fit(X, y)
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("before", [False, True])
def test_non_finite_weights(solver, before):
    """A fit that ends in weights that are not finite is scikit-learn's ValueError, undone."""
    X, y = make_table("regression")
    model = make("regression", solver=solver, max_iter=100)
    predictions = model.fit(X, y).predict(X) if before else None
    huge = X / np.abs(X).max() * np.finfo(float).max
    with pytest.raises(ValueError, match="Solver produced non-finite parameter weights"):
        model.fit(huge, y)
    assert hasattr(model, "coefs_") == before
    if before:
        assert_array_equal(model.predict(X), predictions)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of the overflow
def test_lbfgs_gives_up_on_a_loss_that_is_not_finite():
    """lbfgs on rows that overflow raises as the other solvers do, and leaves the model as it was.

    scikit-learn 1.9.1 keeps the initial weights and a loss of NaN.
    """
    X, y = make_table("regression")
    model = make("regression", solver="lbfgs", max_iter=100)
    message = (
        r"^Solver produced a non-finite loss \(nan\) after 0 iteration\(s\)\. The input data may "
        r"contain large values and need to be preprocessed\. Scale the features, or lower "
        r"alpha=0\.0001\.$"
    )
    with pytest.raises(ValueError, match=message):
        model.fit(X / np.abs(X).max() * np.finfo(float).max, y)
    assert not hasattr(model, "coefs_")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, where a score overflows
def test_a_diverged_validation_score_ends_the_fit():
    """A validation score of NaN ends the fit with a warning and the best weights before it.

    scikit-learn 1.9.1 goes on until `max_iter`.
    """
    X, y = make_table("regression", n_samples=100)
    model = make(
        "regression",
        activation="identity",
        solver="sgd",
        learning_rate_init=100.0,
        early_stopping=True,
        max_iter=1000,
        n_iter_no_change=1000,
    )
    with pytest.warns(ConvergenceWarning, match="Training diverged: the validation score became"):
        model.fit(X, y)
    assert model.n_iter_ < 1000
    assert np.isnan(model.validation_scores_[-1])
    assert np.isfinite(model.predict(X)).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_lbfgs_says_that_it_ignores_early_stopping(kind):
    """lbfgs with `early_stopping` warns, and trains on all rows as without."""
    X, y = make_table(kind)
    with pytest.warns(UserWarning, match=r"early_stopping=True is ignored by solver='lbfgs'"):
        model = make(kind, solver="lbfgs", early_stopping=True).fit(X, y)
    expected = make(kind, solver="lbfgs").fit(X, y)
    assert_array_equal(model.coefs_[0], expected.coefs_[0])


@pytest.mark.parametrize("kind", ["binary", "regression"])
def test_lbfgs_has_no_partial_fit(kind):
    """`partial_fit` is there for adam and sgd alone."""
    assert not hasattr(make(kind, solver="lbfgs"), "partial_fit")
    assert hasattr(make(kind, solver="adam"), "partial_fit")
    assert hasattr(make(kind, solver="sgd"), "partial_fit")
    with pytest.raises(AttributeError) as caught:
        make(kind, solver="lbfgs").partial_fit(*make_table(kind))
    assert "lbfgs is not stochastic" in str(caught.value.__cause__ or caught.value)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_partial_fit_goes_with_no_early_stopping(kind):
    """`partial_fit` with `early_stopping` is scikit-learn's error and changes nothing."""
    X, y = make_table(kind)
    model = make(kind, early_stopping=True).fit(X, y)
    before = dict(vars(model))
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        model.partial_fit(X, y)
    assert vars(model) == before


class Failing:
    """An activation that fails in its fourth call."""

    calls = 0

    def __call__(self, z):
        Failing.calls += 1
        if Failing.calls > 3:
            raise RuntimeError("out of order")
        return z


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    "failure", ["activation", "targets", "widths", "new classes", "device", "too few rows"]
)
def test_a_failed_fit_changes_nothing(failure, method):
    """Whatever goes wrong in a fit, the estimator is the one that it was."""
    X, y = make_table("multiclass")
    model = make("multiclass", batch_size=10).fit(X, y)
    before, predictions = dict(vars(model)), model.predict_proba(X)
    arrays = [a.copy() for a in model.coefs_ + model.intercepts_]
    rows, changed = (X, y), {}
    if failure == "activation":
        Failing.calls, changed = 0, {"activation": Failing()}
    elif failure == "targets":
        rows = X[:, :3], np.full(60, np.nan)
    elif failure == "widths":
        changed = {"hidden_layer_sizes": (-1,)}
    elif failure == "new classes":
        rows, changed = (X, y + 5), {"warm_start": True}
    elif failure == "device":
        changed = {"device": "nowhere"}
    else:
        rows, changed = (X[:2], y[:2]), {"early_stopping": True}
    old = {name: getattr(model, name) for name in changed}
    with pytest.raises((ValueError, RuntimeError)):
        getattr(model.set_params(**changed), method)(*rows)
    model.set_params(**old)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    for now, was in zip(model.coefs_ + model.intercepts_, arrays, strict=True):
        assert_array_equal(now, was)
    assert_array_equal(model.predict_proba(X), predictions)


def test_a_failed_first_fit_leaves_nothing():
    """An estimator whose first fit fails is as unfitted as before, inputs' names included."""
    X, y = make_table("binary")
    model = make("binary", hidden_layer_sizes=(3, 0))
    before = dict(vars(model))
    with pytest.raises(ValueError, match="hidden_layer_sizes must be > 0"):
        model.fit(X, y)
    assert vars(model) == before


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("change", [{"hidden_layer_sizes": (9,)}, {"hidden_layer_sizes": ()}])
def test_a_warm_start_keeps_its_shape(change):
    """A warm start with other widths is an error that names both shapes."""
    X, y = make_table("regression")
    model = make("regression", warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="Training cannot go on"):
        model.set_params(**change).fit(X, y)


def test_a_batch_larger_than_the_table_is_clipped():
    """A `batch_size` beyond the number of rows warns as scikit-learn's does."""
    X, y = make_table("regression")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        with pytest.warns(UserWarning, match="Got `batch_size` less than 1 or larger than sample"):
            clipped = make("regression", batch_size=100).fit(X, y)
        assert_array_equal(clipped.coefs_[0], make("regression", batch_size=60).fit(X, y).coefs_[0])


@pytest.mark.parametrize("is_compiled", [False, True])
def test_an_interrupt_ends_lbfgs_at_the_next_evaluation(is_compiled, monkeypatch):
    """Once it is interrupted, L-BFGS evaluates no loss any more, also in a line search."""
    if is_compiled and not is_available():
        pytest.skip("the compiled engine is not built")
    monkeypatch.setattr(lbfgs, "is_compilable", lambda run: is_compiled)
    name = "_compiled_objective" if is_compiled else "_torch_objective"
    make_objective, losses = getattr(lbfgs, name), []

    def interrupted_after_five(run, interrupted):
        objective = make_objective(run, interrupted)

        def evaluate(flat):
            result = objective(flat)
            losses.append(result[0])
            if len(losses) == 5:
                interrupted.set()
            return result

        return evaluate

    monkeypatch.setattr(lbfgs, name, interrupted_after_five)
    X, y = make_table("regression")
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        model = make("regression", solver="lbfgs", max_iter=50).fit(X, y)
    assert len(losses) == 5
    assert np.isfinite(model.predict(X)).all()


def test_an_interrupt_ends_lbfgs_within_the_rows_of_an_evaluation(monkeypatch):
    """An evaluation by autograd over many rows ends after those that were at hand."""
    make_objective, add_gradient, taken = lbfgs._torch_objective, lbfgs.add_gradient, []

    def interrupted_after_a_slice(run, interrupted):
        def add(*args):
            add_gradient(*args)
            taken.append(args)
            interrupted.set()

        monkeypatch.setattr(lbfgs, "add_gradient", add)
        return make_objective(run, interrupted)

    monkeypatch.setattr(batches, "ROWS_AT_A_TIME", 10)
    monkeypatch.setattr(lbfgs, "is_compilable", lambda run: False)
    monkeypatch.setattr(lbfgs, "_torch_objective", interrupted_after_a_slice)
    X, y = make_table("regression", n_samples=60)
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        make("regression", solver="lbfgs").fit(X, y)
    assert len(taken) == 1
