"""Checkpoint files: plain values and arrays in an .npz, written whole or not at all."""

import io
import json
import os
import re
import zipfile

import numpy as np
import scipy.sparse as sp

from sklmlp.io.archive import opened
from sklmlp.io.checksum import fingerprint

FORMAT = 1

_UNRELATED = {"checkpoint", "checkpoint_every", "verbose", "max_time", "activation"}
"""Parameters that leave the numbers of a fit alone, or that its network tells better."""


def identity(estimator, data, networks):
    """What makes a fit the same one when it is started again, each in a few words.

    Parameters
    ----------
    estimator : MLPClassifier or MLPRegressor
    data : dict of str to array
        What it is fitted to; sparse matrices and None included.
    networks : list of (Spec, tensor)
        Each network and the weights that it starts from.

    Returns
    -------
    identity : dict of str to str
    """
    facts = {"estimator": type(estimator).__name__}
    for name, value in estimator.get_params(deep=False).items():
        if name not in _UNRELATED:
            facts[name] = re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
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
    """Where a fit's course is kept.

    Parameters
    ----------
    path : str or path
    identity : dict of str to str
        As `identity` gives it; what a file must have been written with to be read.

    Raises
    ------
    FileNotFoundError
        If there is no folder for it.
    """

    def __init__(self, path, identity):
        self.path, self.identity = os.fspath(path), identity
        folder = os.path.dirname(os.path.abspath(self.path))
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"checkpoint={self.path!r}: there is no folder {folder!r}.")

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
        header = json.dumps(
            {
                "format": FORMAT,
                "identity": self.identity,
                "content": _without_arrays(content, arrays),
            }
        )
        arrays = {f"array_{i}": array for i, array in enumerate(arrays)}
        header = np.frombuffer(header.encode(), np.uint8)
        part = f"{self.path}.part"
        try:
            with open(part, "wb") as file:
                _write_arrays(file, {"header": header} | arrays)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self.path)
            _sync_folder(os.path.dirname(os.path.abspath(self.path)))
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
        """The content that was written last, or None where there is no file.

        Raises
        ------
        ValueError
            If the file is damaged, is none of ours, or belongs to another fit.
        """
        if not os.path.exists(self.path):
            return None
        try:
            with opened(self.path, os.path.getsize(self.path)) as archive:
                arrays = {
                    name.removesuffix(".npy"): np.lib.format.read_array(
                        io.BytesIO(archive.read(name)), allow_pickle=False
                    )
                    for name in archive.namelist()
                }
            header = json.loads(arrays["header"].tobytes())
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
                f"reads format {FORMAT}."
            )
        self._compare(theirs)
        try:
            return _with_arrays(header["content"], arrays)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"checkpoint={self.path!r} is damaged: {error!r}") from error

    def _compare(self, theirs):
        names = [n for n in self.identity | theirs if self.identity.get(n) != theirs.get(n)]
        if names:
            differences = "; ".join(
                f"{name} is {theirs.get(name)!s:.120} there and {self.identity.get(name)!s:.120} "
                "here"
                for name in names
            )
            raise ValueError(
                f"checkpoint={self.path!r} belongs to another fit: {differences}. Remove the file "
                "or choose another path to start anew."
            )


def _write_arrays(file, arrays):
    """Write an .npz; `numpy.savez` may leave an archive open where the disk is full."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as part:
                np.lib.format.write_array(part, array, allow_pickle=False)


def _sync_folder(folder):
    """Make a rename outlive a loss of power, where the system can."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _without_arrays(value, arrays):
    """A value that JSON can express, with its arrays moved into a list."""
    if isinstance(value, np.ndarray):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, dict):  # as pairs: JSON makes text of keys that are numbers
        return {"dict": [[key, _without_arrays(part, arrays)] for key, part in value.items()]}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_without_arrays(part, arrays) for part in value]}
    return value.item() if isinstance(value, np.generic) else value


def _with_arrays(value, arrays):
    """What `_without_arrays` was given."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "array":
        return arrays[f"array_{content:d}"]
    if kind == "dict":
        return {key: _with_arrays(part, arrays) for key, part in content}
    return {"list": list, "tuple": tuple}[kind](_with_arrays(part, arrays) for part in content)
