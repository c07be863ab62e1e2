"""Requests that list directories: with every name comes the status of its file, so that nobody needs to ask.

Of an image that is only read, directories are not opened for the host either.
"""

from __future__ import annotations

import errno
import os

from liblinux._abi import DT_DIR
from liblinux._typing import TYPE_CHECKING
from liblinux.fuse import _protocol as fuse
from liblinux.fuse._protocol import DIRENT, ENTRY_BYTES, Op, Open
from liblinux.fuse._served import Served

if TYPE_CHECKING:
    from liblinux.fuse._nodes import Node
    from liblinux.fuse._served import Answer, Handler

__all__ = ["Directories"]

_DOTS = (b".", b"..")
_KEPT_LISTINGS = 16
_NO_ENTRY = bytes(ENTRY_BYTES)  # "." and ".." are the host's own business


class _Listing:
    """The entries of a directory as they were when it was read from the beginning."""

    def __init__(self, descriptor: int, entries: list[tuple[bytes, int, int]]) -> None:
        self.descriptor = descriptor
        self.entries = entries


class Directories:
    """Handlers of these requests."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self._nodes = served.nodes
        self._native = served.native
        # By handle, or for directories that are not opened by minus the number of the node.
        self._listings: dict[int, _Listing] = {}

    def handlers(self) -> dict[int, Handler]:
        """By opcode."""
        handlers: dict[int, Handler] = {
            Op.READDIR: self.readdir,
            Op.READDIRPLUS: self.readdirplus,
            Op.FSYNCDIR: self.fsyncdir,
        }
        if not self._served.readonly:
            handlers |= {Op.OPENDIR: self.opendir, Op.RELEASEDIR: self.releasedir}
        return handlers

    def opendir(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Open a directory."""
        node = self._nodes[number]
        descriptor = self._open(node)
        node.descriptors.append(descriptor)
        self._listings[descriptor + 1] = _Listing(descriptor, [])
        return fuse.OPEN_OUT.pack(descriptor + 1, Open.KEEP_CACHE | Open.CACHE_DIR)

    def releasedir(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """The host has closed a directory."""
        (handle,) = fuse.RELEASE_IN.unpack_from(body)
        del self._listings[handle]
        self._nodes.release(self._nodes[number], handle - 1)
        self._native.close(handle - 1)
        return b""

    def fsyncdir(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """The names of a directory to the disk."""
        handle, _ = fuse.FSYNC_IN.unpack_from(body)
        if handle:
            self._served.os.fsync(handle - 1)
        return b""

    def _open(self, node: Node) -> int:
        return self._native.open(self._nodes.path(node), os.O_RDONLY | os.O_DIRECTORY)

    def _listing(self, number: int, handle: int, offset: int) -> _Listing:
        key = handle or -number
        listing = self._listings.get(key)
        if listing is None:
            if len(self._listings) >= _KEPT_LISTINGS and not handle:
                self._close(next(iter(self._listings)))
            listing = self._listings[key] = _Listing(self._open(self._nodes[number]), [])
            offset = 0
        if offset == 0 or not listing.entries:
            listing.entries = [(name, 0, DT_DIR) for name in _DOTS]
            listing.entries += self._native.listdir(listing.descriptor)
        return listing

    def _close(self, key: int) -> None:
        self._native.close(self._listings.pop(key).descriptor)

    def readdir(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Names."""
        return self._read(number, body, plus=False)

    def readdirplus(self, number: int, body: memoryview, caller: tuple[int, int]) -> Answer:
        """Names, each with the status of its file."""
        return self._read(number, body, plus=True)

    def _read(self, number: int, body: memoryview, *, plus: bool) -> Answer:
        handle, offset, size = fuse.READ_IN.unpack_from(body)
        listing = self._listing(number, handle, offset)
        parent = self._nodes[number]
        parts: list[bytes] = []
        for position in range(offset, len(listing.entries)):
            name, ino, kind = listing.entries[position]
            length = len(name)
            size -= DIRENT.size + (length + 7 & ~7) + (ENTRY_BYTES if plus else 0)
            if size < 0:
                break
            if plus:
                entry = self._introduce(parent, listing.descriptor, name) if position >= len(_DOTS) else _NO_ENTRY
                if entry is None:
                    continue
                parts.append(entry)
            parts.append(DIRENT.pack(ino or 1, position + 1, length, kind))
            parts.append(name.ljust(length + 7 & ~7, b"\0"))
        if not parts and not handle:
            self._close(-number)  # read to its end
        return b"".join(parts)

    def _introduce(self, parent: Node, descriptor: int, name: bytes) -> bytes | None:
        """What is known of an entry; None when it has been removed since."""
        try:
            raw = self._native.stat(name, dir_fd=descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno not in {errno.EIO, errno.EUCLEAN, errno.EBADMSG, errno.ESTALE}:
                raise
            return _NO_ENTRY  # a damaged inode: its name is shown, and who looks at it gets the error
        return self._served.introduce(self._nodes.meet(parent, name, (raw[2], raw[1])), raw)
