"""`kernel.open`: the standard library's io stack over a file of the kernel.

One class of our own, the raw file; buffering and text are io's. A kernel
descriptor is not one of the host, so `fileno()` refuses, as for any file object
without a host descriptor; `fd` is the kernel's.
"""

from __future__ import annotations

import errno
import io
import os
import stat as stat_modes

from liblinux._typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    from liblinux._os import Os
    from liblinux._os_base import PathOrFd

__all__ = ["BUFFER_BYTES", "KernelFile", "check_mode", "open_file", "open_flags"]

BUFFER_BYTES = 64 * 1024
# Direct I/O goes through memory of the kernel's own, in pieces of this size.
DIRECT_BYTES = 1024 * 1024
# Both the memory and the position of direct I/O keep to this; no disk has larger sectors.
DIRECT_ALIGNMENT = 4096


class KernelFile(io.RawIOBase):
    """An unbuffered file of the kernel."""

    def __init__(self, system: Os, fd: int, name: PathOrFd, mode: str, *, closefd: bool = True) -> None:
        super().__init__()
        self.name = name
        self.mode = mode
        self._os = system
        self._fd = fd
        system._files += 1
        self._number = system._files
        self._closefd = closefd
        self._reads = "r" in mode or "+" in mode
        self._writes = mode[0] in "wxa" or "+" in mode

    def __repr__(self) -> str:
        state = " closed" if self.closed else f" fd={self._fd}"
        return f"<liblinux.KernelFile {self.name!r} mode={self.mode!r}{state}>"

    @property
    def fd(self) -> int:
        """The kernel's descriptor."""
        self._check_open()
        return self._fd

    def fileno(self) -> int:
        """Refuse: there is no descriptor of the host."""
        raise io.UnsupportedOperation("a file inside a kernel has no descriptor of the host; see .fd")

    def readable(self) -> bool:
        """Whether it was opened for reading."""
        self._check_open()
        return self._reads

    def writable(self) -> bool:
        """Whether it was opened for writing."""
        self._check_open()
        return self._writes

    def seekable(self) -> bool:
        """Whether it has a position."""
        self._check_open()
        return self._os.call("lseek", self._fd, 0, os.SEEK_CUR) >= 0

    def isatty(self) -> bool:
        """Whether it is a terminal of the kernel."""
        self._check_open()
        return self._os.isatty(self._fd)

    def readinto(self, buffer: Buffer) -> int | None:
        """Read into a buffer; None when nothing is there yet and it does not wait."""
        self._check_readable()
        try:
            return self._os.readinto(self._fd, buffer)
        except BlockingIOError:
            return None

    def read(self, size: int | None = -1) -> bytes | None:
        """Read up to `size` bytes, or all that is left."""
        if size is None or size < 0:
            return self.readall()
        self._check_readable()
        try:
            return self._os.read(self._fd, size)
        except BlockingIOError:
            return None

    def readall(self) -> bytes:
        """Read all that is left, in as few calls as the size of the file allows."""
        self._check_readable()
        parts: list[bytes] = []
        expected = self._bytes_left()
        while data := self._os.read(self._fd, max(expected + 1, BUFFER_BYTES)):
            parts.append(data)
            expected -= len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, data: Buffer) -> int | None:
        """Write; returns the bytes taken, None when none could be without waiting."""
        self._check_open()
        if not self._writes:
            raise io.UnsupportedOperation("not writable")
        try:
            return self._os.write(self._fd, data)
        except BlockingIOError:
            return None

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position."""
        self._check_open()
        return self._os.lseek(self._fd, offset, whence)

    def tell(self) -> int:
        """The position."""
        return self.seek(0, os.SEEK_CUR)

    def truncate(self, size: int | None = None) -> int:
        """Set the size, to the position by default."""
        self._check_open()
        if not self._writes:
            raise io.UnsupportedOperation("truncate")
        size = self.tell() if size is None else size
        self._os.ftruncate(self._fd, size)
        return size

    def close(self) -> None:
        """Close it; with the kernel gone there is nothing left to close."""
        if self.closed:
            return
        try:
            super().close()
        finally:
            if self._closefd and not self._os.closed and not self.lost:
                self._os.close(self._fd)

    def status(self) -> os.stat_result:
        """Status of the file."""
        self._check_open()
        return self._os.fstat(self._fd)

    def _bytes_left(self) -> int:
        try:
            status = self._os.fstat(self._fd)
            if not stat_modes.S_ISREG(status.st_mode):
                return 0
            return max(status.st_size - self._os.lseek(self._fd, 0, os.SEEK_CUR), 0)
        except OSError:
            return 0

    @property
    def lost(self) -> bool:
        """Whether it was opened after the snapshot that the kernel was put back to."""
        return any(self._number in numbers for numbers in self._os._lost_files)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file")
        if self._os._lost_files and self.lost:
            raise ValueError("the file was opened after the snapshot that its kernel was put back to; open it again")

    def _check_readable(self) -> None:
        self._check_open()
        if not self._reads:
            raise io.UnsupportedOperation("not readable")


class DirectFile(KernelFile):
    """A file read past the page cache, through memory that devices can write to.

    Direct I/O needs memory with a `struct page` behind it and whole sectors, so
    data goes by way of one aligned window of the kernel's memory.
    """

    def __init__(
        self, system: Os, fd: int, name: PathOrFd, mode: str, window: memoryview, *, closefd: bool = True
    ) -> None:
        super().__init__(system, fd, name, mode, closefd=closefd)
        self._window = window
        self._start = 0  # of what the window holds, in the file
        self._filled = 0
        self._position = 0

    def readinto(self, buffer: Buffer) -> int:
        """Read into any buffer, from any position."""
        self._check_readable()
        target = memoryview(buffer).cast("B")
        if not self._start <= self._position < self._start + self._filled:
            self._start = self._position - self._position % DIRECT_ALIGNMENT
            self._os.lseek(self._fd, self._start, os.SEEK_SET)
            self._filled = self._os.readinto(self._fd, self._window)
        offset = self._position - self._start
        count = min(len(target), max(self._filled - offset, 0))
        target[:count] = self._window[offset : offset + count]
        self._position += count
        return count

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes, or all that is left."""
        if size is None or size < 0:
            return self.readall()
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(buffer)])

    def readall(self) -> bytes:
        """Read all that is left, with one copy of each byte."""
        self._check_readable()
        left = max(self._os.fstat(self._fd).st_size - self._position, 0)
        data = bytearray(left)
        view = memoryview(data)
        done = 0
        while done < left and (count := self.readinto(view[done:])):
            done += count
        view.release()
        del data[done:]
        return bytes(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Set the position; the kernel's own follows with the next read."""
        self._check_open()
        base = {
            os.SEEK_SET: 0,
            os.SEEK_CUR: self._position,
            os.SEEK_END: self._os.fstat(self._fd).st_size,
        }[whence]
        if base + offset < 0:
            raise OSError(22, "Invalid argument")
        self._position = base + offset
        return self._position


def open_file(
    system: Os,
    file: PathOrFd,
    mode: str,
    buffering: int,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
    closefd: bool,
    direct_memory: Callable[[int], memoryview] | None,
) -> IO[Any]:
    """Build the stack of io objects; the checks and their words are those of `io.open`."""
    binary = check_mode(mode)
    if binary and (encoding is not None or errors is not None or newline is not None):
        raise ValueError("binary mode doesn't take an encoding, errors or newline argument")
    if not binary and buffering == 0:
        raise ValueError("can't have unbuffered text I/O")
    raw_mode = mode.replace("t", "")
    raw = _open_raw(system, file, raw_mode, closefd, direct_memory)
    try:
        line_buffering = buffering == 1 and not binary
        buffered: Any = _buffer(raw, buffering)
        if binary:
            stack: IO[Any] = buffered
            return stack
        text = io.TextIOWrapper(
            buffered,
            encoding or "utf-8",  # what is inside an image does not depend on the host's locale
            errors,
            newline,
            line_buffering,
        )
        text.mode = mode  # type: ignore[misc]  # as io.open does it
        return text
    except BaseException:
        raw.close()
        raise


def check_mode(mode: str) -> bool:
    """Whether it is a binary mode; ValueError for what io.open would not take either."""
    letters = set(mode)
    if letters - set("axrwb+t") or len(mode) > len(letters):
        raise ValueError(f"invalid mode: {mode!r}")
    if len(letters & set("axrw")) != 1:
        raise ValueError("must have exactly one of create/read/write/append mode")
    if {"b", "t"} <= letters:
        raise ValueError("can't have text and binary mode at once")
    return "b" in letters


def _open_raw(
    system: Os,
    file: PathOrFd,
    mode: str,
    closefd: bool,
    direct_memory: Callable[[int], memoryview] | None,
) -> KernelFile:
    if isinstance(file, int):
        fd = file
    elif not closefd:
        raise ValueError("Cannot use closefd=False with file name")
    else:
        direct = os.O_DIRECT if direct_memory is not None else 0
        fd = system.open(file, open_flags(mode) | direct, 0o666)
    if "r" in mode and "+" not in mode:  # what writes to a directory the kernel refuses
        try:
            _refuse_directory(system, fd, file)
        except OSError:
            if not isinstance(file, int):
                system.close(fd)
            raise
    if direct_memory is not None:
        return DirectFile(system, fd, file, mode, direct_memory(DIRECT_BYTES), closefd=closefd)
    raw = KernelFile(system, fd, file, mode, closefd=closefd)
    if "a" in mode:
        system.call("lseek", fd, 0, os.SEEK_END)
    return raw


def _refuse_directory(system: Os, fd: int, file: PathOrFd) -> None:
    """As io.open does: a directory can be opened, and then each read would fail."""
    if stat_modes.S_ISDIR(system.fstat(fd).st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), file)


def open_flags(mode: str) -> int:
    """The flags of open(2) for a mode of open()."""
    update = "+" in mode
    access = os.O_RDWR if update else (os.O_RDONLY if "r" in mode else os.O_WRONLY)
    creation = {
        "r": 0,
        "w": os.O_CREAT | os.O_TRUNC,
        "x": os.O_CREAT | os.O_EXCL,
        "a": os.O_CREAT | os.O_APPEND,
    }
    letter = next(letter for letter in mode if letter in creation)
    return access | creation[letter] | os.O_CLOEXEC


def _buffer(raw: KernelFile, buffering: int) -> Any:
    if buffering == 0:
        return raw
    size = buffering if buffering > 1 else BUFFER_BYTES
    if "+" in raw.mode:
        # A pipe or terminal opened for update cannot seek; io.open refuses it in the same words.
        return io.BufferedRandom(raw, size)
    if raw.writable():
        return io.BufferedWriter(raw, size)
    return io.BufferedReader(raw, size)
