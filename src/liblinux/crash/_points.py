"""Crash points: where the power fails, and what is on the disk then.

A point is a position of the recording, a style and a number; these three give
the same image again, whatever else is tried. No style can make an image that is
not legal, and "torn" by itself can make every one that is; the others are what
disks and controllers really do, and what file systems are bad at.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from liblinux.crash._piece import Piece

__all__ = ["STYLES", "CrashPoint", "Style", "choose", "draw"]

_ODDS = (0.1, 0.5, 0.5, 0.9)


class Style(NamedTuple):
    """How often it is drawn; what is there of the pieces that may be lost; and the function that says so."""

    weight: int
    meaning: str
    choose: Callable[[Sequence[Piece], random.Random, int], list[Piece]]


def _lost(pieces: Sequence[Piece], chance: random.Random, atomic: int) -> list[Piece]:
    return []


def _kept(pieces: Sequence[Piece], chance: random.Random, atomic: int) -> list[Piece]:
    return list(pieces)


def _cut(pieces: Sequence[Piece], chance: random.Random, atomic: int) -> list[Piece]:
    last = chance.randrange(len(pieces))
    blocks = list(pieces[last].blocks(atomic))
    return [*pieces[:last], *blocks[: chance.randrange(len(blocks) + 1)]]


def _one_lost(pieces: Sequence[Piece], chance: random.Random, atomic: int) -> list[Piece]:
    lost = chance.randrange(len(pieces))
    return [*pieces[:lost], *pieces[lost + 1 :]]


def _one_kept(pieces: Sequence[Piece], chance: random.Random, atomic: int) -> list[Piece]:
    return [chance.choice(pieces)]


def _some(pieces: Sequence[Piece], chance: random.Random, atomic: int) -> list[Piece]:
    odds = chance.choice(_ODDS)
    return [piece for piece in pieces if chance.random() < odds]


def _torn(pieces: Sequence[Piece], chance: random.Random, atomic: int) -> list[Piece]:
    odds = chance.choice(_ODDS)
    return [block for piece in pieces for block in piece.blocks(atomic) if chance.random() < odds]


STYLES = {
    "lost": Style(1, "none of them is there", _lost),
    "kept": Style(1, "all are", _kept),
    "cut": Style(3, "all up to one, which is torn at one place; none after it", _cut),
    "one-lost": Style(2, "all but one", _one_lost),
    "one-kept": Style(2, "only one", _one_kept),
    "some": Style(4, "each by itself, whole or not at all", _some),
    "torn": Style(4, "each block of each by itself", _torn),
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
        position, _, rest = text.partition(":")
        style, _, number = rest.partition(":")
        try:
            if style not in STYLES:
                raise ValueError(f"the style is one of {', '.join(STYLES)}")
            return cls(int(position), style, int(number, 16))
        except ValueError as error:
            raise ValueError(f"{text!r} is no crash point, which looks like 812:torn:3fa1: {error}") from error


def choose(point: CrashPoint, pieces: Sequence[Piece], atomic: int) -> list[Piece]:
    """The pieces, or parts of pieces, that are on the disk at `point`; to be applied in this order."""
    if not pieces:
        return []
    # The same again whenever it is asked, and no secret.
    return STYLES[point.style].choose(pieces, random.Random(point.number), atomic)  # noqa: S311


def draw(position: int, chance: random.Random) -> CrashPoint:
    """Some point at a position."""
    weights = [style.weight for style in STYLES.values()]
    return CrashPoint(position, chance.choices(list(STYLES), weights)[0], chance.getrandbits(32))
