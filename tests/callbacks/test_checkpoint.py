"""Checkpoints: a fit that was stopped anywhere ends as if it had never stopped."""

import copy
import io
import json
import os
import pickle
import re
import resource
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import PassthroughScoring

import sklmlp
from sklmlp.callbacks import checkpoint as snapshots
from sklmlp.io import checkpoint
from sklmlp.io.checkpoint import CheckpointFile
from sklmlp.io.integrity import fingerprint
from tests.tables import make, make_table

ROOT = Path(sklmlp.__file__).parents[1]


class Stopped(BaseException):
    """The end of a fit in the middle of it."""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.npz"


@pytest.fixture
def stop_at(monkeypatch):
    """A function that stops fits at their n-th checkpoint, or lets them end."""
    write = CheckpointFile.write

    def set_stop(n):
        left = [n]

        def counted(self, content):
            write(self, content)
            left[0] -= 1
            if left[0] == 0:
                raise Stopped

        monkeypatch.setattr(CheckpointFile, "write", counted)

    return set_stop


def assert_same_fit(one, other):
    """Both have the same numbers, bit for bit, and the same course."""
    pairs = zip(*(getattr(m, "estimators_", [m]) for m in (one, other)), strict=True)
    for first, second in pairs:
        for a, b in zip(first.coefs_ + first.intercepts_, second.coefs_ + second.intercepts_,
                        strict=True):  # fmt: skip
            assert_array_equal(a, b)
        for name in ("loss_curve_", "validation_scores_", "best_loss_", "n_iter_", "t_", "loss_"):
            assert getattr(first, name) == getattr(second, name), name
        assert first._optimizer["t"] == second._optimizer["t"]
        for name, moment in first._optimizer["moments"].items():
            assert_array_equal(moment, second._optimizer["moments"][name])


FITS = {
    "adam": {},
    "sgd": {"solver": "sgd"},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 1.0, "n_iter_no_change": 2},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "momentum": 0},
    "in order": {"shuffle": False},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.3},
    "ensemble": {"n_estimators": 3, "early_stopping": True, "n_iter_no_change": 6},
    "learned slope": {"activation": "prelu"},
    "random slope": {"activation": "rrelu"},
    "float32": {"dtype": "float32"},
    "layers": {"dropout": 0.2, "normalization": "batch", "residual": True},
    "best layers": {"dropout": 0.2, "normalization": "batch", "early_stopping": True},
    "adamw": {"solver": "adamw", "solver_params": {"weight_decay": 0.01}},
    "muon": {"solver": "muon"},
    "class": {"solver": torch.optim.SGD, "solver_params": {"momentum": 0.9}},
    "schedule": {"learning_rate": "one_cycle", "max_grad_norm": 0.5},
    "sgd by schedule": {"solver": "sgd", "learning_rate": "cosine", "warmup_fraction": 0.2},
    "weights of classes": {"class_weight": "balanced", "loss": "focal"},
    "scorer": {"early_stopping": True, "scoring": "neg_log_loss"},
}


@pytest.mark.parametrize("params", FITS.values(), ids=FITS)
def test_a_stopped_fit_goes_on(params, tmp_path, stop_at, short_fits):
    """Stopped after any checkpoint, the same fit started again ends with the same bits."""
    X, y = make_table("multiclass")
    params = {"max_iter": 13, "batch_size": 16, **params}
    straight = make("multiclass", **params).fit(X, y)
    for every, stop in ((1, 1), (1, 7), (4, 2)):
        path = tmp_path / f"{stop} of {every}.npz"
        kept = make("multiclass", checkpoint=path, checkpoint_every=every, **params)
        stop_at(stop)
        with pytest.raises(Stopped):
            kept.fit(X, y)
        stop_at(0)
        assert_same_fit(kept.fit(X, y), straight)


@pytest.mark.parametrize("n_estimators", [1, 2])
def test_a_finished_fit_is_back_at_once(n_estimators, path, stop_at, short_fits):
    """The checkpoint of a finished fit gives its result without an epoch."""
    X, y = make_table("regression")
    model = make("regression", checkpoint=path, n_estimators=n_estimators)
    first = make("regression", n_estimators=n_estimators).fit(X, y)
    model.fit(X, y)
    written = path.read_bytes()
    stop_at(1)
    assert_same_fit(model.fit(X, y), first)
    assert path.read_bytes() == written


@pytest.mark.parametrize("kind", ["binary", "multilabel", "counts"])
def test_other_tables_go_on(kind, path, stop_at, short_fits):
    """Sparse rows, weights and a generator as `random_state` are part of a fit that goes on."""
    X, y = make_table(kind)
    X, weight = sp.csr_matrix(X * (X > 1)), np.arange(60) + 1.0

    def fit(**params):
        seed = np.random.RandomState(3)
        model = make(kind, max_iter=8, batch_size=16, random_state=seed, **params)
        return model.fit(X, y, weight), seed.get_state()[1]

    stop_at(3)
    with pytest.raises(Stopped):
        fit(checkpoint=path, checkpoint_every=1)
    stop_at(0)
    (kept, state), (straight, expected) = fit(checkpoint=path, checkpoint_every=1), fit()
    assert_same_fit(kept, straight)
    assert_array_equal(state, expected)  # the caller's generator is where it would have been


def test_stacks_on_threads_go_on(path, stop_at, monkeypatch, two_threads, short_fits):
    """An ensemble that is divided among threads writes one file, and goes on from it."""
    monkeypatch.setattr("sklmlp.runtime.SMALL_STEP", 0)
    X, y = make_table("multiclass")
    params = {"n_estimators": 5, "max_iter": 20}
    straight = make("multiclass", **params).fit(X, y)
    for stop in (3, 1, 0):
        stop_at(stop)
        kept = make("multiclass", checkpoint=path, checkpoint_every=3, **params)
        if stop:
            with pytest.raises(Stopped):
                kept.fit(X, y)
    assert_same_fit(kept.fit(X, y), straight)


def test_a_fit_that_goes_on_leaves_its_snapshot_alone(path, stop_at, monkeypatch, short_fits):
    """Until a network's next checkpoint the others write the file with its last one, unchanged."""
    resume, taken = snapshots.resume_run, []

    def watched(run, snapshot):
        taken.append((snapshot["progress"], copy.deepcopy(snapshot["progress"])))
        resume(run, snapshot)

    monkeypatch.setattr(snapshots, "resume_run", watched)
    X, y = make_table("regression")
    model = make("regression", checkpoint=path, checkpoint_every=3, max_iter=10)
    stop_at(1)
    with pytest.raises(Stopped):
        model.fit(X, y)
    stop_at(0)
    assert model.fit(X, y).n_iter_ > 3
    ((progress, before),) = taken
    assert progress == before
    assert len(before["loss_curve"]) == before["n_iter"] == 3


KILLED = """
import io, os, random, signal, sys, warnings
import numpy as np
from sklmlp import MLPClassifier
from sklmlp.callbacks import checkpoint as snapshots
from sklmlp.io import checkpoint
from sklmlp.training.stopping import StoppingState

warnings.simplefilter("ignore")
path, seed = sys.argv[1], int(sys.argv[2])
draw = random.Random(seed)
rng = np.random.RandomState(0)
X, y = rng.normal(size=(100, 6)), rng.randint(3, size=100)

def fit(**params):
    fitted = MLPClassifier((16, 8), max_iter=120, n_iter_no_change=np.inf, random_state=0, **params)
    return fitted.fit(X, y)

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

def die_after_an_epoch():
    add_epochs, left = StoppingState.add_epochs, draw.randrange(1, 6)
    def counted(self, *args):
        nonlocal left
        add_epochs(self, *args)
        left -= 1
        if not left:
            die()
    StoppingState.add_epochs = counted

def die_while_writing(whole):
    write, left = checkpoint.write_members, draw.randrange(1, 6)
    def partly(file, members):
        nonlocal left
        left -= 1
        if left:
            return write(file, members)
        buffer = io.BytesIO()
        write(buffer, members)
        content = buffer.getvalue()
        file.write(content if whole else content[: draw.randrange(len(content))])
        file.flush()
        die()
    checkpoint.write_members = partly

def in_child(work):
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(1)
    return os.WTERMSIG(os.waitpid(child, 0)[1])

def killed(number):
    if number % 3 == 0:
        die_after_an_epoch()
    else:
        die_while_writing(whole=number % 3 == 1)
    fit(checkpoint=path, checkpoint_every=1)

signals = []
for number in range(12):
    draw.seed(1000 * seed + number)
    signals.append(in_child(lambda: killed(number)))
print(sum(number == signal.SIGKILL for number in signals))
kept, straight = fit(checkpoint=path, checkpoint_every=1), fit()
print(all((a == b).all() for a, b in zip(kept.coefs_, straight.coefs_)))
print(kept.loss_curve_ == straight.loss_curve_)
"""


def test_a_killed_fit_goes_on(path):
    """Killed twelve times, in the middle of writing too, a fit ends with the same bits."""
    result = subprocess.run(
        [sys.executable, "-c", KILLED, path, "0"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert result.returncode == 0, result.stderr
    n_killed, same_weights, same_course = result.stdout.split()
    assert int(n_killed) == 12
    assert (same_weights, same_course) == ("True", "True")


def test_a_full_disk_leaves_the_last_checkpoint(path, stop_at, short_fits):
    """A checkpoint that cannot be written is an OSError that says so; the one before it stays."""
    X, y = make_table("regression")
    params = {"hidden_layer_sizes": (2000,), "max_iter": 4, "checkpoint_every": 1}
    model = make("regression", checkpoint=path, **params)
    stop_at(2)
    with pytest.raises(Stopped):
        model.fit(X, y)
    stop_at(0)
    written = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(written) // 2, hard))
    try:
        with pytest.raises(OSError, match=r"could not be written .*the one before it") as error:
            model.fit(X, y)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.value.filename == str(path)
    assert path.read_bytes() == written
    assert os.listdir(path.parent) == [path.name]
    assert not hasattr(model, "coefs_")
    assert_same_fit(model.fit(X, y), make("regression", **params).fit(X, y))


def test_contents_come_back_as_they_were(path):
    """Keys that are numbers, tuples, arrays of no dimension and infinities are all kept."""
    content = {1: (2, [np.array(3), None]), "a": {"b": np.inf, "c": True}, "d": np.float32(0.5)}
    file = CheckpointFile(path, {})
    file.write(content)
    assert file.read() == content


# What is no checkpoint of this fit -------------------------------------------------------------


@pytest.fixture
def kept(path, short_fits):
    """A fit with a checkpoint, and its table."""
    X, y = make_table("regression")
    return make("regression", checkpoint=path).fit(X, y), X, y


@pytest.mark.parametrize(
    "params, message",
    [
        ({"alpha": 0.5}, "alpha is 0.0001 there and 0.5 here"),
        ({"hidden_layer_sizes": (9,)}, r"hidden_layer_sizes is \(8,\) there and \(9,\) here"),
        ({"activation": "tanh"}, "network is "),
        ({"random_state": 1}, "initial weights is "),
    ],
)
def test_another_model_is_refused(kept, params, message):
    """A checkpoint of other parameters is a ValueError that says which."""
    model, X, y = kept
    coefs = model.coefs_
    with pytest.raises(ValueError, match=f"belongs to another fit: .*{message}"):
        model.set_params(**params).fit(X, y)
    assert model.coefs_ is coefs


@pytest.mark.parametrize("what", ["X", "y", "sample_weight"])
def test_other_data_are_refused(kept, what):
    """So is one of other rows, targets or weights, if only the last one differs."""
    model, X, y = kept
    data = {"X": X.copy(), "y": y.copy(), "sample_weight": np.ones(60)}
    if what != "sample_weight":
        data[what][-1] += 1e-9
        del data["sample_weight"]
    with pytest.raises(ValueError, match=f"belongs to another fit: {what} is "):
        model.fit(**data)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"solver": "lbfgs"}, "solver='lbfgs'"),
        ({"callbacks": [PassthroughScoring("dur")]}, "callbacks"),
        ({"random_state": None}, "random_state=None"),
    ],
    ids=["lbfgs", "callbacks", "random_state"],
)
def test_what_cannot_be_kept_is_refused(params, message, path):
    """Fits that could not go on are refused before they start."""
    X, y = make_table("regression")
    with pytest.raises(ValueError, match=f"does not go with {message}"):
        make("regression", checkpoint=path, **params).fit(X, y)
    assert not path.exists()


def test_a_folder_that_is_not_there(tmp_path):
    """A path without a folder is refused before a long fit, not after."""
    X, y = make_table("regression")
    with pytest.raises(FileNotFoundError, match=r"checkpoint=.*there is no folder"):
        make("regression", checkpoint=tmp_path / "none" / "fit.npz").fit(X, y)


def test_partial_fit_keeps_no_checkpoint(path):
    """`partial_fit` keeps its moments in the estimator, and writes nothing."""
    X, y = make_table("regression")
    make("regression", checkpoint=path).partial_fit(X, y)
    assert not path.exists()


def refused(model, X, y):
    with pytest.raises(ValueError, match="checkpoint="):
        model.fit(X, y)


def test_a_truncated_file_is_refused(kept, path):
    """A file that was cut off is a ValueError."""
    model, X, y = kept
    content = path.read_bytes()
    for end in np.linspace(0, len(content) - 1, 30).astype(int):
        path.write_bytes(content[:end])
        refused(model, X, y)


def test_a_flipped_bit_is_refused_or_means_nothing(kept, path):
    """With any bit flipped it is a ValueError, or the fit is what it was."""
    model, X, y = kept
    content, coef, n_refused = path.read_bytes(), model.coefs_[0], 0
    for bit in np.random.default_rng(0).integers(len(content) * 8, size=80):
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << (bit % 8)
        path.write_bytes(flipped)
        try:
            model.fit(X, y)
        except ValueError:
            n_refused += 1
        else:
            assert_array_equal(model.coefs_[0], coef)
    assert n_refused > 40


def rewritten(path, change, sign=True):
    """Change the header and the arrays of a checkpoint, in an archive that is whole."""
    with np.load(path) as archive:
        arrays = dict(archive)
    header = json.loads(arrays.pop("header").tobytes())
    expected = header.pop("checksum")
    change(header, arrays)
    names = [f"array_{i}" for i in range(len(arrays))]
    parts = [arrays[name] for name in names if name in arrays]
    header["checksum"] = fingerprint([header, parts]) if sign else expected
    np.savez(path, header=np.frombuffer(json.dumps(header).encode(), np.uint8), **arrays)


def put(header, *path, to):
    """Replace an entry of the first network's snapshot; `DROPPED` takes it out."""
    pairs = header["content"]["list"][0]["dict"]
    for name in path[:-1]:
        pairs = dict(pairs)[name]["dict"]
    pairs[:] = [[n, to if n == path[-1] else v] for n, v in pairs]
    pairs[:] = [pair for pair in pairs if pair[1] is not DROPPED]


DROPPED = object()


def array_of(header, name):
    number = dict(header["content"]["list"][0]["dict"])[name]["array"]
    return f"array_{number}"


def shrink(header, arrays):
    name = array_of(header, "flat")
    arrays[name] = arrays[name][:-1]


def disorder(header, arrays):
    arrays[array_of(header, "order")][:] = 0


def narrow(header, arrays):
    name = array_of(header, "flat")
    arrays[name] = arrays[name].astype(np.float32)


def spoil(header, arrays):
    arrays[array_of(header, "flat")][0] = np.nan


OTHERS = {
    "weights of another shape": (shrink, "flat has the dtype and shape"),
    "weights of another dtype": (narrow, "flat has the dtype and shape"),
    "weights of NaN in a fit that goes on": (
        lambda h, a: (spoil(h, a), put(h, "ended", to=False), put(h, "ran_out_at", to=None)),
        "flat has values that are not finite",
    ),
    "rows of another table": (disorder, "its order of rows is none of the rows of this fit"),
    "format": (lambda h, a: h.update(format=99), "has format 99; this version of sklmlp reads"),
    "identity": (lambda h, a: h.update(identity=7), "is no checkpoint of sklmlp, or a damaged one"),
    "a list": (lambda h, a: h.update(content=[]), "does not describe this fit: "),
    "no network": (
        lambda h, a: h.update(content={"list": []}),
        "does not describe this fit: zip() argument 2 is shorter than argument 1",
    ),
    "a set": (lambda h, a: h.update(content={"set": []}), "is damaged: 'set'"),
    "no rng": (lambda h, a: put(h, "rng", to=DROPPED), "it has other entries"),
    "no array": (lambda h, a: put(h, "flat", to={"array": 999}), "is damaged: 'array_999'"),
    "optimizer": (
        lambda h, a: put(h, "optimizer", to={"dict": []}),
        "its optimizer has other entries",
    ),
    "progress": (
        lambda h, a: put(h, "progress", to={"dict": [["epochs", 3]]}),
        "its progress has other entries",
    ),
    "negative epochs": (lambda h, a: put(h, "progress", "n_iter", to=-(10**6)), "n_iter is -10000"),
    "epochs of NaN": (lambda h, a: put(h, "progress", "n_iter", to=np.nan), "n_iter is nan"),
    "too many epochs": (
        lambda h, a: put(h, "progress", "n_iter", to=9),
        "it has done 9 epochs, more than max_iter=5",
    ),
    "too few losses": (
        lambda h, a: put(h, "progress", "loss_curve", to={"list": [0.5]}),
        "loss_curve has 1 entries after 5 epochs",
    ),
    "no loss": (lambda h, a: put(h, "progress", "best_loss", to=None), "best_loss is None"),
    "steps": (lambda h, a: put(h, "optimizer", "t", to=-1), "its optimizer has taken -1 steps"),
    "solver": (lambda h, a: put(h, "optimizer", "solver", to="sgd"), "its solver is 'sgd'"),
    "rate": (
        lambda h, a: put(h, "optimizer", "options", "lr", to=-1.0),
        "options['lr'] is -1.0",
    ),
    "epsilon": (
        lambda h, a: put(h, "optimizer", "options", "eps", to=0.0),
        "options['eps'] is 0.0, not 1e-08",
    ),
    "bit generator": (
        lambda h, a: put(h, "rng", "bit_generator", to="os"),
        "its random state is none of NumPy's RandomState",
    ),
    "position": (
        lambda h, a: put(h, "rng", "state", "pos", to=10**6),
        "its random state is none of NumPy's RandomState",
    ),
    "end": (lambda h, a: put(h, "ended", to=1), "ended is 1"),
}


@pytest.mark.parametrize("change, reason", OTHERS.values(), ids=OTHERS)
def test_other_contents_are_refused(kept, path, change, reason):
    """A file of our format with other contents is a ValueError with the reason."""
    model, X, y = kept
    rewritten(path, change)
    before = model.coefs_
    with pytest.raises(ValueError, match=f"checkpoint=.*{re.escape(reason)}"):
        model.fit(X, y)
    assert model.coefs_ is before


def test_weights_that_were_changed_fail_the_checksum(kept, path):
    """Other numbers in an archive that is whole are found by the checksum of the content."""
    model, X, y = kept

    def double(header, arrays):
        arrays[array_of(header, "flat")] *= 2

    rewritten(path, double, sign=False)
    with pytest.raises(ValueError, match=r"is damaged: its checksum is '[0-9a-f]{64}', that of"):
        model.fit(X, y)


# More epochs -----------------------------------------------------------------------------------

MORE = {n: p for n, p in FITS.items() if n not in ("schedule", "sgd by schedule")}


@pytest.mark.parametrize("stop", [0, 3])
@pytest.mark.parametrize("params", MORE.values(), ids=MORE)
def test_a_larger_max_iter_goes_on(params, stop, path, stop_at, short_fits):
    """A fit that ended at `max_iter`, or was stopped, ends as a straight one with a larger one."""
    X, y = make_table("multiclass")
    params = {"batch_size": 16, **params}
    straight = make("multiclass", **(params | {"max_iter": 13})).fit(X, y)
    kept = make("multiclass", checkpoint=path, checkpoint_every=2, **(params | {"max_iter": 7}))
    stop_at(stop)
    if stop:
        with pytest.raises(Stopped):
            kept.fit(X, y)
    else:
        kept.fit(X, y)
    stop_at(0)
    assert_same_fit(kept.set_params(max_iter=13).fit(X, y), straight)


@pytest.mark.filterwarnings("ignore::sklmlp.exceptions.TrainingWarning")
def test_a_fit_that_converged_stays(path, stop_at):
    """More epochs are none for a fit that had converged."""
    X, y = make_table("multiclass")
    kept = make("multiclass", checkpoint=path, max_iter=40, tol=1.0, n_iter_no_change=2)
    n_iter = kept.fit(X, y).n_iter_
    assert n_iter < 40
    stop_at(1)
    assert kept.set_params(max_iter=80).fit(X, y).n_iter_ == n_iter


@pytest.mark.parametrize("schedule", ["cosine", "linear", "exponential", "one_cycle"])
def test_a_schedule_is_laid_out_over_max_iter(schedule, path, short_fits):
    """Where the learning rate depends on `max_iter`, another one is refused with that reason."""
    X, y = make_table("regression")
    model = make("regression", checkpoint=path, learning_rate=schedule).fit(X, y)
    reason = (
        "belongs to another fit: max_iter is 5 there and 6 here. The schedule of the learning rate "
        "is laid out over max_iter. Remove the file or choose another path to start from scratch."
    )
    with pytest.raises(ValueError, match=re.escape(reason)):
        model.set_params(max_iter=6).fit(X, y)


def test_fewer_epochs_than_were_done_are_refused(kept):
    """A smaller `max_iter` than the epochs in the file is no way back."""
    model, X, y = kept
    with pytest.raises(ValueError, match="it has done 5 epochs, more than max_iter=4"):
        model.set_params(max_iter=4).fit(X, y)


# Paths -----------------------------------------------------------------------------------------


def test_two_fits_on_one_path(path, stop_at, short_fits):
    """A fit that finds another one's file in place of its own gives up and says so."""
    X, y = make_table("regression")
    model = make("regression", checkpoint=path, checkpoint_every=1)
    write = CheckpointFile.write

    def write_amid(self, content):
        path.write_bytes(b"of another process")
        write(self, content)

    CheckpointFile.write, before = write_amid, CheckpointFile.write
    try:
        with pytest.raises(OSError, match="Another process writes its checkpoints to this path"):
            model.fit(X, y)
    finally:
        CheckpointFile.write = before
    assert path.read_bytes() == b"of another process"
    assert os.listdir(path.parent) == [path.name]


def test_what_was_begun_long_ago_is_removed(path, short_fits):
    """Temporary files of killed processes go; those that may be another one's stay."""
    old, new = (path.parent / f"{path.name}.{name}.part" for name in ("old", "new"))
    old.touch(), new.touch()
    os.utime(old, (0, time.time() - checkpoint.ABANDONED_AFTER - 1))
    make("regression", checkpoint=path).fit(*make_table("regression"))
    assert sorted(os.listdir(path.parent)) == [path.name, new.name]


def test_paths_that_are_no_files_are_refused(tmp_path):
    """No name, a folder and a pipe are refused by name, without waiting for the pipe."""
    X, y = make_table("regression")
    os.mkfifo(tmp_path / "pipe")
    for path, reason in [
        ("", "checkpoint='' names no file; pass a path, or None for no checkpoint."),
        (tmp_path, f"checkpoint={str(tmp_path)!r} is not a regular file."),
        (tmp_path / "pipe", f"checkpoint={str(tmp_path / 'pipe')!r} is not a regular file."),
    ]:
        with pytest.raises(ValueError) as error:
            make("regression", checkpoint=path).fit(X, y)
        assert str(error.value) == reason


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_a_pickle_inside_is_not_run(kept, path, tmp_path):
    """An array of objects is refused and not unpickled."""
    model, X, y = kept
    made = tmp_path / "made"
    pickle.loads(pickle.dumps(Touch(made)))
    assert made.exists()  # this is what would happen
    made.unlink()
    rewritten(path, lambda header, arrays: arrays.update(more=np.array([Touch(made)], object)))
    refused(model, X, y)
    assert not made.exists()


def test_an_array_that_announces_terabytes_is_refused(kept, path):
    """The size in a header is compared with the file's before memory is asked for."""
    model, X, y = kept
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        buffer, {"descr": "<f8", "fortran_order": False, "shape": (10**7, 10**7)}
    )
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.npy", buffer.getvalue() + bytes(64))
    with pytest.raises(ValueError, match="announces 800000000000000 bytes"):
        model.fit(X, y)


def test_an_ended_fit_warns_once(path):
    """The fit that ends at `max_iter` warns; taking it up again does not end it again."""
    X, y = make_table("regression")
    model = make("regression", checkpoint=path)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(X, y)
