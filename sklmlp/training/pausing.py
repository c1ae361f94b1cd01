"""Fits that pause after some epochs, and go on where they were when they are called again.

A search compares candidates after a few epochs and goes on with the better ones. Whoever fits them,
be it a pipeline or another meta-estimator, calls `fit` anew each time; a fit of the thread that
uses `Pauses` then starts from the state that it was left in, and comes out as if it had never
paused.
"""

import os
import threading
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from sklmlp.callbacks import resume_run, snapshot_run
from sklmlp.nn import TiedNetwork

_here = threading.local()  # not a context variable: threads may inherit those of their parents
_lock = threading.Lock()  # networks of an ensemble may train on several threads


def _begin_forked():
    """Start a forked child, whose fits pause for nobody."""
    global _here, _lock
    _here, _lock = threading.local(), threading.Lock()


if hasattr(os, "register_at_fork"):  # not where there is no fork
    os.register_at_fork(after_in_child=_begin_forked)


class NotTrainedError(Exception):
    """Ends a fit before its training: only what it would train was asked for."""


@dataclass
class Pauses:
    """When the fits of a thread pause, and what they were when they did.

    Parameters
    ----------
    n_epochs : int or None, default=None
        Epochs of the whole fit, earlier calls included, after which a network pauses; None for
        none. Schedules stay laid out over `max_iter`.
    deadline : float or None, default=None
        The `time.time()` at which all pause, at the end of an epoch.
    kept : list of list or None, default=None
        For each call of `fit`, in order, the states of its networks, as an earlier `Pauses` has
        kept them. A network goes on from its state if its rows and its initial weights are those
        that it had, and starts anew if not.
    is_all_or_nothing : bool, default=False
        Whether the deadline ends networks at once, in the middle of an epoch: nobody wants them.
    only_looks : bool, default=False
        Whether to end each fit by `NotTrainedError` before it trains, and keep its runs.

    Attributes
    ----------
    n_done : int
        The most epochs that a network has trained.
    max_iter : int
        The most epochs that a network may train.
    n_parameters : int
        Numbers that the networks of a fit learn, of the largest of the fits.
    has_paused : bool
        Whether a network would go on.
    was_cut : bool
        Whether one paused for the deadline.
    n_fits : int
        Calls of `fit` so far.
    runs : list of TrainingRun
        What the last fit would have trained, if it `only_looks`.
    """

    n_epochs: int | None = None
    deadline: float | None = None
    kept: list | None = None
    is_all_or_nothing: bool = False
    only_looks: bool = False
    n_done: int = 0
    max_iter: int = 0
    n_parameters: int = 0
    has_paused: bool = False
    was_cut: bool = False
    n_fits: int = 0
    runs: list = field(default_factory=list)

    def enter(self, runs, rows):
        """Let the networks of a fit pause, and take up what was kept of them.

        Parameters
        ----------
        runs : list of TrainingRun
            About to start.
        rows : Subset
            All rows of the fit.
        """
        config = runs[0].config
        self.n_parameters = max(self.n_parameters, sum(run.network.flat.numel() for run in runs))
        if self.only_looks:
            self.runs = runs
            raise NotTrainedError(f"{self.n_parameters} parameters")
        self.max_iter = max(self.max_iter, config.max_iter)
        if config.solver == "lbfgs":  # SciPy's iterations cannot be taken up
            return
        number, self.n_fits, self.kept = self.n_fits, self.n_fits + 1, self.kept or []
        if number == len(self.kept):
            self.kept.append([None] * len(runs))
        states = list(self.kept[number])
        if not can_be_kept(runs[0]):  # starts anew each time
            states, identity = [None] * len(runs), None
        else:
            identity = _identity(runs, rows)
        if len(states) != len(runs) or any(s is None or s["of"] != identity for s in states):
            states = [None] * len(runs)
        self.kept[number] = states
        for k, run in enumerate(runs):
            if states[k] is not None:
                resume_run(run, states[k]["snapshot"])
                seconds = sum(record["seconds"] for record in run.state.stopping.history)
                run.state.started_at -= seconds  # the clock of `max_time`
                self.n_done = max(self.n_done, run.state.stopping.n_iter)
            run.state.pause = Pause(self, states, k, identity)

    def count(self, run, was_cut):
        """Take note of a network that pauses or has ended."""
        with _lock:
            self.n_done = max(self.n_done, run.state.stopping.n_iter)
            self.has_paused |= run.outcome.has_paused
            self.was_cut |= was_cut


@dataclass(frozen=True)
class Pause:
    """The pause of one network.

    Parameters
    ----------
    pauses : Pauses
    states : list
        Of all networks of the fit.
    number : int
        Which of them it is.
    identity : tuple or None
        What the state belongs to; None where none can be kept.
    """

    pauses: Pauses
    states: list
    number: int
    identity: tuple | None

    @property
    def n_epochs(self):
        """Epochs after which it pauses, or None."""
        return self.pauses.n_epochs

    def is_due(self, n_iter):
        """Tell whether it is time, after so many epochs."""
        at, deadline = self.pauses.n_epochs, self.pauses.deadline
        return (at is not None and n_iter >= at) or (
            deadline is not None and time.time() >= deadline
        )

    def keep(self, run, order):
        """Keep the state of a network that pauses, or has ended, before it is made a result."""
        at = self.pauses.n_epochs
        was_cut = run.outcome.has_paused and (at is None or run.state.stopping.n_iter < at)
        self.pauses.count(run, was_cut)
        if self.identity is not None and at is not None:
            kept = snapshot_run(run, order, ended=not run.outcome.has_paused)
            self.states[self.number] = {"of": self.identity, "snapshot": kept}


@contextmanager
def ending_in_time(runs, interrupted):
    """End training at the deadline of a search that wants nothing of it then.

    Parameters
    ----------
    runs : list of TrainingRun
        About to train.
    interrupted : Interrupt
        Of their training.
    """
    strict = {id(p): p for p in (run.state.pause and run.state.pause.pauses for run in runs) if p}
    strict = [p for p in strict.values() if p.is_all_or_nothing and p.deadline is not None]
    if len(strict) == 0:
        yield
        return

    def end():
        for pauses in strict:
            pauses.was_cut = True
        interrupted.set()

    timer = threading.Timer(max(0.0, min(p.deadline for p in strict) - time.time()), end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def can_be_kept(run):
    """Tell whether a snapshot of a run is all that there is to it.

    Callbacks have states of their own, and a user's module may draw numbers of its own.
    """
    module = run.network.spec.module
    return not run.config.callbacks and (module is None or issubclass(module, TiedNetwork))


def _identity(runs, rows):
    """Return what tells the rows and initial weights of one fit from those of another."""
    X, datasets = rows.X, [rows.dataset, *(run.dataset for run in runs)]
    arrays = [X.indptr, X.indices, X.data] if sp.issparse(X) else [X]
    arrays.append(rows.dataset.y.cpu().numpy())
    arrays += [rows.dataset.weight, *(dataset.index for dataset in datasets)]
    arrays += [run.network.flat.detach().cpu().numpy() for run in runs]
    shapes = tuple(None if each is None else np.shape(each) for each in arrays)
    sums = (zlib.crc32(np.ascontiguousarray(each).data) for each in arrays if each is not None)
    return shapes, *sums


@contextmanager
def use_pauses(pauses):
    """Let the fits of this thread pause.

    Parameters
    ----------
    pauses : Pauses or None
    """
    before = getattr(_here, "pauses", None)
    _here.pauses = pauses
    try:
        yield pauses
    finally:
        _here.pauses = before


def let_pause(runs, rows):
    """Let networks pause that are about to train, if this thread uses `Pauses`; see there."""
    pauses = getattr(_here, "pauses", None)
    if pauses is not None:
        pauses.enter(runs, rows)
