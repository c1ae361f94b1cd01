"""Where fits of several threads meet before they train.

A thread that attends a meeting hands its networks over instead of training them by itself; see
`sklmlp.search` for who holds meetings.
"""

import threading
from collections.abc import Callable, Hashable
from contextlib import contextmanager
from dataclasses import dataclass

from sklmlp.caller import warn

_here = threading.local()  # not a context variable: threads may inherit those of their parents


@dataclass(eq=False)
class Job:
    """The networks of one estimator, ready to be trained.

    Parameters
    ----------
    fits : list of Fit
    train : callable
        `train(jobs, interrupted)` trains the networks of jobs of one key; `interrupted` is a
        threading.Event that ends all of them.
    key : hashable or None
        Jobs of equal keys can be trained together; None is trained alone.
    """

    fits: list
    train: Callable
    key: Hashable = None

    @property
    def nbytes(self):
        """Memory of the rows that wait with it."""
        rows = {id(fit.table.rows): fit.table.rows for fit in self.fits}
        return sum(each.nbytes for each in rows.values())

    def conclude(self):
        """Give warnings, and raise what went wrong, in the thread of the estimator."""
        for fit in self.fits:
            for message, category in fit.warnings:
                warn(message, category)
            fit.warnings.clear()
        for fit in self.fits:
            if fit.error is not None:
                raise fit.error


def train_job(job):
    """Train a job: in the meeting that this thread attends, or else at once.

    Returns
    -------
    ended : bool
        Whether its networks ended by themselves.
    """
    interrupted = threading.Event()
    meeting = getattr(_here, "meeting", None)
    if meeting is not None:
        meeting.train(job)
    else:
        job.train([job], interrupted)
        if interrupted.is_set():
            job.fits[0].warnings.append(("Training interrupted by user.", UserWarning))
    job.conclude()
    return not interrupted.is_set()


@contextmanager
def attending(meeting):
    """Let the fits of this thread meet there.

    Parameters
    ----------
    meeting : object
        Has a method `train(job)`, which returns when the job is trained.
    """
    before = getattr(_here, "meeting", None)
    _here.meeting = meeting
    try:
        yield
    finally:
        _here.meeting = before


def attended():
    """The meeting that this thread attends, or None."""
    return getattr(_here, "meeting", None)
