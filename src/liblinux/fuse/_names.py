"""Requests that look names up, make them, and take them away."""

from __future__ import annotations

import errno
import os
import stat

from liblinux._abi import AT_EMPTY_PATH, AT_FDCWD
from liblinux._typing import TYPE_CHECKING
from liblinux.fuse import _protocol as fuse
from liblinux.fuse._protocol import ATTR, ENTRY_OUT, Op
from liblinux.fuse._served import FOREVER, Served, names_of

if TYPE_CHECKING:
    from liblinux.fuse._nodes import Node
    from liblinux.fuse._served import Answer, Handler

__all__ = ["Names"]

_EXCHANGE = 2  # of renameat2(2)
# "There is no such name", to be remembered.
_NOTHING = ENTRY_OUT.pack(0, 0, FOREVER, 0, 0, 0) + bytes(ATTR.size)


class Names:
    """Handlers of these requests."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._nodes = served.nodes
        self._os = served.os

    def handlers(self) -> dict[int, Handler]:
        """By opcode."""
        return {
            Op.LOOKUP: self.lookup,
            Op.FORGET: self.forget,
            Op.BATCH_FORGET: self.batch_forget,
            Op.MKDIR: self.mkdir,
            Op.MKNOD: self.mknod,
            Op.SYMLINK: self.symlink,
            Op.LINK: self.link,
            Op.UNLINK: self.unlink,
            Op.RMDIR: self.rmdir,
            Op.RENAME: self.rename,
            Op.RENAME2: self.rename2,
        }

    def lookup(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """A name in a directory."""
        try:
            return self._served.entry(self._nodes[number], names_of(body)[0])
        except FileNotFoundError:
            if not self._served.name_seconds:
                raise
            return _NOTHING

    def forget(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """The host does not know a node any more."""
        self._nodes.forget(number, *fuse.FORGET_IN.unpack_from(body))
        return None

    def batch_forget(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Several at once."""
        (count,) = fuse.BATCH_FORGET_IN.unpack_from(body)
        start, size = fuse.BATCH_FORGET_IN.size, fuse.FORGET_ONE.size
        for node, times in fuse.FORGET_ONE.iter_unpack(body[start : start + count * size]):
            self._nodes.forget(node, times)
        return None

    # ---- making ----------------------------------------------------------

    def mkdir(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """A directory."""
        mode, umask = fuse.MKDIR_IN.unpack_from(body)
        parent, name, path = self._new(number, body[fuse.MKDIR_IN.size :])
        self._served.mask(umask)
        self._os.mkdir(path, mode)
        self._served.give(parent, path, caller)
        return self._served.entry(parent, name)

    def mknod(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """A device node, a pipe, a socket or an empty file."""
        mode, device, umask = fuse.MKNOD_IN.unpack_from(body)
        parent, name, path = self._new(number, body[fuse.MKNOD_IN.size :])
        self._served.mask(umask)
        self._os.mknod(path, mode, device)
        self._served.give(parent, path, caller)
        return self._served.entry(parent, name)

    def symlink(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """A symbolic link."""
        parent, name, path = self._new(number, body)
        self._os.symlink(names_of(body)[1], path)
        self._served.give(parent, path, caller)
        return self._served.entry(parent, name)

    def link(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """One more name of a file; also of one that has none (O_TMPFILE)."""
        (old,) = fuse.LINK_IN.unpack_from(body)
        parent, name, path = self._new(number, body[fuse.LINK_IN.size :])
        place = self._nodes.place(self._nodes[old])
        if isinstance(place, int):
            code = self._os.call("linkat", place, b"", AT_FDCWD, path, AT_EMPTY_PATH)
            if code < 0:
                raise OSError(-code, os.strerror(-code))
        else:
            self._os.link(place, path)
        return self._served.entry(parent, name)

    def _new(self, number: int, names: memoryview) -> tuple[Node, bytes, bytes]:
        parent = self._nodes[number]
        name = names_of(names)[0]
        return parent, name, self._served.below(parent, name)

    # ---- taking away -----------------------------------------------------

    def unlink(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """A name of a file."""
        parent, name, path = self._new(number, body)
        last = self._is_last(parent, name, path)
        self._os.unlink(path)
        self._nodes.part(parent, name, gone=last)
        return b""

    def rmdir(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """An empty directory."""
        parent, name, path = self._new(number, body)
        self._os.rmdir(path)
        self._nodes.part(parent, name, gone=True)
        return b""

    def _is_last(self, parent: Node, name: bytes, path: bytes) -> bool:
        """Whether the inode ends with this name."""
        if self._nodes.named(parent, name) is None:
            return False
        raw = self._served.native.stat(path, follow_symlinks=False)
        return raw[3] <= 1 or stat.S_ISDIR(raw[0])

    # ---- renaming --------------------------------------------------------

    def rename(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Another name for a file."""
        (new,) = fuse.RENAME_IN.unpack_from(body)
        return self._rename(number, new, 0, body[fuse.RENAME_IN.size :])

    def rename2(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """The same with RENAME_NOREPLACE, RENAME_EXCHANGE or RENAME_WHITEOUT."""
        new, flags = fuse.RENAME2_IN.unpack_from(body)
        return self._rename(number, new, flags, body[fuse.RENAME2_IN.size :])

    def _rename(self, number: int, new: int, flags: int, names: memoryview) -> Answer:
        parent, new_parent = self._nodes[number], self._nodes[new]
        name, new_name = names_of(names)
        path, new_path = self._served.below(parent, name), self._served.below(new_parent, new_name)
        replaced = not flags & _EXCHANGE and self._nodes.named(new_parent, new_name) is not None
        last = replaced and self._is_gone_by_rename(new_parent, new_name, new_path)
        code = self._os.call("renameat2", AT_FDCWD, path, AT_FDCWD, new_path, flags)
        if code < 0:
            raise OSError(-code, os.strerror(-code))
        if flags & _EXCHANGE:
            self._nodes.exchange(parent, name, new_parent, new_name)
            return b""
        if replaced and self._nodes.named(parent, name) is not self._nodes.named(new_parent, new_name):
            self._nodes.part(new_parent, new_name, gone=last)
        self._nodes.move(parent, name, new_parent, new_name)
        return b""

    def _is_gone_by_rename(self, parent: Node, name: bytes, path: bytes) -> bool:
        try:
            return self._is_last(parent, name, path)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise
            return True
