"""A joblib backend in which the networks of waiting fits are trained together."""

import os
import threading
import time
import warnings
from contextlib import contextmanager

from joblib import register_parallel_backend
from joblib.parallel import ParallelBackendBase

from sklmlp.search.coordinator import FitCoordinator, TaskPool, count_as_waiting
from sklmlp.training import current_coordinator

FITS_AT_ONCE = 64
"""Fits that wait for each other unless `n_jobs` says otherwise."""

_calls, _filters, _lock = set(), None, threading.Lock()  # whose tasks run, and what they found


def _begin_forked():
    """Start a forked child, which has calls of its own only."""
    global _calls, _filters, _lock
    _calls, _filters, _lock = set(), None, threading.Lock()


if hasattr(os, "register_at_fork"):  # not where there is no fork
    os.register_at_fork(after_in_child=_begin_forked)


class StackBackend(ParallelBackendBase):
    """Run joblib's tasks in threads whose fits wait for each other and train together.

    Whatever runs its fits by joblib - `GridSearchCV`, `cross_validate`, `BaggingClassifier` and so
    on - trains networks of one shape side by side inside of
    `joblib.parallel_config(backend="sklmlp")`. `import sklmlp` gives joblib the name, and joblib
    makes the instances. Networks may differ in learning rate, penalty, momentum, seed, rows,
    weights and rule of stopping; where they differ in more, those that are alike train together and
    the others in turn. Each comes out as if it had been trained alone. `n_jobs` is how many tasks
    may run, and how many fits may wait, at once; by default, and if it is negative, as many run as
    there are cores, and 64 wait.

    The warnings of the fits are given when the call ends, each kind once with its number. Where
    Python's filters make an error of one, it is raised in its fit.

    Calls of joblib inside of a task go through the same backend, and their fits train together too.
    Estimators that are not of this library run in their thread.

    Examples
    --------
    >>> import joblib
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklmlp import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> mlp = MLPClassifier((8,), learning_rate_init=0.05, tol=1e-3, random_state=0)
    >>> with joblib.parallel_config(backend="sklmlp"):
    ...     scores = cross_val_score(mlp, X, y)
    >>> scores.shape
    (5,)
    """

    default_n_jobs = -1
    uses_threads = supports_sharedmem = supports_retrieve_callback = True

    def __init__(self, nesting_level=None, inner_max_num_threads=None, **backend_kwargs):
        super().__init__(nesting_level, inner_max_num_threads, **backend_kwargs)
        self._pool, self._n_waiting = None, FITS_AT_ONCE
        self._marks_running = False

    def effective_n_jobs(self, n_jobs):
        """Return how many fits may wait at once."""
        if n_jobs == 0:
            raise ValueError("n_jobs=0 has no meaning; use a positive number, -1 or None.")
        return self._n_waiting if n_jobs is None or n_jobs < 0 else n_jobs

    def configure(self, n_jobs=1, parallel=None, **kwargs):
        """Open a pool of threads, with the coordinator of the calling thread if it has one.

        With one job there is nobody to wait for, and joblib runs the tasks itself.
        """
        n_running = 0 if n_jobs is None else n_jobs  # of a negative number: as many as cores
        self.parallel, n_jobs = parallel, self.effective_n_jobs(n_jobs)
        if n_jobs > 1:
            parent = current_coordinator()
            parent = parent if isinstance(parent, TaskPool) else None
            coordinator = parent.coordinator if parent else FitCoordinator(n_jobs, n_running)
            self._pool = coordinator.open(n_jobs, parent)
        return n_jobs

    def start_call(self):
        """Hold the coordinator until all tasks are handed over."""
        self._marks_running = self._pool.parent is None and not self.parallel.return_generator
        if self._marks_running:
            self._pool.coordinator.mark_running()

    def stop_call(self):
        """Put the filters of warnings back."""
        if self._marks_running:
            self._marks_running = False
            self._pool.coordinator.mark_waiting()
        _restore_filters(self)

    @contextmanager
    def retrieval_context(self):
        """Wait for the tasks: from here on the calling thread holds nobody up."""
        pool, counts = self._pool, self._marks_running or self._pool.parent is not None
        began, before = time.monotonic(), pool.seconds
        if counts:
            pool.coordinator.mark_waiting()
        with pool.coordinator.turns.left():
            try:
                if not self.parallel.return_generator and self.parallel.timeout is None:
                    pool.wait()  # joblib would look every 10 ms
                yield
            finally:
                if counts:
                    pool.coordinator.mark_running()
                # a task that waits for tasks has taken what these took
                count_as_waiting(time.monotonic() - began - (pool.seconds - before))

    def submit(self, func, callback=None):
        """Run a task of joblib's when there is a place."""
        if self._pool.parent is None and self not in _calls:
            # not in `start_call`, after which joblib may fail without a word
            self._pool.coordinator.filters = _keep_filters(self)
        self._pool.coordinator.submit(self._pool, func, callback)

    apply_async = submit  # its name before joblib 1.5

    def retrieve_result_callback(self, outcome):
        """Return what a task gave; raises what it raised."""
        result, error = outcome
        if error is not None:
            raise error
        return result

    def terminate(self):
        """Close the pool, and warn of what its fits warned of."""
        if self._pool is not None:
            self._pool.coordinator.close(self._pool)
            if self._pool.parent is None:
                self._pool.coordinator.warn()

    def abort_everything(self, ensure_ready=True):
        """End the fits, and open another pool if there are more calls to come."""
        self.terminate()
        if ensure_ready:
            self.configure(self.parallel.n_jobs, self.parallel)

    def get_nested_backend(self):
        """Return the backend for calls of joblib inside of a task, and its n_jobs."""
        nested = StackBackend(nesting_level=(self.nesting_level or 0) + 1)
        nested._n_waiting = self._pool.n_jobs
        return nested, None


def _keep_filters(call):
    """Take down the filters of warnings, unless other calls go on; gives what was found.

    Tasks set and put back filters, which are the process's, in any order.
    """
    global _filters
    with _lock:
        if not _calls:
            found, _filters = warnings.filters, warnings.catch_warnings()
            _filters.__enter__()
            _filters.found = tuple(found)
        _calls.add(call)
        return _filters.found


def _restore_filters(call):
    """Put the filters of warnings back at the end of a call, unless others go on."""
    with _lock:
        if call in _calls:
            _calls.remove(call)
            if not _calls:
                _filters.__exit__(None, None, None)


register_parallel_backend("sklmlp", StackBackend)
