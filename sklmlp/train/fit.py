"""One network's training: what it is given, how far it has come, and when it ends."""

import math
import time
from dataclasses import dataclass, field

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from sklmlp.losses import LOSSES
from sklmlp.train.batches import Table, rows_of_a_batch
from sklmlp.train.net import Events
from sklmlp.train.progress import Progress


class Validation:
    """Rows that are kept from training and scored after each epoch.

    Parameters
    ----------
    table : Table
    score : callable
        Logits, in the table's order, to a score.
    """

    def __init__(self, table, score):
        self.table, self.score = table, score

    def evaluate(self, network, loss):
        """(loss, score) of the network as it is; a score of NaN where an answer is not finite."""
        logits, total, weight_sum = [], 0.0, 0.0
        for x, y, weight in self.table.slices():
            z = network.logits(x)
            rows = loss.rows(z, y)
            total += float((rows if weight is None else rows * weight).sum())
            weight_sum += float(len(x) if weight is None else weight.sum())
            logits.append(z.cpu().numpy())
        logits = np.concatenate(logits)
        score = float(self.score(logits)) if np.isfinite(logits).all() else np.nan
        return (total / weight_sum if weight_sum else np.nan), score


@dataclass
class Fit:
    """A network on its way from initial to trained weights.

    Parameters
    ----------
    network : Network
    table : Table
    validation : Validation or None
        With early stopping.
    params : namespace
        The estimator's parameters.
    optimizer : Adam or SGD
    progress : Progress
    rng : numpy.random.RandomState
    events : Events
        Told of the begin and end of everything.
    """

    network: object
    table: Table
    validation: Validation | None
    params: object
    optimizer: torch.optim.Optimizer
    progress: Progress
    rng: np.random.RandomState
    events: Events
    reached: float = np.nan
    """The training loss of the last epoch, or what L-BFGS reached."""
    warnings: list = field(default_factory=list)
    """(message, category) of what the estimator's own thread is to warn of."""
    error: Exception | None = None
    """What ended this network's training alone."""

    @property
    def loss(self):
        return LOSSES[self.network.spec.loss]

    @property
    def is_watched(self):
        """Whether somebody listens to its events."""
        return type(self.events) is not Events

    @property
    def can_share_steps(self):
        """Whether no callback listens and no batch can be without weight."""
        weight = self.table.weights()
        if self.is_watched or weight is None:
            return not self.is_watched
        n = len(self.table)
        size = rows_of_a_batch(self.params.batch_size, n)
        return np.count_nonzero(weight) > n - (n % size or size)

    def start(self):
        """Begin; a fit may continue an earlier one."""
        if self.progress.loss_curve:
            self.reached = self.progress.loss_curve[-1]
        self.progress.start(self.validation is not None, self.network.flat)

    def end_epoch(self, loss, n_rows, started):
        """Take note of an epoch, and of the validation rows after it."""
        progress, params, lr = self.progress, self.params, self.optimizer.lr
        progress.add_epoch(loss, n_rows)
        self.reached = loss
        record = {"epoch": len(progress.loss_curve), "train_loss": loss}
        if params.verbose:
            print(f"Iteration {progress.n_iter}, loss = {loss:.8f}")
        if self.validation is None:
            progress.judge_loss(params.tol)
        else:
            valid_loss, score = self.validation.evaluate(self.network, self.loss)
            progress.judge_score(score, params.tol, self.network.flat)
            record |= {"valid_loss": valid_loss, "valid_score": score}
            if params.verbose:
                print(f"Validation score: {score:f}")
        progress.history.append(record | {"lr": lr, "seconds": time.perf_counter() - started})
        self.events.end_epoch(progress.history[-1])

    def has_ended(self):
        """Whether the last epoch was the last one; moves the learning rate where it was not."""
        params, progress, optimizer = self.params, self.progress, self.optimizer
        if params.solver == "sgd" and params.learning_rate == "invscaling":
            optimizer.lr = params.learning_rate_init / (progress.n_rows_seen + 1) ** params.power_t
        if self.events.stopped or self._has_diverged():
            return True
        if progress.no_improvement <= params.n_iter_no_change:
            return False
        what = "Training loss" if self.validation is None else "Validation score"
        message = (
            f"{what} did not improve more than tol={params.tol:f} for {params.n_iter_no_change} "
            "consecutive epochs."
        )
        if params.solver != "sgd" or params.learning_rate != "adaptive":
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
        if not np.isnan(self.progress.validation_scores[-1]):  # -inf is a score, if a bad one
            return False
        message = (
            f"Training diverged: the validation score became NaN in epoch {self.progress.n_iter}. "
            "The weights of the best validation score are kept. Scale the features, or lower "
            f"learning_rate_init={self.params.learning_rate_init}."
        )
        self.warnings.append((message, ConvergenceWarning))
        return True

    def finish(self):
        """End, with the weights of the best validation score where there is one."""
        if self.validation is not None:
            self.network.flat.detach().copy_(self.progress.best)
        self.events.end_training()
