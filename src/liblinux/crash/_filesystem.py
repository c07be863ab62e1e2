"""What a workload and a check are given: a mounted file system."""

from __future__ import annotations

import os
from collections.abc import Hashable
from typing import Any

from liblinux._kernel import Kernel
from liblinux.crash._recorder import Recorder

__all__ = ["Filesystem", "RecordedFilesystem"]


class Filesystem:
    """A file system, mounted at `path` in `kernel`; `os` is the kernel's."""

    def __init__(self, kernel: Kernel, path: str) -> None:
        self.kernel = kernel
        self.path = path
        self.os = kernel.os

    def at(self, name: str = "") -> str:
        """The path inside the kernel of a file of this file system."""
        return f"{self.path}/{name}" if name else self.path

    def open(self, name: str, mode: Any = "r", **options: Any) -> Any:
        """Open one of its files, as :meth:`Kernel.open` does."""
        return self.kernel.open(self.at(name), mode, **options)

    def read(self, name: str) -> bytes:
        """All of a file."""
        fd = self.os.open(self.at(name), os.O_RDONLY)
        try:
            pieces = []
            while piece := self.os.read(fd, 1 << 20):
                pieces.append(piece)
            return b"".join(pieces)
        finally:
            self.os.close(fd)

    def write(self, name: str, data: bytes, *, fsync: bool = False) -> None:
        """Make or replace the content of a file; with `fsync` it is on the disk when this returns.

        As ever with fsync(2), the name of a new file is only sure to be there after an
        fsync of its directory, whatever some file systems do beyond that.
        """
        fd = self.os.open(self.at(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            done = 0
            while done < len(data):
                done += self.os.write(fd, data[done:])
            if fsync:
                self.os.fsync(fd)
        finally:
            self.os.close(fd)

    def fsync(self, name: str = "") -> None:
        """Bring a file or directory to the disk; without a name, the root directory."""
        fd = self.os.open(self.at(name), os.O_RDONLY)
        try:
            self.os.fsync(fd)
        finally:
            self.os.close(fd)


class RecordedFilesystem(Filesystem):
    """The file system of a workload, which promises what must survive a crash."""

    def __init__(self, kernel: Kernel, path: str, recorder: Recorder) -> None:
        super().__init__(kernel, path)
        self._recorder = recorder

    def promise(self, name: Hashable, value: object = True) -> None:
        """From here on `name` must survive any crash; the check is told, and given a copy of `value`.

        A promise of the same name takes the place of the one before.
        """
        self._recorder.promise(name, value)

    def withdraw(self, name: Hashable) -> None:
        """`name` is about to be changed: until it is promised again, nothing is said about it."""
        self._recorder.withdraw(name)

    def sleep(self, seconds: float) -> None:
        """Let time pass: what the kernel writes back by itself after some seconds is written."""
        whole, rest = divmod(round(seconds * 10**9), 10**9)
        moment = whole.to_bytes(8, "little") + rest.to_bytes(8, "little")
        self.kernel.syscall("nanosleep", moment, None)
