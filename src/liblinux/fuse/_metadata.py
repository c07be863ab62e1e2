"""Requests about one node: its status, attributes that can be set, links, extended attributes."""

from __future__ import annotations

import errno
import os

import pyfuse3

from liblinux._abi import AT_FDCWD, AT_SYMLINK_NOFOLLOW, TIMESPECS
from liblinux._typing import TYPE_CHECKING
from liblinux.fuse._answers import Answers, answer
from liblinux.fuse._mounting import SERVER_ATTRIBUTE

if TYPE_CHECKING:
    from liblinux.fuse._nodes import Node

__all__ = ["Metadata"]

_UTIME_OMIT = 0x3FFFFFFE
_GIGA = 10**9


class Metadata(Answers):
    """Answers to these requests."""

    @answer
    def getattr(self, inode: int, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        """Status."""
        node = self._nodes[inode]
        return self._served.attributes(node, self._served.status(node))

    @answer
    def setattr(
        self,
        inode: int,
        attr: pyfuse3.EntryAttributes,
        fields: pyfuse3.SetattrFields,
        fh: int | None,
        ctx: pyfuse3.RequestContext,
    ) -> pyfuse3.EntryAttributes:
        """Size, mode, owner and times."""
        node = self._nodes[inode]
        place = self._nodes.place(node) if fh is None else fh
        if fields.update_uid or fields.update_gid:
            self._set_owner(place, attr.st_uid if fields.update_uid else -1, attr.st_gid if fields.update_gid else -1)
        if fields.update_mode:
            # After the owner: chown(2) takes the set-user-id bit away.
            self._os.chmod(place, attr.st_mode & 0o7777)
        if fields.update_size:
            self._os.truncate(place, attr.st_size)
        if fields.update_atime or fields.update_mtime:
            access = divmod(attr.st_atime_ns, _GIGA) if fields.update_atime else (0, _UTIME_OMIT)
            change = divmod(attr.st_mtime_ns, _GIGA) if fields.update_mtime else (0, _UTIME_OMIT)
            self._set_times(place, TIMESPECS.pack(*access, *change))
        return self._served.attributes(node, self._served.status(node))

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

    @answer
    def readlink(self, inode: int, ctx: pyfuse3.RequestContext) -> bytes:
        """What a symbolic link says."""
        return self._os.readlink(self._nodes.path(self._nodes[inode]))

    @answer
    def statfs(self, ctx: pyfuse3.RequestContext) -> pyfuse3.StatvfsData:
        """Size and free space."""
        found = self._os.statvfs("/")
        shown = pyfuse3.StatvfsData()
        shown.f_bsize, shown.f_frsize, shown.f_namemax = found.f_bsize, found.f_frsize, found.f_namemax
        shown.f_blocks, shown.f_bfree, shown.f_bavail = found.f_blocks, found.f_bfree, found.f_bavail
        shown.f_files, shown.f_ffree, shown.f_favail = found.f_files, found.f_ffree, found.f_favail
        return shown

    # ---- extended attributes ---------------------------------------------

    @answer
    def getxattr(self, inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> bytes:
        """The value of one."""
        node = self._nodes[inode]
        if name == SERVER_ATTRIBUTE.encode() and node is self._nodes.root:
            return b"%d" % os.getpid()
        place, follow = self._xattr_place(node)
        return self._os.getxattr(place, name, follow_symlinks=follow)

    @answer
    def listxattr(self, inode: int, ctx: pyfuse3.RequestContext) -> list[bytes]:
        """The names of all."""
        place, follow = self._xattr_place(self._nodes[inode])
        return [os.fsencode(name) for name in self._os.listxattr(place, follow_symlinks=follow)]

    @answer
    def setxattr(self, inode: int, name: bytes, value: bytes, ctx: pyfuse3.RequestContext) -> None:
        """Set one; pyfuse3 has seen to XATTR_CREATE and XATTR_REPLACE."""
        place, follow = self._xattr_place(self._nodes[inode])
        self._os.setxattr(place, name, value, follow_symlinks=follow)

    @answer
    def removexattr(self, inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        """Remove one."""
        place, follow = self._xattr_place(self._nodes[inode])
        self._os.removexattr(place, name, follow_symlinks=follow)

    def _xattr_place(self, node: Node) -> tuple[bytes | int, bool]:
        place = self._nodes.place(node)
        return place, isinstance(place, int)
