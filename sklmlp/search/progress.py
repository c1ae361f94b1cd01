"""What a person sees of a search that runs: one line, over and over, or a line a step."""

import sys


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
        self.n_done, self.best, self.width = 0, None, 0

    def running(self, candidates, n_epochs):
        """Tell of candidates that train now, until an epoch."""
        if not (self.verbose and candidates):
            return
        until = "the end" if n_epochs is None else f"epoch {n_epochs}"
        self._write(f"{self._state()}, {len(candidates)} running to {until}")

    def done(self, batch):
        """Tell of candidates that are done with."""
        for candidate in batch:
            self.n_done += 1
            if candidate.is_final and (self.best is None or candidate.score > self.best[0]):
                self.best = candidate.score, candidate.number
            if self.verbose > 1:
                self._write(
                    f"trial {candidate.number}: score {candidate.score:.6g} after "
                    f"{candidate.n_epochs} epochs, {candidate.params}", is_last=True
                )  # fmt: skip
        if self.verbose:
            self._write(self._state())

    def close(self):
        """Leave the line."""
        if self.verbose and self.width:
            print(flush=True)
            self.width = 0

    def _state(self):
        of = "" if self.most is None else f" of {self.most}"
        text = f"{self.clock.elapsed():.0f} s: {self.n_done}{of} trials done"
        if self.best is not None:
            text += f", best score {self.best[0]:.6g} (trial {self.best[1]})"
        if self.clock.max_time is not None:
            text += f", {self.clock.left():.0f} s left"
        elif self.most and 0 < self.n_done < self.most:
            left = self.clock.elapsed() / self.n_done * (self.most - self.n_done)
            text += f", about {left:.0f} s left"
        return text

    def _write(self, text, is_last=False):
        if is_last or not sys.stdout.isatty():
            self.close()
            print(text, flush=True)
            return
        print(f"\r{text:<{self.width}}", end="", flush=True)
        self.width = len(text)
