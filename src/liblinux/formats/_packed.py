"""Compressed images: unpacked once, to a temporary file without a name, zeros left out.

A disk is read here and there, to its very end (a GPT has its copy there), and its
size must be known before it is used; most files of these formats are one stream,
which can only be read from its start. So nothing is won by an index (indexed_gzip
and the like), and a file in the page cache is the fastest disk that there is.
Rejected: keeping an index beside the image, which would have to be written there.
The file needs the room of what the image holds: TMPDIR says where.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import tempfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from liblinux.formats._errors import damaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from liblinux.formats._files import Source

    Progress = Callable[[int, int], object]

__all__ = ["PACKED", "unpack"]

_CHUNK_BYTES = 1 << 20
_HOLE_BYTES = 1 << 16
_ZEROS = bytes(_HOLE_BYTES)
_DAMAGED = (zlib.error, lzma.LZMAError, EOFError, gzip.BadGzipFile)


class _Reader:
    """A Source as a file to be read from its start; says how far it has come."""

    def __init__(self, source: Source, progress: Progress | None) -> None:
        self._source = source
        self._progress = progress
        self._position = 0

    def read(self, size: int = -1) -> bytes:
        """As of a file; the end is b""."""
        size = self._source.size - self._position if size < 0 else size
        data = self._source.read(self._position, min(size, _CHUNK_BYTES))
        self._position += len(data)
        if self._progress is not None:
            self._progress(self._position, self._source.size)
        return data


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    while piece := file.read(_CHUNK_BYTES):
        yield piece


def _unpack_gzip(file: BinaryIO) -> Iterator[bytes]:
    with gzip.GzipFile(fileobj=file) as unpacked:
        yield from _pieces(cast("BinaryIO", unpacked))


def _unpack_xz(file: BinaryIO) -> Iterator[bytes]:
    with lzma.LZMAFile(file) as unpacked:
        yield from _pieces(cast("BinaryIO", unpacked))


def _unpack_bzip2(file: BinaryIO) -> Iterator[bytes]:
    with bz2.BZ2File(file) as unpacked:
        yield from _pieces(cast("BinaryIO", unpacked))


def _unpack_zstd(file: BinaryIO) -> Iterator[bytes]:
    from liblinux.formats._zstd import ZstdError, unpack_zstd  # noqa: PLC0415 - a package that the others do not need

    try:
        yield from unpack_zstd(file)
    except ZstdError as error:
        raise EOFError(str(error)) from error


PACKED: dict[str, Callable[[BinaryIO], Iterator[bytes]]] = {
    "gzip": _unpack_gzip,
    "bzip2": _unpack_bzip2,
    "xz": _unpack_xz,
    "zstd": _unpack_zstd,
}


def unpack(source: Source, kind: str, progress: Progress | None = None) -> BinaryIO:
    """Unpack all of it; returns the file, open. `progress` is told bytes read and bytes in all.

    Raises FormatError when it is damaged or ends early, OSError when there is no
    room (ENOSPC; set TMPDIR to a larger place).
    """
    file = cast("BinaryIO", tempfile.TemporaryFile(prefix="liblinux-", buffering=0))  # noqa: SIM115 - the caller's
    try:
        with _told(source):
            size = 0
            for piece in PACKED[kind](cast("BinaryIO", _Reader(source, progress))):
                _write(file.fileno(), piece, size)
                size += len(piece)
        os.ftruncate(file.fileno(), size)
    except BaseException:
        file.close()
        raise
    return file


def _write(descriptor: int, piece: bytes, offset: int) -> None:
    """Write what is not zero."""
    for start in range(0, len(piece), _HOLE_BYTES):
        block = piece[start : start + _HOLE_BYTES]
        if block == _ZEROS[: len(block)]:
            continue
        while block:
            count = os.pwrite(descriptor, block, offset + start)
            start, block = start + count, block[count:]  # noqa: PLW2901 - the rest of it


@contextmanager
def _told(source: Source) -> Iterator[None]:
    try:
        yield
    except _DAMAGED as error:
        raise damaged(source.name, f"it cannot be unpacked: {error}") from error
    except OSError as error:
        # The module bz2 has no error of its own.
        if error.errno is None:
            raise damaged(source.name, f"it cannot be unpacked: {error}") from error
        if error.filename is None:
            error.filename = tempfile.gettempdir()
        raise
