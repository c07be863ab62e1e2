"""Requests about open files.

Of an image that is only read, files are not opened for the host: it asks with
the node alone, and the image's descriptors are kept here for a while. That is
one request for a small file instead of three.
"""

from __future__ import annotations

import errno
import fcntl
import os

from liblinux._typing import TYPE_CHECKING
from liblinux.fuse import _protocol as fuse
from liblinux.fuse._protocol import Op, Open
from liblinux.fuse._served import Served, names_of

if TYPE_CHECKING:
    from liblinux.fuse._nodes import Node
    from liblinux.fuse._served import Answer, Handler

__all__ = ["READ_BYTES", "Files"]

# The most that Linux asks for at once: 256 pages.
READ_BYTES = 1 << 20
_KEPT_FILES = 64
# What O_DIRECT wants offsets and lengths to be multiples of: no disk has larger sectors.
_DIRECT_ALIGNMENT = 4096
_CREATION = os.O_CREAT | os.O_EXCL | os.O_NOCTTY
# Of the host's flags these are the host's alone: appending is done by it, and O_DIRECT needs other memory.
_NOT_PASSED_ON = os.O_APPEND | os.O_DIRECT | os.O_NOATIME
_O_TMPFILE = 0o20200000
# What FS_IOC_GETFLAGS and its like are: commands that need no more than their one structure.
_IOCTLS = {
    0x80086601: 4,  # FS_IOC_GETFLAGS
    0x40086602: 4,  # FS_IOC_SETFLAGS
    0x80087601: 4,  # FS_IOC_GETVERSION
    0x801C581F: 28,  # FS_IOC_FSGETXATTR
    0x401C5820: 28,  # FS_IOC_FSSETXATTR
}


class Files:
    """Handlers of these requests."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._nodes = served.nodes
        self._os = served.os
        self._native = served.native
        self._buffer = memoryview(bytearray(READ_BYTES))
        self._direct_buffer = _touched(served.image.process.mmap(None, READ_BYTES, shared=False))
        self._kept: dict[int, int] = {}
        self._without_direct: set[int] = set()  # of the kept ones

    def handlers(self) -> dict[int, Handler]:
        """By opcode."""
        handlers: dict[int, Handler] = {
            Op.READ: self.read,
            Op.WRITE: self.write,
            Op.FSYNC: self.fsync,
            Op.FALLOCATE: self.fallocate,
            Op.LSEEK: self.lseek,
            Op.COPY_FILE_RANGE: self.copy_file_range,
            Op.CREATE: self.create,
            Op.TMPFILE: self.tmpfile,
            Op.IOCTL: self.ioctl,
        }
        if not self._served.readonly:
            # Without an answer to OPEN the host does not ask again, nor for RELEASE.
            handlers |= {Op.OPEN: self.open, Op.RELEASE: self.release}
        return handlers

    # ---- opening ---------------------------------------------------------

    def open(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Open a file."""
        flags, _ = fuse.OPEN_IN.unpack_from(body)
        return self._opened(self._nodes[number], self._open(self._nodes[number], flags))

    def _open(self, node: Node, flags: int) -> int:
        flags &= ~(_CREATION | _NOT_PASSED_ON)
        if flags & os.O_ACCMODE == os.O_WRONLY and not self._served.readonly:
            flags ^= os.O_WRONLY | os.O_RDWR  # the host reads the rest of a page that is written in part
        return self._native.open(self._nodes.path(node), flags | os.O_NOFOLLOW)

    def _opened(self, node: Node, descriptor: int) -> bytes:
        node.descriptors.append(descriptor)
        return fuse.OPEN_OUT.pack(descriptor + 1, Open.KEEP_CACHE | Open.NOFLUSH)

    def create(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Create a file and open it."""
        flags, mode, umask, _ = fuse.CREATE_IN.unpack_from(body)
        parent = self._nodes[number]
        name = names_of(body[fuse.CREATE_IN.size :])[0]
        self._served.mask(umask)
        wanted = os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW | flags & (os.O_EXCL | os.O_TRUNC)
        path = self._served.below(parent, name)
        fresh = self._nodes.named(parent, name) is None
        descriptor = self._native.open(path, wanted, mode & 0o7777)
        try:
            if fresh:
                self._served.give(parent, descriptor, caller)
            entry = self._served.entry(parent, name)
        except BaseException:
            self._native.close(descriptor)
            raise
        return entry + self._opened(self._nodes.meet(parent, name, self._key(descriptor)), descriptor)

    def tmpfile(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """A file without a name (O_TMPFILE)."""
        _, mode, umask, _ = fuse.CREATE_IN.unpack_from(body)
        parent = self._nodes[number]
        self._served.mask(umask)
        descriptor = self._native.open(self._nodes.path(parent), _O_TMPFILE | os.O_RDWR, mode & 0o7777)
        self._served.give(parent, descriptor, caller)
        node = self._nodes.fresh(self._key(descriptor))
        return self._served.introduce(node, self._native.stat(descriptor)) + self._opened(node, descriptor)

    def _key(self, descriptor: int) -> tuple[int, int]:
        raw = self._native.stat(descriptor)
        return raw[2], raw[1]

    def release(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """The host has closed a file."""
        (handle,) = fuse.RELEASE_IN.unpack_from(body)
        self._nodes.release(self._nodes[number], handle - 1)
        self._native.close(handle - 1)
        return b""

    def _descriptor(self, number: int, handle: int) -> int:
        """That of an open file, or one that is kept for its node."""
        if handle:
            return handle - 1
        kept = self._kept
        descriptor = kept.pop(number, None)
        if descriptor is None:
            if len(kept) == _KEPT_FILES:
                oldest = kept.pop(next(iter(kept)))
                self._without_direct.discard(oldest)
                self._native.close(oldest)
            descriptor = self._open_to_keep(self._nodes.path(self._nodes[number]))
        kept[number] = descriptor  # at the end again: used last
        return descriptor

    def _open_to_keep(self, path: bytes) -> int:
        try:
            return self._native.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECT)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        # Not on this file system, or not of a file like this one, which may be compressed.
        descriptor = self._native.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        self._without_direct.add(descriptor)
        return descriptor

    # ---- contents --------------------------------------------------------

    def read(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Bytes of a file."""
        handle, offset, size = fuse.READ_IN.unpack_from(body)
        descriptor = self._descriptor(number, handle)
        direct = self._is_direct(handle, descriptor, offset | size)
        buffer = (self._direct_buffer if direct else self._buffer)[:size]
        got = self._native.preadinto(descriptor, buffer, offset)
        while 0 < got < size:
            # A short read is the end of the file to the host.
            if direct and got % _DIRECT_ALIGNMENT:
                break
            more = self._native.preadinto(descriptor, buffer[got:], offset + got)
            if not more:
                break
            got += more
        return buffer[:got]

    def _is_direct(self, handle: int, descriptor: int, place: int) -> bool:
        """Whether a read is by O_DIRECT; a file of which odd pieces are wanted goes without from then on."""
        if handle or descriptor in self._without_direct:
            return False
        if place % _DIRECT_ALIGNMENT == 0:
            return True
        self._os.call("fcntl", descriptor, fcntl.F_SETFL, 0)
        self._without_direct.add(descriptor)
        return False

    def write(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Change bytes of a file."""
        handle, offset, size = fuse.READ_IN.unpack_from(body)
        start = fuse.READ_IN.size
        written = self._native.pwrite(handle - 1, body[start : start + size], offset)
        return fuse.WRITE_OUT.pack(written)

    def fsync(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """To the disk, which is the image."""
        handle, flags = fuse.FSYNC_IN.unpack_from(body)
        if flags & fuse.FSYNC_FDATASYNC:
            self._os.fdatasync(self._descriptor(number, handle))
        else:
            self._os.fsync(self._descriptor(number, handle))
        return b""

    def fallocate(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Reserve space, or make a hole."""
        handle, offset, length, mode = fuse.FALLOCATE_IN.unpack_from(body)
        self._os.fallocate(handle - 1, mode, offset, length)
        return b""

    def lseek(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """The next data or hole."""
        handle, offset, whence = fuse.LSEEK_IN.unpack_from(body)
        return fuse.LSEEK_OUT.pack(self._os.lseek(self._descriptor(number, handle), offset, whence))

    def copy_file_range(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Copy inside the image, sharing blocks where it can."""
        handle, offset, target, target_handle, target_offset, length, _ = fuse.COPY_FILE_RANGE_IN.unpack_from(body)
        source = self._descriptor(number, handle)
        target = self._descriptor(target, target_handle)
        # A signed int is what there is room for in the answer.
        length = min(length, 0x7FFFF000)
        return fuse.WRITE_OUT.pack(self._os.copy_file_range(source, target, length, offset, target_offset))

    def ioctl(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Flags of chattr(1)."""
        handle, _, command, _, size_in, size_out = fuse.IOCTL_IN.unpack_from(body)
        if command not in _IOCTLS:
            raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
        start = fuse.IOCTL_IN.size
        memory = bytearray(max(size_in, size_out, _IOCTLS[command]))
        memory[:size_in] = body[start : start + size_in]
        place = handle - 1 if handle else self._descriptor(number, 0)
        result = self._os.call("ioctl", place, command, memory)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return fuse.IOCTL_OUT.pack(result, 0, 0, 0) + bytes(memory[:size_out])


def _touched(memory: memoryview) -> memoryview:
    """The same memory with all of its pages there: a system call of the host does not fetch them."""
    memory[:] = bytes(len(memory))
    return memory
