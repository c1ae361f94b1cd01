"""The one training loop, for one network or for a stack of them."""

import time
import warnings

import torch
from sklearn.exceptions import ConvergenceWarning

from sklmlp import runtime
from sklmlp.train.batches import Batches
from sklmlp.train.dense import DenseStep, can_step_by_hand
from sklmlp.train.meter import LossMeter
from sklmlp.train.step import AutogradStep


def train(fits, one_epoch=False):
    """Train networks, each until it has converged, `max_iter` epochs are done or the user stops.

    Networks that can share their steps are trained side by side, and each ends as if it had been
    trained alone.

    Parameters
    ----------
    fits : list of Fit
        Of networks of one spec, on tables of one table's rows.
    one_epoch : bool, default=False
        Whether a single pass is asked for, as `partial_fit` does.
    """
    for stack in [fits] if _can_stack(fits) else [[fit] for fit in fits]:
        _train_stack(stack, one_epoch)


def _can_stack(fits):
    return len(fits) == 1 or (
        can_step_by_hand(fits[0].network.spec)
        and all(fit.can_share_steps for fit in fits)
        and len({len(fit.table) for fit in fits}) == 1
    )


def _train_stack(fits, one_epoch):
    by_hand = can_step_by_hand(fits[0].network.spec)
    # tensors of inference mode cost torch a third less of a small operation; callbacks get others
    with torch.inference_mode(by_hand and not fits[0].is_watched):
        _train_with((DenseStep if by_hand else AutogradStep)(fits), fits, one_epoch)


def _train_with(step, fits, one_epoch):
    params = fits[0].params
    for fit in fits:
        fit.start()
    rngs = [fit.rng for fit in fits] if params.shuffle else None
    batches = Batches(
        [fit.table for fit in fits], params.batch_size, rngs, fits[0].network.spec.n_outputs
    )
    running = list(fits)
    try:
        for fit in fits:
            fit.events.begin_training()
        while running:
            going = _train_epochs(running, step, batches, one_epoch)
            running = [running[k] for k in going]
            step.keep(going)
            batches.keep(going)
    except KeyboardInterrupt:
        warnings.warn("Training interrupted by user.", stacklevel=2)
    for fit in fits:
        fit.finish()


def _train_epochs(fits, step, batches, one_epoch):
    """Epochs until a network has ended or others want the process; gives which ones go on."""
    meter, everybody = LossMeter(fits, batches.n), list(range(len(fits)))
    precision = fits[0].params.matmul_precision
    with runtime.settings(precision, _is_small(fits, batches)) as others_wait:
        while True:
            _train_epoch(fits, step, batches, meter)
            going = [k for k, fit in enumerate(fits) if not (fit.has_ended() or one_epoch)]
            going = [k for k in going if not _out_of_epochs(fits[k])]
            if going != everybody or others_wait():
                return going


def _is_small(fits, batches):
    """Whether a step is too small to be worth a second thread."""
    products = sum(i * o for i, o in fits[0].network.spec.shapes) * batches.size * len(fits)
    return products < runtime.SMALL_STEP


def _train_epoch(fits, step, batches, meter):
    """One pass over the rows, and what every network learns from it about its progress."""
    started = time.perf_counter()
    listening = [fit.events for fit in fits if fit.is_watched]
    for events in listening:
        events.begin_epoch()
    step.begin_epoch()
    for run in batches.epoch():
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
        fit.end_epoch(loss, batches.n, started)


def _out_of_epochs(fit):
    if fit.progress.n_iter < fit.params.max_iter:
        return False
    warnings.warn(
        f"Stochastic Optimizer: Maximum iterations ({fit.params.max_iter}) reached and the "
        "optimization hasn't converged yet.",
        ConvergenceWarning,
        stacklevel=3,
    )
    return True
