"""Descriptors: in every program a socket of this machine stands for a file of the kernel.

It is one end of a socket pair; the other end is kept here. So dup2, fork, exec, close and exit do with it what
they do with every descriptor, and when the last one is closed the end that is kept here is told: the file of
the kernel is closed then. That is seen before the next call of any program is answered.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import socket
import struct
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from liblinux import _native
from unmodified.filter import FIRST_FD
from unmodified.ring import Ring, Wanted

_ADD_FD = 0x40182103
_AT_THIS_NUMBER = 1
_NR_PIDFD_GETFD = 438
_LIBC = ctypes.CDLL(None, use_errno=True)
_O_CLOEXEC = os.O_CLOEXEC


@dataclass
class File:
    """A file of the kernel: its descriptor there, which never waits, and whether programs want to wait."""

    fd: int
    waits: bool
    kept: socket.socket
    name: str
    #: Of packet sockets: memory that is shared with the kernel.
    wanted: Wanted = field(default_factory=Wanted)
    ring: Ring | None = None


@dataclass
class Aside:
    """What stands for a file in a program, while memory is in its place."""

    pid: int
    fd: int
    name_of_memory: str
    stands_for_it: int

    def there(self) -> bool:
        """Whether the memory is still in its place: it may have been closed."""
        try:
            return os.readlink(f"/proc/{self.pid}/fd/{self.fd}") == self.name_of_memory
        except OSError:
            return False


def borrow(pid: int, fd: int) -> int:
    """A copy of a descriptor of a program; negative when it has none of this number."""
    pidfd = os.pidfd_open(pid)
    try:
        return int(_LIBC.syscall(_NR_PIDFD_GETFD, pidfd, fd, 0))
    finally:
        os.close(pidfd)


class Files:
    """All files of the kernel that programs have open."""

    def __init__(self, process: _native.Process, numbers: Mapping[str, int]) -> None:
        self._process, self._close = process, numbers["close"]
        low = process.call(numbers["epoll_create1"], 0)
        for number in range(low + 1, FIRST_FD):  # nobody opens them: the kernel's numbers begin where ours do
            process.call(numbers["dup2"], low, number)
        #: Descriptors of the kernel to which numbers of processes are written.
        self.of_processes: set[int] = set()
        #: Memory that programs share with the kernel.
        self.rings: list[Ring] = []
        self.set_aside: list[Aside] = []
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

    def show_memory(self, listener: int, notification: int, pid: int, fd: int, file: File) -> None:
        """Put the memory of a ring in the place of a program's descriptor: its mmap(2), which waits, maps that."""
        ring = file.ring
        if ring is None:
            return
        self._by_name[ring.name] = file
        if ring not in self.rings:
            self.rings.append(ring)
        self.set_aside.append(Aside(pid, fd, ring.name, borrow(pid, fd)))
        _replace(listener, notification, ring.file, fd)

    def put_back(self, listener: int, notification: int, pid: int) -> None:
        """At the next call of a thread, its mmap(2) is done: its descriptor is what it was before."""
        for aside in [aside for aside in self.set_aside if aside.pid == pid]:
            self.set_aside.remove(aside)
            if aside.there():
                _replace(listener, notification, aside.stands_for_it, aside.fd)
            os.close(aside.stands_for_it)

    def sweep(self) -> None:
        """Close what no program has any more."""
        # One thread at a time, from the question on: the number of an end that another has closed may be a new one's.
        with self._sweeping:
            for aside in [aside for aside in self.set_aside if not aside.there()]:
                self.set_aside.remove(aside)
                os.close(aside.stands_for_it)
            gone = [self._by_kept.pop(number) for number, _ in self.ends.poll(0)]
            for file in gone:
                self._forget(file)
        for file in gone:  # which may take as long as a socket lingers
            self._process.call(self._close, file.fd)

    def _forget(self, file: File) -> None:
        del self._by_name[file.name]
        self.ends.unregister(file.kept.fileno())
        self.of_processes.discard(file.fd)
        if file.ring is not None:
            self._by_name.pop(file.ring.name, None)
            if file.ring in self.rings:  # not one that its program never mapped
                self.rings.remove(file.ring)
            file.ring.close()
        file.kept.close()


def _replace(listener: int, notification: int, ours: int, fd: int) -> None:
    request = struct.pack("<QIIII", notification, _AT_THIS_NUMBER, ours, fd, _O_CLOEXEC)
    fcntl.ioctl(listener, _ADD_FD, request)
