"""What may be on the disk after a crash, and how it is put there quickly.

The model. A disk has a volatile cache. A write is torn nowhere but between
blocks of `atomic` bytes, and every block may reach the platter at any time and
in any order, as long as two versions of the same block do not change places.
(A write of less than a block is there or not by itself.)
A completed flush has put down all that was completed before it; a completed
write with FUA is down itself, and nothing older can come over it. So after a
crash each block by itself holds any one of

- its last version that was made durable, or
- a version that was written (or discarded: zeros) after that.

Any combination of these is a legal image, and there are no others.

The mechanism. A :class:`CrashImage` keeps the durable image of one position and
the list of pieces pending there. Going to a later position applies what became
durable; a crash point applies the pieces that it chooses, in order, and takes
them back afterwards. Nothing is ever copied as a whole.
"""

from __future__ import annotations

import bisect
import itertools
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from liblinux.crash._log import Entry, Kind, Recording
from liblinux.crash._piece import Piece
from liblinux.crash._points import CrashPoint, choose

__all__ = ["ATOMIC_BYTES", "CrashImage", "every_image"]

# What the block driver of kernel/arch/lib says of its disks.
ATOMIC_BYTES = 4096
_SAVE_BYTES = 64 << 10


class _Undo(NamedTuple):
    offset: int
    old: bytes


class CrashImage:
    """The disk of `recording` after a crash; :meth:`seek` chooses which.

    `data` is a buffer to be attached with overlay=True. `atomic` is the number of
    bytes that are written together or not at all, a power of two. By default it is
    what the kernel was told (queue/physical_block_size, "the smallest unit a
    physical storage device can write atomically"); disks with smaller units exist.
    Going forward is cheap, going back begins at the start.
    """

    def __init__(self, recording: Recording, atomic: int = ATOMIC_BYTES) -> None:
        if atomic < recording.sector_size or atomic & (atomic - 1):
            raise ValueError(
                f"atomic must be a power of two and at least a sector, {recording.sector_size}; it is {atomic}"
            )
        self.recording = recording
        self.atomic = atomic
        self.data = recording.base.map()
        self._marked = [mark.position for mark in recording.marks]
        self._begin()

    def _begin(self) -> None:
        self._position = 0
        self._durable = 0  # the position at which the durable image changed last
        self._pending: list[Piece] = []
        self._undo: list[_Undo] = []

    def seek(self, point: CrashPoint) -> int:
        """Become the image of `point`.

        Returns a number that this recording's points share when the same survived of what
        was written, and the same is promised.
        """
        chosen = choose(point, self.pieces(point.position), self.atomic)
        for piece in chosen:
            self._undo.append(_Undo(piece.offset, self.data[piece.offset : piece.end]))
            self.data[piece.offset : piece.end] = piece.content
        return self._identity(chosen)

    def identity(self, point: CrashPoint) -> int:
        """The number that :meth:`seek` would return; `data` is then the durable image."""
        return self._identity(choose(point, self.pieces(point.position), self.atomic))

    def _identity(self, chosen: Iterable[Piece]) -> int:
        promised = bisect.bisect_right(self._marked, self._position)
        return hash((self._durable, promised, tuple(_stretches(chosen))))

    def pieces(self, position: int) -> list[Piece]:
        """Go to a position; what may or may not be on the disk there: unflushed, or under way."""
        if not 0 <= position < self.recording.positions:
            raise ValueError(f"position {position} is none of the {self.recording.positions} of this recording")
        self._take_back()
        self._go(position)
        if self._position == len(self.recording.entries):
            return list(self._pending)
        entry = self.recording.entries[self._position]
        return [*self._pending, *_pieces_of(self._position, entry)]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the present image to a sparse file."""
        with open(path, "wb", buffering=0) as file:
            file.truncate(self.recording.size)
            for start in self._written_blocks():
                content = self.data[start : start + _SAVE_BYTES]
                if content.count(0) < len(content):
                    os.pwrite(file.fileno(), content, start)

    def _written_blocks(self) -> list[int]:
        ranges = itertools.chain(
            self.recording.base.data_ranges(),
            ((entry.offset, entry.offset + entry.length) for entry in self.recording.entries if entry.length),
        )
        blocks: set[int] = set()
        for start, end in ranges:
            blocks.update(range(start // _SAVE_BYTES, (end - 1) // _SAVE_BYTES + 1))
        return [block * _SAVE_BYTES for block in sorted(blocks)]

    def _take_back(self) -> None:
        while self._undo:
            offset, old = self._undo.pop()
            self.data[offset : offset + len(old)] = old

    def _go(self, position: int) -> None:
        if position < self._position:
            # Not closed: a kernel may still have the old mapping, and then keeps it.
            self.data = self.recording.base.map()
            self._begin()
        while self._position < position:
            self._complete(self.recording.entries[self._position])
            self._position += 1

    def _complete(self, entry: Entry) -> None:
        """An entry has ended: it is pending, or it made something durable."""
        if entry.kind is Kind.FLUSH:
            if self._pending:
                self._make_durable(self._pending)
            self._pending = []
        elif entry.stable:
            pieces = _pieces_of(self._position, entry)
            self._pending = [rest for old in self._pending for rest in _without(old, entry)]
            self._make_durable(pieces)
        else:
            self._pending += _pieces_of(self._position, entry)

    def _make_durable(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            self.data[piece.offset : piece.end] = piece.content
        self._durable = self._position + 1


def _stretches(pieces: Iterable[Piece]) -> list[tuple[int, int, int]]:
    """(number, offset, end) of the pieces, those that touch as one: a piece is the same as its blocks."""
    found: list[tuple[int, int, int]] = []
    for piece in pieces:
        if found and found[-1][0] == piece.number and found[-1][2] == piece.offset:
            found[-1] = (piece.number, found[-1][1], piece.end)
        else:
            found.append((piece.number, piece.offset, piece.end))
    return found


def _pieces_of(number: int, entry: Entry) -> list[Piece]:
    if entry.kind is Kind.FLUSH or not entry.length:
        return []
    data = memoryview(entry.data) if entry.kind is Kind.WRITE else None
    return [Piece(number, entry.offset, entry.length, data)]


def _without(piece: Piece, entry: Entry) -> list[Piece]:
    """What is left of a pending piece when a stable write has come over it."""
    end = entry.offset + entry.length
    if piece.end <= entry.offset or end <= piece.offset:
        return [piece]
    left = piece.part(piece.offset, min(piece.end, entry.offset))
    right = piece.part(max(piece.offset, end), piece.end)
    return [part for part in (left, right) if part.length > 0]


def every_image(recording: Recording, position: int) -> Iterator[bytes]:
    """All legal images of a crash at `position` that is torn between any sectors.

    Their number is the product of the numbers of versions of all sectors: for
    recordings of a few sectors only.
    """
    sector = recording.sector_size
    image = CrashImage(recording, sector)
    pieces = image.pieces(position)
    durable = image.data[:]
    versions: dict[int, list[bytes]] = {}
    for piece in pieces:
        for block in piece.blocks(sector):
            before = versions.setdefault(block.offset, [durable[block.offset : block.end]])
            before.append(bytes(block.content))
    for combination in itertools.product(*versions.values()):
        made = bytearray(durable)
        for offset, content in zip(versions, combination, strict=True):
            made[offset : offset + sector] = content
        yield bytes(made)
