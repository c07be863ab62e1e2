"""How much room entries take, and what is said when there was not enough."""

from __future__ import annotations

import errno
import os

from liblinux._fat_directory import why_directory_is_full
from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from liblinux.archives._entry import Entry

__all__ = ["Room"]

_FULL = (errno.ENOSPC, errno.EDQUOT)


class Room:
    """What was free in a file system at the start, and what entries want of it."""

    def __init__(self, system: Any, top: bytes) -> None:
        self._system = system
        self._top = top
        status = system.statvfs(top)
        self._block = status.f_frsize or 4096
        self._free = status.f_bfree * self._block
        self._free_inodes = status.f_ffree if status.f_files else None
        self.wanted = 0
        self.entries = 0

    def count(self, entry: Entry) -> None:
        """Add what an entry wants."""
        self.entries += 1
        if entry.same_as is None:
            stored = entry.size if entry.extents is None else sum(length for _, length in entry.extents)
            self.wanted += -(-stored // self._block) * self._block

    def explained(self, error: OSError, rest: Iterable[Entry]) -> OSError:
        """The error; if it is that of a full file system, one that says how much is missing."""
        if error.errno not in _FULL:
            return error
        name = error.filename2 or error.filename or b""  # of a rename where it was to go
        above = os.path.dirname(os.fsencode(name))
        directory = why_directory_is_full(self._system, os.path.join(self._top, above))
        if directory:
            return OSError(error.errno, directory, name)
        for entry in rest:
            self.count(entry)
        if self._free_inodes is not None and self.entries > self._free_inodes:
            text = f"no inodes left: {self.entries - self._free_inodes} more are needed than the {self._free_inodes}"
            return OSError(error.errno, f"{text} that were free", error.filename)
        missing = max(self.wanted - self._free, self._block)
        return OSError(
            error.errno,
            f"no space left: at least {missing:,} bytes more are needed; "
            f"contents take {self.wanted:,} and {self._free:,} were free",
            error.filename,
        )
