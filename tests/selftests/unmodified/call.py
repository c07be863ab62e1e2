"""One system call of a program, and what all that answer calls need."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from unmodified import memory, paths, waiting
from unmodified.outcomes import Passed

if TYPE_CHECKING:
    from unmodified.files import File
    from unmodified.server import Server

_AT_FDCWD: Final = -100


def signed(value: int, bits: int = 32) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def view(data: bytearray) -> int:
    """The address of a buffer; it stays there as long as the buffer lives and keeps its size."""
    return ctypes.addressof((ctypes.c_char * len(data)).from_buffer(data)) if data else 0


class Call:
    """One system call of a program."""

    def __init__(
        self, server: Server, listener: int, notification: int, pid: int, name: str, arguments: list[int]
    ) -> None:
        self.server, self.listener, self.notification = server, listener, notification
        self.pid, self.name, self.arguments = pid, name, arguments
        self._settled = False

    # ---- help ---------------------------------------------------------------

    def settle(self) -> None:
        """Before the kernel is called: what programs have closed, or had when they ended, is closed there too."""
        if not self._settled:
            self._settled = True
            self.server.sweep()

    def call(self, name: str, *arguments: int | bytes | bytearray | None) -> int:
        """A call in the kernel by this program."""
        self.settle()
        return self.server.call(self.pid, name, *arguments)

    def file(self, argument: int = 0) -> File:
        """The kernel's file that an argument is about; Passed when it is none."""
        return self.file_of(self.arguments[argument])

    def file_of(self, fd: int) -> File:
        """The kernel's file of a descriptor; Passed when it is none."""
        file = self.find(signed(fd))
        if file is None:
            raise Passed
        return file

    def find(self, fd: int) -> File | None:
        """The kernel's file of a descriptor; None when it is none."""
        return self.server.files.find(self.pid, fd)

    def read(self, address: int, length: int) -> bytearray:
        """Memory of the program."""
        return memory.read(self.pid, address, length)

    def write(self, address: int, data: bytes | bytearray) -> None:
        """Change memory of the program."""
        memory.write(self.pid, address, data)

    def install(self, fd: int, *, waits: bool, cloexec: bool) -> int:
        """Give the program a descriptor for one of the kernel; negative results are passed through."""
        if fd < 0:
            return fd
        return self.server.files.install(self.listener, self.notification, fd, waits=waits, cloexec=cloexec)

    def path(self, address: int, dirfd: int | None = None) -> tuple[int, bytes]:
        """Directory and path in the kernel; Passed for those of this machine."""
        path = memory.read_string(self.pid, address)
        inside = paths.inside(path, self._number)
        if inside is not None:
            return _AT_FDCWD, inside
        if dirfd is not None and signed(dirfd) >= 0 and not path.startswith(b"/"):
            return self.file_of(dirfd).fd, path
        raise Passed

    def _number(self, inner: int) -> int:
        self.settle()
        return self.server.number(inner)

    def patiently(self, file: File, events: int, attempt: Callable[[], int], *, waits: bool = True) -> int:
        """Try, and wait as long as there is nothing to do, if the program's file waits."""
        deadline: float | None = None
        first = True
        while True:
            result = attempt()
            if result != -errno.EAGAIN or not (file.waits and waits):
                return result
            if first:
                deadline, first = waiting.deadline(self, file, events), False
            if not waiting.ready(self, file.fd, events, deadline):
                return result
