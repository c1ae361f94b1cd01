"""One network's training: what it is given, how far it has come, and what came of it."""

import math
import threading
import time
from dataclasses import dataclass, field, replace

import numpy as np

from sklmlp.callbacks import TrainingCallback
from sklmlp.data import BatchPlan, Dataset, rows_of_a_batch
from sklmlp.training.stopping import StoppingState, Validation


@dataclass
class TrainingState:
    """What changes from epoch to epoch besides the network's numbers; a checkpoint stores it.

    Written by the training loop, and by a checkpoint that is resumed.

    Parameters
    ----------
    rng : numpy.random.RandomState
        Shuffles the rows.
    stopping : StoppingState
    optimizer : Adam, SGD, TorchOptimizerAdapter or None
        None for L-BFGS, which is SciPy's.
    order : ndarray of int or None
        The rows in the order of the last epoch; None for that of the dataset.
    started_at : float
        When the clock of `max_time` began to run, in seconds. Not stored.
    pause : Pause or None
        When it pauses, for a fit that goes on later. Not stored.
    """

    rng: np.random.RandomState
    stopping: StoppingState
    optimizer: object = None
    order: np.ndarray | None = None
    started_at: float = field(default_factory=lambda: time.monotonic())
    pause: object = None


@dataclass
class TrainingOutcome:
    """What came of a run. Written by the training loop.

    Parameters
    ----------
    final_loss : float
        The training loss of the last epoch, or what L-BFGS reached.
    ran_out : bool
        Whether `max_iter` or `max_time` ended it, rather than the rules of stopping.
    was_resumed : bool
        Whether it went on from a checkpoint.
    has_paused : bool
        Whether it is to go on later.
    was_finished : bool
        Whether that checkpoint was taken after its last epoch.
    warnings : list of (str, type)
        Messages and categories, to be given in the thread of the estimator.
    error : Exception or None
        What ended this network's training alone.
    """

    final_loss: float = np.nan
    ran_out: bool = False
    was_resumed: bool = False
    has_paused: bool = False
    was_finished: bool = False
    warnings: list = field(default_factory=list)
    error: Exception | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainingRun:
    """A network on its way from initial to trained weights.

    Its own fields are the inputs and stay as they are. `state` and `outcome` are what changes.

    Parameters
    ----------
    config : TrainingConfig
    network : Network
        Holds the numbers that are trained.
    dataset : Dataset
        The rows that are trained on.
    state : TrainingState
    validation, training_sample : Validation or None
        With early stopping, the held-out rows that decide it, and some of the training rows.
    callback : TrainingCallback
    epoch_offset : int
        Epochs of earlier fits that schedules count.
    is_one_epoch : bool
        Whether a single epoch is asked for, as `partial_fit` does.
    name : str
        Which network of an ensemble it is, as `verbose` prints it.
    cancelled : threading.Event
        Set when the caller has abandoned the fit, such as by Ctrl-C in a search.
    outcome : TrainingOutcome
    """

    config: object
    network: object
    dataset: Dataset
    state: TrainingState
    validation: Validation | None = None
    training_sample: Validation | None = None
    callback: TrainingCallback = field(default_factory=TrainingCallback)
    epoch_offset: int = 0
    is_one_epoch: bool = False
    name: str = ""
    cancelled: threading.Event = field(default_factory=threading.Event)
    outcome: TrainingOutcome = field(default_factory=TrainingOutcome)

    @property
    def loss(self):
        """The `Loss` of the network."""
        return self.network.spec.loss_function

    @property
    def ordered_dataset(self):
        """The dataset in the order of the last epoch, from which the next one is shuffled."""
        order = self.state.order
        return self.dataset if order is None else replace(self.dataset, index=order)

    @property
    def has_batch_callbacks(self):
        """Whether a callback follows its batches."""
        return self.callback.follows_batches

    @property
    def is_watched(self):
        """Whether anything happens after each epoch, so that several cannot be one call."""
        moves_rate = self.state.optimizer.supports_sklearn_schedules and (
            self.config.learning_rate == "invscaling"
        )
        return (
            moves_rate
            or self.validation is not None
            or bool(self.config.verbose)
            or self.config.max_time is not None
            or type(self.callback) is not TrainingCallback
        )

    @property
    def is_out_of_time(self):
        """Whether `max_time` is over."""
        most = self.config.max_time
        return most is not None and time.monotonic() - self.state.started_at >= most

    @property
    def n_epochs_left(self):
        """Epochs until `max_iter`, or until it pauses."""
        limits = [self.config.max_iter]
        if self.state.pause is not None and self.state.pause.n_epochs is not None:
            limits.append(self.state.pause.n_epochs)
        return min(limits) - self.state.stopping.n_iter

    def pauses(self):
        """Tell whether it pauses after this epoch, and take note of it."""
        pause = self.state.pause
        self.outcome.has_paused = pause is not None and pause.is_due(self.state.stopping.n_iter)
        return self.outcome.has_paused

    @property
    def pace(self):
        """How long it has taken, how long it may still take, and its network, to be printed."""
        config, stopping = self.config, self.state.stopping
        spent = time.monotonic() - self.state.started_at
        if self.is_one_epoch:
            return f", {spent:.1f} s{self.name}"
        recent = [epoch["seconds"] for epoch in stopping.history[-10:]]
        left = (config.max_iter - stopping.n_iter) * sum(recent) / len(recent)
        if config.max_time is not None:
            left = min(left, max(0, config.max_time - spent))
        return f", {spent:.1f} s, at most {left:.1f} s left{self.name}"

    @property
    def pins_parameters(self):
        """Whether a callback or an optimizer of torch references the memory of its parameters."""
        return self.has_batch_callbacks or self.state.optimizer.pins_parameters

    @property
    def is_stackable(self):
        """Whether its parameters may move in memory and no batch can be without weight."""
        weight = self.dataset.weights()
        if self.pins_parameters or weight is None:
            return not self.pins_parameters
        n = len(self.dataset)
        size = rows_of_a_batch(self.config.batch_size, n)
        return np.count_nonzero(weight) > n - (n % size or size)

    @property
    def epoch(self):
        """The number of the running epoch, from 0, as schedules count."""
        return self.epoch_offset + self.state.stopping.n_iter

    @property
    def batch_plan(self):
        """How its rows are dealt into batches."""
        return BatchPlan.of(len(self.dataset), self.config.batch_size)

    @property
    def is_stopped(self):
        """Whether a callback or an interrupt ends it; no convergence warning follows."""
        return self.cancelled.is_set() or self.callback.stopped

    def start(self):
        """Begin; a fit may continue an earlier one."""
        stopping = self.state.stopping
        if stopping.loss_curve:
            self.outcome.final_loss = stopping.loss_curve[-1]
        if not self.outcome.was_resumed:
            stopping.start(self.validation is not None, self.network)

    def end_epochs(self, losses, rates, seconds):
        """Record epochs: one with its scores if the run is watched, or the block of a step."""
        first = len(self.state.stopping.loss_curve) + 1
        self.state.stopping.add_epochs(losses, len(self.dataset))
        self.outcome.final_loss = losses[-1]
        records = [
            {"epoch": epoch, "train_loss": loss, "lr": rate, "seconds": each}
            for epoch, (loss, rate, each) in enumerate(
                zip(losses, rates, seconds, strict=True), first
            )
        ]
        self.state.stopping.history += records
        if self.validation is None:
            self.state.stopping.update_from_losses(losses, self.config.tol)
        else:
            self._score(records[-1])
        if self.config.verbose:
            print(_lines(self.state.stopping.n_iter, records[-1], self.pace))
        self.callback.end_epoch(records[-1])

    def _score(self, record):
        """Score the held-out rows after an epoch, and add the scores to its record."""
        started = time.perf_counter()
        times = {name: record.pop(name) for name in ("lr", "seconds")}
        if self.training_sample is not None:
            record["train_score"] = self.training_sample.evaluate(self.network, self.loss)[1]
        valid_loss, score = self.validation.evaluate(self.network, self.loss)
        self.state.stopping.update_from_score(score, self.config.tol, self.network)
        record |= {"valid_loss": valid_loss, "valid_score": score, **times}
        record["seconds"] += time.perf_counter() - started

    def has_ended(self):
        """Tell whether the run has ended; move the learning rate where it has not."""
        config, stopping, optimizer = self.config, self.state.stopping, self.state.optimizer
        if optimizer.supports_sklearn_schedules and config.learning_rate == "invscaling":
            # a thousand orders of magnitude overflow, and past thirty no step is seen anyway
            power = min(config.power_t, 30 / math.log10(stopping.n_rows_seen + 1))
            optimizer.lr = config.learning_rate_init / (stopping.n_rows_seen + 1) ** power
        if self.is_stopped or self._has_diverged():
            return True
        if stopping.no_improvement <= config.n_iter_no_change:
            return False
        what = "Training loss" if self.validation is None else "Validation score"
        message = (
            f"{what} did not improve more than tol={config.tol:f} for {config.n_iter_no_change} "
            "consecutive epochs."
        )
        if not optimizer.supports_sklearn_schedules or config.learning_rate != "adaptive":
            end = " Stopping."
        elif optimizer.lr <= 1e-6:
            end = " Learning rate too small. Stopping."
        else:
            optimizer.lr /= 5.0
            stopping.no_improvement = 0
            end = f" Setting learning rate to {optimizer.lr:f}"
        if config.verbose:
            print(message + end)
        return end.endswith("Stopping.")

    def _has_diverged(self):
        stopping = self.state.stopping
        if self.validation is None:
            # nothing finite comes of weights that are not: the caller raises
            loss = stopping.loss_curve[-1]
            return not math.isfinite(loss) and not self.network.has_finite_numbers
        return np.isnan(stopping.validation_scores[-1])  # -inf is a score, if a bad one

    def finish(self):
        """End, with the weights of the best validation score where there is one."""
        if self.validation is not None:
            self.network.restore(self.state.stopping.best)
        self.callback.end_training()


def _lines(n_iter, record, pace):
    """Write scikit-learn's lines of an epoch, with the learning rate and the training score."""
    line = (
        f"Iteration {n_iter}, loss = {record['train_loss']:.8f}, learning rate = {record['lr']:g}"
    )
    if "train_score" in record:
        line += f", training score = {record['train_score']:f}"
    scored = f"\nValidation score: {record['valid_score']:f}" if "valid_score" in record else ""
    return line + pace + scored
