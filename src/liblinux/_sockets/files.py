"""What sockets have to do with files: makefile() and sendfile()."""

from __future__ import annotations

import io
import socket
import stat
from socket import SocketIO

from liblinux._typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from liblinux._sockets.module import SocketModule

__all__ = ["Sending", "kernel_descriptor"]

_BLOCK_BYTES = 65536
_SENDFILE_BYTES = 1 << 30


class Sending:
    """The part of a socket that is about files."""

    _module: SocketModule
    _io_refs: int
    _fd: int

    if TYPE_CHECKING:

        @property
        def type(self) -> int: ...
        def gettimeout(self) -> float | None: ...
        def send(self, data: Buffer, flags: int = ..., /) -> int: ...
        def fileno(self) -> int: ...

    def makefile(
        self,
        mode: str = "r",
        buffering: int | None = None,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> IO[Any]:
        """A file object over the connection; arguments as of open(), the mode has "r", "w" and "b" only."""
        if not set(mode) <= {"r", "w", "b"}:
            raise ValueError(f"invalid mode {mode!r} (only r, w, b allowed)")
        writing = "w" in mode
        reading = "r" in mode or not writing
        raw: Any = SocketIO(self, "r" * reading + "w" * writing)  # type: ignore[arg-type]  # it only calls methods
        self._io_refs += 1
        size = io.DEFAULT_BUFFER_SIZE if buffering is None or buffering < 0 else buffering
        if size == 0:
            if "b" not in mode:
                raise ValueError("unbuffered streams must be binary")
            unbuffered: IO[Any] = raw
            return unbuffered
        buffered: Any
        if reading and writing:
            buffered = io.BufferedRWPair(raw, raw, size)
        elif reading:
            buffered = io.BufferedReader(raw, size)
        else:
            buffered = io.BufferedWriter(raw, size)
        if "b" in mode:
            binary: IO[Any] = buffered
            return binary
        text = io.TextIOWrapper(buffered, encoding, errors, newline)
        text.mode = mode  # type: ignore[misc]  # as the standard library does it
        return text

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """Send a file, inside the kernel when it is one of the kernel's; returns the bytes sent.

        `file` is opened in binary mode, by `kernel.open` or by anybody; its
        position is behind what was sent afterwards.
        """
        try:
            return self._sendfile_use_sendfile(file, offset, count)
        except GiveUpOnSendfile:
            return self._sendfile_use_send(file, offset, count)

    # Named as in the standard library, whose tests look at each by itself.

    def _sendfile_use_sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """By sendfile(2), which takes what there is room for."""
        _check_sendfile(self, file, offset, count)
        fd = kernel_descriptor(file)
        if fd is None or not stat.S_ISREG(self._module._os.fstat(fd).st_mode):
            raise GiveUpOnSendfile("not a regular file of the kernel")
        size = self._module._os.fstat(fd).st_size
        if size == 0:
            return 0
        total = 0
        try:
            while count is None or total < count:
                wanted = _SENDFILE_BYTES if count is None else min(count - total, _SENDFILE_BYTES)
                try:
                    sent = self._module._os.sendfile(self._fd, fd, offset + total, wanted)
                except BlockingIOError:
                    self._module._wait_writable(self._fd, self.gettimeout())
                    continue
                if sent == 0:
                    break
                total += sent
        finally:
            if total > 0 and hasattr(file, "seek"):
                file.seek(offset + total)
        return total

    def _sendfile_use_send(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """By reading and sending."""
        _check_sendfile(self, file, offset, count)
        if offset:
            file.seek(offset)
        total = 0
        try:
            while count is None or total < count:
                wanted = _BLOCK_BYTES if count is None else min(count - total, _BLOCK_BYTES)
                data = memoryview(file.read(wanted))
                if not data:
                    break
                while data:
                    sent = self.send(data)
                    total += sent
                    data = data[sent:]
        finally:
            if total > 0 and hasattr(file, "seek"):
                file.seek(offset + total)
        return total


class GiveUpOnSendfile(Exception):
    """sendfile(2) is not for this file."""


def _check_sendfile(sock: Sending, file: Any, offset: int, count: int | None) -> None:
    """The words are those of the standard library."""
    if sock.gettimeout() == 0:
        raise ValueError("non-blocking sockets are not supported")
    if "b" not in getattr(file, "mode", "b"):
        raise ValueError("file should be opened in binary mode")
    if not sock.type & socket.SOCK_STREAM:
        raise ValueError("only SOCK_STREAM type sockets are supported")
    if count is not None:
        if not isinstance(count, int):
            raise TypeError(f"count must be a positive integer (got {count!r})")
        if count <= 0:
            raise ValueError(f"count must be a positive integer (got {count!r})")


def kernel_descriptor(file: Any) -> int | None:
    """The kernel's descriptor of a file of `kernel.open`; None for a file that is the host's or none."""
    from liblinux._io import KernelFile  # noqa: PLC0415 - mostly it is there already

    raw = getattr(file, "raw", file)
    return raw.fd if isinstance(raw, KernelFile) else None
