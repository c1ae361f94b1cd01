"""What tells damaged and hostile files from sound ones: bounded archives and states, checksums."""

import functools
import hashlib
import io
import os
import pickle
import stat
import types
import zipfile
from contextlib import nullcontext

import numpy as np
import torch
from numpy.lib import format as npy

from sklmlp.compat import OF_EVERY_ESTIMATOR

# Zip archives of arrays from anybody, read in memory that is bounded by what they may hold

MOST_MEMBERS = 100_000
MOST_AT_ONCE = 2**25
"""Bytes that a damaged or hostile archive can make us read in one piece."""

_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


def read_members(file, most_bytes):
    """Read all members of a zip archive, which together hold at most `most_bytes`.

    Parameters
    ----------
    file : path or binary file
        Of a path, only a regular file is read: a pipe or a device might never end.
    most_bytes : int

    Returns
    -------
    members : dict of str to bytes
        Arrays (``*.npy``) have a header that tells the truth about the size.

    Raises
    ------
    ValueError
        If the file is no regular file, no archive or a damaged one, if it would unpack to more, or
        if an array in it announces another size than it has. A missing file is an OSError.
    """
    is_path = isinstance(file, str | os.PathLike)
    with _open_regular_file(file) if is_path else nullcontext(file) as stream:
        try:
            archive = zipfile.ZipFile(_InPieces(stream))
        except Exception as error:  # damage shows in many ways, bad places to seek among them
            raise ValueError(f"This is no archive, or a damaged one: {error}") from error
        infos = archive.infolist()
        _check_extent(infos, most_bytes)
        members = {info.filename: _content(archive, info) for info in infos}
    for name, content in members.items():
        if name.endswith(".npy"):
            _check_announced_size(name, content)
    return members


def write_members(file, members):
    """Write an archive of members as they are.

    `numpy.savez` may leave an archive open where the disk is full.

    Parameters
    ----------
    file : binary file
    members : dict of str to bytes, or to an array, which is written in NumPy's format
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            with archive.open(name, "w", force_zip64=True) as part:
                if isinstance(content, np.ndarray):
                    npy.write_array(part, content, allow_pickle=False)
                else:
                    part.write(content)


def _open_regular_file(path):
    """Return a regular file, opened; other kinds of files may block or have no end."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(f"{os.fspath(path)!r} is not a regular file.")
    # should a pipe take its place in between, opening it does not block
    flags = getattr(os, "O_NONBLOCK", 0)
    return open(path, "rb", opener=lambda name, mode: os.open(name, mode | flags))


class _InPieces:
    """A binary file that is not read in pieces larger than MOST_AT_ONCE, whatever it announces."""

    def __init__(self, stream):
        self._stream = stream

    def __getattr__(self, name):
        return getattr(self._stream, name)

    def read(self, n=-1):
        if n > MOST_AT_ONCE:
            raise ValueError(f"its list of members announces {n} bytes")
        return self._stream.read(MOST_AT_ONCE if n < 0 else n)


def _check_extent(infos, most_bytes):
    if len(infos) > MOST_MEMBERS:
        raise ValueError(f"The archive has {len(infos)} parts, more than {MOST_MEMBERS}.")
    size = sum(info.file_size for info in infos)
    if size > most_bytes:
        raise ValueError(
            f"The archive would unpack to {size} bytes, more than most_bytes={most_bytes}."
        )
    for info in infos:
        if info.compress_type not in _METHODS:
            raise ValueError(
                f"{info.filename!r} in the archive is compressed by method {info.compress_type}; "
                "only stored and deflated members are read."
            )
    if len({info.filename for info in infos}) < len(infos):
        raise ValueError("The archive has several members of one name.")


def _content(archive, info):
    """Return the bytes of a member; of one that goes on inflating, no more than it announced."""
    try:
        pieces, left = [], info.file_size
        with archive.open(info) as file:
            while left and (piece := file.read(min(left, 2**20))):
                pieces.append(piece)
                left -= len(piece)
    except Exception as error:  # damage shows in many ways: zlib, struct, checksums, passwords
        raise ValueError(f"{info.filename!r} in the archive is damaged: {error}") from error
    if left:
        raise ValueError(f"{info.filename!r} in the archive is damaged: {left} bytes are missing.")
    return b"".join(pieces)


def _check_announced_size(name, content):
    """Refuse an array whose header announces more or less than follows it."""
    try:
        shape, _, dtype, start = _header(content)
    except Exception as error:  # damage shows in many ways: struct, tokenize, ...
        raise ValueError(f"{name!r} in the archive is damaged: {error}") from error
    # Python's integers do not overflow as NumPy's would
    n_elements = 1
    for n in shape:
        n_elements *= int(n)
    announced, there = n_elements * dtype.itemsize, len(content) - start
    if dtype.hasobject or announced != there or (n_elements and not dtype.itemsize):
        raise ValueError(
            f"{name!r} in the archive announces {announced} bytes of {n_elements} times {dtype} "
            f"and has {there}."
        )


def _header(content):
    """(shape, fortran_order, dtype, where the numbers start) of an array's file."""
    file = io.BytesIO(content[: 2**16])
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of NumPy's format is not known")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    return *read(file), file.tell()


# The checksum of what a model predicts with: it detects damage, not who wrote a file

_COVERED_BY_2 = (
    *("_spec", "coefs_", "intercepts_", "_extras", "_optimizer"),
    *("classes_", "_targets", "feature_names_in_", "n_features_in_"),
)
"""The entries of a state of format 2 that its checksum covers."""

_NOT_COVERED = {
    *("_checksum", "_format", "_sklmlp_version", "_sklearn_version", "_torch_version"),
    *OF_EVERY_ESTIMATOR,
}
"""Entries of a state that are a stamp, or scikit-learn's notes about requests and callbacks."""

DEEPEST = 100
"""Levels that a state may be nested."""


def checksum(state, written=4):
    """Compute the SHA-256 of what a state predicts with, in hexadecimal.

    It covers all that a fit has learned, and `matmul_precision`. It does not depend on the order of
    keys and of values in memory, nor on whether a sequence came back as a list or a tuple, so that
    it survives every file format. Other parameters are free to change.

    Parameters
    ----------
    state : dict
        What `check_extent` has passed.
    written : int, default=4
        The format of the state.

    Raises
    ------
    pickle.PicklingError
        If something in it cannot be described in words that are the same in every process.
    """
    if written < 3:
        covered = {name: state[name] for name in _COVERED_BY_2 if name in state}
        return fingerprint(covered, other=repr)
    return fingerprint({name: v for name, v in state.items() if is_learned(name)})


def is_learned(name):
    """Tell whether an entry of a state is something that a fit leaves behind, not a parameter."""
    marked = name.startswith("_") or name.endswith("_") or name == "matmul_precision"
    return marked and name not in _NOT_COVERED


def check_extent(value):
    """Raise unless going through a nested value comes to an end soon.

    Parts that are shared count at each use; an honest state shares few. So a list of forty lists,
    each of which holds the next one twice, is refused, and so is one that holds itself.

    Raises
    ------
    ValueError
        If it is nested too deeply, or shared parts make it endless.
    """
    n_visited, n_different, seen, todo = 0, 0, set(), [(value, 0)]
    while todo:
        part, depth = todo.pop()
        if isinstance(part, dict):
            inner = list(part.values())
        elif isinstance(part, np.ndarray) and part.dtype == object:
            inner = list(part.flat)
        elif isinstance(part, list | tuple | set | frozenset):
            inner = part
        else:
            continue
        n_visited += 1 + len(inner)
        if id(part) not in seen:
            seen.add(id(part))
            n_different += 1 + len(inner)
        if depth > DEEPEST:
            raise ValueError("The state is nested too deeply to be a model's.")
        if n_visited > 2 * n_different + 10**6:
            raise ValueError("The state shares its parts too often to be a model's.")
        todo.extend((each, depth + 1) for each in inner)


def fingerprint(value, other=None):
    """Return the SHA-256 of plain Python and arrays, in hexadecimal.

    Parameters
    ----------
    value : object
    other : callable, default=None
        What describes the values that are neither plain, nor named, nor arrays; by default, what
        pickle keeps of them does.
    """
    digest = hashlib.sha256()
    try:
        _feed(digest, value, other)
    except RecursionError as error:
        raise pickle.PicklingError(
            "What was learned cannot be saved: it has parts that refer to one another in a circle."
        ) from error
    return digest.hexdigest()


def _feed(digest, value, other):
    """Add plain Python or arrays to a digest, and other things by what makes them again."""
    if isinstance(value, dict):
        digest.update(b"{%d" % len(value))
        for name in sorted(value, key=str):
            _feed(digest, str(name), other)
            _feed(digest, value[name], other)
    elif isinstance(value, list | tuple):
        digest.update(b"[%d" % len(value))
        for each in value:
            _feed(digest, each, other)
    elif isinstance(value, np.ndarray) and value.dtype == object:
        _feed(digest, value.tolist(), other)
    elif isinstance(value, np.ndarray):
        little = value.astype(value.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{little.dtype.str}{little.shape}".encode())
        digest.update(np.ascontiguousarray(little).view(np.uint8).data if little.size else b"")
    elif isinstance(value, np.generic) and type(value.item()) is not type(value):
        _feed(digest, value.item(), other)
    elif (named := getattr(value, "__qualname__", None)) is not None and not isinstance(
        value, types.MethodType
    ):
        digest.update(f"{type(value).__name__}({value.__module__}.{named})".encode())
    elif other is not None or value is None or isinstance(value, str | bytes | int | float):
        digest.update(f"{type(value).__name__}({(other or repr)(value)})".encode())
    elif isinstance(value, set | frozenset):
        _feed(digest, sorted(fingerprint(each) for each in value), other)
    elif isinstance(value, torch.Tensor):
        _feed(digest, value.detach().cpu().numpy(), other)
    else:
        _feed(digest, _made_of(value), other)


def _made_of(value):
    """Return what an object is made of again, in the words of pickle: the same in every process."""
    if isinstance(value, functools.partial):
        return [functools.partial, value.func, value.args, value.keywords]
    if isinstance(value, types.MethodType):
        return [value.__name__, value.__self__]
    try:
        made = value.__reduce_ex__(2)
    except Exception as error:  # whatever a class of the user's raises
        raise pickle.PicklingError(f"{value!r:.200} cannot be saved: {error}") from error
    if isinstance(made, str):
        return [type(value), made]
    return [list(part) if hasattr(part, "__next__") else part for part in made]
