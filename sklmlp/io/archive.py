"""Zip archives of arrays from anybody: read in memory that is bounded by what they may hold."""

import io
import os
import stat
import zipfile
from contextlib import nullcontext

import numpy as np
from numpy.lib import format as npy

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
