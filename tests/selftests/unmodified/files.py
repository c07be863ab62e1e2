"""Descriptors: in every program a socket of this machine stands for a file of the kernel.

It is one end of a socket pair; the other end is kept here. So dup2, fork, exec, close and exit do with it what
they do with every descriptor, and when the last one is closed the end that is kept here is told: the file of
the kernel is closed then. That is seen before the next call of any program is answered.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass

from liblinux import _native
from unmodified.filter import FIRST_FD

_ADD_FD = 0x40182103
_AT_THIS_NUMBER = 1
_O_CLOEXEC = os.O_CLOEXEC


@dataclass
class File:
    """A file of the kernel: its descriptor there, which never waits, and whether programs want to wait."""

    fd: int
    waits: bool
    kept: socket.socket
    name: str


class Files:
    """All files of the kernel that programs have open."""

    def __init__(self, process: _native.Process, numbers: Mapping[str, int]) -> None:
        self._process, self._close = process, numbers["close"]
        low = process.call(numbers["epoll_create1"], 0)
        for number in range(low + 1, FIRST_FD):  # nobody opens them: the kernel's numbers begin where ours do
            process.call(numbers["dup2"], low, number)
        #: Descriptors of the kernel to which numbers of processes are written.
        self.of_processes: set[int] = set()
        self._by_name: dict[str, File] = {}
        self._by_kept: dict[int, File] = {}
        #: Readable when something was closed, and sweep() has something to do.
        self.ends = select.epoll()
        self._sweeping = threading.Lock()

    def find(self, pid: int, fd: int) -> File | None:
        """The kernel's file behind a descriptor of a program; None when it is this machine's, or closed."""
        try:
            return self._by_name.get(os.readlink(f"/proc/{pid}/fd/{fd}"))
        except OSError:
            return None

    def install(self, listener: int, notification: int, fd: int, *, waits: bool, cloexec: bool) -> int:
        """Give a program a descriptor for the kernel's `fd`; returns its number there, or -errno."""
        kept, given = socket.socketpair()
        file = File(fd, waits, kept, os.readlink(f"/proc/self/fd/{given.fileno()}"))
        self._by_name[file.name] = self._by_kept[kept.fileno()] = file
        self.ends.register(kept.fileno(), 0)
        # The same number as in the kernel, for netlink's messages have descriptors in them (of namespaces).
        request = struct.pack("<QIIII", notification, _AT_THIS_NUMBER, given.fileno(), fd, cloexec * _O_CLOEXEC)
        try:
            fcntl.ioctl(listener, _ADD_FD, request)
        except OSError as error:
            # Above the program's limit. When this end is closed, nobody has it: the next sweep closes the rest.
            if error.errno == errno.EBADF:
                return -errno.EMFILE
            raise
        finally:
            given.close()
        return fd

    def sweep(self) -> None:
        """Close what no program has any more."""
        # One thread at a time, from the question on: the number of an end that another has closed may be a new one's.
        with self._sweeping:
            gone = [self._by_kept.pop(number) for number, _ in self.ends.poll(0)]
            for file in gone:
                del self._by_name[file.name]
                self.ends.unregister(file.kept.fileno())
                self.of_processes.discard(file.fd)
                file.kept.close()
        for file in gone:  # which may take as long as a socket lingers
            self._process.call(self._close, file.fd)
