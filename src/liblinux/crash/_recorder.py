"""The recorder: a disk that remembers everything that was asked of it.

It is attached like any image, ``kernel.attach(recorder)``, and behaves as a disk
with a volatile cache that has not lost anything yet. Its base image is never
written to.

The kernel's requests arrive one after the other, each complete before the next.
So a file system that sends a flush without waiting for the writes before it is
not found out: here these writes are complete.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Hashable
from typing import TYPE_CHECKING

from liblinux.crash._base import BaseImage
from liblinux.crash._log import Entry, Kind, Mark, Recording

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Recorder"]


class Recorder:
    """A disk over `image` (a path, or a bytes-like object) that records writes, flushes and discards.

    `sector_size` in bytes, which must also be given to :meth:`Kernel.attach`.
    Errors are those of :class:`BaseImage`.
    """

    def __init__(self, image: str | os.PathLike[str] | Buffer, sector_size: int = 512) -> None:
        self._base = BaseImage(image, sector_size)
        self._data = self._base.map()
        self.sector_size = sector_size
        self.entries: list[Entry] = []
        self._marks: list[Mark] = []

    @property
    def size(self) -> int:
        """Size in bytes."""
        return self._base.size

    def pread(self, offset: int, buffer: memoryview) -> None:
        """Read what the running system sees: everything that was written."""
        buffer[:] = self._data[offset : offset + len(buffer)]

    def pwrite(self, offset: int, data: memoryview, stable: bool = False) -> None:
        """Write, and record it; a `stable` write (FUA) survives from its end on."""
        kept = bytes(data)
        self._data[offset : offset + len(kept)] = kept
        self.entries.append(Entry(Kind.WRITE, offset, len(kept), kept, stable))

    def flush(self) -> None:
        """All that was written before survives from now on."""
        self.entries.append(Entry(Kind.FLUSH))

    def discard(self, offset: int, length: int) -> None:
        """Forget a range: it reads as zeros. Until a flush its old content may come back."""
        self._data[offset : offset + length] = bytes(length)
        self.entries.append(Entry(Kind.DISCARD, offset, length))

    def promise(self, name: Hashable, value: object = True) -> None:
        """From now on `name` must survive any crash; `value` (copied) says what is meant by it.

        A promise of the same name takes the place of the one before.
        """
        self._marks.append(Mark(len(self.entries), name, copy.deepcopy(value)))

    def withdraw(self, name: Hashable) -> None:
        """`name` is about to be changed: until it is promised again, nothing is said about it."""
        self._marks.append(Mark(len(self.entries), name, held=False))

    def recording(self) -> Recording:
        """What was recorded until now."""
        return Recording(self._base, self.sector_size, tuple(self.entries), tuple(self._marks))
