"""Crash points: where the power fails, and what is on the disk then.

A point is a position of the recording, a style and a number; these three give
the same image again, whatever else is tried. No style can make an image that is
not legal, and "torn" by itself can make every one that is; the others are what
disks and controllers really do, and what file systems are bad at.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["STYLES", "CrashPoint", "Piece", "choose", "crash_points"]

# Style: its weight, and what it does with the pieces that may or may not be there.
STYLES: dict[str, tuple[int, str]] = {
    "lost": (1, "none of them is there"),
    "kept": (1, "all are"),
    "cut": (3, "all up to one, which is torn at one place; none after it"),
    "one-lost": (2, "all but one"),
    "one-kept": (2, "only one"),
    "some": (4, "each by itself, whole or not at all"),
    "torn": (4, "each block of each by itself"),
}


@dataclass(frozen=True, slots=True, order=True)
class CrashPoint:
    """Where and how the power fails; `str()` and :meth:`parse` are each other's inverse."""

    position: int
    style: str
    number: int

    def __str__(self) -> str:
        return f"{self.position}:{self.style}:{self.number:x}"

    @classmethod
    def parse(cls, text: str) -> CrashPoint:
        """The point that is written "812:torn:3fa1"; ValueError when it is none."""
        parts = text.split(":")
        if len(parts) != 3 or parts[1] not in STYLES:
            raise ValueError(f"{text!r} is no crash point; one looks like 812:torn:3fa1, with a style of {list(STYLES)}")
        return cls(int(parts[0]), parts[1], int(parts[2], 16))


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of an entry that may or may not be on the disk; without `data` it is zeros.

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


def choose(point: CrashPoint, pieces: Sequence[Piece], atomic: int) -> list[Piece]:
    """The pieces, or parts of pieces, that are on the disk at `point`; to be applied in this order."""
    if not pieces or point.style == "lost":
        return []
    if point.style == "kept":
        return list(pieces)
    chance = random.Random(point.number)  # noqa: S311 - it must be the same again
    one = chance.randrange(len(pieces))
    if point.style == "cut":
        return [*pieces[:one], *_beginning(pieces[one], chance, atomic)]
    if point.style == "one-lost":
        return [*pieces[:one], *pieces[one + 1 :]]
    if point.style == "one-kept":
        return [pieces[one]]
    odds = chance.choice((0.1, 0.5, 0.5, 0.9))
    if point.style == "some":
        return [piece for piece in pieces if chance.random() < odds]
    return [block for piece in pieces for block in piece.blocks(atomic) if chance.random() < odds]


def _beginning(piece: Piece, chance: random.Random, atomic: int) -> list[Piece]:
    blocks = list(piece.blocks(atomic))
    return blocks[: chance.randrange(len(blocks) + 1)]


def crash_points(pending: Sequence[int], points: int, seed: int | str) -> list[CrashPoint]:
    """`points` crash points of a recording, sorted by position, from a seed.

    `pending` has, for each position, the number of pieces that may or may not be
    there. Every position comes up once before any comes up again; where nothing is
    pending there is only one image, and once is enough.
    """
    chance = random.Random(f"liblinux crash points {seed}")  # noqa: S311
    everywhere = range(len(pending))
    if points < len(pending):  # spread evenly, not by luck
        positions = [
            chance.randrange(turn * len(pending) // points, (turn + 1) * len(pending) // points)
            for turn in range(points)
        ]
    else:
        positions = list(everywhere)
        open_positions = [position for position in everywhere if pending[position]] or list(everywhere)
        while len(positions) < points:
            more = min(len(open_positions), points - len(positions))
            positions += chance.sample(open_positions, more)
    weights = [weight for weight, _ in STYLES.values()]
    return sorted(
        CrashPoint(position, chance.choices(list(STYLES), weights)[0], chance.getrandbits(32))
        for position in positions
    )
