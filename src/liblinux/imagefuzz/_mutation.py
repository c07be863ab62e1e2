"""A seed makes the changes to an image: the same ones for the same seed and image."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from liblinux.imagefuzz._areas import BLOCK_BYTES, Areas
from liblinux.imagefuzz._checksums import Unit, units

__all__ = ["Change", "Mutator", "apply", "mutate"]

_SECTOR_BYTES = 512
# How many changes one image gets: mostly few, so that the rest of it is believed.
_COUNTS = (1, 1, 1, 2, 2, 3, 4, 6, 8, 16)
# Which area a change is made in: mount, listing, content, anywhere.
_AREA_WEIGHTS = (35, 40, 20, 5)
_NONZERO_SHARE = 0.75
# Now and then the checksums are left wrong: that they are checked is worth a test, too.
_SEALED_SHARE = 0.85


@dataclass(frozen=True)
class Change:
    """`data` takes the place of what is at `offset`."""

    offset: int
    data: bytes


def apply(buffer: Any, changes: Sequence[Change]) -> list[Change]:
    """Make the changes; returns those that undo them, when applied in their order."""
    undo = []
    for change in changes:
        end = change.offset + len(change.data)
        undo.append(Change(change.offset, bytes(buffer[change.offset : end])))
        buffer[change.offset : end] = change.data
    return undo[::-1]


def mutate(image: Any, areas: Areas, type: str, seed: int) -> list[Change]:
    """The changes of one seed; see :class:`Mutator`."""
    return Mutator(image, areas, type).changes(seed)


class Mutator:
    """Makes the changes of any number of seeds to one image (a buffer, as it was before any change)."""

    def __init__(self, image: Any, areas: Areas, type: str) -> None:
        self._image = image
        self._size = len(image)
        self._areas = areas
        self._type = type
        self._known_units: dict[tuple[int, int], bool] = {}

    def changes(self, seed: int) -> list[Change]:
        """What seed number `seed` changes, the checksums included."""
        random_ = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        made = [change for _ in range(random_.choice(_COUNTS)) for change in self._one(random_)]
        if random_.random() < _SEALED_SHARE:
            made += self._seals(made)
        return made

    # ---- checksums ------------------------------------------------------------

    def _seals(self, made: Sequence[Change]) -> list[Change]:
        """The checksums that are to be written after the changes."""
        found: dict[tuple[int, int], Unit] = {}
        for change in made:
            for offset in range(change.offset & ~(_SECTOR_BYTES - 1), change.offset + len(change.data), _SECTOR_BYTES):
                for unit in units(self._type, self._image, offset):
                    if self._is_sealed(unit):
                        found[unit.start, unit.size] = unit
        seals: list[Change] = []
        for unit in found.values():
            data = bytearray(self._image[unit.start : unit.start + unit.size])
            for change in (*made, *seals):
                _overlay(data, unit.start, change)
            sealed = unit.seal(bytes(data))
            if sealed != data:
                seals.append(Change(unit.start, sealed))
        return seals

    def _is_sealed(self, unit: Unit) -> bool:
        key = unit.start, unit.size
        if key not in self._known_units:
            self._known_units[key] = unit.is_sealed(self._image)
        return self._known_units[key]

    # ---- one change -----------------------------------------------------------

    def _one(self, random_: random.Random) -> Iterator[Change]:
        kinds = (self._flip, self._integer, self._bytes, self._splice, self._sector, self._swap)
        yield from random_.choices(kinds, (30, 36, 12, 12, 6, 4))[0](random_)

    def _block(self, random_: random.Random) -> int:
        """The offset of a block, most likely one with metadata."""
        areas: list[Sequence[int]] = [self._areas.mount, self._areas.listing, self._areas.content]
        areas.append(range(self._size // BLOCK_BYTES))
        weights = [weight if area else 0 for area, weight in zip(areas, _AREA_WEIGHTS, strict=True)]
        block = random_.choice(random_.choices(areas, weights)[0]) * BLOCK_BYTES
        return min(block, self._size - _SECTOR_BYTES)

    def _place(self, random_: random.Random, align: int) -> int:
        """An offset, most likely of something that is not zero."""
        block = self._block(random_)
        data = self._image[block : block + BLOCK_BYTES]
        at = random_.randrange(len(data))
        if random_.random() < _NONZERO_SHARE:
            # The next one that is not zero, from a random one on.
            rest = data[at:] + data[:at]
            at = (at + len(rest) - len(rest.lstrip(b"\0"))) % len(data)
        return block + (at & -align)

    def _flip(self, random_: random.Random) -> Iterator[Change]:
        at = self._place(random_, 1)
        yield Change(at, bytes((self._image[at] ^ 1 << random_.randrange(8),)))

    def _integer(self, random_: random.Random) -> Iterator[Change]:
        width = random_.choice((1, 2, 4, 8))
        at = self._place(random_, width)
        order: Any = random_.choice(("little", "big"))
        mask = (1 << 8 * width) - 1
        old = int.from_bytes(self._image[at : at + width], order)
        sign = 1 << 8 * width - 1
        edges = (0, 1, 2, mask, mask - 1, sign, sign - 1, sign + 1)
        near = (old + 1, old - 1, old * 2, old >> 1, -old, old ^ sign, old + (1 << 4 * width))
        sizes = (self._size, self._size // 512, self._size // 1024, self._size // 4096, self._size // 4096 + 1)
        value = random_.choice(random_.choice((edges, near, sizes))) & mask
        yield Change(at, value.to_bytes(width, order))

    def _bytes(self, random_: random.Random) -> Iterator[Change]:
        at = self._place(random_, 1)
        length = min(random_.choice((1, 2, 4, 8, 16, 64)), self._size - at)
        yield Change(at, random_.randbytes(length))

    def _splice(self, random_: random.Random) -> Iterator[Change]:
        """A piece of metadata in the place of another."""
        length = random_.choice((4, 8, 16, 32, 64, 128, 256, 512))
        source, at = self._place(random_, 4), self._place(random_, 4)
        data = bytes(self._image[source : source + length])[: self._size - at]
        yield Change(at, data)

    def _sector(self, random_: random.Random) -> Iterator[Change]:
        at = self._place(random_, _SECTOR_BYTES)
        yield Change(at, random_.choice((b"\0", b"\0", b"\xff")) * _SECTOR_BYTES)

    def _swap(self, random_: random.Random) -> Iterator[Change]:
        """Two blocks change places: everything in them is right, and wrong."""
        one, other = self._block(random_), self._block(random_)
        size = random_.choice((512, 1024, 4096))
        if max(one, other) + size <= self._size:
            yield Change(one, bytes(self._image[other : other + size]))
            yield Change(other, bytes(self._image[one : one + size]))


def _overlay(data: bytearray, start: int, change: Change) -> None:
    """Make the part of a change that falls into `data`, which begins at `start` of the image."""
    first = max(change.offset, start)
    last = min(change.offset + len(change.data), start + len(data))
    if first < last:
        data[first - start : last - start] = change.data[first - change.offset : last - change.offset]
