"""The loop of a search: claim a batch, train it through the rungs, record it, learn from it."""

import time
from dataclasses import dataclass, field

from sklmlp.search import halving, planning

BATCH_SIZE = 16
"""Candidates that are asked for at once.

On FCNet's tables a model of 200 evaluations loses little by batches of 16, and much by those of 64.
"""

SECONDS_BETWEEN_LOOKS = 0.5
"""How often a process that has nothing to do looks whether others are done."""


@dataclass
class BatchSearch:
    """Goes on until there are enough trials, or no time.

    Parameters
    ----------
    asker : Asker
    evaluator : Evaluator
    ledger : MemoryLedger or StorageLedger
    clock : Clock
    progress : Progress
    rungs : Rungs
        When candidates are compared, and which share of them goes on.
    batch_size : int
    most : int or None
        Trials in all.
    growth : float
        What the refit takes, over the fit of a fold: all rows over those of its training.
    n_in_full : int, default=0
        So many candidates come first, and are trained to the end: the first by itself, so that
        there is a result early, then one or two at a time.

    Attributes
    ----------
    done : dict of int to Candidate
        By number.
    partial : list of Candidate
        Of a first batch that time or Ctrl-C has cut, as far as they have come.
    batch_sizes : list of int
        Of this fit.
    n_epochs : int or None
        Where no candidate could be trained to its end, the epochs that there was time for.
    seconds_of_each : float or None
        What a candidate of the last batch took.
    has_trained_in_full : bool
        Whether it trained that batch to the end.
    is_short : bool
        Whether there was time for a part of a batch only.
    was_interrupted : bool
    """

    asker: object
    evaluator: object
    ledger: object
    clock: object
    progress: object
    rungs: object
    batch_size: int
    most: int | None
    growth: float
    n_in_full: int = 0
    done: dict = field(default_factory=dict)
    partial: list = field(default_factory=list)
    batch_sizes: list = field(default_factory=list)
    n_epochs: int | None = None
    seconds_of_each: float | None = None
    has_trained_in_full: bool = False
    is_short: bool = False
    was_interrupted: bool = False

    def run(self):
        """Search until the end, or Ctrl-C."""
        batch = []
        try:
            is_last = False
            while not is_last:
                self.learn_of_recorded()
                numbers = self._claim()
                if not numbers:
                    if not self._waits_for_others():
                        self.learn_of_recorded()  # what they recorded in the meantime
                        break
                    continue
                began = time.monotonic()
                batch = [self.asker.candidate(number) for number in numbers]
                batch, n_epochs, is_last = self._fitting(batch)
                if not (batch and self._train(batch, n_epochs)):
                    break
                self._finish(batch, time.monotonic() - began)
                batch = []
        except KeyboardInterrupt:
            self.was_interrupted = True
        if not any(each.is_final for each in self.done.values()):
            self.partial = [each for each in batch if each.rungs]
            reached = [each for each in self.partial if not each.has_failed]
            if reached and not any(each.is_final for each in reached):
                self.n_epochs = max(each.n_epochs for each in reached)

    def learn_of_recorded(self):
        """Learn from batches that other processes, or earlier ones, have recorded."""
        for records in self.ledger.new_batches():
            self.asker.candidate(max(record["number"] for record in records))
            batch = [self.asker.recorded(record) for record in records]
            self._learn(batch)
            self.ledger.show(batch, self.asker.suggest)

    def _learn(self, batch):
        for candidate in batch:
            self.done[candidate.number] = candidate
            self.asker.tell(candidate)
        self.progress.done(batch)

    def _claim(self):
        """Claim a batch, as large as there is time for."""
        size = self.batch_size
        left_in_full = self.n_in_full - len(self.done)
        if left_in_full > 0:
            few = 2 if len(self.evaluator.splits) % 2 else 1  # cores want an even number of fits
            size = min(left_in_full, few) if self.done else 1
        if self.clock.max_time is not None and self.done:
            spent = self.clock.before + self.clock.elapsed()
            each = self.seconds_of_each or spent / len(self.done)
            if self.has_trained_in_full and left_in_full <= 0:
                longest = max(candidate.max_iter for candidate in self.done.values())
                each *= self.rungs.share_of_full(longest, size)
            left = (self.clock.left() - self._reserve()) * (1 - planning.MARGIN)
            in_time = int(left / each)
            self.is_short = in_time < size
            size = min(size, in_time)
            if size < (1 if left_in_full > 0 else 2):
                return []
        return self.ledger.claim(size, self.most)

    def _waits_for_others(self):
        """Wait a little for other processes; return False if there are none, or no time."""
        if self.clock.left() <= self._reserve() or not self.ledger.others_work(self.most):
            return False
        time.sleep(SECONDS_BETWEEN_LOOKS)
        return True

    def _reserve_for(self, going):
        """Return the same while candidates train, which may have to be refitted as they are."""
        if self.clock.max_time is None or any(each.is_final for each in self.done.values()):
            return self._reserve()
        n_folds = len(self.evaluator.splits)
        known = [each for each in going if each.rungs]
        refits = [planning.seconds_of_refit(c, c.n_epochs, n_folds, self.growth) for c in known]
        return max(refits, default=0.0) * (1 + planning.MARGIN)

    def _reserve(self):
        """Return the seconds that are kept for the refit."""
        final = [each for each in self.done.values() if each.is_final]
        if not final:
            return 0.0
        best = max(final, key=lambda each: each.score)
        n_folds = len(self.evaluator.splits)
        return planning.seconds_of_refit(best, None, n_folds, self.growth) * (1 + planning.MARGIN)

    def _fitting(self, batch):
        """Return the batch that there is time for, its first rung, and whether it is the last one.

        Of a first batch candidates are trained to learn what time they take.
        """
        n_epochs = self.rungs.first
        if self.done and batch[0].number < self.n_in_full:
            n_epochs = None  # the very first pauses, so that there is something in any case
        if self.clock.max_time is None or self.done:
            return batch, n_epochs, self.is_short
        first, began = batch[0], time.monotonic()
        if not self._train_first(first, n_epochs):
            return batch[: len(first.rungs)], first.n_epochs, True
        each = time.monotonic() - began
        share = planning.SHARE_OF_FIRST_RUNG if n_epochs else planning.SHARE_OF_BATCH
        seconds = share * self.clock.left()
        others, deadline = batch[1:] if each <= seconds else [], time.time() + seconds
        self.progress.running(others, n_epochs)
        n = self.evaluator.train(others, n_epochs, deadline, takes_some=True)
        return batch[: 1 + n], n_epochs, 1 + n < len(batch)

    def _train_first(self, first, most):
        """Train the first candidate to the first rung; return whether half of the time is enough.

        It goes in steps, so that what has been trained is not lost. No step is a comparison.
        """
        n_epochs, reserve = 1, self.clock.left() / 2
        while self.evaluator.train([first], n_epochs, self.clock.deadline(reserve)):
            first.rungs = first.rungs[-1:]
            if first.is_final or first.has_failed or n_epochs == most:
                return True
            n_epochs = (
                halving.next_rung(n_epochs, self.rungs.factor, most or first.max_iter) or most
            )
            needed = planning.seconds_of_rung([first], n_epochs, self.evaluator.parallelism)
            if needed > self.clock.left() - reserve:
                break
        return False

    def _train(self, batch, n_epochs):
        """Train a batch through the rungs; return False if there was no time for it."""
        going, in_full = batch, batch[0].number < self.n_in_full
        while True:
            self.progress.running([c for c in going if not c.is_final], n_epochs)
            trained = [c for c in going if not c.rungs or c.n_epochs < (n_epochs or c.max_iter)]
            trained = [c for c in trained if not (c.is_final or c.has_failed)]
            deadline = self.clock.deadline(self._reserve_for(going))
            if self.evaluator.train(trained, n_epochs, deadline) < len(trained):
                return False
            if n_epochs is None:
                return True
            going = self._promoted(going, n_epochs)
            longest = max((c.max_iter for c in going if not c.is_final), default=0)
            if not longest:
                return True
            n_epochs = None if in_full else self.rungs.after(n_epochs, longest)
            if self.clock.max_time is not None:
                in_time, n_epochs = self._epochs_in_time(going, n_epochs)
                if not in_time:
                    return False

    def _promoted(self, going, n_epochs):
        """Return the candidates that go on after a rung."""
        earlier = [_score_at(c, n_epochs) for c in self.done.values()]
        earlier = [score for score in earlier if score is not None]
        first = [k for k, c in enumerate(going) if c.number == 0]
        scores = [c.score for c in going]
        chosen = halving.promote(scores, self.rungs.factor, first, earlier)
        return [going[k] for k in chosen]

    def _epochs_in_time(self, going, n_epochs):
        """Return whether there is time for another rung, and how long it may be.

        Where candidates have been trained to their ends before, a batch is trained as they were, or
        not at all; else as long as there is time for.
        """
        parallelism, n_folds = self.evaluator.parallelism, len(self.evaluator.splits)
        seconds = self.clock.left() / (1 + planning.MARGIN)
        needed = planning.seconds_of_rung(going, n_epochs, parallelism) + max(
            planning.seconds_of_refit(c, n_epochs, n_folds, self.growth) for c in going
        )
        if needed <= seconds:
            return True, n_epochs
        if any(c.is_final for c in (*self.done.values(), *going)):
            return False, n_epochs
        fitting = planning.epochs_that_fit(going, seconds, parallelism, n_folds, self.growth)
        return fitting > max(c.n_epochs for c in going), fitting

    def _finish(self, batch, seconds):
        """Record a batch, and learn from it."""
        self.ledger.record(batch, seconds)
        self.batch_sizes.append(len(batch))
        self.seconds_of_each = seconds / len(batch)
        self.has_trained_in_full = batch[0].number < self.n_in_full
        for candidate in batch:
            candidate.kept = []
        self._learn(batch)
        self.ledger.show(batch, self.asker.suggest)


def _score_at(candidate, n_epochs):
    """Return the score of a candidate after some epochs, or at its end before; None without."""
    if candidate.has_failed:
        return None
    score = dict(candidate.rungs).get(n_epochs)
    if score is None and candidate.is_final and candidate.rungs[-1][0] <= n_epochs:
        return candidate.score
    return score
