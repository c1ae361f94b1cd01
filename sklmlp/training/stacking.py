"""Jobs of training: which networks train together, when, and on which threads.

A thread that uses a coordinator gives its networks to it instead of training them by itself; see
`sklmlp.search` for that.
"""

import math
import os
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch

from sklmlp import runtime
from sklmlp.caller import is_one_of_many, kind_of, warn
from sklmlp.data import rows_of_a_batch, share_memory
from sklmlp.training.loop import train_stack
from sklmlp.training.steps import AutogradStep, CompiledStep, DenseStep

_here = threading.local()  # not a context variable: threads may inherit those of their parents


def _begin_forked():
    """Start a forked child: the threads of the coordinator stayed with the parent."""
    global _here
    _here = threading.local()


if hasattr(os, "register_at_fork"):  # not where there is no fork
    os.register_at_fork(after_in_child=_begin_forked)


class Interrupt:
    """What ends training from outside, such as Ctrl-C; compiled code reads the same byte.

    Attributes
    ----------
    flag : bytearray of length 1
        Not 0 once it is set.
    """

    def __init__(self):
        self.flag = bytearray(1)

    def set(self):
        """Ask for the end; it takes no lock, so that Ctrl-C cannot leave one held."""
        self.flag[0] = 1

    def is_set(self):
        """Tell whether the end was asked for."""
        return self.flag[0] != 0


STEPS = [CompiledStep, DenseStep, AutogradStep]
"""The fastest first; the last one can run anything."""


def choose_step(runs):
    """Return the first class of `STEPS` that can train the networks of some runs.

    Parameters
    ----------
    runs : list of TrainingRun
        Of one spec, on one device.

    Returns
    -------
    step : type
        A subclass of `Step`, to be called with the runs.
    """
    return next(step for step in STEPS if all(map(step.can_run, runs)))


@dataclass(eq=False)
class TrainingJob:
    """The networks of one estimator, ready to be trained.

    Parameters
    ----------
    runs : list of TrainingRun
    train : callable
        `train(jobs, interrupted)` trains the networks of jobs of one key; `interrupted` is an
        `Interrupt` that ends all of them.
    key : hashable or None
        Jobs of equal keys can be trained together; None is trained alone.
    is_compiled : bool
        Whether it holds no lock of Python's, so that it need not wait for others.
    """

    runs: list
    train: Callable
    key: Hashable = None
    is_compiled: bool = False

    @property
    def nbytes(self):
        """Memory of the rows that wait with it."""
        rows = {id(run.dataset.rows): run.dataset.rows for run in self.runs}
        return sum(each.nbytes for each in rows.values())

    def conclude(self):
        """Give warnings, each kind once, and raise what went wrong: in the estimator's thread."""
        kinds = {}
        for run in self.runs:
            for warning in run.outcome.warnings:
                kinds.setdefault(kind_of(*warning), warning)
            run.outcome.warnings.clear()
        for message, category in kinds.values():
            warn(message, category)
        for run in self.runs:
            if run.outcome.error is not None:
                raise run.outcome.error


def run_or_enqueue(job):
    """Train a job: by the coordinator that this thread uses, or else at once.

    Returns
    -------
    ended : bool
        Whether its networks ended by themselves.

    Raises
    ------
    KeyboardInterrupt
        By Ctrl-C in a search or another meta-estimator, which would go on with its next fit.
    """
    interrupted = Interrupt()
    coordinator = getattr(_here, "coordinator", None)
    if coordinator is not None:
        coordinator.train(job)
    else:
        job.train([job], interrupted)
        if interrupted.is_set():
            if is_one_of_many():
                raise KeyboardInterrupt
            job.runs[0].outcome.warnings.append(("Training interrupted by user.", UserWarning))
    job.conclude()
    return not interrupted.is_set()


def available_threads():
    """Return how many threads a fit may use: one where other fits run at the same time."""
    return torch.get_num_threads() if current_coordinator() is None else 1


@contextmanager
def use_coordinator(coordinator):
    """Let a coordinator train the fits of this thread.

    Parameters
    ----------
    coordinator : object
        Has a method `train(job)`, which returns when the job is trained.
    """
    before = getattr(_here, "coordinator", None)
    _here.coordinator = coordinator
    try:
        yield
    finally:
        _here.coordinator = before


def current_coordinator():
    """Return the coordinator that this thread uses, or None."""
    return getattr(_here, "coordinator", None)


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
    is_compiled, key = choose_step(runs).is_compiled, None
    if checkpoints is None and not is_compiled:
        key = _compatibility_key(runs)
    train = partial(_train_jobs, checkpoints=checkpoints)
    return run_or_enqueue(TrainingJob(runs, train, key, is_compiled))


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

    It is counted in multiplications; one in float64 counts as two.
    """
    network = runs[0].network
    cost = len(runs) * _batch_size(runs[0]) * network.n_coefs
    return cost * network.flat.element_size() / 4 < runtime.SMALL_STEP


def _partition(runs):
    """Cut networks into stacks, and return these with the number of threads to use.

    On a GPU a stack has as many networks as its memory has room for. On a CPU a stack of small
    networks saves calls of Python; larger ones train one by one, on a thread each.
    """
    network = runs[0].network
    device, room = network.flat.device, math.inf
    if device.type == "cpu":
        if _is_small(runs):
            return [runs], 1
        return [[run] for run in runs], min(torch.get_num_threads(), len(runs))
    if device.type == "cuda":
        room = torch.cuda.mem_get_info(device)[0] // 2
    values = 4 * network.flat.numel()  # gradient and moments are as large as the weights
    values += 3 * _batch_size(runs[0]) * sum(i + o for i, o in network.spec.shapes)
    size = max(1, int(min(len(runs), room // (values * network.flat.element_size()))))
    return [runs[start : start + size] for start in range(0, len(runs), size)], 1


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
