"""Writing cpio: the "newc" format, which Linux unpacks an initramfs from.

There is no kept-up Python library for cpio; libarchive has it, but takes longer for
the header of a member than what is here does for all of it. Source: Linux
Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import os
import stat

from liblinux._typing import TYPE_CHECKING
from liblinux.archives._entry import SECOND, Entry
from liblinux.archives._errors import ArchiveError

if TYPE_CHECKING:
    from liblinux.archives._lost import Losses
    from liblinux.archives._tar_out import Output

__all__ = ["CpioWriter"]

_TRAILER = b"TRAILER!!!"
_BLOCK_BYTES = 512
_BUFFER_BYTES = 1 << 20
_LARGEST = (1 << 32) - 1
_HEADER = b"070701" + b"%08X" * 13


class CpioWriter:
    """Writes entries to a stream; `close()` writes the end. Numbers of inodes are counted from 1."""

    def __init__(self, output: Output, losses: Losses) -> None:
        self._output = output
        self._losses = losses
        self._pending = bytearray()
        self._written = 0
        self._inodes: dict[bytes, tuple[int, Entry]] = {}
        self._count = 0

    def add(self, entry: Entry) -> None:
        """Write one member. Raises ArchiveError for a file of 4 GiB or more.

        The content of a file with several names comes with the first of them.
        """
        if entry.same_as is not None:
            inode, first = self._inodes[entry.same_as]
            self._put(self._header(entry.path, first, inode, 0, names=2))
            return
        if entry.size > _LARGEST:
            raise ArchiveError(f"{entry.name} has {entry.size:,} bytes; cpio holds files of less than 4 GiB only")
        self._name_losses(entry)
        self._count += 1
        several = entry.names > 1 and not stat.S_ISDIR(entry.mode)
        if several:
            self._inodes[entry.path] = (self._count, entry)
        link = stat.S_ISLNK(entry.mode)
        size = len(entry.link) if link else entry.size
        self._put(self._header(entry.path, entry, self._count, size, names=2 if several else 1))
        if link:
            self._put(entry.link)
        else:
            self._put_content(entry)
        self._put(bytes(-size % 4))

    def close(self) -> None:
        """Write the end of the archive and all that is pending; the stream stays open."""
        end = Entry(_TRAILER, 0)
        self._put(self._header(_TRAILER, end, 0, 0, names=1))
        self._put(bytes(-self._written % _BLOCK_BYTES))
        self._flush()

    def _name_losses(self, entry: Entry) -> None:
        if entry.xattrs:
            self._losses.add("extended attributes and ACLs", "cpio has no place for them", entry)
        time = entry.mtime or 0
        if not 0 <= time // SECOND <= _LARGEST:
            self._losses.add("times", "those of cpio are between 1970 and 2106", entry)
        elif time % SECOND:
            self._losses.add("times", "those of cpio have whole seconds", entry)

    def _header(self, path: bytes, entry: Entry, inode: int, size: int, *, names: int) -> bytes:
        name = (path or b".") + b"\0"
        header = _HEADER % (
            inode,
            entry.mode,
            entry.uid,
            entry.gid,
            names,
            max(0, min((entry.mtime or 0) // SECOND, _LARGEST)),
            size,
            0,
            0,
            os.major(entry.rdev),
            os.minor(entry.rdev),
            len(name),
            0,
        )
        return header + name + bytes(-(len(header) + len(name)) % 4)

    def _put_content(self, entry: Entry) -> None:
        """The content with its holes filled: cpio has none."""
        done = 0
        for offset, data in entry.data():
            self._fill(offset - done)
            self._put(data)
            done = offset + len(data)
            if done > entry.size:
                break
        self._fill(entry.size - done)
        if done > entry.size or (entry.extents is None and done != entry.size):
            raise ArchiveError(f"{entry.name} changed while it was read: the archive is not whole")

    def _fill(self, length: int) -> None:
        while length > 0:
            piece = min(length, _BUFFER_BYTES)
            self._put(bytes(piece))
            length -= piece

    def _put(self, data: bytes) -> None:
        self._pending += data
        self._written += len(data)
        if len(self._pending) >= _BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._output.write(bytes(self._pending))
        self._pending.clear()
