"""Training jobs: at once, or given to the coordinator of fits in several threads.

A thread that uses a coordinator gives its networks to it instead of training them by itself; see
`sklmlp.search` for that.
"""

import os
import threading
from collections.abc import Callable, Hashable
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from sklmlp.caller import is_one_of_many, kind_of, warn

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
