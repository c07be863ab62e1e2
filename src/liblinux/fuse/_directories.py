"""Requests that list directories: with every name comes the status of its file, so that nobody needs to ask."""

from __future__ import annotations

import errno
import os
import stat

import pyfuse3

from liblinux._abi import DT_UNKNOWN
from liblinux._typing import TYPE_CHECKING
from liblinux.fuse._answers import Answers, answer

if TYPE_CHECKING:
    from liblinux.fuse._nodes import Node
    from liblinux.fuse._served import Served

__all__ = ["Directories"]

_DOTS = (b".", b"..")
_DAMAGED = frozenset({errno.EIO, errno.EUCLEAN, errno.EBADMSG, errno.ESTALE})


class _Listing:
    """A directory that is open, and its entries as they were when it was read from the beginning."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.entries: list[tuple[bytes, int, int]] = []


class Directories(Answers):
    """Answers to these requests."""

    def __init__(self, served: Served) -> None:
        super().__init__(served)
        self._listings: dict[int, _Listing] = {}  # by descriptor

    @answer
    def opendir(self, inode: int, ctx: pyfuse3.RequestContext) -> int:
        """Open a directory."""
        node = self._nodes[inode]
        descriptor = self._native.open(self._nodes.path(node), os.O_RDONLY | os.O_DIRECTORY)
        node.descriptors.append(descriptor)
        self._listings[descriptor] = _Listing(node)
        return descriptor

    @answer
    def releasedir(self, fh: int) -> None:
        """The host has closed a directory."""
        self._nodes.release(self._listings.pop(fh).node, fh)
        self._native.close(fh)

    @answer
    def fsyncdir(self, fh: int, datasync: bool) -> None:
        """The names of a directory to the disk."""
        self._os.fsync(fh)

    @answer
    def readdir(self, fh: int, start_id: int, token: pyfuse3.ReaddirToken) -> None:
        """Names, each with the status of its file."""
        listing = self._listings[fh]
        if start_id == 0 or not listing.entries:
            listing.entries = self._native.listdir(fh)
        for position in range(start_id, len(_DOTS)):
            if not pyfuse3.readdir_reply(token, _DOTS[position], self._dot(listing.node), position + 1):
                return
        for position in range(max(start_id - len(_DOTS), 0), len(listing.entries)):
            if not self._tell(token, fh, listing, position):
                return

    def _dot(self, node: Node) -> pyfuse3.EntryAttributes:
        """Directories that the host knows already: it looks at nothing but what they are."""
        entry = pyfuse3.EntryAttributes()
        entry.st_ino = node.id
        entry.st_mode = stat.S_IFDIR
        return entry

    def _tell(self, token: pyfuse3.ReaddirToken, fh: int, listing: _Listing, position: int) -> bool:
        """Whether there was room for an entry, or nothing to be told of it."""
        name, number, kind = listing.entries[position]
        try:
            raw = self._native.stat(name, dir_fd=fh, follow_symlinks=False)
        except FileNotFoundError:
            return True  # it has been removed since
        except OSError as error:
            if error.errno not in _DAMAGED:
                raise
            node = self._nodes.meet(listing.node, name, (self._native.stat(fh)[2], number))
            entry = self._damaged(node, kind)
        else:
            node = self._nodes.meet(listing.node, name, (raw[2], raw[1]))
            entry = self._served.attributes(node, raw)
        told = pyfuse3.readdir_reply(token, name, entry, position + len(_DOTS) + 1)
        self._nodes.told(node, times=told)
        return told

    def _damaged(self, node: Node, kind: int) -> pyfuse3.EntryAttributes:
        """An inode that cannot be read: its name is shown, and who looks at it asks again and gets the error."""
        entry = pyfuse3.EntryAttributes()
        entry.st_ino = node.id
        entry.st_mode = stat.S_IFREG if kind == DT_UNKNOWN else kind << 12
        entry.generation = node.generation
        entry.entry_timeout = entry.attr_timeout = 0
        return entry
