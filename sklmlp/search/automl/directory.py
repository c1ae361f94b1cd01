"""What AutoML leaves in a directory, so that a fit that was killed goes on: trials and networks."""

import json
import os
from pathlib import Path

import joblib

from sklmlp.search.ledger import FileLock, MemoryLedger, StorageLedger


class Memory:
    """Where nothing is kept: candidates have their networks with them."""

    def __init__(self, seed):
        self.ledger, self.seed = MemoryLedger(), seed

    def plan(self, make):
        """Make the plan of a search."""
        return make()

    def restore(self, candidate):
        """Give a candidate its networks: it has them."""


class Directory:
    """A directory with the trials of a search, and the networks of each.

    `search.log` is a journal of Optuna's, `plan.json` what was decided before the first trial, and
    `networks/` has a file of joblib a candidate: load no directory of somebody you do not trust.

    Parameters
    ----------
    path : str or path
        Made if it is not there.
    facts : dict of str to str
        What the search is of; a later fit must say the same.
    seed : int
        Of the search, where the directory has none yet.

    Attributes
    ----------
    ledger : StorageLedger
    seed : int
    """

    def __init__(self, path, facts, seed):
        self.path = Path(path)
        (self.path / "networks").mkdir(parents=True, exist_ok=True)
        journal = self.path / "search.log"
        self.ledger = _KeepingLedger(journal, "AutoMLP", facts, seed, self._file)
        self.seed = self.ledger.seed

    def plan(self, make):
        """Make the plan of a search, or read the one that it began with."""
        file, lock = self.path / "plan.json", FileLock(self.path / "plan")
        lock.acquire()
        try:
            if file.exists():
                return tuple(json.loads(file.read_text()))
            plan = make()
            _write(file, lambda path: path.write_text(json.dumps(plan)))
            return plan
        finally:
            lock.release()

    def restore(self, candidate):
        """Give a candidate its networks, if it was trained by another fit.

        Raises
        ------
        FileNotFoundError
            If the directory has lost them.
        """
        if not candidate.estimators:
            candidate.estimators = joblib.load(self._file(candidate.number))

    def _file(self, number):
        return self.path / "networks" / f"{number:05}.joblib"


class _KeepingLedger(StorageLedger):
    """Writes the networks of candidates before it records these."""

    def __init__(self, storage, study_name, facts, seed, file_of):
        super().__init__(storage, study_name, facts, seed)
        self.file_of = file_of

    def record(self, batch, seconds):
        """Record a batch of candidates, whose networks are then there."""
        for candidate in batch:
            if not candidate.has_failed:
                _write(
                    self.file_of(candidate.number),
                    lambda path, fits=candidate.estimators: joblib.dump(fits, path),
                )
        super().record(batch, seconds)


def _write(file, write):
    """Write a file in one step, whatever happens in between."""
    underway = file.with_suffix(f".{os.getpid()}")
    write(underway)
    underway.replace(file)
