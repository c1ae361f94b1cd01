"""Show the progress of a search whose fits run in other processes."""

import os
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from sklearn.metrics import get_scorer


class CountedScorer:
    """A scikit-learn scorer that adds one byte to a file each time it has scored a fit.

    A file is what processes and threads of every joblib backend can share.
    """

    def __init__(self, metric, tally):
        self.metric = metric
        self.tally = tally

    def __call__(self, estimator, X, y):
        score = get_scorer(self.metric)(estimator, X, y)
        with open(self.tally, "ab") as file:
            file.write(b".")
        return score


@contextmanager
def counted(metric, total):
    """Give a scorer to a search of `total` fits, and show how many of them are done."""
    folder = tempfile.TemporaryDirectory()
    tally = Path(folder.name) / "tally"
    tally.touch()
    finished = threading.Event()
    display = threading.Thread(target=_display(), args=(tally, total, finished))
    display.start()
    try:
        yield CountedScorer(metric, str(tally))
    finally:
        finished.set()
        display.join()
        folder.cleanup()


def _display():
    """Choose a bar for a terminal, lines for anything else."""
    try:
        from rich.console import Console
    except ImportError:
        print("(For a progress bar: pip install 'sklmlp[progress]')")
        return _lines
    console = Console()
    return _bar if console.is_terminal or console.is_jupyter else _lines


def _bar(tally, total, finished):
    from rich.progress import MofNCompleteColumn, Progress

    with Progress(*Progress.get_default_columns(), MofNCompleteColumn()) as progress:
        task = progress.add_task("Fits", total=total)
        while not finished.wait(0.2):
            progress.update(task, completed=os.path.getsize(tally))
        progress.update(task, completed=os.path.getsize(tally))


def _lines(tally, total, finished, seconds=5):
    start = time.perf_counter()
    while not finished.wait(seconds):
        gone = time.perf_counter() - start
        print(f"  {os.path.getsize(tally)}/{total} fits, {gone:.0f} s", flush=True)
    gone = time.perf_counter() - start
    print(f"  {os.path.getsize(tally)}/{total} fits, {gone:.1f} s", flush=True)
