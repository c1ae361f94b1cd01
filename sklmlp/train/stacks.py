"""Which networks take their steps together, and on which threads."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import torch

from sklmlp import runtime
from sklmlp.train.dense import DenseStep, can_step_by_hand
from sklmlp.train.loop import train_stack
from sklmlp.train.step import AutogradStep

STACK_BYTES = 2**23
"""Weights and activations of the networks of a stack take about this much of a CPU's cache."""


def train(fits, one_epoch=False, checkpoints=None):
    """Train networks, each until it has converged, `max_iter` epochs are done or the user stops.

    Networks that can share their steps are trained side by side, and each ends as if it had been
    trained alone.

    Parameters
    ----------
    fits : list of Fit
        Of networks of one spec, on tables of one table's rows.
    one_epoch : bool, default=False
        Whether a single pass is asked for, as `partial_fit` does.
    checkpoints : Checkpoints, default=None
        Of these networks; training goes on from what they hold.

    Returns
    -------
    ended : bool
        Whether they ended by themselves.
    """
    if checkpoints is not None:
        checkpoints.resume()
    by_hand = can_step_by_hand(fits[0].network.spec)
    stay_put = any(fit.stays_put for fit in fits)
    stacks, n_threads = _cut(fits) if by_hand and _can_stack(fits) else ([[f] for f in fits], 1)
    interrupted = threading.Event()

    def work(stack):
        one_thread = n_threads > 1 or _products(stack) < runtime.SMALL_STEP
        finished = [fit for fit in stack if fit.has_finished]
        stack = [fit for fit in stack if not fit.has_finished]
        for fit in finished:
            fit.finish()
        if not stack:
            return
        # tensors of inference mode cost a third less of a small operation; callbacks and torch's
        # optimizers get others
        with torch.inference_mode(by_hand and not stay_put):
            step = (DenseStep if by_hand else AutogradStep)(stack)
            mine = None if checkpoints is None else checkpoints.of_stack()
            train_stack(stack, step, interrupted, one_epoch, one_thread, mine)

    if n_threads == 1:
        for stack in stacks:
            work(stack)
    else:
        _on_threads(work, stacks, n_threads, interrupted)
    if interrupted.is_set():
        warnings.warn("Training interrupted by user.", stacklevel=2)
    return not interrupted.is_set()


def _can_stack(fits):
    return len(fits) == 1 or (
        all(fit.can_share_steps for fit in fits) and len({len(fit.table) for fit in fits}) == 1
    )


def _batch_size(fit):
    size = 200 if fit.params.batch_size == "auto" else fit.params.batch_size
    return min(size, len(fit.table))


def _products(fits):
    """Multiplications of a step forward; one in float64 counts as two."""
    network = fits[0].network
    products = len(fits) * _batch_size(fits[0]) * network.n_coefs
    return products * network.flat.element_size() / 4


def _cut(fits):
    """The stacks that networks are cut into, and the number of threads that take them.

    A thread that has steps of its own is quicker than a share of every operation, if these are
    long enough for Python to hand over in between.
    """
    network = fits[0].network
    if network.flat.device.type != "cpu":
        return [fits], 1
    n_threads = min(torch.get_num_threads(), len(fits))
    size = -(-len(fits) // n_threads)
    if _products(fits[:size]) < runtime.SMALL_STEP:
        n_threads, size = 1, len(fits)
    values = 4 * network.flat.numel()  # gradient and moments are as large as the weights
    values += 3 * _batch_size(fits[0]) * sum(i + o for i, o in network.spec.shapes)
    size = max(1, min(size, STACK_BYTES // (values * network.flat.element_size())))
    return [fits[start : start + size] for start in range(0, len(fits), size)], n_threads


def _on_threads(work, stacks, n_threads, interrupted):
    """Deal stacks to threads; Ctrl-C and the first error end all of them."""
    with ThreadPoolExecutor(n_threads) as pool:
        futures = [pool.submit(work, stack) for stack in stacks]
        try:
            for future in futures:
                future.result()
        except BaseException as error:
            interrupted.set()
            if not isinstance(error, KeyboardInterrupt):
                raise
