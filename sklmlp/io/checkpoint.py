"""Checkpoint files: plain values and arrays in an .npz, written whole or not at all."""

import errno
import glob
import io
import json
import os
import pickle
import re
import time
import uuid

import numpy as np
import scipy.sparse as sp

from sklmlp.io.integrity import fingerprint, read_members, write_members
from sklmlp.io.state import portable_parameter

FORMAT = 2

ABANDONED_AFTER = 3600
"""Seconds after which a file that was begun is that of a process which is no more."""

_UNRELATED = {"checkpoint", "checkpoint_every", "verbose", "max_time", "activation"}
"""Parameters that leave the numbers of a fit alone, or that its network tells better.

So does `max_iter`, unless a schedule of the learning rate is laid out over it.
"""


def fit_fingerprint(estimator, params, data, networks, lays_out_schedule=False):
    """Return what makes a fit the same one when it is started again, each in a few words.

    Parameters
    ----------
    estimator : str
        The name of its class.
    params : dict
        Its parameters.
    data : dict of str to array
        What it is fitted to; sparse matrices and None included.
    networks : list of (Spec, tensor)
        Each network and the weights that it starts from.
    lays_out_schedule : bool, default=False
        Whether learning rates depend on `max_iter`.

    Returns
    -------
    identity : dict of str to str
    """
    facts = {"estimator": estimator}
    for name, value in params.items():
        if name not in _UNRELATED and (name != "max_iter" or lays_out_schedule):
            plain = repr(portable_parameter(value))
            facts[name] = re.sub(r" at 0x[0-9a-fA-F]+", "", plain)
    for name, values in data.items():
        facts[name] = _described(values)
    facts["network"] = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(networks[0][0].without_arrays()))
    flats = [flat.detach().cpu().numpy() for _, flat in networks]
    facts["initial weights"] = fingerprint(flats)
    return facts


def _described(values):
    if values is None:
        return "None"
    parts = [values]
    if sp.issparse(values):
        values = values.tocsr()
        parts = [values.indptr, values.indices, values.data]
    return f"{values.dtype} of shape {values.shape} with SHA-256 {fingerprint(parts)[:16]}"


class CheckpointFile:
    """The file that a fit writes its checkpoints to.

    Processes that write to one path at the same time never mix what they write: each has temporary
    files of its own, and the one that finds the file of another in place of its own gives up.

    Parameters
    ----------
    path : str or path
    identity : dict of str to str
        As `identity` gives it; what a file must have been written with to be read.

    Raises
    ------
    ValueError
        If the path can be no file's.
    FileNotFoundError
        If there is no folder for it.
    """

    def __init__(self, path, fit_fingerprint):
        self.path, self.fit_fingerprint = os.fspath(path), fit_fingerprint
        if not self.path:
            raise ValueError("checkpoint='' names no file; pass a path, or None for no checkpoint.")
        if os.path.exists(self.path) and not os.path.isfile(self.path):
            raise ValueError(f"checkpoint={self.path!r} is not a regular file.")
        self.folder = os.path.dirname(os.path.abspath(self.path))
        if not os.path.isdir(self.folder):
            raise FileNotFoundError(
                f"checkpoint={self.path!r}: there is no folder {self.folder!r}."
            )
        self._mine = None
        self._remove_abandoned()

    def _remove_abandoned(self):
        """Remove what processes had begun to write when they were killed."""
        for part in glob.glob(f"{glob.escape(os.path.abspath(self.path))}.*.part"):
            try:
                if time.time() - os.stat(part).st_mtime > ABANDONED_AFTER:
                    os.remove(part)
            except OSError:  # another process was quicker, or it is not ours to remove
                pass

    def _mark(self):
        """Return what tells the file from one that another process writes; None without a file."""
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return None
        return there.st_ino, there.st_size, there.st_mtime_ns

    def write(self, content):
        """Replace the file by one with this content, or leave it as it is.

        Parameters
        ----------
        content : dict, list, tuple, plain values and arrays

        Raises
        ------
        OSError
            If it cannot be written; the file of before is whole.
        """
        arrays = []
        header = {
            "format": FORMAT,
            "identity": self.fit_fingerprint,
            "content": _without_arrays(content, arrays),
        }
        header["checksum"] = fingerprint([header, arrays])
        members = {f"array_{i}.npy": array for i, array in enumerate(arrays)}
        members["header.npy"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
        if self._mark() not in (None, self._mine):
            raise OSError(
                errno.EBUSY,
                "Another process writes its checkpoints to this path since this fit began. Give "
                "each fit a path of its own",
                self.path,
            )
        part = f"{self.path}.{uuid.uuid4().hex}.part"
        try:
            with open(part, "xb") as file:
                write_members(file, members)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self.path)
            self._mine = self._mark()
            _sync_folder(self.folder)
        except OSError as error:
            if os.path.exists(part):
                os.remove(part)
            raise OSError(
                error.errno,
                f"The checkpoint could not be written ({error.strerror}); the one before it, if "
                "there is one, is whole. Make room, and start the same fit again to go on from it",
                self.path,
            ) from error

    def read(self):
        """Return the content that was written last, or None where there is no file.

        Raises
        ------
        ValueError
            If the file is damaged, is no checkpoint, or belongs to another fit.
        """
        self._mine = self._mark()
        if self._mine is None:
            return None
        try:
            members = read_members(self.path, os.path.getsize(self.path))
            arrays = {
                name.removesuffix(".npy"): np.lib.format.read_array(
                    io.BytesIO(content), allow_pickle=False
                )
                for name, content in members.items()
            }
            header = json.loads(arrays.pop("header").tobytes())
            written, theirs = header["format"], dict(header["identity"])
        except OSError:
            raise
        except Exception as error:  # damage shows in many ways
            raise ValueError(
                f"checkpoint={self.path!r} is no checkpoint of sklmlp, or a damaged one: {error}"
            ) from error
        if written != FORMAT:
            raise ValueError(
                f"checkpoint={self.path!r} has format {written!r:.80}; this version of sklmlp "
                f"reads format {FORMAT}. Remove the file to start from scratch."
            )
        try:
            expected = header.pop("checksum", None)
            found = fingerprint([header, [arrays[f"array_{i}"] for i in range(len(arrays))]])
            if found != expected:
                raise ValueError(f"its checksum is {expected!r:.80}, that of its content {found!r}")
            content = _with_arrays(header["content"], arrays)
        except (KeyError, TypeError, ValueError, RecursionError, pickle.PicklingError) as error:
            raise ValueError(f"checkpoint={self.path!r} is damaged: {error}") from error
        self._compare(theirs)
        return content

    def _compare(self, theirs):
        names = [
            n for n in self.fit_fingerprint | theirs if self.fit_fingerprint.get(n) != theirs.get(n)
        ]
        if names:
            ours = self.fit_fingerprint
            differences = "; ".join(
                f"{name} is {theirs.get(name)!s:.120} there and {ours.get(name)!s:.120} here"
                for name in names
            )
            schedule = ""
            if "max_iter" in names:
                schedule = " The schedule of the learning rate is laid out over max_iter."
            raise ValueError(
                f"checkpoint={self.path!r} belongs to another fit: {differences}.{schedule} Remove "
                "the file or choose another path to start from scratch."
            )


def _sync_folder(folder):
    """Make a rename outlive a loss of power, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _without_arrays(value, arrays):
    """Return a value that JSON can express, with its arrays moved into a list."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, dict):  # as pairs: JSON makes text of keys that are numbers
        return {"dict": [[key, _without_arrays(part, arrays)] for key, part in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_without_arrays(part, arrays) for part in value]}
    return value.item() if isinstance(value, np.generic) else value


def _with_arrays(value, arrays):
    """Return what `_without_arrays` was given."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return arrays[f"array_{content:d}"]
    if kind == "dict":
        return {key: _with_arrays(part, arrays) for key, part in content}
    return {"list": list, "tuple": tuple}[kind](_with_arrays(part, arrays) for part in content)
