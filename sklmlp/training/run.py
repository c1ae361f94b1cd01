"""One network's training: what it is given, how far it has come, and when it ends."""

import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch

from sklmlp.callbacks import TrainingCallback
from sklmlp.data import BatchPlan, Dataset, rows_of_a_batch
from sklmlp.training.stopping import StoppingState


class Validation:
    """Rows that are scored after each epoch.

    Parameters
    ----------
    table : Dataset
    score : callable
        `score(logits, loss, network)`: logits in the table's order, their loss, and the network
        that they are of, to a score; greater is better.
    is_loss : bool, default=False
        Whether the score is minus the loss.
    """

    def __init__(self, table, score, is_loss=False):
        self.table, self.score, self.is_loss = table, score, is_loss

    def evaluate(self, network, loss):
        """(loss, score) of the network as it is; a score of NaN where an answer is not finite."""
        logits, total, weight_sum = [], 0.0, 0.0
        for x, y, weight in self.table.slices(network.takes_sparse):
            z = network.logits(x)
            rows = loss.value(z, y)
            total += float((rows if weight is None else rows * weight).sum())
            weight_sum += float(len(x) if weight is None else weight.sum())
            logits.append(z.cpu().numpy())
        logits = np.concatenate(logits)
        mean = total / weight_sum if weight_sum else np.nan
        if not np.isfinite(logits).all():
            return mean, np.nan
        with torch.inference_mode(False):  # a user's scorer may do as it likes
            return mean, float(self.score(logits, mean, network))


@dataclass
class TrainingRun:
    """A network on its way from initial to trained weights.

    Parameters
    ----------
    network : Network
    table : Dataset
    validation : Validation or None
        With early stopping, which the rows kept from training decide on.
    params : namespace
        The estimator's parameters.
    optimizer : Adam, SGD or TorchOptimizerAdapter
    progress : StoppingState
    rng : numpy.random.RandomState
    events : TrainingCallback
        Told of the begin and end of everything.
    epoch_offset : int
        Of earlier fits that schedules count as this one's.
    training_sample : Validation or None
        With early stopping, some of the rows that are trained on.
    """

    network: object
    table: Dataset
    validation: Validation | None
    params: object
    optimizer: torch.optim.Optimizer
    progress: StoppingState
    rng: np.random.RandomState
    events: TrainingCallback
    epoch_offset: int = 0
    training_sample: Validation | None = None
    began: float = field(default_factory=lambda: time.monotonic())
    """When the clock of `max_time` began to run, in seconds."""

    reached: float = np.nan
    """The training loss of the last epoch, or what L-BFGS reached."""
    is_resumed: bool = False
    """Whether it was taken up from a checkpoint."""
    has_finished: bool = False
    """Whether that checkpoint was taken after its last epoch."""
    ran_out: bool = False
    """Whether `max_iter` or `max_time` ended it, and not what it had reached."""
    network_name: str = ""
    """Which network of an ensemble it is, as `verbose` prints it."""
    is_one_epoch: bool = False
    """Whether a single epoch is asked for."""
    is_cancelled: bool = False
    """Whether nobody waits for it any more."""
    warnings: list = field(default_factory=list)
    """(message, category) of what the estimator's own thread is to warn of."""
    error: Exception | None = None
    """What ended this network's training alone."""

    @property
    def loss(self):
        return self.network.spec.loss_function

    @property
    def has_batch_callbacks(self):
        """Whether somebody listens to its batches."""
        return self.events.follows_batches

    @property
    def is_out_of_time(self):
        """Whether `max_time` is over."""
        most = self.params.max_time
        return most is not None and time.monotonic() - self.began >= most

    @property
    def pace(self):
        """How long it has taken, how long it may still take, and its network, to be printed."""
        params, progress, spent = self.params, self.progress, time.monotonic() - self.began
        if self.is_one_epoch:
            return f", {spent:.1f} s{self.network_name}"
        recent = [epoch["seconds"] for epoch in progress.history[-10:]]
        left = (params.max_iter - progress.n_iter) * sum(recent) / len(recent)
        if params.max_time is not None:
            left = min(left, max(0, params.max_time - spent))
        return f", {spent:.1f} s, at most {left:.1f} s left{self.network_name}"

    @property
    def pins_parameters(self):
        """Whether a callback or an optimizer of torch's holds on to the memory of its weights."""
        return self.has_batch_callbacks or self.optimizer.pins_parameters

    @property
    def is_stackable(self):
        """Whether nobody holds on to its weights and no batch can be without weight."""
        weight = self.table.weights()
        if self.pins_parameters or weight is None:
            return not self.pins_parameters
        n = len(self.table)
        size = rows_of_a_batch(self.params.batch_size, n)
        return np.count_nonzero(weight) > n - (n % size or size)

    @property
    def epoch(self):
        """The number of the running epoch, from 0, as schedules count."""
        return self.epoch_offset + self.progress.n_iter

    @property
    def epoch_shape(self):
        """How its rows are dealt into batches."""
        return BatchPlan.of(len(self.table), self.params.batch_size)

    @property
    def is_stopped(self):
        """Whether somebody wants it to end, and not to be judged by how far it came."""
        return self.is_cancelled or self.events.stopped

    def start(self):
        """Begin; a fit may continue an earlier one."""
        if self.progress.loss_curve:
            self.reached = self.progress.loss_curve[-1]
        if not self.is_resumed:
            self.progress.start(self.validation is not None, self.network)

    def end_epoch(self, loss, started):
        """Take note of an epoch, and of the validation rows after it."""
        progress, params, lr = self.progress, self.params, self.optimizer.lr
        progress.add_epoch(loss, len(self.table))
        self.reached = loss
        record = {"epoch": len(progress.loss_curve), "train_loss": loss}
        if self.training_sample is not None:
            record["train_score"] = self.training_sample.evaluate(self.network, self.loss)[1]
        if self.validation is None:
            progress.update_from_loss(params.tol)
        else:
            valid_loss, score = self.validation.evaluate(self.network, self.loss)
            progress.update_from_score(score, params.tol, self.network)
            record |= {"valid_loss": valid_loss, "valid_score": score}
        progress.history.append(record | {"lr": lr, "seconds": time.perf_counter() - started})
        if params.verbose:
            print(_line(progress.n_iter, loss, lr, record.get("train_score")) + self.pace)
            if self.validation is not None:
                print(f"Validation score: {score:f}")
        self.events.end_epoch(progress.history[-1])

    def has_ended(self):
        """Whether the last epoch was the last one; moves the learning rate where it was not."""
        params, progress, optimizer = self.params, self.progress, self.optimizer
        if optimizer.supports_sklearn_schedules and params.learning_rate == "invscaling":
            # a thousand orders of magnitude overflow, and past thirty no step is seen anyway
            power = min(params.power_t, 30 / math.log10(progress.n_rows_seen + 1))
            optimizer.lr = params.learning_rate_init / (progress.n_rows_seen + 1) ** power
        if self.is_stopped or self._has_diverged():
            return True
        if progress.no_improvement <= params.n_iter_no_change:
            return False
        what = "Training loss" if self.validation is None else "Validation score"
        message = (
            f"{what} did not improve more than tol={params.tol:f} for {params.n_iter_no_change} "
            "consecutive epochs."
        )
        if not optimizer.supports_sklearn_schedules or params.learning_rate != "adaptive":
            end = " Stopping."
        elif optimizer.lr <= 1e-6:
            end = " Learning rate too small. Stopping."
        else:
            optimizer.lr /= 5.0
            progress.no_improvement = 0
            end = f" Setting learning rate to {optimizer.lr:f}"
        if params.verbose:
            print(message + end)
        return end.endswith("Stopping.")

    def _has_diverged(self):
        if self.validation is None:
            # nothing finite comes of weights that are not: the caller raises
            loss = self.progress.loss_curve[-1]
            return not math.isfinite(loss) and not self.network.flat.isfinite().all()
        return np.isnan(self.progress.validation_scores[-1])  # -inf is a score, if a bad one

    def finish(self):
        """End, with the weights of the best validation score where there is one."""
        if self.validation is not None:
            self.network.restore(self.progress.best)
        self.events.end_training()


def _line(n_iter, loss, lr, train_score):
    """scikit-learn's line of an epoch, with the rate and the training score added."""
    line = f"Iteration {n_iter}, loss = {loss:.8f}, learning rate = {lr:g}"
    return line if train_score is None else f"{line}, training score = {train_score:f}"


def number_networks(fits):
    """Give the networks of an ensemble the names that `verbose` prints."""
    if len(fits) > 1:
        for number, fit in enumerate(fits, 1):
            fit.network_name = f", network {number} of {len(fits)}"
