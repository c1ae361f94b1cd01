"""What a person sees of a search that runs: one line, over and over, or a line a step."""

import math
import shutil
import sys
import threading

SECONDS_BETWEEN_LINES = 1.0
"""How often the line of a terminal is written anew while candidates train."""


class Progress:
    """Prints how far a search is.

    Parameters
    ----------
    verbose : int
        0 prints nothing; 1 one line that is written over on a terminal, or a line a rung
        elsewhere; 2 a line for each candidate that is done besides.
    clock : Clock
        What time it is, and how much is left.
    most : int or None
        Trials that there may be.
    """

    def __init__(self, verbose, clock, most):
        self.verbose, self.clock, self.most = int(verbose), clock, most
        self.n_done, self.best, self.task, self.width = 0, None, "", 0
        self.start = None  # seconds and trials when the first candidates of this fit began
        self.lock, self.closed, self.ticker = threading.Lock(), threading.Event(), None

    def running(self, candidates, n_epochs):
        """Tell of candidates that train now, until an epoch."""
        if not (self.verbose and candidates):
            return
        self.start = self.start or (self.clock.elapsed(), self.n_done)
        until = "the end" if n_epochs is None else f"epoch {n_epochs}"
        with self.lock:
            self.task = f", {len(candidates)} running to {until}"
            self._show()
        if self.ticker is None and sys.stdout.isatty():
            self.ticker = threading.Thread(target=self._tick, name="sklmlp-progress", daemon=True)
            self.ticker.start()

    def done(self, batch):
        """Tell of candidates that are done with."""
        with self.lock:
            self.task = ""
            for candidate in batch:
                self.n_done += 1
                is_best = self.best is None or candidate.score > self.best[0]
                if candidate.is_final and is_best and not math.isnan(candidate.score):
                    self.best = candidate.score, candidate.number
                if self.verbose > 1:
                    text = f"trial {candidate.number}: score {candidate.score:.6g} after "
                    self._write(f"{text}{candidate.n_epochs} epochs, {candidate.params}")
                    self._end_line()
            if self.verbose:
                self._show()

    def close(self):
        """Leave the line."""
        self.closed.set()
        if self.ticker is not None:
            self.ticker.join()
        self._end_line()

    def _tick(self):
        while not self.closed.wait(SECONDS_BETWEEN_LINES):
            with self.lock:
                self._show()

    def _state(self):
        of = "" if self.most is None else f" of {self.most}"
        text = f"{in_words(self.clock.elapsed())}: {self.n_done}{of} trials done{self.task}"
        if self.best is not None:
            text += f", best score {self.best[0]:.6g} (trial {self.best[1]})"
        left = self._seconds_left()
        return text if left is None else f"{text}, {left}"

    def _seconds_left(self):
        """Return what is left of the time, or an estimate by the trials of this fit, as text."""
        if self.clock.max_time is not None:
            return f"{in_words(max(0.0, self.clock.left()))} left"
        seconds, n_before = self.start or (0.0, self.n_done)
        n_done = self.n_done - n_before
        if not (self.most and n_done > 0 and self.n_done < self.most):
            return None
        each = (self.clock.elapsed() - seconds) / n_done
        return f"about {in_words(each * (self.most - self.n_done))} left"

    def _show(self):
        text = self._state()
        if not sys.stdout.isatty():
            print(text, flush=True)
            return
        self._write(text[: shutil.get_terminal_size().columns - 1])  # longer ones cannot be undone

    def _write(self, text):
        """Write over the line."""
        print(f"\r{text:<{self.width}}" if self.width else text, end="", flush=True)
        self.width = len(text)

    def _end_line(self):
        """Leave what is written there."""
        if self.width:
            print(flush=True)
            self.width = 0


def in_words(seconds):
    """Return seconds, minutes or hours as a person reads them."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
