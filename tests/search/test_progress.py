"""What a search prints: nothing, a line a rung, or one line of a terminal."""

import os
import re
import time
from contextlib import redirect_stdout

import pytest

from sklmlp.search import progress
from sklmlp.search.planning import Clock
from sklmlp.search.progress import Progress, in_words
from tests.search.test_cv import search
from tests.search.test_halving import trained
from tests.tables import make_table

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def final(number, score):
    candidate = trained(9, 1.0, is_final=True)
    candidate.number, candidate.rungs = number, [(9, score)]
    return candidate


class Terminal:
    """A terminal of 60 columns, to be the standard output."""

    def __init__(self, pty):
        self.ours, theirs = pty.openpty()
        os.set_blocking(self.ours, False)
        self.file = os.fdopen(theirs, "w")

    def written(self):
        """Return what has come since the last time."""
        try:
            return os.read(self.ours, 100_000).decode()
        except OSError:  # nothing yet, or nothing more
            return ""

    def rest(self):
        """Return all that comes until the end."""
        self.file.close()
        os.set_blocking(self.ours, True)
        return "".join(iter(self.written, ""))


@pytest.fixture
def terminal(monkeypatch):
    """A terminal; pytest has a standard output of its own until the test begins."""
    terminal = Terminal(pytest.importorskip("pty"))
    monkeypatch.setenv("COLUMNS", "60")
    with terminal.file:
        yield terminal
    os.close(terminal.ours)


def shown(text):
    """The lines that are there in the end: what follows a carriage return is written over."""
    lines = []
    for line in text.split("\r\n"):
        screen = ""
        for part in line.split("\r"):
            screen = part + screen[len(part) :]
        lines.append(screen.rstrip())
    return lines


def test_it_is_silent_by_default(capsys):
    """Nothing is printed unless asked for; then a line says what is done and what is best."""
    for verbose, expected in ((0, ""), (1, "1 of 4 trials done, best score 0.75 (trial 0)")):
        told = Progress(verbose, Clock(None), 4)
        told.running([final(0, 0.75)], 9)
        told.done([final(0, 0.75)])
        told.close()
        printed = capsys.readouterr().out
        assert expected in printed
        assert bool(printed) == bool(verbose)


def test_a_terminal_has_one_line(terminal):
    """It is written over, is no longer than the terminal is wide, and stays in the end."""
    with redirect_stdout(terminal.file):
        told = Progress(1, Clock(100.0), 4)
        told.running([final(k, 0.0) for k in range(4)], 9)
        told.done([final(0, 0.125), final(1, float("nan"))])
        told.running([final(2, 0.0)], None)
        told.close()
    text = terminal.rest()
    assert max(map(len, re.split(r"[\r\n]+", text))) <= 59
    *lines, last = shown(text)
    assert last == ""
    assert lines == ["0 s: 2 of 4 trials done, 1 running to the end, best score 0"]


def test_the_line_goes_on_while_candidates_train(terminal, monkeypatch):
    """The time that is left is written anew, without any news of candidates."""
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.01)
    told, text, end = Progress(1, Clock(3600.0), None), "", time.monotonic() + 60
    with redirect_stdout(terminal.file):
        told.running([final(0, 0.0)], 3)
        while text.count("running to epoch 3") < 3 and time.monotonic() < end:
            time.sleep(0.01)
            text += terminal.written()
        told.close()
    assert text.count("running to epoch 3") >= 3
    assert "1 h 0 min left" in text
    assert not told.ticker.is_alive()


def test_what_is_left_is_estimated_by_the_trials_of_this_fit(capsys):
    """Those that earlier fits of a storage have recorded took none of its time."""
    clock = Clock(None)
    told = Progress(1, clock, 10)
    told.done([final(k, 0.5) for k in range(4)])
    assert "left" not in capsys.readouterr().out
    clock.began -= 10
    told.running([final(4, 0.5)], None)
    clock.began -= 40
    told.done([final(4, 0.5), final(5, 0.5)])
    assert "about 1 min 20 s left" in capsys.readouterr().out


def test_a_search_in_a_terminal(terminal):
    """A search leaves its last state, and with verbose=2 a line for each trial above it."""
    with redirect_stdout(terminal.file):
        search(n_trials=3, refit=False, verbose=2).fit(*make_table("multiclass"))
    *trials, last, empty = shown(terminal.rest())
    assert [line.split(":")[0] for line in trials] == ["trial 0", "trial 1", "trial 2"]
    assert re.fullmatch(r"\d+ s: 3 of 3 trials done, best score \S+.*", last)
    assert empty == ""


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.4, "0 s"), (59.6, "1 min 0 s"), (3725, "1 h 2 min")]
)
def test_seconds_are_said_in_words(seconds, expected):
    """Long times are minutes, or hours."""
    assert in_words(seconds) == expected
