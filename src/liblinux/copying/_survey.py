"""What there is to copy: all entries of a tree with their status, and which names are of one file."""

from __future__ import annotations

import os
import stat as stat_modes
from array import array

from liblinux import _native
from liblinux._os_base import decode
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from liblinux.copying._place import Place

__all__ = ["ATIME", "BLOCKS", "DEV", "GID", "INO", "MODE", "MTIME", "NLINK", "RDEV", "SIZE", "UID", "Survey"]

# Columns of a Listing, see _native.pyi.
MODE, INO, DEV, NLINK, UID, GID, SIZE, ATIME, MTIME, BLOCKS, RDEV = 0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12
_BLOCK_BYTES = 512
_UNIT_BYTES = 4096  # what most file systems allocate at least


class Survey:
    """A tree as it was found. Entry 0 is the top, with an empty path; directories come before their content.

    `errors` are paths below the top that could not be read, with errno.
    """

    def __init__(self, place: Place, *, follow_mounts: bool = True, most: int = 0) -> None:
        """`most`: with more entries OSError (E2BIG); 0 is no limit."""
        try:
            self.listing, self.errors = _native.survey(place.native, place.here, follow_mounts, most)
        except OSError as error:
            error.filename = decode(place.path)
            raise
        self.modes = self.column(MODE)

    def __len__(self) -> int:
        return len(self.listing)

    def column(self, index: int) -> memoryview:
        """One number of every entry."""
        return memoryview(self.listing.column(index)).cast("Q")

    def path(self, index: int) -> bytes:
        """The path of an entry below the top; empty for the top."""
        return self.listing[index][0]

    def sizes(self) -> memoryview:
        """Sizes in bytes."""
        return self.column(SIZE)

    def allocated(self, indices: Iterable[int]) -> int:
        """Bytes that those regular files take, holes left out, in whole blocks; a directory or link one."""
        sizes, blocks = self.sizes(), self.column(BLOCKS)
        total = 0
        for index in indices:
            held = _UNIT_BYTES
            if stat_modes.S_ISREG(self.modes[index]):
                held = min(sizes[index], blocks[index] * _BLOCK_BYTES or sizes[index])
            total += -(-held // _UNIT_BYTES) * _UNIT_BYTES
        return total

    def data_bytes(self, indices: Iterable[int]) -> int:
        """Bytes that will be read of those entries: sizes of regular files without their holes."""
        sizes, blocks = self.sizes(), self.column(BLOCKS)
        total = 0
        for index in indices:
            if stat_modes.S_ISREG(self.modes[index]):
                held = blocks[index] * _BLOCK_BYTES
                total += sizes[index] if held == 0 else min(sizes[index], held)
        return total

    def directories(self) -> list[int]:
        """The indices of all directories."""
        return [index for index, mode in enumerate(self.modes) if stat_modes.S_ISDIR(mode)]

    def by_name(self, indices: Iterable[int]) -> list[int]:
        """Those entries in the order of their names, every directory before its content."""

        def key(index: int) -> tuple[int, bytes]:
            path = self.path(index)
            return path.count(b"/") + bool(path), path

        return sorted(indices, key=key)

    def links(self, indices: Iterable[int]) -> array[int]:
        """For each of those entries the one before it that is the same file, or -1."""
        counts, inodes, devices = self.column(NLINK), self.column(INO), self.column(DEV)
        first: dict[tuple[int, int], int] = {}
        found = array("q")
        for index in indices:
            if counts[index] < 2 or stat_modes.S_ISDIR(self.modes[index]):
                found.append(-1)
                continue
            before = first.setdefault((devices[index], inodes[index]), index)
            found.append(-1 if before == index else before)
        return found

    def name_of(self, top: bytes, index: int) -> str:
        """The path of an entry, `top` included, for people."""
        below = self.path(index)
        return decode(os.path.join(top, below) if below else top)
