"""Requests about one node: its status, attributes that can be set, links, extended attributes."""

from __future__ import annotations

import errno
import os

from liblinux._abi import AT_FDCWD, AT_SYMLINK_NOFOLLOW, TIMESPECS
from liblinux._typing import TYPE_CHECKING
from liblinux.fuse import _protocol as fuse
from liblinux.fuse._mounting import SERVER_ATTRIBUTE
from liblinux.fuse._protocol import Op, Set
from liblinux.fuse._served import FOREVER, Served, names_of

if TYPE_CHECKING:
    from liblinux.fuse._nodes import Node
    from liblinux.fuse._served import Answer, Handler, RawStat

__all__ = ["Metadata"]

_UTIME_NOW = 0x3FFFFFFF
_UTIME_OMIT = 0x3FFFFFFE
_GIGA = 10**9


class Metadata:
    """Handlers of these requests."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._os = served.os

    def handlers(self) -> dict[int, Handler]:
        """By opcode."""
        return {
            Op.GETATTR: self.getattr,
            Op.SETATTR: self.setattr,
            Op.STATX: self.statx,
            Op.READLINK: self.readlink,
            Op.STATFS: self.statfs,
            Op.GETXATTR: self.getxattr,
            Op.SETXATTR: self.setxattr,
            Op.LISTXATTR: self.listxattr,
            Op.REMOVEXATTR: self.removexattr,
            Op.SYNCFS: self.syncfs,
        }

    def getattr(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Status."""
        return self._served.attr_out(self._status(number, *fuse.GETATTR_IN.unpack_from(body)))

    def statx(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Status with the time of birth."""
        flags, handle, _, _ = fuse.STATX_IN.unpack_from(body)
        raw = self._status(number, flags, handle)
        mode, ino, device, nlink, uid, gid, size, *_, blksize, blocks, rdev, birth, _ = raw
        if self._served.owner is not None:
            uid, gid = self._served.owner
        mask = fuse.STATX_BASIC_STATS | (fuse.STATX_BTIME if birth >= 0 else 0)
        times = (raw[7], max(birth, 0), raw[9], raw[8])
        return b"".join(
            (
                fuse.STATX_OUT.pack(FOREVER, 0, 0),
                fuse.STATX.pack(
                    mask, blksize, 0, nlink, uid, gid, mode, self._served.inode(device, ino), size, blocks, 0
                ),
                *(fuse.STATX_TIME.pack(*divmod(time, _GIGA)) for time in times),
                fuse.STATX_DEVICES.pack(os.major(rdev), os.minor(rdev), 0, 0),
            )
        )

    def _status(self, number: int, flags: int, handle: int) -> RawStat:
        if flags & fuse.GETATTR_FH and handle:
            return self._served.native.stat(handle - 1)
        return self._served.status(self._served.nodes[number])

    def setattr(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Size, mode, owner and times."""
        valid, handle, size, atime, mtime, atime_ns, mtime_ns, mode, uid, gid = fuse.SETATTR_IN.unpack_from(body)
        node = self._served.nodes[number]
        place = handle - 1 if valid & Set.FH and handle else self._served.nodes.place(node)
        if valid & (Set.UID | Set.GID):
            self._set_owner(place, uid if valid & Set.UID else -1, gid if valid & Set.GID else -1)
        if valid & Set.MODE:
            # After the owner: chown(2) takes the set-user-id bit away.
            self._os.chmod(place, mode & 0o7777)
        if valid & Set.SIZE:
            self._os.truncate(place, size)
        if valid & (Set.ATIME | Set.MTIME):
            access = _moment(valid, Set.ATIME, Set.ATIME_NOW, atime, atime_ns)
            change = _moment(valid, Set.MTIME, Set.MTIME_NOW, mtime, mtime_ns)
            self._set_times(place, TIMESPECS.pack(*access, *change))
        return self._served.attr_out(self._served.status(node))

    def _set_owner(self, place: bytes | int, uid: int, gid: int) -> None:
        shown = self._served.owner
        if shown is not None:
            if uid in {-1, shown[0]} and gid in {-1, shown[1]}:
                return  # as it is shown already
            raise PermissionError(errno.EPERM, "owners are not the image's own under --owner")
        if isinstance(place, int):
            self._os.fchown(place, uid, gid)
        else:
            self._os.lchown(place, uid, gid)

    def _set_times(self, place: bytes | int, times: bytes) -> None:
        if isinstance(place, int):
            code = self._os.call("utimensat", place, None, times, 0)
        else:
            code = self._os.call("utimensat", AT_FDCWD, place, times, AT_SYMLINK_NOFOLLOW)
        if code < 0:
            raise OSError(-code, os.strerror(-code))

    def readlink(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """What a symbolic link says."""
        return self._os.readlink(self._served.nodes.path(self._served.nodes[number]))

    def statfs(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Size and free space."""
        found = self._os.statvfs("/")
        return fuse.STATFS_OUT.pack(
            found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree,
            found.f_bsize, found.f_namemax, found.f_frsize,
        )  # fmt: skip

    def syncfs(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Write all back."""
        self._os.sync()
        return b""

    # ---- extended attributes ---------------------------------------------

    def getxattr(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """The value of one."""
        (size,) = fuse.GETXATTR_IN.unpack_from(body)
        name = names_of(body[fuse.GETXATTR_IN.size :])[0]
        node = self._served.nodes[number]
        if name == SERVER_ATTRIBUTE.encode() and node is self._served.nodes.root:
            return _sized(b"%d" % os.getpid(), size)
        place, follow = self._xattr_place(node)
        return _sized(self._os.getxattr(place, name, follow_symlinks=follow), size)

    def listxattr(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """The names of all."""
        (size,) = fuse.GETXATTR_IN.unpack_from(body)
        place, follow = self._xattr_place(self._served.nodes[number])
        names = self._os.listxattr(place, follow_symlinks=follow)
        return _sized(b"".join(name.encode("utf-8", "surrogateescape") + b"\0" for name in names), size)

    def setxattr(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Set one."""
        size, flags = fuse.SETXATTR_IN.unpack_from(body)
        name, _, value = bytes(body[fuse.SETXATTR_IN.size :]).partition(b"\0")
        place, follow = self._xattr_place(self._served.nodes[number])
        self._os.setxattr(place, name, value[:size], flags, follow_symlinks=follow)
        return b""

    def removexattr(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Remove one."""
        place, follow = self._xattr_place(self._served.nodes[number])
        self._os.removexattr(place, names_of(body)[0], follow_symlinks=follow)
        return b""

    def _xattr_place(self, node: Node) -> tuple[bytes | int, bool]:
        place = self._served.nodes.place(node)
        return place, isinstance(place, int)


def _moment(valid: int, given: int, now: int, seconds: int, nanoseconds: int) -> tuple[int, int]:
    if valid & now:
        return 0, _UTIME_NOW
    return (seconds, nanoseconds) if valid & given else (0, _UTIME_OMIT)


def _sized(value: bytes, size: int) -> bytes:
    """A value, or with size 0 how long it is."""
    if size == 0:
        return fuse.GETXATTR_OUT.pack(len(value))
    if len(value) > size:
        raise OSError(errno.ERANGE, os.strerror(errno.ERANGE))
    return value
