"""Torch's process-wide settings: one lock owns them, sets them around the work and puts them back.

Thread count and matmul precision belong to the process, not to a call. Works that want the same
settings run side by side; one that wants others waits its turn. A fit gives way after each epoch to
those who wait, so that nobody waits for long.
"""

import os
import threading
from collections import deque
from contextlib import contextmanager

import torch

SMALL_STEP = 4e6
"""Multiplications of a training step under which a second thread costs more than it brings."""

_changed, _waiting = threading.Condition(), deque()
_mine = threading.local()
_users, _current, _found = 0, None, None


@contextmanager
def settings(precision, one_thread=False):
    """Compute with these settings; inside another work of the same thread, with that one's.

    Parameters
    ----------
    precision : {"highest", "high", "medium"}
        As `torch.set_float32_matmul_precision` takes it.
    one_thread : bool, default=False
        Whether to keep torch from using more than one thread.

    Yields
    ------
    others_wait : callable
        Whether other works wait for this one to end.
    """
    if getattr(_mine, "is_set", False):
        yield lambda: False
        return
    _enter((precision, one_thread))
    _mine.is_set = True
    try:
        yield lambda: bool(_waiting)
    finally:
        _mine.is_set = False
        _leave()


def _enter(wanted):
    global _users, _current, _found
    with _changed:
        if _waiting or (_users and _current != wanted):
            _wait_for(wanted)
        if not _users:
            _found = torch.get_float32_matmul_precision(), torch.get_num_threads()
            precision, one_thread = wanted
            _apply(precision, 1 if one_thread else _found[1])
            _current = wanted
        elif wanted[1]:
            _apply(wanted[0], 1)  # OpenMP counts threads for each calling thread
        _users += 1


def _wait_for(wanted):
    """Wait in line until those who compute want the same, or nobody does."""
    ticket = object()
    _waiting.append(ticket)
    try:
        while _waiting[0] is not ticket or (_users and _current != wanted):
            _changed.wait()
    finally:  # also where Ctrl-C ends the wait
        _waiting.remove(ticket)
        _changed.notify_all()


def _leave():
    global _users
    with _changed:
        _users -= 1
        _apply(*_found) if not _users else torch.set_num_threads(_found[1])
        if not _users:
            _changed.notify_all()


def _apply(precision, threads):
    if torch.get_float32_matmul_precision() != precision:
        torch.set_float32_matmul_precision(precision)
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def _begin_forked():
    """In a forked child: nobody works yet, and torch's pool of threads stayed with the parent.

    The first operation that asked the pool for help would wait for it for ever. So a child whose
    parent has computed here has one thread.
    """
    global _changed, _mine, _users, _current
    _changed, _mine = threading.Condition(), threading.local()
    _waiting.clear()
    _users, _current = 0, None
    if _found is not None:
        _apply(_found[0], 1)


if hasattr(os, "register_at_fork"):  # not where there is no fork
    os.register_at_fork(after_in_child=_begin_forked)
