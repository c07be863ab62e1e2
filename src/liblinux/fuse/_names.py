"""Requests that look names up, make them, and take them away."""

from __future__ import annotations

import errno
import os
import stat

import pyfuse3

from liblinux._abi import AT_EMPTY_PATH, AT_FDCWD
from liblinux._typing import TYPE_CHECKING
from liblinux.fuse._answers import Answers, answer
from liblinux.fuse._served import FOREVER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liblinux.fuse._nodes import Node

__all__ = ["Names"]


class Names(Answers):
    """Answers to these requests."""

    @answer
    def lookup(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        """A name in a directory."""
        try:
            return self._served.entry(self._nodes[parent_inode], name)
        except FileNotFoundError:
            if not self._served.name_seconds:
                raise
            return _nothing()

    @answer
    def forget(self, inode_list: Sequence[tuple[int, int]]) -> None:
        """The host does not know these nodes any more."""
        for number, times in inode_list:
            self._nodes.forget(number, times)

    # ---- making ----------------------------------------------------------

    @answer
    def mkdir(self, parent_inode: int, name: bytes, mode: int, ctx: pyfuse3.RequestContext) -> pyfuse3.EntryAttributes:
        """A directory."""
        parent, path = self._new(parent_inode, name)
        self._os.mkdir(path, mode & 0o7777)
        self._served.give(parent, path, ctx)
        return self._served.entry(parent, name)

    @answer
    def mknod(
        self, parent_inode: int, name: bytes, mode: int, rdev: int, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """A device node, a pipe, a socket or an empty file."""
        parent, path = self._new(parent_inode, name)
        self._os.mknod(path, mode, rdev)
        self._served.give(parent, path, ctx)
        return self._served.entry(parent, name)

    @answer
    def symlink(
        self, parent_inode: int, name: bytes, target: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """A symbolic link."""
        parent, path = self._new(parent_inode, name)
        self._os.symlink(target, path)
        self._served.give(parent, path, ctx)
        return self._served.entry(parent, name)

    @answer
    def link(
        self, inode: int, new_parent_inode: int, new_name: bytes, ctx: pyfuse3.RequestContext
    ) -> pyfuse3.EntryAttributes:
        """One more name of a file; also of one that has none any more."""
        parent, path = self._new(new_parent_inode, new_name)
        place = self._nodes.place(self._nodes[inode])
        if isinstance(place, int):
            code = self._os.call("linkat", place, b"", AT_FDCWD, path, AT_EMPTY_PATH)
            if code < 0:
                raise OSError(-code, os.strerror(-code))
        else:
            self._os.link(place, path)
        return self._served.entry(parent, new_name)

    def _new(self, number: int, name: bytes) -> tuple[Node, bytes]:
        parent = self._nodes[number]
        return parent, self._served.below(parent, name)

    # ---- taking away -----------------------------------------------------

    @answer
    def unlink(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        """A name of a file."""
        parent, path = self._new(parent_inode, name)
        last = self._is_last(parent, name, path)
        self._os.unlink(path)
        self._nodes.part(parent, name, gone=last)

    @answer
    def rmdir(self, parent_inode: int, name: bytes, ctx: pyfuse3.RequestContext) -> None:
        """An empty directory."""
        parent, path = self._new(parent_inode, name)
        self._os.rmdir(path)
        self._nodes.part(parent, name, gone=True)

    def _is_last(self, parent: Node, name: bytes, path: bytes) -> bool:
        """Whether the inode ends with this name."""
        if self._nodes.named(parent, name) is None:
            return False
        raw = self._native.stat(path, follow_symlinks=False)
        return raw[3] <= 1 or stat.S_ISDIR(raw[0])

    # ---- renaming --------------------------------------------------------

    @answer
    def rename(
        self,
        parent_inode_old: int,
        name_old: bytes,
        parent_inode_new: int,
        name_new: bytes,
        flags: int,
        ctx: pyfuse3.RequestContext,
    ) -> None:
        """Another name for a file, also with RENAME_NOREPLACE, RENAME_EXCHANGE or RENAME_WHITEOUT."""
        old, path = self._new(parent_inode_old, name_old)
        new, new_path = self._new(parent_inode_new, name_new)
        exchange = flags & pyfuse3.RENAME_EXCHANGE
        replaced = not exchange and self._nodes.named(new, name_new) is not None
        last = replaced and self._is_gone_by_rename(new, name_new, new_path)
        code = self._os.call("renameat2", AT_FDCWD, path, AT_FDCWD, new_path, flags)
        if code < 0:
            raise OSError(-code, os.strerror(-code))
        if exchange:
            self._nodes.exchange(old, name_old, new, name_new)
            return
        if replaced and self._nodes.named(old, name_old) is not self._nodes.named(new, name_new):
            self._nodes.part(new, name_new, gone=last)
        self._nodes.move(old, name_old, new, name_new)

    def _is_gone_by_rename(self, parent: Node, name: bytes, path: bytes) -> bool:
        try:
            return self._is_last(parent, name, path)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return True


def _nothing() -> pyfuse3.EntryAttributes:
    """ "There is no such name", to be remembered."""
    entry = pyfuse3.EntryAttributes()
    entry.st_ino = 0
    entry.entry_timeout = FOREVER
    return entry
