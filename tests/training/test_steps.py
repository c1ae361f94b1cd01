"""The protocol of training steps: how long the loop leaves a step to itself."""

import os
import warnings

import pytest
from numpy.testing import assert_array_equal
from skorch.callbacks import Callback

import sklmlp.training.stacking
from sklmlp.native import is_available
from sklmlp.training.steps import AutogradStep, CompiledStep, DenseStep
from tests.tables import make, make_table

X, Y = make_table("regression")


class BlockStep(DenseStep):
    """Trains as many epochs in one call as the loop allows, and ends by the rule of stopping."""

    calls = 0

    def train_epochs(self, n_epochs, interrupted):
        type(self).calls += 1
        (run,), blocks = self.runs, []
        stopping, config = run.state.stopping, run.config
        best, failures = stopping.best_loss, stopping.no_improvement
        while len(blocks) < n_epochs:
            blocks.append(super().train_epochs(1, interrupted))
            ((loss,),) = blocks[-1][0]
            if best is not None:  # with early stopping the loop has the rule
                failures = failures + 1 if loss > best - config.tol else 0
                best = min(best, loss)
            if failures > config.n_iter_no_change:
                break
        losses, rates, seconds = zip(*blocks, strict=True)
        return (
            [[loss for ((loss,),) in losses]],
            [[rate for ((rate,),) in rates]],
            [each for (each,) in seconds],
        )


@pytest.fixture
def in_blocks(monkeypatch):
    """Have the chooser pick the step that trains many epochs in one call."""
    monkeypatch.setattr(sklmlp.training.stacking, "STEPS", [BlockStep])
    monkeypatch.setattr(BlockStep, "calls", 0)


def fitted(**params):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make("regression", random_state=0, max_iter=30, **params).fit(X, Y)


@pytest.mark.parametrize("n_iter_no_change", [2, 1000])
@pytest.mark.parametrize("learning_rate", ["constant", "adaptive"])
def test_epochs_in_one_call_are_those_one_by_one(n_iter_no_change, learning_rate, monkeypatch):
    """A step that nobody watches trains to the end in one call, with the same course."""
    params = {"n_iter_no_change": n_iter_no_change, "learning_rate": learning_rate, "tol": 1e-2}
    monkeypatch.setattr(sklmlp.training.stacking, "STEPS", [DenseStep])
    expected = fitted(solver="sgd", **params)
    monkeypatch.setattr(sklmlp.training.stacking, "STEPS", [BlockStep])
    monkeypatch.setattr(BlockStep, "calls", 0)
    got = fitted(solver="sgd", **params)
    assert_array_equal(got.loss_curve_, expected.loss_curve_)
    assert_array_equal(got.coefs_[0], expected.coefs_[0])
    if learning_rate == "constant" or n_iter_no_change == 1000:
        assert BlockStep.calls == 1


COURSES = [
    {},
    {"tol": 1e-2, "n_iter_no_change": 2},
    {"learning_rate": "cosine"},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 1e-2, "n_iter_no_change": 2},
    {"solver": "sgd", "learning_rate": "invscaling"},
    {"dropout": 0.3, "normalization": "batch"},
    {"shuffle": False, "max_grad_norm": 0.1},
]


@pytest.mark.parametrize("params", COURSES, ids=str)
def test_compiled_blocks_are_epochs_one_by_one(params, capsys):
    """The compiled step has the same bits in blocks of epochs as where each epoch is printed."""
    blocks, one_by_one = fitted(**params), fitted(verbose=True, **params)
    assert capsys.readouterr().out.count("Iteration") == blocks.n_iter_
    assert_array_equal(blocks.loss_curve_, one_by_one.loss_curve_)
    rates = [[record["lr"] for record in model.history_] for model in (blocks, one_by_one)]
    assert_array_equal(*rates)
    assert_array_equal(blocks.coefs_[0], one_by_one.coefs_[0])


def test_nearly_every_fit_is_compiled():
    """A fit at its defaults trains in the compiled engine where that is there."""
    assert sklmlp.training.stacking.STEPS[0] is CompiledStep
    assert is_available() or os.environ.get("SKLMLP_NO_EXTENSION") == "1"


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True},
        {"verbose": True},
        {"max_time": 1e6},
        {"callbacks": [Callback]},
        {"solver": "sgd", "learning_rate": "invscaling"},
    ],
    ids=str,
)
def test_what_is_watched_takes_one_epoch_a_call(params, in_blocks):
    """Where anything happens after an epoch, a step is called for each."""
    assert fitted(**params).n_iter_ == BlockStep.calls > 1


def test_checkpoints_are_told_of_every_epoch(tmp_path, in_blocks):
    """With a checkpoint, a step is called for each epoch."""
    model = fitted(checkpoint=str(tmp_path / "fit"))
    assert model.n_iter_ == BlockStep.calls > 1


@pytest.mark.parametrize("kind", [DenseStep, AutogradStep])
def test_an_interrupt_ends_an_epoch_between_two_batches(kind, monkeypatch):
    """Once it is interrupted, a step begins no further batch of the epoch."""

    class Interrupted(kind):
        n_batches = 0

        def train_epochs(self, limits, interrupted):
            self.interrupted = interrupted
            return super().train_epochs(limits, interrupted)

        def __call__(self, batch):
            super().__call__(batch)
            type(self).n_batches += 1
            if self.n_batches == 3:
                self.interrupted.set()

    monkeypatch.setattr(sklmlp.training.stacking, "STEPS", [Interrupted])
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        make("regression", batch_size=1).fit(X, Y)
    assert Interrupted.n_batches == 3
