"""Who evaluates which trial, and what came of it: in memory, or in a storage of Optuna's.

A storage outlives its processes and may be shared by several. A batch of trials is claimed,
evaluated, and recorded by one write: a process that is killed leaves whole batches, and claims that
the next process takes over. Trials of Optuna are written besides, for its dashboard.
"""

import importlib.util
import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from sklmlp.search.samplers import import_optuna, quietly

SECONDS_BETWEEN_SIGNS = 20
"""How often a process says in a storage that it is alive."""

SECONDS_WITHOUT_SIGN = 120
"""After this time without one, a process of another machine is taken for dead."""


class MemoryLedger:
    """The trials of a search that nobody else knows of."""

    seconds_before = 0.0

    def __init__(self):
        self.n_claimed = 0

    def claim(self, size, most):
        """Claim trials.

        Parameters
        ----------
        size : int
            How many, at most.
        most : int or None
            Numbers are smaller than it.

        Returns
        -------
        numbers : list of int
            Empty if there are none left.
        """
        end = self.n_claimed + size if most is None else min(most, self.n_claimed + size)
        numbers, self.n_claimed = list(range(self.n_claimed, end)), max(end, self.n_claimed)
        return numbers

    def record(self, batch, seconds):
        """Record a batch of candidates that are done with."""

    def show(self, batch, suggest):
        """Show candidates that are done with to whoever looks at the storage."""

    def new_batches(self):
        """Return batches, lists of records, that this has not returned yet."""
        return []

    def others_work(self, most):
        """Tell whether other processes have trials of numbers below `most` under way."""
        return False

    def close(self):
        """End: what is claimed and not recorded is free for others."""


class StorageLedger:
    """The trials of a study in a storage of Optuna's.

    Parameters
    ----------
    storage : str, path or optuna.storages.BaseStorage
        A URL, or the path of a journal file.
    study_name : str
    facts : dict of str to str
        What the search is of; another process must say the same.
    seed : int
        Of the search, where the study has none yet.

    Attributes
    ----------
    seed : int
    seconds_before : float
        What earlier fits took.
    """

    def __init__(self, storage, study_name, facts, seed):
        optuna = self.optuna = import_optuna()
        self.storage, self.me = open_storage(storage), _this_process()
        with quietly():
            self.study = optuna.create_study(
                storage=self.storage,
                study_name=study_name,
                direction="maximize",
                load_if_exists=True,
            )
            if "search" not in self.study.user_attrs:
                self.study.set_user_attr("search", {**facts, "seed": seed})
            attrs = self.study.user_attrs
        self.study_id = self.storage.get_study_id_from_name(study_name)
        self.seed = attrs["search"]["seed"]
        _check_facts(facts, attrs["search"], study_name)
        fits = [value for name, value in attrs.items() if name.startswith("fit ")]
        self.seconds_before = sum(f["seconds"] for f in fits if not self._lives(f["id"], attrs))
        self._seen, self._claimed, self._seconds = set(), {}, 0.0
        self._closed = threading.Event()
        self._sign()
        threading.Thread(target=self._give_signs, name="sklmlp-alive", daemon=True).start()

    def claim(self, size, most):
        """Claim trials, first those that a dead process has left; see `MemoryLedger`."""
        with quietly():
            attrs = self.study.user_attrs
            claims, recorded = _claims_of(attrs), _recorded_in(attrs)
            for name, claim in claims.items():
                numbers = [n for n in claim["numbers"] if n not in recorded]
                numbers = [n for n in numbers if most is None or n < most]
                if numbers and name not in self._claimed and not self._lives(claim["id"], attrs):
                    return self._write_claim(name, numbers)
            there = [trial.number for trial in self.study.get_trials(deepcopy=False)]
            taken = recorded.union(*(claim["numbers"] for claim in claims.values()))
            # created by a process that was killed before its claim; a living one may be at it
            numbers = [] if self._others_live(attrs) else [n for n in there if n not in taken]
            numbers = [n for n in numbers if most is None or n < most][:size]
            last = max(there, default=-1)
            while len(numbers) < size and (most is None or last + 1 < most):
                last = self.study.ask().number
                if most is None or last < most:  # else another process was faster
                    numbers.append(last)
            return self._write_claim(f"claim {numbers[0]}", numbers) if numbers else []

    def _write_claim(self, name, numbers):
        self.study.set_user_attr(name, json.dumps({"id": self.me["id"], "numbers": numbers}))
        self._claimed[name] = numbers
        return numbers

    def record(self, batch, seconds):
        """Record a batch of candidates by one write; see `MemoryLedger`."""
        self._seconds += seconds
        name = f"batch {batch[0].number}"
        self._seen.add(name)
        with quietly():
            self.study.set_user_attr(name, json.dumps([as_record(each) for each in batch]))
            self._sign()

    def new_batches(self):
        """Return the batches that this has neither recorded nor returned yet, in order."""
        with quietly():
            attrs = self.study.user_attrs
        names = [n for n in attrs if n.startswith("batch ") and n not in self._seen]
        self._seen.update(names)
        return [json.loads(attrs[n]) for n in sorted(names, key=lambda n: int(n.split()[1]))]

    def show(self, batch, suggest):
        """Write candidates that are done with as trials of Optuna's, for its dashboard.

        Parameters
        ----------
        batch : list of Candidate
        suggest : callable
            `suggest(trial)` suggests parameters.
        """
        with quietly():
            trials = {trial.number: trial for trial in self.study.get_trials(deepcopy=False)}
            for candidate in batch:
                if not trials[candidate.number].state.is_finished():
                    with suppress(RuntimeError):  # another process was faster
                        self._show(candidate, suggest)

    def _show(self, candidate, suggest):
        states, number = self.optuna.trial.TrialState, candidate.number
        self.study.sampler = _make_preset_sampler(self.optuna, candidate.values)
        find_id = self.storage.get_trial_id_from_study_id_trial_number
        trial = self.optuna.trial.Trial(self.study, find_id(self.study_id, number))
        if candidate.values is not None:
            suggest(trial)
        trial.set_user_attr("params", {name: repr(v) for name, v in candidate.params.items()})
        value, state = candidate.score, states.PRUNED
        if candidate.has_failed or value != value:
            state = states.FAIL
        elif candidate.is_final:
            state = states.COMPLETE
        if state != states.FAIL:
            for n_epochs, score in dict(candidate.rungs).items():
                trial.report(score, n_epochs)
        value = value if state == states.COMPLETE else None
        self.study.tell(trial, value, state=state, skip_if_finished=True)

    def others_work(self, most):
        """Tell whether others live, and there are trials that are neither recorded nor ours."""
        with quietly():
            attrs = self.study.user_attrs
            there = {trial.number for trial in self.study.get_trials(deepcopy=False)}
        there -= _recorded_in(attrs).union(*self._claimed.values())
        return self._others_live(attrs) and any(most is None or n < most for n in there)

    def _others_live(self, attrs):
        """Tell whether other fits go on with this study."""
        fits = [value["id"] for name, value in attrs.items() if name.startswith("fit ")]
        return any(self._lives(each, attrs) for each in fits if each != self.me["id"])

    def close(self):
        """End: what is claimed and not recorded is free for others."""
        if not self._closed.is_set():
            self._closed.set()
            self._sign()

    def _lives(self, fit, attrs):
        """Tell whether the process of a fit goes on with it."""
        known = attrs.get(f"fit {fit}")
        if known is None or known["ended"]:
            return False
        if known["host"] != self.me["host"]:
            return time.time() - known["time"] < SECONDS_WITHOUT_SIGN
        return started_at(known["pid"]) == known["started"]

    def _sign(self):
        """Say that this process is alive, or that its fit has ended."""
        sign = {"seconds": self._seconds, "time": time.time(), "ended": self._closed.is_set()}
        self.study.set_user_attr(f"fit {self.me['id']}", {**self.me, **sign})

    def _give_signs(self):
        while not self._closed.wait(SECONDS_BETWEEN_SIGNS):
            self._sign()


def _claims_of(attrs):
    """Return the claims of a study by name, in the order of their numbers."""
    claims = {n: json.loads(v) for n, v in attrs.items() if n.startswith("claim ")}
    return dict(sorted(claims.items(), key=lambda item: item[1]["numbers"]))


def _recorded_in(attrs):
    """Return the numbers of all recorded trials of a study."""
    batches = [json.loads(value) for name, value in attrs.items() if name.startswith("batch ")]
    return {record["number"] for batch in batches for record in batch}


def _check_facts(facts, known, study_name):
    """Raise for another search, by the names of what differs."""
    others = [name for name, value in facts.items() if known.get(name) != value]
    if others:
        raise ValueError(
            f"The study {study_name!r} in this storage is of another search: other are "
            f"{', '.join(others)}. Pass the same to go on with it, or another study_name or "
            "storage to begin a new one. (Folds that are drawn at random need a random_state.)"
        )


def as_record(candidate):
    """Return what is written down of a candidate that is done with, as plain values."""
    names = ("number", "values", "rungs", "n_epochs", "max_iter", "n_parameters", "is_final")
    record = {name: getattr(candidate, name) for name in (*names, "has_failed")}
    return {**record, "out": [_plain(each) for each in candidate.out]}


def from_record(record, candidate):
    """Fill in a candidate of the same number from what was written down of it."""
    for name, value in record.items():
        setattr(candidate, name, value)
    candidate.rungs = [tuple(rung) for rung in record["rungs"]]
    return candidate


def _plain(value):
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return value.item() if hasattr(value, "item") else value


def _this_process():
    """Return what tells this fit from all others, and its process from those that are gone."""
    pid = os.getpid()
    who = {"id": uuid.uuid4().hex, "host": socket.gethostname(), "pid": pid}
    return {**who, "started": started_at(pid)}


def started_at(pid):
    """Return when a process of this machine began, in ticks of its clock; None if there is none.

    Where the system does not tell, it is 0 for a process that is there.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:  # of another user
        pass
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else int(fields[19])
    except (OSError, IndexError, ValueError):
        return 0


def open_storage(storage):
    """Open a storage of Optuna's: an object, a URL, or the path of a journal file."""
    optuna = import_optuna()
    if isinstance(storage, os.PathLike) or (isinstance(storage, str) and "://" not in storage):
        from optuna.storages.journal import JournalFileBackend

        path = os.fspath(storage)
        with quietly():
            lock = None
            if importlib.util.find_spec("fcntl"):
                lock = FileLock(path)
                mend(path, lock)
            return optuna.storages.JournalStorage(JournalFileBackend(path, lock_obj=lock))
    return optuna.storages.get_storage(storage)


class FileLock:
    """A lock on a file next to a journal that the system releases when its process is killed.

    Optuna's own leave a file behind then, and others wait for it, in older versions for ever.

    Parameters
    ----------
    path : str
        Of the journal.
    """

    def __init__(self, path):
        self.path, self.file = f"{path}.lock", None

    def acquire(self):
        """Wait for the lock."""
        import fcntl  # not on Windows

        file = open(self.path, "a")  # noqa: SIM115
        fcntl.flock(file, fcntl.LOCK_EX)
        self.file = file
        return True

    def release(self):
        """Let go of it."""
        self.file.close()


def mend(path, lock):
    """Cut off a last line that a process was killed in the middle of.

    Parameters
    ----------
    path : str
        Of a journal file, which need not be there.
    lock : FileLock
    """
    if not os.path.exists(path):
        return
    lock.acquire()
    try:
        with open(path, "rb+") as file:
            content = file.read()
            if content and not content.endswith(b"\n"):
                file.truncate(content.rfind(b"\n") + 1)
    finally:
        lock.release()


def _make_preset_sampler(optuna, values):
    """Make a sampler that suggests known values."""

    class PresetSampler(optuna.samplers.BaseSampler):
        """Known values."""

        def infer_relative_search_space(self, study, trial):
            """Return nothing: values are taken one by one."""
            return {}

        def sample_relative(self, study, trial, search_space):
            """Return nothing: values are taken one by one."""
            return {}

        def sample_independent(self, study, trial, param_name, param_distribution):
            """Return the value of this name."""
            return values[param_name]

    return PresetSampler()
