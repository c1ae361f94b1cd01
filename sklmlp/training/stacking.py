"""Grouping of networks: which train together, and on which threads."""

from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from functools import partial

import torch

from sklmlp import runtime
from sklmlp.caller import warn
from sklmlp.data import rows_of_a_batch, share_memory
from sklmlp.training.jobs import TrainingJob, available_threads, run_or_enqueue
from sklmlp.training.loop import train_stack
from sklmlp.training.steps import choose_step

STACK_BYTES = 2**25
"""Weights and activations of the networks of a stack take about this much of a CPU's cache."""


def train_networks(runs, checkpoints=None):
    """Train networks, each until it has converged, `max_iter` epochs are done or the user stops.

    Networks that can share their steps are trained side by side, and each ends as if it had been
    trained alone.

    Parameters
    ----------
    runs : list of TrainingRun
        Of networks of one spec, on datasets of the same rows.
    checkpoints : Checkpoints, default=None
        Of these networks; training goes on from what they hold.

    Returns
    -------
    ended : bool
        Whether they ended by themselves.
    """
    if checkpoints is not None:
        checkpoints.resume()
    for run in runs:
        if run.outcome.was_resumed and run.config.verbose:
            print(f"Resumed at epoch {run.state.stopping.n_iter}{run.name}")
    batch_size, n = runs[0].config.batch_size, len(runs[0].dataset)
    if batch_size != "auto" and batch_size > n:
        warn(
            "Got `batch_size` less than 1 or larger than sample size. It is going to be "
            f"clipped: batch_size={batch_size} for {n} samples."
        )
    key = _compatibility_key(runs) if checkpoints is None else None
    train = partial(_train_jobs, checkpoints=checkpoints)
    return run_or_enqueue(TrainingJob(runs, train, key, choose_step(runs).is_compiled))


def _train_jobs(jobs, interrupted, checkpoints):
    """Train the networks of jobs of one key; see `TrainingJob`."""
    runs = [run for job in jobs for run in job.runs]
    if len(jobs) > 1:
        share_memory([run.dataset for run in runs])
        runs.sort(key=lambda run: str(run.state.optimizer.group))  # equal ones share an update
    make_step = choose_step(runs)
    in_inference_mode = not (make_step.uses_autograd or any(run.pins_parameters for run in runs))
    stacks, n_threads = [[run] for run in runs], 1
    if make_step.is_compiled:
        n_threads = min(available_threads(), len(runs))
    elif make_step.can_stack and _can_stack(runs):
        stacks, n_threads = _partition(runs)

    def work(stack):
        one_thread = n_threads > 1 or _is_small(stack)
        finished = [run for run in stack if run.outcome.was_finished]
        stack = [run for run in stack if not run.outcome.was_finished]
        for run in finished:
            run.finish()
        if not stack:
            return
        # tensors of inference mode cost a third less of a small operation; callbacks and torch's
        # optimizers get others
        with torch.inference_mode(in_inference_mode):
            step = make_step(stack)
            if make_step.is_compiled:
                step.n_threads = available_threads() // n_threads
            train_stack(stack, step, interrupted, one_thread, checkpoints)

    def work_alone(stack):
        """Train a stack; an error ends the jobs with a network in it, and no others."""
        try:
            work(stack)
        except Exception as error:
            for run in stack:
                run.outcome.error = run.outcome.error or error

    each = work if len(jobs) == 1 else work_alone
    if n_threads == 1:
        for stack in stacks:
            each(stack)
    else:
        _run_threaded(each, stacks, n_threads, interrupted)


def _compatibility_key(runs):
    """Return what jobs that train together agree on, or None for one that trains alone."""
    first = runs[0]
    config, spec, dataset = first.config, first.network.spec, first.dataset
    optimizer = first.state.optimizer
    if not (choose_step(runs).can_stack and _can_stack(runs) and _can_meet(first)):
        return None
    layers = [
        (c.name, _hashable(c.arguments), id(c.custom) if c.custom else None)
        for c in spec.activations
    ]
    return (
        # of the scaling of targets only bounds of the Huber loss take part in a step
        repr(
            replace(spec, activations=(), scaling=spec.scaling if spec.scales_loss_params else None)
        ),
        tuple(layers),
        (dataset.dtype, dataset.weight is None, first.network.flat.device),
        (dataset.y.dtype, dataset.y.shape[1:]),
        (type(optimizer), *optimizer.moments),
        (first.batch_plan, config.shuffle, config.matmul_precision),
        first.is_one_epoch,
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


def _can_meet(run):
    """Tell whether it may wait for others: with `max_time` it would share its time with them."""
    return run.is_stackable and run.dataset.rows.is_tensor and run.config.max_time is None


def _can_stack(runs):
    return len(runs) == 1 or (
        all(run.is_stackable for run in runs) and len({run.batch_plan for run in runs}) == 1
    )


def _batch_size(run):
    return rows_of_a_batch(run.config.batch_size, len(run.dataset))


def _is_small(runs):
    """Tell whether the step of a stack is too short for a second thread to be of use.

    It is counted in multiplications; one in float64 counts as two, and in a stack a value that goes
    through a layer as twelve: there are no calls of Python next to which it would not matter.
    """
    network, n = runs[0].network, _batch_size(runs[0])
    cost = n * network.n_coefs
    if len(runs) > 1:
        cost += 12 * n * _values_a_row(network)
    return len(runs) * cost * network.flat.element_size() / 4 < runtime.SMALL_STEP


def _values_a_row(network):
    return sum(i + o for i, o in network.spec.shapes)


def _partition(runs):
    """Cut networks into stacks, and return these with the number of threads to use.

    A thread that computes whole steps is quicker than a share of every operation, if these are
    long enough for Python to hand over in between; and OpenMP, which would share them out, slows
    down as soon as several threads of a process have called it.
    """
    network = runs[0].network
    device, room = network.flat.device, STACK_BYTES
    n_threads = min(torch.get_num_threads(), len(runs))
    size = -(-len(runs) // n_threads)
    if _is_small(runs[:size]) or device.type != "cpu":
        n_threads, size = 1, len(runs)
    if device.type != "cpu":
        room = torch.cuda.mem_get_info(device)[0] // 2 if device.type == "cuda" else float("inf")
    values = 4 * network.flat.numel()  # gradient and moments are as large as the weights
    values += 3 * _batch_size(runs[0]) * _values_a_row(network)
    size = max(1, int(min(size, room // (values * network.flat.element_size()))))
    n_stacks = -(-len(runs) // size)
    n_stacks += -n_stacks % n_threads  # no thread is to wait for another's last stack
    size = -(-len(runs) // n_stacks)  # equally large ones
    return [runs[start : start + size] for start in range(0, len(runs), size)], n_threads


def _run_threaded(work, stacks, n_threads, interrupted):
    """Deal stacks to threads; Ctrl-C and the first error end all of them."""
    with ThreadPoolExecutor(n_threads) as pool:
        futures = [pool.submit(work, stack) for stack in stacks]
        try:
            for future in as_completed(futures):
                future.result()
        except BaseException as error:
            interrupted.set()
            if not isinstance(error, KeyboardInterrupt):
                raise
