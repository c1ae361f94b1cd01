"""Which networks take their steps together, and on which threads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import torch

from sklmlp import runtime
from sklmlp.caller import warn
from sklmlp.data import rows_of_a_batch, share_memory
from sklmlp.training.jobs import TrainingJob, run_or_enqueue
from sklmlp.training.loop import train_stack
from sklmlp.training.run import number_networks
from sklmlp.training.steps.autograd import AutogradStep
from sklmlp.training.steps.dense import DenseStep, can_step_by_hand

STACK_BYTES = 2**25
"""Weights and activations of the networks of a stack take about this much of a CPU's cache."""


def train(fits, one_epoch=False, checkpoints=None):
    """Train networks, each until it has converged, `max_iter` epochs are done or the user stops.

    Networks that can share their steps are trained side by side, and each ends as if it had been
    trained alone.

    Parameters
    ----------
    fits : list of TrainingRun
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
    number_networks(fits)
    if checkpoints is not None:
        checkpoints.resume()
    for fit in fits:
        fit.is_one_epoch = one_epoch
        if fit.is_resumed and fit.params.verbose:
            print(f"Resumed at epoch {fit.progress.n_iter}{fit.network_name}")
    batch_size, n = fits[0].params.batch_size, len(fits[0].table)
    if batch_size != "auto" and batch_size > n:
        warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be "
            f"clipped: batch_size={batch_size} for {n} samples."
        )
    how = partial(_train_jobs, one_epoch=one_epoch, checkpoints=checkpoints)
    return run_or_enqueue(
        TrainingJob(fits, how, _compatibility_key(fits, one_epoch) if checkpoints is None else None)
    )


def _train_jobs(jobs, interrupted, one_epoch, checkpoints):
    """Train the networks of jobs of one key; see `TrainingJob`."""
    fits = [fit for job in jobs for fit in job.fits]
    if len(jobs) > 1:
        share_memory([fit.table for fit in fits])
        fits.sort(key=lambda fit: str(fit.optimizer.group))  # those that agree share an update
    by_hand = can_step_by_hand(fits[0].network.spec)
    stay_put = any(fit.pins_parameters for fit in fits)
    stacks, n_threads = (
        _partition(fits) if by_hand and _can_stack(fits) else ([[f] for f in fits], 1)
    )

    def work(stack):
        one_thread = n_threads > 1 or _is_small(stack)
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

    def work_alone(stack):
        """An error ends this stack, and no job that has no network in it."""
        try:
            work(stack)
        except Exception as error:
            for fit in stack:
                fit.error = fit.error or error

    each = work if len(jobs) == 1 else work_alone
    if n_threads == 1:
        for stack in stacks:
            each(stack)
    else:
        _run_threaded(each, stacks, n_threads, interrupted)


def _compatibility_key(fits, one_epoch):
    """What jobs have to agree on to be trained together, or None for a job that trains alone."""
    first = fits[0]
    table, spec, optimizer, params = first.table, first.network.spec, first.optimizer, first.params
    if not (can_step_by_hand(spec) and _can_stack(fits) and _can_meet(first)):
        return None
    layers = [
        (c.name, _hashable(c.arguments), id(c.own) if c.own else None) for c in spec.activations
    ]
    return (
        # of the scaling of targets only bounds of the Huber loss take part in a step
        repr(
            replace(spec, activations=(), scaling=spec.scaling if spec.scales_loss_params else None)
        ),
        tuple(layers),
        (table.dtype, table.weight is None, first.network.flat.device),
        (table.y.dtype, table.y.shape[1:]),
        (type(optimizer), *optimizer.moments),
        (first.epoch_shape, params.shuffle, params.matmul_precision),
        one_epoch,
    )


def _hashable(value):
    """Something hashable that is equal for equal plain values, and for others if they are one."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return type(value), *map(_hashable, value)
    if isinstance(value, dict):
        return frozenset((_hashable(key), _hashable(each)) for key, each in value.items())
    return type(value), id(value)


def _can_meet(fit):
    """Whether it may wait for others: with `max_time` it would share its time with them."""
    return fit.is_stackable and fit.table.rows.is_tensor and fit.params.max_time is None


def _can_stack(fits):
    return len(fits) == 1 or (
        all(fit.is_stackable for fit in fits) and len({fit.epoch_shape for fit in fits}) == 1
    )


def _batch_size(fit):
    return rows_of_a_batch(fit.params.batch_size, len(fit.table))


def _is_small(fits):
    """Whether the step of a stack is too short for a second thread to be of use.

    It is counted in multiplications; one in float64 counts as two, and in a stack a value that goes
    through a layer as twelve: there are no calls of Python beside which it would not matter.
    """
    network, n = fits[0].network, _batch_size(fits[0])
    cost = n * network.n_coefs
    if len(fits) > 1:
        cost += 12 * n * _values_a_row(network)
    return len(fits) * cost * network.flat.element_size() / 4 < runtime.SMALL_STEP


def _values_a_row(network):
    return sum(i + o for i, o in network.spec.shapes)


def _partition(fits):
    """The stacks that networks are cut into, and the number of threads that take them.

    A thread that has steps of its own is quicker than a share of every operation, if these are
    long enough for Python to hand over in between; and OpenMP, which would share them out, slows
    down as soon as several threads of a process have called it.
    """
    network = fits[0].network
    device, room = network.flat.device, STACK_BYTES
    n_threads = min(torch.get_num_threads(), len(fits))
    size = -(-len(fits) // n_threads)
    if _is_small(fits[:size]) or device.type != "cpu":
        n_threads, size = 1, len(fits)
    if device.type != "cpu":
        room = torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else float("inf")
    values = 4 * network.flat.numel()  # gradient and moments are as large as the weights
    values += 3 * _batch_size(fits[0]) * _values_a_row(network)
    size = max(1, int(min(size, room // (values * network.flat.element_size()))))
    n_stacks = -(-len(fits) // size)
    n_stacks += -n_stacks % n_threads  # no thread is to wait for another's last stack
    size = -(-len(fits) // n_stacks)  # equally large ones
    return [fits[start : start + size] for start in range(0, len(fits), size)], n_threads


def _run_threaded(work, stacks, n_threads, interrupted):
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
