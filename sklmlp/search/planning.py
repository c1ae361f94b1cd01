"""The time of a search: what is left, what things will take, and what the refit needs."""

import time

MARGIN = 0.1
"""The share by which estimates may be wrong."""

SHARE_OF_FIRST_RUNG = 0.4
"""No more of the time goes to the first comparison of candidates."""

SHARE_OF_BATCH = 0.7
"""Nor to a first batch that is trained to the end."""


class Clock:
    """The time of a search, which may have an end.

    Parameters
    ----------
    max_time : float or None
        Seconds, of which `seconds_before` are over.
    seconds_before : float, default=0.0
    """

    def __init__(self, max_time, seconds_before=0.0):
        self.max_time, self.before, self.began = max_time, seconds_before, time.time()

    def elapsed(self):
        """Return the seconds since the fit began."""
        return time.time() - self.began

    def left(self):
        """Return the seconds that are left; infinity without an end."""
        if self.max_time is None:
            return float("inf")
        return self.max_time - self.before - self.elapsed()

    def deadline(self, reserve=0.0):
        """Return the `time.time()` after which `reserve` seconds are left; None without an end."""
        return None if self.max_time is None else time.time() + self.left() - reserve


def seconds_of_rung(candidates, n_epochs, parallelism):
    """Estimate what it takes to train candidates until an epoch, from what they took so far.

    Parameters
    ----------
    candidates : list of Candidate
        Trained for some epochs each.
    n_epochs : int or None
        None for the end of each.
    parallelism : float
        Seconds of fits in a second.
    """
    work = 0.0
    for each in candidates:
        if not (each.is_final or each.has_failed):
            until = each.max_iter if n_epochs is None else min(n_epochs, each.max_iter)
            work += each.seconds / max(1, each.n_epochs) * max(0, until - each.n_epochs)
    return work / parallelism


def seconds_of_refit(candidate, n_epochs, n_folds, growth):
    """Estimate what it takes to fit a candidate to all rows until an epoch.

    Parameters
    ----------
    candidate : Candidate
    n_epochs : int or None
    n_folds : int
    growth : float
        All rows over those of a fold's training.
    """
    seconds = candidate.seconds / n_folds * growth
    if candidate.is_final:
        return seconds
    until = candidate.max_iter if n_epochs is None else n_epochs
    return seconds * max(1.0, until / max(1, candidate.n_epochs))


def epochs_that_fit(candidates, seconds, parallelism, n_folds, growth):
    """Return the epoch until which candidates, and a refit of the slowest, can be trained."""
    low = max(each.n_epochs for each in candidates)
    high = max(each.max_iter for each in candidates)
    while low < high:
        middle = (low + high + 1) // 2
        needed = seconds_of_rung(candidates, middle, parallelism)
        needed += max(seconds_of_refit(c, middle, n_folds, growth) for c in candidates)
        low, high = (middle, high) if needed <= seconds else (low, middle - 1)
    return low
