"""The one training loop, for one network or for a stack of them."""

import time
from functools import partial

from sklearn.exceptions import ConvergenceWarning

from sklmlp import runtime
from sklmlp.data import Batches
from sklmlp.training.loss_meter import LossMeter


def train_stack(fits, step, interrupted, one_epoch, one_thread, checkpoints=None):
    """Train networks side by side, each until it has ended or the user stops.

    Parameters
    ----------
    fits : list of TrainingRun
    step : DenseStep or AutogradStep
        Of these networks.
    interrupted : threading.Event
        Set by Ctrl-C, here or elsewhere.
    one_epoch : bool
        Whether a single pass is asked for.
    one_thread : bool
        Whether each step is to stay on the thread of the caller.
    checkpoints : StackCheckpoints, default=None
        Told of every epoch.
    """
    params = fits[0].params
    for fit in fits:
        fit.start()
    rngs = [fit.rng for fit in fits] if params.shuffle else None
    tables, n_outputs = [fit.table for fit in fits], fits[0].network.spec.n_outputs
    sparse = step.takes_sparse and tables[0].rows.is_multiplied_sparse
    batches = Batches(tables, params.batch_size, rngs, n_outputs, sparse)
    running = list(fits)
    try:
        for fit in fits:
            _isolated(fit, fit.events.begin_training)
        while running and not interrupted.is_set():
            epochs = partial(
                _train_epochs, running, step, batches, one_epoch, interrupted, checkpoints
            )
            going = runtime.compute(epochs, params.matmul_precision, one_thread)
            running = [running[k] for k in going]
            step.keep(going)
            batches.keep(going)
    except KeyboardInterrupt:
        interrupted.set()
    for fit in fits:
        if fit.error is None:
            _isolated(fit, fit.finish)


def _train_epochs(fits, step, batches, one_epoch, interrupted, checkpoints):
    """Epochs until a network has ended or it is time to pause; gives which ones go on."""
    meter, everybody = LossMeter(fits), list(range(len(fits)))
    while True:
        _train_epoch(fits, step, batches, meter, interrupted)
        going = [
            k for k, fit in enumerate(fits) if not (_isolated(fit, fit.has_ended) or one_epoch)
        ]
        going = [k for k in going if not (fits[k].error or _out_of_epochs_or_time(fits[k]))]
        if checkpoints is not None:
            checkpoints.after_epoch(fits, batches.order, going)
        if going != everybody or runtime.others_wait() or interrupted.is_set():
            return going


def _isolated(fit, act, *args):
    """What a network does for itself: an error there ends no other network."""
    try:
        return act(*args)
    except Exception as error:
        fit.error = fit.error or error


def _train_epoch(fits, step, batches, meter, interrupted):
    """One pass over the rows, and what every network learns from it about its progress."""
    started = time.perf_counter()
    for fit in fits:
        _isolated(fit, fit.events.begin_epoch)
    listening = [fit.events for fit in fits if fit.has_batch_callbacks]
    step.begin_epoch()
    for run in batches.epoch():
        if interrupted.is_set():
            raise KeyboardInterrupt
        for batch in run.batches:
            for events in listening:
                events.begin_batch(batch)
            if batch.weight_sum is None:  # it has nothing to say
                batch.logits.zero_(), batch.squared_coefs.zero_()
                continue
            step(batch)
            for events in listening:
                events.end_batch(batch)
        meter.add(run)
    for fit, loss in zip(fits, meter.losses(), strict=True):
        _isolated(fit, fit.end_epoch, loss, started)


def _out_of_epochs_or_time(fit):
    if fit.progress.n_iter >= fit.params.max_iter:
        limit = f"Maximum iterations ({fit.params.max_iter})"
    elif fit.is_out_of_time:
        limit = f"Maximum time (max_time={fit.params.max_time} seconds)"
    else:
        return False
    message = f"Stochastic Optimizer: {limit} reached and the optimization hasn't converged yet."
    fit.warnings.append((message, ConvergenceWarning))
    fit.ran_out = True
    return True
