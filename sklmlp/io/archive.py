"""Zip archives of arrays from anybody: read in memory that is bounded by what they may hold."""

import io
import os
import zipfile
from contextlib import contextmanager, nullcontext

from numpy.lib import format as npy

MOST_MEMBERS = 100_000


@contextmanager
def opened(file, most_bytes):
    """A zip archive whose parts together hold at most `most_bytes`.

    Parameters
    ----------
    file : path or binary file
    most_bytes : int

    Yields
    ------
    archive : zipfile.ZipFile

    Raises
    ------
    ValueError
        If the file is no archive or a damaged one, if it would unpack to more, or if an array in
        it announces another size than it has. A file that is not there is an OSError.
    """
    is_path = isinstance(file, str | os.PathLike)
    with open(file, "rb") if is_path else nullcontext(file) as stream:
        try:
            archive = zipfile.ZipFile(stream)
        except Exception as error:  # damage shows in many ways, bad places to seek among them
            raise ValueError(f"This is no archive, or a damaged one: {error}") from error
        members = archive.infolist()
        if len(members) > MOST_MEMBERS:
            raise ValueError(f"The archive has {len(members)} parts, more than {MOST_MEMBERS}.")
        size = sum(member.file_size for member in members)
        if size > most_bytes:
            raise ValueError(
                f"The archive would unpack to {size} bytes, more than most_bytes={most_bytes}."
            )
        for member in members:
            if member.filename.endswith(".npy"):
                _check_announced_size(archive, member)
        yield archive


def _check_announced_size(archive, member):
    """Refuse an array whose header announces more or less than follows it."""
    try:
        with archive.open(member) as file:
            shape, _, dtype, start = _header(file)
    except Exception as error:  # damage shows in many ways: zlib, struct, tokenize, ...
        raise ValueError(f"{member.filename!r} in the archive is damaged: {error}") from error
    # Python's integers do not overflow as NumPy's would
    announced = dtype.itemsize
    for n in shape:
        announced *= int(n)
    if dtype.hasobject or announced != member.file_size - start:
        raise ValueError(
            f"{member.filename!r} in the archive announces {announced} bytes of {dtype} and has "
            f"{member.file_size - start}."
        )


def _header(file):
    """(shape, fortran_order, dtype, where the numbers start) of an array's file."""
    file = io.BytesIO(file.read(2**16))
    version = npy.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of NumPy's format is not known")
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    return *read(file), file.tell()
