"""The one training loop."""

import time
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklmlp.losses import LOSSES
from sklmlp.train.batches import Batches
from sklmlp.train.step import AutogradStep


class Validation:
    """Rows that are kept from training and scored after each epoch.

    Parameters
    ----------
    table : Table
    score : callable
        Logits and the table's index to a score.
    loss : Loss
    """

    def __init__(self, table, score, loss):
        self.table, self.score, self.loss = table, score, loss

    def evaluate(self, network):
        """(loss, score) of the network as it is; a score of NaN where an answer is not finite."""
        logits, loss, total = [], 0.0, 0.0
        for x, y, weight, weight_sum in self.table.slices(4096):
            z = network.logits(x)
            rows = self.loss.rows(z, y)
            loss += float((rows if weight is None else rows * weight).sum())
            total += weight_sum
            logits.append(z.cpu().numpy())
        logits = np.concatenate(logits)
        score = float(self.score(logits)) if np.isfinite(logits).all() else np.nan
        return (loss / total if total else np.nan), score


def train(network, table, validation, params, optimizer, progress, rng, events, one_epoch=False):
    """Train a network until it has converged, `max_iter` epochs are done or the user stops it.

    Parameters
    ----------
    network : Network
    table : Table
    validation : Validation or None
        With early stopping.
    params : namespace
        The estimator's parameters.
    optimizer : torch.optim.Optimizer
    progress : Progress
    rng : numpy.random.RandomState
    events : Events
        Told of the begin and end of everything.
    one_epoch : bool, default=False
        Whether a single pass is asked for, as `partial_fit` does.
    """
    step = AutogradStep(network, LOSSES[network.spec.loss], params.alpha, optimizer)
    batches = Batches(table, params.batch_size, rng if params.shuffle else None)
    progress.start(validation is not None, network.flat)
    try:
        events.begin_training()
        while not events.stopped:
            _one_epoch(step, batches, validation, params, progress, events)
            if _is_over(network, params, optimizer, progress, validation) or one_epoch:
                break
            if progress.n_iter == params.max_iter:
                warnings.warn(
                    f"Stochastic Optimizer: Maximum iterations ({params.max_iter}) reached and "
                    "the optimization hasn't converged yet.",
                    ConvergenceWarning,
                    stacklevel=2,
                )
                break
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=2)
    if validation is not None:
        network.flat.detach().copy_(progress.best)
    events.end_training()


def _one_epoch(step, batches, validation, params, progress, events):
    started = time.perf_counter()
    events.begin_epoch()
    total, n_rows, lr = 0.0, 0, step.optimizer.lr
    for x, y, weight, weight_sum in batches.epoch():
        events.begin_batch(x, y)
        if weight_sum:  # a batch without weight has nothing to say
            loss = step(x, y, weight, weight_sum, events)
            total = total + loss * len(x)
            events.end_batch(x, y, loss)
        n_rows += len(x)
    loss = float(total) / n_rows  # the one look at the device
    progress.add_epoch(loss, n_rows)
    record = {"epoch": len(progress.loss_curve), "train_loss": loss}
    if params.verbose:
        print(f"Iteration {progress.n_iter}, loss = {loss:.8f}")
    if validation is None:
        progress.judge_loss(params.tol)
    else:
        valid_loss, score = validation.evaluate(step.network)
        progress.judge_score(score, params.tol, step.network.flat)
        record |= {"valid_loss": valid_loss, "valid_score": score}
        if params.verbose:
            print(f"Validation score: {score:f}")
    progress.history.append(record | {"lr": lr, "seconds": time.perf_counter() - started})
    events.end_epoch(progress.history[-1])


def _is_over(network, params, optimizer, progress, validation):
    """Whether the last epoch was the last one; moves the learning rate where it was not."""
    if params.solver == "sgd" and params.learning_rate == "invscaling":
        optimizer.lr = params.learning_rate_init / (progress.n_rows_seen + 1) ** params.power_t
    if validation is not None and np.isnan(progress.validation_scores[-1]):
        warnings.warn(
            f"Training diverged: the validation score became NaN in epoch {progress.n_iter}. The "
            "weights of the best validation score are kept. Scale the features, or lower "
            f"learning_rate_init={params.learning_rate_init}.",
            ConvergenceWarning,
            stacklevel=3,
        )
        return True
    if not np.isfinite(progress.loss_curve[-1]) and not network.flat.isfinite().all():
        return True  # nothing finite comes of weights that are not: the caller raises
    if progress.no_improvement <= params.n_iter_no_change:
        return False
    what = "Training loss" if validation is None else "Validation score"
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
