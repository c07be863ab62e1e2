"""A place inside the target where an archive is unpacked before anything else is touched.

What goes wrong while an archive is read (it is damaged, it is refused, the file system
is full, Ctrl-C) goes wrong in a directory of its own, which is removed then. Only
what is whole is moved to its place, by rename; before the first move it is known that
all of them are possible. One thing cannot be known: whether a directory of FAT has
room for the names. So what is new is moved first, and moved back when that fails;
what replaces something needs no room.
"""

from __future__ import annotations

import errno
import os
import stat

from liblinux._typing import TYPE_CHECKING, Any
from liblinux.archives._errors import ArchiveError
from liblinux.archives._sink import remove_tree

if TYPE_CHECKING:
    from liblinux.archives._sink import TreeWriter

__all__ = ["Stage"]

_ACLS = ("system.posix_acl_default", "system.posix_acl_access")


class Stage:
    """A new directory below the directory `top`."""

    def __init__(self, system: Any, top: bytes) -> None:
        self._system = system
        self._top = top.rstrip(b"/")
        self.path = self._top + b"/.liblinux-" + os.urandom(6).hex().encode()
        system.mkdir(self.path, 0o700)
        self._inherit_nothing()

    def _inherit_nothing(self) -> None:
        """Neither group nor ACL of the directory above is for what comes out of an archive."""
        for name in _ACLS:
            try:
                self._system.removexattr(self.path, name)
            except OSError as error:
                if error.errno not in (errno.ENODATA, errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM):
                    raise
        if self._system.stat(self.path).st_mode & stat.S_ISGID:
            self._system.chmod(self.path, 0o700)

    def move(self, writer: TreeWriter) -> None:
        """Move all that `writer` wrote here to its place. Raises ArchiveError, and nothing was moved, if it cannot."""
        self._check(b"")
        moved: list[bytes] = []
        try:
            self._move_new(b"", moved)
        except BaseException:
            for path in reversed(moved):
                self._system.rename(self._top + b"/" + path, self.path + b"/" + path)
            raise
        self._merge(b"", writer)
        self._system.rmdir(self.path)
        self._dress(b"", writer)  # last of all: removing the stage changes its time

    def remove(self) -> None:
        """Remove it with all that is in it."""
        remove_tree(self._system, self.path)

    def _check(self, directory: bytes) -> None:
        device = self._system.stat(self.path).st_dev
        for path, staged, there in self._pairs(directory):
            if there is None:
                continue
            if stat.S_ISDIR(staged.st_mode) != stat.S_ISDIR(there.st_mode):
                kinds = [_kind(status.st_mode) for status in (staged, there)]
                raise ArchiveError(
                    f"{os.fsdecode(path)} is a {kinds[0]} in the archive and a {kinds[1]} there; nothing was changed. "
                    "Remove it first, or leave it out with --exclude"
                )
            if stat.S_ISDIR(staged.st_mode):
                if there.st_dev != device:
                    raise ArchiveError(
                        f"{os.fsdecode(path)} is another file system or subvolume; nothing was changed. "
                        "Unpack what goes there by itself"
                    )
                self._check(path)

    def _move_new(self, directory: bytes, moved: list[bytes]) -> None:
        """Move what replaces nothing; `moved` gets the paths."""
        for path, staged, there in list(self._pairs(directory)):
            if there is None:
                self._system.rename(self.path + b"/" + path, self._top + b"/" + path)
                moved.append(path)
            elif stat.S_ISDIR(staged.st_mode):
                self._move_new(path, moved)

    def _merge(self, directory: bytes, writer: TreeWriter) -> None:
        """Move what replaces something; directories stay, and get what the archive says of them."""
        for path, staged, _ in list(self._pairs(directory)):
            if stat.S_ISDIR(staged.st_mode):
                self._merge(path, writer)
                self._system.rmdir(self.path + b"/" + path)
                self._dress(path, writer)
            else:
                self._system.rename(self.path + b"/" + path, self._top + b"/" + path)

    def _dress(self, directory: bytes, writer: TreeWriter) -> None:
        """Give a directory that was there the attributes that the archive has for it, if it has any."""
        entry = writer.directories.get(directory)
        if entry is not None and directory not in writer.implied:
            writer.dress(self._top + b"/" + directory, entry)

    def _pairs(self, directory: bytes) -> Any:
        """Every name of a staged directory, with its own status and that of what has its place."""
        for name in sorted(self._system.listdir(os.path.join(self.path, directory))):
            path = os.path.join(directory, name)
            staged = self._system.lstat(self.path + b"/" + path)
            try:
                there = self._system.lstat(self._top + b"/" + path)
            except FileNotFoundError:
                there = None
            yield path, staged, there


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "directory"
    return "symbolic link" if stat.S_ISLNK(mode) else "file"
