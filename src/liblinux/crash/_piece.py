"""A stretch of a request that may or may not be on the disk after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Piece"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Content for the disk; without `data` it is zeros.

    `number` is the entry's; `offset` and `length` in bytes.
    """

    number: int
    offset: int
    length: int
    data: memoryview | None

    @property
    def end(self) -> int:
        """The first byte behind it."""
        return self.offset + self.length

    @property
    def content(self) -> memoryview | bytes:
        """Its bytes."""
        return bytes(self.length) if self.data is None else self.data

    def part(self, start: int, end: int) -> Piece:
        """What of it lies in a range of the disk."""
        data = None if self.data is None else self.data[start - self.offset : end - self.offset]
        return Piece(self.number, start, end - start, data)

    def blocks(self, atomic: int) -> Iterator[Piece]:
        """It, cut where the disk has multiples of `atomic` bytes."""
        start = self.offset
        while start < self.end:
            end = min(self.end, (start // atomic + 1) * atomic)
            yield self.part(start, end)
            start = end
