"""`kernel.os`: open files, by their descriptors. Names and arguments are those of `os`.

The descriptors are the kernel's, not the host's: they mean nothing to the
standard library's own `os`.
"""

from __future__ import annotations

import os
import struct

from liblinux import _abi
from liblinux._os_base import Calls, StrOrBytesPath, blame, decode, dir_descriptor, encode, packed
from liblinux._typing import TYPE_CHECKING
from liblinux._vector import vector

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from typing_extensions import Buffer

    from liblinux import _native

__all__ = ["Descriptors"]

_WHOLE_64_BITS = struct.Struct("=q")


class Descriptors(Calls):
    """Functions over file descriptors."""

    read: Callable[[int, int], bytes]
    write: Callable[[int, Buffer], int]
    pread: Callable[[int, int, int], bytes]
    pwrite: Callable[[int, Buffer, int], int]
    readinto: Callable[[int, Buffer], int]
    close: Callable[[int], None]

    def __init__(self, native: _native.Process, numbers: Mapping[str, int]) -> None:
        super().__init__(native, numbers)
        # Straight to the extension: a Python frame would cost more than the calls.
        self.read = native.read
        self.write = native.write
        self.pread = native.pread
        self.pwrite = native.pwrite
        self.readinto = native.readinto
        self.close = native.close

    def open(self, path: StrOrBytesPath, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        """Open a file; returns a descriptor. Source: open(2)."""
        try:
            return self._native.open(encode(path), flags, mode, dir_descriptor(dir_fd))
        except OSError as error:
            blame(error, path)

    def closerange(self, fd_low: int, fd_high: int) -> None:
        """Close all descriptors from `fd_low` up to but not including `fd_high`."""
        if fd_high > fd_low:
            self.call("close_range", fd_low, fd_high - 1, 0)

    def lseek(self, fd: int, position: int, whence: int = os.SEEK_SET) -> int:
        """Set the position; returns it, in bytes from the start. SEEK_DATA and SEEK_HOLE too."""
        return self._call("lseek", fd, position, whence)

    def readv(self, fd: int, buffers: Sequence[Buffer]) -> int:
        """Read into several writable buffers one after the other; returns the bytes read."""
        with vector(self._native, buffers) as memory:
            return memory.taken(self._call("readv", fd, memory.vector, len(buffers)))

    def writev(self, fd: int, buffers: Sequence[Buffer]) -> int:
        """Write several buffers as one; returns the bytes written."""
        # One write of the joined data keeps the promise of writev(2) that nothing comes between.
        return self.write(fd, b"".join(memoryview(buffer).cast("B") for buffer in buffers))

    def preadv(self, fd: int, buffers: Sequence[Buffer], offset: int, flags: int = 0) -> int:
        """Like readv at a position of the file; `flags` are those of preadv2(2)."""
        with vector(self._native, buffers) as memory:
            return memory.taken(self._call("preadv2", fd, memory.vector, len(buffers), offset, 0, flags))

    def pwritev(self, fd: int, buffers: Sequence[Buffer], offset: int, flags: int = 0) -> int:
        """Like writev at a position of the file; `flags` are those of pwritev2(2)."""
        joined = bytearray().join(memoryview(buffer).cast("B") for buffer in buffers)
        with vector(self._native, [joined]) as memory:
            return self._call("pwritev2", fd, memory.vector, 1, offset, 0, flags)

    def ftruncate(self, fd: int, length: int) -> None:
        """Set the size of an open file, in bytes."""
        self._call("ftruncate", fd, length)

    def fsync(self, fd: int) -> None:
        """Write a file's data and metadata to its disk."""
        self._call("fsync", fd)

    def fdatasync(self, fd: int) -> None:
        """Write a file's data, and what of its metadata is needed to find it."""
        self._call("fdatasync", fd)

    def sync(self) -> None:
        """Write everything to the disks."""
        self._call("sync")

    def syncfs(self, fd: int) -> None:
        """Write everything of the file system that `fd` is on. Source: syncfs(2)."""
        self._call("syncfs", fd)

    def dup(self, fd: int) -> int:
        """A second descriptor of the same open file."""
        return self._call("dup", fd)

    def dup2(self, fd: int, fd2: int) -> int:
        """Make `fd2` a second descriptor of the same open file; returns it."""
        return self._call("dup2", fd, fd2)

    def pipe(self) -> tuple[int, int]:
        """A pipe: the descriptors to read from and to write to."""
        return self.pipe2(0)

    def pipe2(self, flags: int) -> tuple[int, int]:
        """A pipe with O_NONBLOCK, O_CLOEXEC or O_DIRECT."""
        pair = bytearray(8)
        self._call("pipe2", pair, flags)
        first, second = struct.unpack("=ii", pair)
        return first, second

    def eventfd(self, initval: int, flags: int = 0) -> int:
        """A counter that can be waited for. Source: eventfd(2)."""
        return self._call("eventfd2", initval, flags)

    def eventfd_read(self, fd: int) -> int:
        """Take the count of an eventfd."""
        return int.from_bytes(self.read(fd, 8), "little")

    def eventfd_write(self, fd: int, value: int) -> None:
        """Add to the count of an eventfd."""
        self.write(fd, value.to_bytes(8, "little"))

    def memfd_create(self, name: str, flags: int = os.MFD_CLOEXEC) -> int:
        """An anonymous file in the kernel's memory."""
        return self._call("memfd_create", encode(name), flags)

    def copy_file_range(
        self, src: int, dst: int, count: int, offset_src: int | None = None, offset_dst: int | None = None
    ) -> int:
        """Copy inside the kernel, sharing blocks where the file system can; returns the bytes copied."""
        return self._move("copy_file_range", src, dst, count, offset_src, offset_dst, 0)

    def splice(
        self,
        src: int,
        dst: int,
        count: int,
        offset_src: int | None = None,
        offset_dst: int | None = None,
        flags: int = 0,
    ) -> int:
        """Move pages to or from a pipe; returns the bytes moved."""
        return self._move("splice", src, dst, count, offset_src, offset_dst, flags)

    def sendfile(self, out_fd: int, in_fd: int, offset: int | None, count: int) -> int:
        """Copy from one descriptor to another; `offset` None reads from the file's position."""
        position = None if offset is None else packed(_WHOLE_64_BITS, offset)
        return self._call("sendfile", out_fd, in_fd, position, count)

    def posix_fallocate(self, fd: int, offset: int, length: int) -> None:
        """Reserve disk space for a range of a file."""
        self._call("fallocate", fd, 0, offset, length)

    def fallocate(self, fd: int, mode: int, offset: int, length: int) -> None:
        """Reserve, punch, zero, collapse or insert a range. Source: fallocate(2)."""
        self._call("fallocate", fd, mode, offset, length)

    def posix_fadvise(self, fd: int, offset: int, length: int, advice: int) -> None:
        """Announce how a range of a file will be used."""
        self._call("fadvise64", fd, offset, length, advice)

    def fstat(self, fd: int) -> os.stat_result:
        """Status of an open file."""
        return stat_result(self._native.stat(fd))

    def fchmod(self, fd: int, mode: int) -> None:
        """Change the permissions of an open file."""
        self._call("fchmod", fd, mode)

    def fchown(self, fd: int, uid: int, gid: int) -> None:
        """Change the owner of an open file; -1 leaves one as it is."""
        self._call("fchown", fd, uid, gid)

    def fchdir(self, fd: int) -> None:
        """Make an open directory the working directory."""
        self._call("fchdir", fd)

    def fstatvfs(self, fd: int) -> os.statvfs_result:
        """Size and limits of the file system that an open file is on."""
        buffer = bytearray(_abi.STATFS.size)
        self._call("fstatfs", fd, buffer)
        return statvfs_result(buffer)

    def fpathconf(self, fd: int, name: str) -> int:
        """Limits of the file system of an open file; those that Linux itself knows."""
        return pathconf(self.fstatvfs(fd), name)

    def isatty(self, fd: int) -> bool:
        """Whether the descriptor is a terminal of the kernel."""
        termios = bytearray(64)
        return self.call("ioctl", fd, 0x5401, termios) >= 0

    def get_blocking(self, fd: int) -> bool:
        """Whether reads and writes wait."""
        return not self._call("fcntl", fd, 3, 0) & os.O_NONBLOCK

    def set_blocking(self, fd: int, blocking: bool) -> None:
        """Let reads and writes wait, or fail with BlockingIOError."""
        flags = self._call("fcntl", fd, 3, 0)
        self._call("fcntl", fd, 4, flags & ~os.O_NONBLOCK if blocking else flags | os.O_NONBLOCK)

    def ttyname(self, fd: int) -> str:
        """The path of an open terminal."""
        buffer = bytearray(4096)
        length = self._on(fd, "readlink", f"/proc/self/fd/{fd}".encode(), buffer, len(buffer))
        return decode(bytes(buffer[:length]))

    def _move(
        self,
        name: str,
        src: int,
        dst: int,
        count: int,
        offset_src: int | None,
        offset_dst: int | None,
        flags: int,
    ) -> int:
        source = None if offset_src is None else packed(_WHOLE_64_BITS, offset_src)
        target = None if offset_dst is None else packed(_WHOLE_64_BITS, offset_dst)
        return self._call(name, src, source, dst, target, count, flags)


def stat_result(raw: Sequence[int]) -> os.stat_result:
    """The native layer's tuple as the standard library's result, nanoseconds and all.

    The order behind the tenth item is that of the structure's hidden fields:
    times as float, times in nanoseconds, st_blksize, st_blocks, st_rdev.
    """
    mode, ino, dev, nlink, uid, gid, size, atime, mtime, ctime, blksize, blocks, rdev = raw[:13]
    return os.stat_result(
        (
            mode,
            ino,
            dev,
            nlink,
            uid,
            gid,
            size,
            atime // 1000000000,
            mtime // 1000000000,
            ctime // 1000000000,
            atime / 1e9,
            mtime / 1e9,
            ctime / 1e9,
            atime,
            mtime,
            ctime,
            blksize,
            blocks,
            rdev,
        )
    )


def statvfs_result(raw: bytes | bytearray) -> os.statvfs_result:
    """The kernel's struct statfs as the standard library's result."""
    _, bsize, blocks, free, available, files, files_free, low, high, name_max, fragment, flags, *_ = _abi.STATFS.unpack(
        raw
    )
    fsid = (high & 0xFFFFFFFF) << 32 | (low & 0xFFFFFFFF)
    return os.statvfs_result(
        (
            bsize,
            fragment or bsize,
            blocks,
            free,
            available,
            files,
            files_free,
            files_free,
            flags & ~0x20,  # ST_VALID is the kernel's own mark
            name_max,
            fsid,
        )
    )


def pathconf(status: os.statvfs_result, name: str) -> int:
    """The few pathconf(3) answers that come from the kernel and not from a C library."""
    answers = {"PC_NAME_MAX": status.f_namemax, "PC_PATH_MAX": 4096, "PC_PIPE_BUF": 4096, "PC_SYMLINK_MAX": 4096}
    if name not in answers:
        raise ValueError(f"unrecognized configuration name {name!r}; known are {', '.join(answers)}")
    return answers[name]
