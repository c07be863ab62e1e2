"""Requests about open files.

Of an image that is only read, files are opened with O_DIRECT: the host has a page
cache of its own, and filling two costs more than reading does.
"""

from __future__ import annotations

import errno
import fcntl
import os

import pyfuse3

from liblinux._typing import TYPE_CHECKING
from liblinux.fuse._answers import Answers, answer

if TYPE_CHECKING:
    from liblinux.fuse._nodes import Node
    from liblinux.fuse._served import Served

__all__ = ["Files"]

# The most that Linux and libfuse ask for at once: 256 pages.
_READ_BYTES = 1 << 20
# What O_DIRECT wants offsets and lengths to be multiples of: no disk has larger sectors.
_DIRECT_ALIGNMENT = 4096
_CREATION = os.O_CREAT | os.O_EXCL | os.O_NOCTTY
# Of the host's flags these are the host's alone: appending is done by it, and O_DIRECT needs other memory.
_NOT_PASSED_ON = os.O_APPEND | os.O_DIRECT | os.O_NOATIME


class Files(Answers):
    """Answers to these requests."""

    def __init__(self, served: Served) -> None:
        super().__init__(served)
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._direct_buffer = _touched(served.image.process.mmap(None, _READ_BYTES, shared=False))
        self._opened: dict[int, Node] = {}  # by descriptor
        self._direct: set[int] = set()  # of these, the descriptors that are read by O_DIRECT

    # ---- opening ---------------------------------------------------------

    @answer
    def open(self, inode: int, flags: int, ctx: pyfuse3.RequestContext) -> pyfuse3.FileInfo:
        """Open a file."""
        node = self._nodes[inode]
        flags &= ~(_CREATION | _NOT_PASSED_ON)
        if self._served.readonly:
            return self._handed_out(node, self._open_to_read(self._nodes.path(node)))
        if flags & os.O_ACCMODE == os.O_WRONLY:
            flags ^= os.O_WRONLY | os.O_RDWR  # the host reads the rest of a page that is written in part
        return self._handed_out(node, self._native.open(self._nodes.path(node), flags | os.O_NOFOLLOW))

    def _open_to_read(self, path: bytes) -> int:
        try:
            descriptor = self._native.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECT)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            # Not on this file system, or not of a file like this one, which may be compressed.
            return self._native.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        self._direct.add(descriptor)
        return descriptor

    def _handed_out(self, node: Node, descriptor: int) -> pyfuse3.FileInfo:
        node.descriptors.append(descriptor)
        self._opened[descriptor] = node
        return pyfuse3.FileInfo(fh=descriptor, keep_cache=True)

    @answer
    def create(
        self, parent_inode: int, name: bytes, mode: int, flags: int, ctx: pyfuse3.RequestContext
    ) -> tuple[pyfuse3.FileInfo, pyfuse3.EntryAttributes]:
        """Create a file and open it."""
        parent = self._nodes[parent_inode]
        wanted = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | flags & (os.O_EXCL | os.O_TRUNC)
        fresh = self._nodes.named(parent, name) is None
        descriptor = self._native.open(self._served.below(parent, name), wanted, mode & 0o7777)
        try:
            if fresh:
                self._served.give(parent, descriptor, ctx)
            entry = self._served.entry(parent, name)
        except BaseException:
            self._native.close(descriptor)
            raise
        raw = self._native.stat(descriptor)
        return self._handed_out(self._nodes.meet(parent, name, (raw[2], raw[1])), descriptor), entry

    @answer
    def release(self, fh: int) -> None:
        """The host has closed a file."""
        self._direct.discard(fh)
        self._nodes.release(self._opened.pop(fh), fh)
        self._native.close(fh)

    # ---- contents --------------------------------------------------------

    @answer
    def read(self, fh: int, off: int, size: int) -> memoryview:  # type: ignore[override]  # any buffer will do
        """Bytes of a file, which are sent before the next request is looked at."""
        direct = fh in self._direct and self._stays_direct(fh, off | size)
        buffer = (self._direct_buffer if direct else self._buffer)[:size]
        got = self._native.preadinto(fh, buffer, off)
        while 0 < got < size:
            # A short read is the end of the file to the host.
            if direct and got % _DIRECT_ALIGNMENT:
                break
            more = self._native.preadinto(fh, buffer[got:], off + got)
            if not more:
                break
            got += more
        return buffer[:got]

    def _stays_direct(self, descriptor: int, place: int) -> bool:
        """Whether a read can be by O_DIRECT; a file of which odd pieces are wanted goes without from then on."""
        if place % _DIRECT_ALIGNMENT == 0:
            return True
        self._os.call("fcntl", descriptor, fcntl.F_SETFL, 0)
        self._direct.discard(descriptor)
        return False

    @answer
    def write(self, fh: int, off: int, buf: bytes) -> int:
        """Change bytes of a file."""
        return self._native.pwrite(fh, buf, off)

    @answer
    def fsync(self, fh: int, datasync: bool) -> None:
        """To the disk, which is the image."""
        if datasync:
            self._os.fdatasync(fh)
        else:
            self._os.fsync(fh)


def _touched(memory: memoryview) -> memoryview:
    """The same memory with all of its pages there: a system call of the host does not fetch them."""
    memory[:] = bytes(len(memory))
    return memory
