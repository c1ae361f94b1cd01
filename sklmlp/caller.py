"""Where the user's own code is: for warnings, and for Ctrl-C."""

import os
import re
import sys
import threading
import warnings
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakKeyDictionary

import joblib
import sklearn

_LIBRARIES = tuple(
    str(Path(path).resolve().parent) + "/" for path in (__file__, sklearn.__file__, joblib.__file__)
)
_PLUMBING = tuple(
    sys.modules[name].__file__
    for name in ("contextlib", "functools", "threading", "concurrent.futures.thread")
    if name in sys.modules
)
_OF_ONE_FIT = re.compile(
    r"(?!joblib\.|sklearn\.)|sklearn\.(base|pipeline|compose\._target|utils\..*|callback.*)$"
)
"""Modules that call `fit` once, and those that are neither scikit-learn's nor joblib's."""

_NUMBER = re.compile(r"\d[\d.e+-]*")

_here = threading.local()
_warned = WeakKeyDictionary()  # the kinds of warnings that a call of joblib's has shown


def _begin_forked():
    """Start a forked child, in which nobody gathers warnings."""
    global _here
    _here = threading.local()


if hasattr(os, "register_at_fork"):  # not where there is no fork
    os.register_at_fork(after_in_child=_begin_forked)


def warn(message, category=None):
    """Warn at the first line outside of sklmlp, scikit-learn and joblib.

    Python 3.12's `skip_file_prefixes` does the same for files whose paths are known to it. Under
    Python's default filter the fits of a search, whose texts differ in numbers at most, warn once:
    scikit-learn makes Python forget after each fit what it has shown.

    Parameters
    ----------
    message : str or Warning
    category : type, default=None
        A subclass of Warning, as `warnings.warn` takes it.
    """
    category = type(message) if isinstance(message, Warning) else category or UserWarning
    gather = getattr(_here, "gather", None)
    if gather is not None:
        gather(message, category)
        return
    frame, level = _users_frame()
    call = _outermost_call()
    if call is not None and action_of(message, category, *place_of(frame)) in ("default", "module"):
        kind, shown = kind_of(message, category), _warned.setdefault(call, set())
        if kind in shown:
            return
        shown.add(kind)
    # in a thread of ours there is no line of the user's: the one that warned has to do
    warnings.warn(message, category, stacklevel=2 if frame is None else level)


def kind_of(message, category):
    """Return what warnings have in common whose texts differ in numbers only."""
    return category, _NUMBER.sub("0", str(message))


def action_of(message, category, module="", line=0, filters=None):
    """Return what Python's filters do with a warning: "ignore", "error", "default" and so on."""
    for action, text, kind, where, at in warnings.filters if filters is None else filters:
        if (
            issubclass(category, kind)
            and _matches(text, str(message))
            and _matches(where, module)
            and at in (0, line)
        ):
            return action
    return "default"


def _matches(pattern, text):
    if isinstance(pattern, str):  # Python's own filters
        return pattern == text
    return pattern is None or pattern.match(text) is not None


def place_of(frame):
    """Return the module and the line of a frame, as `action_of` takes them."""
    return ("", 0) if frame is None else (frame.f_globals.get("__name__", ""), frame.f_lineno)


def place():
    """Return the module and the line of the user's code that calls."""
    return place_of(_users_frame()[0])


def is_one_of_many():
    """Tell whether scikit-learn or joblib may call `fit` again: a search, an ensemble."""
    return not all(_OF_ONE_FIT.match(f.f_globals.get("__name__", "")) for f in _frames())


@contextmanager
def gathering(gather):
    """Call `gather(message, category)` in place of warning, in this thread."""
    _here.gather, before = gather, getattr(_here, "gather", None)
    try:
        yield
    finally:
        _here.gather = before


def _frames():
    """Yield the frames of the caller, from within."""
    frame = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _users_frame():
    """Return the first frame outside of the libraries, or None, and its level for the caller."""
    for level, frame in enumerate(_frames()):
        if not frame.f_code.co_filename.startswith(_LIBRARIES + _PLUMBING):
            return frame, level
    return None, 0


def _outermost_call():
    """Return the call of `joblib.Parallel` that this thread's fits are part of, or None."""
    call = None
    for frame in _frames():
        if frame.f_globals.get("__name__") == "joblib.parallel":
            owner = frame.f_locals.get("self")
            call = owner if isinstance(owner, joblib.Parallel) else call
    return call
