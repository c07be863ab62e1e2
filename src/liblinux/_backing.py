"""What a block device of the kernel can be made of, on the host's side.

Three kinds, as the native layer knows them: a descriptor (the fast path, all in
C), a buffer, and an object with `pread`, `pwrite`, `flush` and `discard` (see
:class:`DeviceObject`). This module opens, checks and locks paths, and adapts
Python's file-like objects.

Locks: an image is locked with flock(2), exclusively by who writes it and shared
by who reads it (an overlay is a reader), because a file system whose blocks
change behind its back is lost. The lock belongs to the open file and goes away
with it, also when the process dies. Rejected: locks of fcntl(2), which a process
loses as soon as it closes any other descriptor of the same file.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import stat

from liblinux._typing import Any, Protocol

__all__ = [
    "DeviceObject",
    "FileAdapter",
    "check_size",
    "is_device_object",
    "is_file_object",
    "lock_image",
    "open_image_file",
    "plain_descriptor",
]


class ReadableObject(Protocol):
    """The least that a file-like object must have."""

    def read(self, size: int, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...


class DeviceObject(Protocol):
    """An object that is a block device by itself: it is asked what the kernel asks.

    Offsets and lengths are in bytes and whole sectors. A write with `stable`
    must be on stable storage when it returns (FUA); any other may stay in a
    cache until `flush()`. An exception becomes the kernel's I/O error, an
    OSError with its errno.
    """

    @property
    def size(self) -> int: ...
    def pread(self, offset: int, buffer: memoryview, /) -> object: ...
    def pwrite(self, offset: int, data: memoryview, stable: bool, /) -> object: ...
    def flush(self) -> object: ...
    def discard(self, offset: int, length: int, /) -> object: ...


def open_image_file(path: str | bytes, *, writable: bool) -> int:
    """Open a regular file or block device of the host; returns a descriptor.

    Raises what open(2) would, IsADirectoryError for a directory, and OSError
    (ENOTBLK) for anything that has no blocks, before it is touched: opening a
    FIFO would block, and opening a tape rewinds it.
    """
    _check_kind(os.stat(path).st_mode, path)
    flags = (os.O_RDWR if writable else os.O_RDONLY) | os.O_CLOEXEC | os.O_NONBLOCK
    if writable and stat.S_ISBLK(os.stat(path).st_mode):
        flags |= os.O_EXCL  # the host's kernel refuses a device that it has mounted itself
    descriptor = os.open(path, flags)
    try:
        _check_kind(os.fstat(descriptor).st_mode, path)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _check_kind(mode: int, path: str | bytes) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(mode) and not stat.S_ISBLK(mode):
        raise OSError(errno.ENOTBLK, "neither a regular file nor a block device", path)


def lock_image(descriptor: int, path: str | bytes, *, exclusive: bool) -> None:
    """Lock an image file, or raise BlockingIOError that says who is in the way."""
    operation = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = "in use" if exclusive else "being written"
        advice = "detach it there first, or attach it with lock=False"
        raise BlockingIOError(
            errno.EAGAIN, f"the image is {holder} by another kernel or program; {advice}", path
        ) from None
    except OSError as error:
        # Some network file systems have no locks; then there is nothing to hold.
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL):
            raise


def check_size(size: int, sector_size: int, name: str) -> None:
    """Refuse what cannot be a disk: no bytes at all, or half a sector at the end."""
    if size == 0:
        raise ValueError(f"{name} is empty; a disk has at least one sector of {sector_size} bytes")
    if size % sector_size:
        raise ValueError(
            f"the size of {name}, {size} bytes, is not a multiple of the sector size {sector_size}; "
            "the image is truncated, or has another sector size"
        )


def is_file_object(source: object) -> bool:
    """Whether `source` can be read and positioned like a file."""
    return callable(getattr(source, "seek", None)) and (
        callable(getattr(source, "readinto", None)) or callable(getattr(source, "read", None))
    )


def is_device_object(source: object) -> bool:
    """Whether `source` has all that a :class:`DeviceObject` has."""
    methods = ("pread", "pwrite", "flush", "discard")
    return isinstance(getattr(source, "size", None), int) and all(
        callable(getattr(source, method, None)) for method in methods
    )


def plain_descriptor(source: object) -> int | None:
    """The descriptor of a file object that has nothing else to say, for the fast path.

    Only for the standard library's own classes on regular files: a subclass may
    decrypt, decompress or count.
    """
    if type(source) not in (io.FileIO, io.BufferedReader, io.BufferedRandom):
        return None
    assert isinstance(source, io.FileIO | io.BufferedReader | io.BufferedRandom)
    raw = source if isinstance(source, io.FileIO) else source.raw
    if type(raw) is not io.FileIO:
        return None
    descriptor = source.fileno()
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return None
    if source.writable():
        source.flush()
    return descriptor


class FileAdapter:
    """`pread` and `pwrite` over any Python file-like object.

    Seek and transfer are two steps, so a lock keeps other threads of the kernel
    out between them.
    """

    def __init__(self, source: Any) -> None:
        if isinstance(source, io.TextIOBase):
            raise TypeError("a disk is made of bytes: open the file in binary mode")
        if not _ability(source, "seekable"):
            raise io.UnsupportedOperation("a disk needs a file object that can seek")
        self._source = source
        import threading  # noqa: PLC0415 - an image file needs no lock of ours

        self._lock = threading.Lock()
        self._flush = getattr(source, "flush", None)
        self._discard = getattr(source, "discard", None)

    @property
    def writable(self) -> bool:
        """Whether the object says it can be written; one that says nothing needs a write method."""
        return callable(getattr(self._source, "write", None)) and _ability(self._source, "writable")

    def size(self) -> int:
        """Size in bytes; the object's position is kept."""
        with self._lock:
            position = self._source.tell()
            self._source.seek(0, io.SEEK_END)
            size: int = self._source.tell()
            self._source.seek(position)
        return size

    def pread(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` from `offset`; an object that ends early has lost sectors: EIO."""
        with self._lock:
            self._source.seek(offset)
            done = 0
            while done < len(buffer):
                count = self._read(buffer[done:])
                if not count:
                    raise OSError(errno.EIO, f"the file object ended at byte {offset + done}")
                done += count

    def _read(self, buffer: memoryview) -> int:
        readinto = getattr(self._source, "readinto", None)
        if readinto is not None:
            return readinto(buffer) or 0
        data = self._source.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def pwrite(self, offset: int, data: memoryview, stable: bool) -> None:
        """Write all of `data` at `offset`; files know no other way to make it `stable` than a flush."""
        with self._lock:
            self._source.seek(offset)
            done = 0
            while done < len(data):
                count = self._source.write(data[done:])
                if count == 0:
                    raise OSError(errno.EIO, f"the file object took no more at byte {offset + done}")
                # A write method that returns nothing has, by custom, written all.
                done = len(data) if count is None else done + count
            if stable and self._flush is not None:
                self._flush()

    def flush(self) -> None:
        """Hand written data on, if the object knows how."""
        if self._flush is not None:
            with self._lock:
                self._flush()

    def discard(self, offset: int, length: int) -> None:
        """Give storage back. Without a method for it the kernel is told so and writes zeros itself."""
        if self._discard is None:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        with self._lock:
            self._discard(offset, length)


def _ability(source: Any, name: str) -> bool:
    method = getattr(source, name, None)
    return True if method is None else bool(method())
