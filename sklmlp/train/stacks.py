"""Which networks take their steps together, and on which threads."""

import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import torch

from sklmlp import runtime
from sklmlp.train.batches import rows_of_a_batch
from sklmlp.train.dense import DenseStep, can_step_by_hand
from sklmlp.train.joint import share_memory
from sklmlp.train.loop import train_stack
from sklmlp.train.meeting import Job, train_job
from sklmlp.train.step import AutogradStep

STACK_BYTES = 2**23
"""Weights and activations of the networks of a stack take about this much of a CPU's cache."""

EACH_HAS_ITS_OWN = {
    *("activation", "hidden_layer_sizes", "alpha", "learning_rate_init", "momentum"),
    *("nesterovs_momentum", "beta_1", "beta_2", "epsilon", "max_iter", "tol", "n_iter_no_change"),
    *("early_stopping", "validation_fraction", "random_state", "verbose", "warm_start"),
    *("n_estimators", "max_fun", "device", "dtype"),
}
"""Parameters in which networks of one stack may differ, or that the spec or the table settles."""


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
    batch_size, n = fits[0].params.batch_size, len(fits[0].table)
    if batch_size != "auto" and batch_size > n:
        warnings.warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be "
            f"clipped: batch_size={batch_size} for {n} samples.",
            stacklevel=2,
        )
    train_job(Job(fits, partial(_train_jobs, one_epoch=one_epoch), _key(fits, one_epoch)))


def _train_jobs(jobs, interrupted, ended, one_epoch):
    """Train the networks of jobs of one key; see `Job`."""
    fits = [fit for job in jobs for fit in job.fits]
    if len(jobs) > 1:
        share_memory([fit.table for fit in fits])
        fits.sort(key=lambda fit: str(fit.optimizer.group))  # those that agree share an update
    by_hand = can_step_by_hand(fits[0].network.spec)
    watched = any(fit.is_watched for fit in fits)
    stacks, n_threads = _cut(fits) if by_hand and _can_stack(fits) else ([[f] for f in fits], 1)

    def work(stack):
        # tensors of inference mode cost a third less of a small operation; callbacks get others
        with torch.inference_mode(by_hand and not watched):
            step = (DenseStep if by_hand else AutogradStep)(stack)
            one_thread = n_threads > 1 or _products(stack) < runtime.SMALL_STEP
            train_stack(stack, step, interrupted, one_epoch, one_thread)

    def work_alone(stack):
        """An error ends this stack, and no job that has no network in it."""
        try:
            work(stack)
        except Exception as error:
            for fit in stack:
                fit.error = fit.error or error
        ended(stack)

    each = work if len(jobs) == 1 else work_alone
    if n_threads == 1:
        for stack in stacks:
            each(stack)
    else:
        _on_threads(each, stacks, n_threads, interrupted)


def _key(fits, one_epoch):
    """What jobs have to agree on to be trained together, or None for a job that trains alone."""
    first = fits[0]
    table, spec, optimizer = first.table, first.network.spec, first.optimizer
    if not (can_step_by_hand(spec) and _can_stack(fits) and _can_meet(first)):
        return None
    layers = [(c.name, _mark(c.arguments), id(c.own) if c.own else None) for c in spec.activations]
    params = vars(first.params).items()
    return (
        repr(replace(spec, activations=())),
        tuple(layers),
        (len(table), table.dtype, table.weight is None, first.network.flat.device),
        (table.y.dtype, table.y.shape[1:]),
        (type(optimizer), *optimizer.moments),
        frozenset((name, _mark(value)) for name, value in params if _is_common(name)),
        one_epoch,
    )


def _is_common(name):
    return not (name.startswith("_") or name.endswith("_") or name in EACH_HAS_ITS_OWN)


def _mark(value):
    """Something hashable that is equal for equal plain values, and for others if they are one."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return type(value), *map(_mark, value)
    if isinstance(value, dict):
        return frozenset((_mark(key), _mark(each)) for key, each in value.items())
    return type(value), id(value)


def _can_meet(fit):
    return fit.can_share_steps and fit.table.rows.is_tensor


def _can_stack(fits):
    return len(fits) == 1 or (
        all(fit.can_share_steps for fit in fits) and len({len(fit.table) for fit in fits}) == 1
    )


def _batch_size(fit):
    return rows_of_a_batch(fit.params.batch_size, len(fit.table))


def _products(fits):
    """Multiplications of a step forward."""
    shapes = fits[0].network.spec.shapes
    return len(fits) * _batch_size(fits[0]) * sum(i * o for i, o in shapes)


def _cut(fits):
    """The stacks that networks are cut into, and the number of threads that take them.

    A thread that has steps of its own is quicker than a share of every operation, if these are
    long enough for Python to hand over in between.
    """
    flat = fits[0].network.flat
    room = {"cpu": STACK_BYTES}.get(flat.device.type, float("inf"))
    n_threads = min(torch.get_num_threads(), len(fits))
    size = -(-len(fits) // n_threads)
    if _products(fits[:size]) < runtime.SMALL_STEP or flat.device.type != "cpu":
        n_threads, size = 1, len(fits)
    if flat.device.type == "cuda":
        room = torch.cuda.mem_get_info(flat.device)[0] // 2
    values = 4 * flat.numel()  # gradient and moments are as large as the weights
    values += 3 * _batch_size(fits[0]) * sum(i + o for i, o in fits[0].network.spec.shapes)
    size = max(1, int(min(size, room // (values * flat.element_size()))))
    size = -(-len(fits) // -(-len(fits) // size))  # equally large ones
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
