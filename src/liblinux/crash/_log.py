"""What happened to a disk: the record of its writes, flushes and promises.

Positions. A recording of n entries has the crash positions 0 to n: at position p
the power fails while entry p is under way, entries 0 to p-1 are complete, and
none after p was begun; at position n all are complete. A promise made when p
entries were complete holds from position p on.
"""

from __future__ import annotations

import copy
import enum
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from liblinux.crash._base import BaseImage

__all__ = ["Entry", "Kind", "Mark", "Recording"]


class Kind(enum.Enum):
    """What a disk was asked to do; reads leave no trace."""

    WRITE = "write"
    FLUSH = "flush"
    DISCARD = "discard"


@dataclass(frozen=True, slots=True)
class Entry:
    """One request: `offset` and `length` in bytes, the `data` of a write, and whether it had FUA (`stable`)."""

    kind: Kind
    offset: int = 0
    length: int = 0
    data: bytes = b""
    stable: bool = False

    def __str__(self) -> str:
        if self.kind is Kind.FLUSH:
            return "flush"
        return f"{self.kind.value}{' fua' * self.stable} {self.length} at {self.offset}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A promise that begins, or with `held` False ends, when `position` entries are complete."""

    position: int
    name: Hashable
    value: object = True
    held: bool = True


@dataclass(frozen=True)
class Recording:
    """A base image and all that was done to it; made by :meth:`Recorder.recording`.

    `sector_size` in bytes; a write of several sectors may be torn between them.
    """

    base: BaseImage
    sector_size: int
    entries: Sequence[Entry]
    marks: Sequence[Mark]

    @property
    def size(self) -> int:
        """Size of the disk in bytes."""
        return self.base.size

    @property
    def positions(self) -> int:
        """How many crash positions there are."""
        return len(self.entries) + 1

    def promises(self, position: int) -> dict[Hashable, object]:
        """The promises that hold when the power fails at `position`, by name, in the order in which they were made.

        The values are copies: a check may do with them what it likes.
        """
        held: dict[Hashable, object] = {}
        for mark in self.marks:
            if mark.position > position:
                break
            held.pop(mark.name, None)
            if mark.held:
                held[mark.name] = mark.value
        return copy.deepcopy(held)

    def under_way(self, position: int) -> str:
        """What was under way at a position, for people."""
        if position == len(self.entries):
            return "nothing under way, all requests complete"
        return f"request {position} of {len(self.entries)} under way: {self.entries[position]}"
