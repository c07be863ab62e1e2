"""VDI, the format of VirtualBox, by its header `VDICore.h`: version 1.1, dynamic and fixed.

Differencing images are refused: they name their parent by a UUID only.
"""

from __future__ import annotations

import struct
from array import array
from typing import TYPE_CHECKING

from liblinux.formats._block import BlockImage, Piece
from liblinux.formats._errors import damaged, unsupported

if TYPE_CHECKING:
    from liblinux.formats._files import Files, Source

__all__ = ["Vdi"]

_VERSION = struct.Struct("<I")
_HEADER = struct.Struct("<III256sII")
_GEOMETRY = struct.Struct("<QIIII")
_START = 72
_GEOMETRY_OFFSET = 368
_PARENT = slice(440, 456)
_TYPES = {1: "dynamic", 2: "fixed", 3: "undo", 4: "differencing"}
_FREE, _ZERO = 0xFFFFFFFF, 0xFFFFFFFE
_LARGEST_MAP_BYTES = 1 << 30


class Vdi(BlockImage):
    """A VDI file."""

    format = "vdi"

    def __init__(self, source: Source, files: Files) -> None:
        super().__init__(source, files)
        head = source.read(0, 512)
        if len(head) < 512:
            raise damaged(source.name, "it ends in its header")
        (version,) = _VERSION.unpack_from(head, 68)
        if version >> 16 != 1:
            raise unsupported(source.name, f"VDI of version {version >> 16}.{version & 0xFFFF} is not read, only 1.x")
        _, kind, _, _, blocks_offset, self._data = _HEADER.unpack_from(head, _START)
        self.size, self._block_bytes, extra, blocks, _ = _GEOMETRY.unpack_from(head, _GEOMETRY_OFFSET)
        self._kind = _TYPES.get(kind, f"number {kind}")
        if kind not in (1, 2) or any(head[_PARENT]):
            raise unsupported(source.name, f"this VDI image is of the type {self._kind}, and has a parent")
        if self._block_bytes < 512 or self._block_bytes & (self._block_bytes - 1):
            raise damaged(source.name, f"its blocks cannot have {self._block_bytes} bytes")
        self._stride = self._block_bytes + extra
        self._extra = extra
        if -(-self.size // self._block_bytes) > blocks or blocks * 4 > _LARGEST_MAP_BYTES:
            raise damaged(source.name, f"its map has {blocks} blocks, for {self.size} bytes of disk")
        raw = source.read(blocks_offset, blocks * 4)
        if len(raw) != blocks * 4:
            raise damaged(source.name, f"it ends at byte {source.size}, in its map of blocks")
        self._map = array("I", raw)

    def describe(self) -> dict[str, object]:
        """Dynamic or fixed, and the block size."""
        return {"kind": self._kind, "block_size": self._block_bytes}

    def locate(self, offset: int, length: int) -> Piece:
        """By the map of blocks."""
        index, within = divmod(offset, self._block_bytes)
        length = min(length, self._block_bytes - within)
        place = self._map[index]
        if place in (_FREE, _ZERO):
            return Piece(length)
        return Piece(length, self.source, self._data + place * self._stride + self._extra + within)
