"""Torch's settings while sklmlp computes: matmul precision, threads, autocast, default device.

The number of threads, autocast and the default device belong to a thread: they are set around the
work and put back. The matmul precision belongs to the process, so works that want different ones
take turns, and a fit gives way after each epoch. Works of one precision never wait for each other.
"""

import os
import threading
import time
from contextlib import ExitStack, contextmanager, nullcontext

import torch

SMALL_STEP = 4e6
"""Multiplications of a training step under which a second thread costs more than it brings."""

_LOOK_AGAIN = 1e-3
"""Seconds until a work that waits for others looks whether they have ended."""


class _Place:
    """Where a thread computes.

    Only the `with` statement takes and releases the lock, in C: Ctrl-C cannot leave it held. So a
    work is under way exactly while the lock is held, whatever an interrupt left behind elsewhere.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.precision = None  # of the work under way; None while it waits for its turn
        self.threads = None  # of its thread, while the work keeps to one


_mine = threading.local()
_places = {}  # by the identity of a thread, which another may have once it has ended
_turn = threading.Lock()  # taken to change what follows
_is_agreed = True  # whether works may begin without taking their turn
_found = None  # the process's own precision, while works compute with another
_has_computed = False


def compute(work, precision, one_thread=False):
    """Compute with these torch settings; a nested call keeps the outer settings.

    Parameters
    ----------
    work : callable
        Without arguments.
    precision : {"highest", "high", "medium"}
        As `torch.set_float32_matmul_precision` takes it.
    one_thread : bool, default=False
        Whether to keep torch from using more than one thread.

    Returns
    -------
    result : object
        What the work returns.
    """
    place = getattr(_mine, "place", None) or _take_place()
    if place.lock.locked():
        return work()
    with place.lock:
        place.precision = precision  # others wait from here on
        if not _is_agreed or torch.get_float32_matmul_precision() != precision:
            _agree(place, precision)
        threads = torch.get_num_threads()
        try:
            if one_thread:
                place.threads = threads
                torch.set_num_threads(1)
            with neutral():
                return work()
        finally:
            if one_thread:  # a child that was forked by the work has no others
                torch.set_num_threads(threads if _mine.place is place else 1)
            place.precision = place.threads = None
            if _found is not None:
                _put_back()


def will_compute():
    """Note that this process computes with torch, for children that are forked of it."""
    global _has_computed
    _has_computed = True


def others_wait():
    """Tell whether works wait for those under way to end."""
    return not _is_agreed


def _take_place():
    """Return the place of this thread, which has not computed before.

    torch gives a new thread the count that was last set in any thread. Where that is the one of a
    small work, the new thread gets the count that the small work will put back.
    """
    global _has_computed
    counts = [each.threads for each in _under_way() if each.threads]
    if counts and torch.get_num_threads() == 1:
        torch.set_num_threads(max(counts))
    _mine.place = _places[threading.get_ident()] = _Place()
    _has_computed = True
    return _mine.place


def _agree(place, precision):
    """Wait until no other thread computes with another precision, and set this one."""
    global _is_agreed, _found
    place.precision = None  # while it waits, nobody waits for it
    with _turn:
        _is_agreed = False
        while any(each.precision not in (None, precision) for each in _under_way()):
            time.sleep(_LOOK_AGAIN)
        before = torch.get_float32_matmul_precision()
        if before != precision:
            _found = before if _found is None else _found
            torch.set_float32_matmul_precision(precision)
        place.precision = precision
        _is_agreed = True


def _put_back():
    """Give the process its own precision again, if no work is under way."""
    global _is_agreed, _found
    with _turn:
        _is_agreed = False
        if _found is not None and not any(each.precision for each in _under_way()):
            torch.set_float32_matmul_precision(_found)
            _found = None
        _is_agreed = True


def _under_way():
    return [place for place in list(_places.values()) if place.lock.locked()]


def neutral():
    """Return a context without the caller's autocast, and with the CPU as default device."""
    autocast = [kind for kind in ("cpu", "cuda", "mps") if torch.is_autocast_enabled(kind)]
    if not autocast and torch.empty(0).device.type == "cpu":
        return nullcontext()
    return _without(autocast)


@contextmanager
def _without(autocast):
    with ExitStack() as stack:
        stack.enter_context(torch.device("cpu"))
        for kind in autocast:
            stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def _begin_forked():
    """In a forked child: nobody works yet, and torch's pool of threads stayed with the parent.

    The first operation that asked the pool for help would wait for it for ever. So a child whose
    parent has computed here has one thread.
    """
    global _mine, _places, _turn, _is_agreed, _found
    _mine, _places, _turn, _is_agreed = threading.local(), {}, threading.Lock(), True
    _mine.place = None
    if _found is not None:
        torch.set_float32_matmul_precision(_found)
    _found = None
    if _has_computed:
        torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):  # not where there is no fork
    os.register_at_fork(after_in_child=_begin_forked)
