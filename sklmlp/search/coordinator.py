"""Threads whose fits wait for each other, so that they can be trained together.

Tasks run in threads, as many at a time as `n_jobs` says. One whose fit is ready to train hands its
networks over and waits; its place goes to the next task. When nobody runs and nobody more may
start, the largest group of jobs of one key is trained together, in the thread of one of them; the
others wait on, for more of their kind. Threads whose jobs are trained go on as soon as there is a
place. No training begins before these are through: its many short operations would stand in line
for Python's lock. A fit waits a few seconds at most for a task that goes on and on, which may be
waiting for this fit.

The networks of a stack do not see each other: no outcome depends on which fits train together.
"""

import os
import threading
import time
from collections import deque
from contextlib import contextmanager, suppress

import torch

from sklmlp.caller import action_of, gathering, kind_of, place, warn
from sklmlp.training import Interrupt, use_coordinator

RUNNING_AT_ONCE = max(2, os.cpu_count() or 1)
"""Tasks that run unless `n_jobs` says otherwise: more would take turns at Python's lock."""

HELD_BYTES = 2**28
"""No more tasks are started while tables of this size wait."""

SECONDS_TO_WAIT = 5
"""How long a fit waits while tasks run and none of them arrives or ends."""

SECONDS_TO_TAKE_TURNS = 0.02
"""How long a task waits for its turn at Python; see `_Turns`."""

SECONDS_TO_LEAVE = 5
"""How long closing a pool waits for its threads, which may run a user's code."""

_task = threading.local()  # `waited`: the seconds that the task of this thread has waited


class _Turns:
    """Turns at Python for tasks, one at a time while each is short.

    Each operation of torch lets go of Python's lock. Two threads that both prepare fits would hand
    it to and fro at every operation, which takes longer than the operations. A task that waits, or
    trains in compiled code, leaves its turn to others. One that has waited for too long goes on
    without: the other may be in long computations, or waiting for this one.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._here = threading.local()  # `has_turn`, in threads that take turns

    def take(self):
        """Wait for a turn, but not for long."""
        began = time.monotonic()
        self._here.has_turn = self._lock.acquire(timeout=SECONDS_TO_TAKE_TURNS)
        count_as_waiting(time.monotonic() - began)

    def leave(self):
        """Leave the turn, if this thread has it."""
        if getattr(self._here, "has_turn", False):
            self._here.has_turn = False
            self._lock.release()

    @contextmanager
    def left(self):
        """Leave it for as long as a task waits, or trains without Python's lock."""
        takes_turns = hasattr(self._here, "has_turn")
        self.leave()
        try:
            yield
        finally:
            if takes_turns:
                self.take()


class TaskPool:
    """The tasks of one call of `joblib.Parallel`.

    Parameters
    ----------
    coordinator : FitCoordinator
    n_jobs : int
        Tasks that may have begun at once.
    parent : TaskPool or None
        Of the task that made the call.
    """

    def __init__(self, coordinator, n_jobs, parent=None):
        self.coordinator, self.n_jobs, self.parent = coordinator, n_jobs, parent
        self.queue, self.threads = deque(), set()
        self.n_begun, self.has_failed, self.is_closed = 0, False, False
        self.seconds = 0.0  # what its tasks took, without their waiting
        self._ends = threading.Lock()  # released when there is nothing more to wait for
        self._ends.acquire()

    @property
    def has_ended(self):
        """Whether there are no more tasks, or one of them has failed."""
        return self.has_failed or self.is_closed or not (self.queue or self.n_begun)

    def tell(self):
        """Wake the caller up, if it is time."""
        if self.has_ended and self._ends.locked():
            self._ends.release()

    def wait(self):
        """Wait until it has ended; without Python's Event, which Ctrl-C may leave locked."""
        while not self.has_ended:
            self._ends.acquire(timeout=0.1)

    def train(self, job):
        """Train a job of one of these tasks; see `sklmlp.training.use_coordinator`."""
        self.coordinator.train(job, self)

    def is_within(self, other):
        """Tell whether it is another pool, or the pool of a task of it, at any depth."""
        return self is other or (self.parent is not None and self.parent.is_within(other))


class FitCoordinator:
    """Decides which fits run, wait and train, for a call of `joblib.Parallel` and those in it.

    Parameters
    ----------
    n_places : int
        Threads, but for one that each pool may always have.
    n_running : int
        Tasks that may run at once, if it is more than there are cores.
    """

    def __init__(self, n_places, n_running=0):
        self.n_places, self.torch_threads = n_places, torch.get_num_threads()
        self.most_running = max(RUNNING_AT_ONCE, n_running)
        self.filters, self.place = None, place()  # the filters of warnings of the call
        self.n_fits, self.warnings = 0, {}  # the first message of each kind, and their number
        self.turns = _Turns()
        self._lock = threading.Lock()  # guards all that follows; Ctrl-C cannot leave it locked
        self.pools, self.jobs = [], set()
        self.n_running = self.n_begun = self.held = 0
        self.waiting, self.resuming = [], deque()
        self.training, self.interrupted = None, None  # the jobs in training and what ends them

    def open(self, n_jobs, parent=None):
        """Open a pool for a call of `joblib.Parallel`."""
        pool = TaskPool(self, n_jobs, parent)
        with self._lock:
            self.pools.append(pool)
        return pool

    def submit(self, pool, task, callback):
        """Start a task when there is a place; `callback` is given (result, error)."""
        with self._lock:
            pool.queue.append((task, callback))
            self._advance()

    def mark_running(self):
        """Count the calling thread as one that runs."""
        with self._lock:
            self.n_running += 1

    def mark_waiting(self):
        """Count the calling thread no more: it is about to wait."""
        with self._lock:
            self.n_running -= 1
            self._advance()

    def close(self, pool):
        """End a pool and those within; fits that wait or train there end with KeyboardInterrupt."""
        with self._lock:
            closed = [each for each in self.pools if each.is_within(pool)]
            self.pools = [each for each in self.pools if each not in closed]
            left = [entry for each in closed for entry in each.queue]
            for each in closed:
                each.is_closed = True
                each.queue.clear()
                each.tell()
            self._cancel(closed)
            threads = list(pool.threads)
        for _, callback in left:
            callback((None, KeyboardInterrupt()))
        for thread in threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(SECONDS_TO_LEAVE)

    def train(self, job, pool):
        """Wait until a job is trained, perhaps by leading it and those like it."""
        if job.is_compiled:
            self._train_at_once(job, pool)
            return
        job.go, job.leads, job.is_cancelled, job.pool = threading.Event(), None, False, pool
        job.held, job.came, job.seconds = job.nbytes, time.monotonic(), 0.0
        with self._lock:
            if pool.is_closed:
                raise KeyboardInterrupt
            self.n_fits += 1
            self.n_running -= 1
            self.held += job.held
            self.jobs.add(job)
            self.waiting.append(job)
            self._advance()
        with self.turns.left():
            while not job.go.wait(SECONDS_TO_WAIT):
                with self._lock:
                    if time.monotonic() - self.moved >= SECONDS_TO_WAIT:
                        self._advance(is_patient=False)
            if job.leads:
                self._train_group(job)
            count_as_waiting(time.monotonic() - job.came - job.seconds)
        with self._lock:
            self.jobs.discard(job)
        if job.is_cancelled:
            raise KeyboardInterrupt

    def _train_at_once(self, job, pool):
        """Train a job in its own thread, beside others: compiled code holds no lock of Python's."""
        job.go, job.is_cancelled, job.pool = threading.Event(), False, pool
        job.go.set()
        job.interrupted = Interrupt()
        with self._lock:
            if pool.is_closed:
                raise KeyboardInterrupt
            self.n_fits += 1
            self.jobs.add(job)
        try:
            with self.turns.left():
                job.train([job], job.interrupted)
        finally:
            with self._lock:
                self.jobs.discard(job)
        if job.is_cancelled:
            raise KeyboardInterrupt

    def _train_group(self, leader):
        """Train a group of jobs in the thread of one of them."""
        jobs = [leader, *(job for job in leader.leads if job is not leader)]
        others, began = jobs[1:], time.monotonic()
        few = torch.get_num_threads()
        torch.set_num_threads(self.torch_threads)  # the others wait
        leader.leads = None  # a circle would keep the tables until the garbage is collected
        for run in leader.runs:
            run.state.started_at += began - leader.came  # `max_time` is not for waiting
        try:
            with use_coordinator(None):  # a callback's fits have nobody to wait for
                leader.train(jobs, self.interrupted)
        except Exception as error:
            for job in jobs:
                job.runs[0].outcome.error = error
        finally:
            torch.set_num_threads(few)
            _share(time.monotonic() - began, jobs)
            with self._lock:
                self.training = None
                for job in others:
                    self._resume(job)
                self.held -= leader.held
                self.n_running += 1
                self._advance()

    def _resume(self, job):
        """Let the thread of a job go on when there is a place."""
        if not job.go.is_set() and job not in self.resuming:
            self.held -= job.held
            self.resuming.append(job)

    def _advance(self, is_patient=True):
        """Give free places away, then begin to train if nobody is left who could come."""
        self.moved = time.monotonic()
        while self.n_running < self.most_running:
            if self.resuming:
                self.resuming.popleft().go.set()
            elif (pool := self._next_pool()) is not None:
                self._begin(pool)
            else:
                break
            self.n_running += 1
        if self.training is None and self.waiting and not (is_patient and self.n_running):
            self.training, self.interrupted = _largest_group(self.waiting), Interrupt()
            self.waiting = [job for job in self.waiting if job not in self.training]
            self.training[0].leads = self.training
            self.training[0].go.set()

    def _next_pool(self):
        """Return the pool whose next task may begin: each may always have one."""
        is_full = self.n_begun >= self.n_places or self.held > HELD_BYTES
        for pool in self.pools:
            if pool.queue and (not pool.n_begun or (pool.n_begun < pool.n_jobs and not is_full)):
                return pool
        return None

    def _begin(self, pool):
        thread = threading.Thread(
            target=self._run, args=(pool, *pool.queue[0]), name="sklmlp-task", daemon=True
        )
        # one that has handed in its result may still have tables to let go: `close` waits for it
        pool.threads = {each for each in pool.threads if each.is_alive()} | {thread}
        thread.start()  # where the system refuses, the task stays in the queue
        self._count_begun(pool)

    def _count_begun(self, pool):
        pool.n_begun += 1
        self.n_begun += 1
        pool.queue.popleft()

    def _run(self, pool, task, callback):
        """Run a task in its thread, and others of the pool after it while there is a place."""
        # as joblib does for processes: together the tasks have as many threads as their caller
        torch.set_num_threads(max(1, self.torch_threads // self.most_running))
        while task is not None:
            task, callback = self._run_one(pool, task, callback)

    def _run_one(self, pool, task, callback):
        """Run a task; its callback may submit the next one. Return what to do next, or None."""
        self.turns.take()
        _task.waited, began = 0.0, time.monotonic()
        try:
            with use_coordinator(pool), gathering(self.gather):
                outcome = task(), None
        except BaseException as error:
            outcome = None, error
        self.turns.leave()
        with self._lock:
            pool.seconds += time.monotonic() - began - _task.waited
        _correct_fit_time(outcome[0])
        following = None, None
        try:
            callback(outcome)
        finally:
            with self._lock:
                pool.has_failed |= outcome[1] is not None
                pool.n_begun -= 1
                self.n_begun -= 1
                self.n_running -= 1
                if not self.resuming and self._next_pool() is pool:  # a new thread costs a lot
                    following = pool.queue[0]
                    self._count_begun(pool)
                    self.n_running += 1
                self._advance()
                pool.tell()
        return following

    def gather(self, message, category):
        """Keep a warning of a task for the end; raise it where the filters ask for that."""
        action = action_of(message, category, *self.place, self.filters)
        if action == "error":
            raise message if isinstance(message, Warning) else category(message)
        with self._lock:
            kind = kind_of(message, category)
            first, number = self.warnings.get(kind, (message, 0))
            if action != "ignore":
                self.warnings[kind] = first, number + 1

    def warn(self):
        """Give the warnings that were kept, each kind once."""
        with self._lock:
            found, self.warnings = self.warnings, {}
        for (category, _), (message, number) in found.items():
            of = "of" if number <= self.n_fits else "times in"  # predictions may warn, too
            # what is an error was raised in its fit; another thread's filters are no reason to fail
            with suppress(category):
                warn(f"{message} ({number} {of} {self.n_fits} fits)", category)

    def _cancel(self, pools):
        """End the jobs of some pools, wherever they are: Ctrl-C may have come between two lines."""
        for job in self.jobs:
            if job.pool in pools:
                job.is_cancelled = True
                for run in job.runs:
                    run.cancelled.set()  # training leaves it out from the next epoch on
                if job.is_compiled:
                    job.interrupted.set()
                if not job.go.is_set():
                    self.held -= 0 if job in self.resuming else job.held
                    self.n_running += 1
                    job.go.set()
        self.waiting = _without_cancelled(self.waiting)
        self.resuming = deque(_without_cancelled(self.resuming))
        if self.training and not _without_cancelled(self.training):
            self.interrupted.set()


def count_as_waiting(seconds):
    """Leave seconds out of the time of this thread's task, if it runs one."""
    _task.waited = getattr(_task, "waited", 0.0) + seconds


def _share(seconds, jobs):
    """Divide the seconds of a training among its jobs, by their epochs."""
    epochs = [sum(len(run.state.stopping.history) for run in job.runs) or 1 for job in jobs]
    for job, number in zip(jobs, epochs, strict=True):
        job.seconds = seconds * number / sum(epochs)


def _correct_fit_time(results):
    """Take the waiting out of scikit-learn's time, if a task fitted and scored one estimator."""
    if isinstance(results, list) and len(results) == 1 and isinstance(results[0], dict):
        (result,) = results
        if {"fit_time", "fit_error"} <= result.keys():  # not what a user's function returns
            result["fit_time"] = max(0.0, result["fit_time"] - _task.waited)


def _without_cancelled(jobs):
    return [job for job in jobs if not job.is_cancelled]


def _largest_group(jobs):
    """Return the most jobs that can train together; of equally many those that came first."""
    groups = {}
    for job in jobs:
        groups.setdefault(job if job.key is None else job.key, []).append(job)
    return max(groups.values(), key=len)
