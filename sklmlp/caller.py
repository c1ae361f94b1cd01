"""Warnings that point at the line of the user's own code."""

import sys
import warnings
from pathlib import Path

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


def warn(message, category=None):
    """Warn at the first line outside of sklmlp, scikit-learn and joblib.

    Python 3.12's `skip_file_prefixes` does the same for files whose paths are known to it.

    Parameters
    ----------
    message : str or Warning
    category : type, default=None
        A subclass of Warning, as `warnings.warn` takes it.
    """
    frame, level = sys._getframe(1), 2
    while frame is not None and frame.f_code.co_filename.startswith(_LIBRARIES + _PLUMBING):
        frame, level = frame.f_back, level + 1
    # in a thread of ours there is no line of the user's: the one that warned has to do
    warnings.warn(message, category, stacklevel=2 if frame is None else level)
