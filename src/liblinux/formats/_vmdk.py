"""VMDK, by VMware's "Virtual Disk Format 5.0": sparse, stream-optimized and flat extents, and their descriptor.

A descriptor is a text, in a file of its own or in a sparse one; it names the
files that the disk is made of, one after the other. Refused: the formats of ESX
(COWD, SESPARSE) and disks with a parent.
"""

from __future__ import annotations

import re
import struct
import zlib
from array import array
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from liblinux.formats._block import BlockImage, Piece, RawFile
from liblinux.formats._errors import damaged, unsupported

if TYPE_CHECKING:
    from liblinux.formats._files import Files, Source

__all__ = ["open_vmdk"]

_SECTOR = 512
_HEADER = struct.Struct("<4sIIQQQQIQQQBIH")
_MAGIC = b"KDMV"
_AT_END = 0xFFFFFFFFFFFFFFFF
_PACKED = 1 << 16
_MARKERS = 1 << 17
_HAS_ZEROS = 1 << 2
_DEFLATE = 1
_MARKER = struct.Struct("<QI")
_TABLES = 64
_UNPACKED = 64
_LARGEST_DESCRIPTOR_BYTES = 1 << 20
_LARGEST_GRAIN_SECTORS = 1 << 14
_LARGEST_DIRECTORY_BYTES = 64 << 20
_NO_PARENT = ("", "ffffffff")
_EXTENT = re.compile(r'^(RW|RDONLY|NOACCESS)\s+(\d+)\s+(\w+)(?:\s+"([^"]*)"(?:\s+(\d+))?)?', re.MULTILINE)
_SETTING = re.compile(r'^\s*(\w+)\s*=\s*"?([^"\n]*?)"?\s*$', re.MULTILINE)


class _Descriptor(NamedTuple):
    settings: dict[str, str]
    extents: list[tuple[int, str, str, int]]  # sectors, kind, file, first sector there


def open_vmdk(source: Source, files: Files) -> BlockImage:
    """The disk of a VMDK file, a sparse one or a descriptor."""
    if source.read(0, 4) == _MAGIC:
        extent = _SparseExtent(source, files)
        if extent.descriptor is not None:
            _check(extent.descriptor, source.name)
        return extent
    if source.read(0, 4) == b"COWD":
        raise unsupported(source.name, "the COWD format of old ESX servers is not read")
    if source.size > _LARGEST_DESCRIPTOR_BYTES:
        raise damaged(source.name, "it begins as the description of a VMDK, but is too long for one")
    return _Described(source, files, _parse(source.read(0, source.size)))


def _parse(raw: bytes) -> _Descriptor:
    text = raw.partition(b"\0")[0].decode("utf-8", "surrogateescape").replace("\r", "")
    settings = {match[1].lower(): match[2] for match in _SETTING.finditer(text)}
    extents = [(int(match[2]), match[3], match[4] or "", int(match[5] or 0)) for match in _EXTENT.finditer(text)]
    return _Descriptor(settings, extents)


def _check(descriptor: _Descriptor, name: str) -> None:
    parent = descriptor.settings.get("parentcid", "")
    if parent.lower() not in _NO_PARENT:
        hint = descriptor.settings.get("parentfilenamehint", "another file")
        raise unsupported(name, f"it holds only what differs from its parent {hint!r}, which is not read")


class _Described(BlockImage):
    """A disk of several extents."""

    format = "vmdk"

    def __init__(self, source: Source, files: Files, descriptor: _Descriptor) -> None:
        super().__init__(source, files)
        _check(descriptor, source.name)
        if not descriptor.extents:
            raise damaged(source.name, "its description names no extents")
        self._kind = descriptor.settings.get("createtype", "")
        self._parts = [self._open(*extent) for extent in descriptor.extents]
        self._starts = [0]
        for sectors, *_ in descriptor.extents:
            self._starts.append(self._starts[-1] + sectors * _SECTOR)
        self.size = self._starts.pop()

    def describe(self) -> dict[str, object]:
        """The kind, and the files that it is made of."""
        return {"kind": self._kind, "extents": [part.source.name for part, _ in self._parts if part is not None]}

    def locate(self, offset: int, length: int) -> Piece:
        """In the extent that holds the offset."""
        index = bisect_right(self._starts, offset) - 1
        end = self._starts[index + 1] if index + 1 < len(self._starts) else self.size
        length = min(length, end - offset)
        part, first = self._parts[index]
        within = offset - self._starts[index]
        return Piece(length, part, first + within) if part is not None else Piece(length)

    def _open(self, sectors: int, kind: str, name: str, first: int) -> tuple[BlockImage | None, int]:
        if kind == "ZERO":
            return None, 0
        if kind not in ("FLAT", "VMFS", "SPARSE"):
            raise unsupported(self.source.name, f"extents of the kind {kind} are not read")
        file = self.files.open(name, self.source.name)
        if kind == "SPARSE":
            if file.read(0, 4) != _MAGIC:
                raise damaged(file.name, "it should be a sparse extent of a VMDK, and is none")
            return _SparseExtent(file, self.files), 0
        if file.size < (first + sectors) * _SECTOR:
            raise damaged(file.name, f"it ends at byte {file.size}, and should have {(first + sectors) * _SECTOR}")
        return RawFile(file, self.files), first * _SECTOR


class _SparseExtent(BlockImage):
    """A file with a directory of tables of grains."""

    format = "vmdk"

    def __init__(self, source: Source, files: Files) -> None:
        super().__init__(source, files)
        self._read_header(source.read(0, _SECTOR), at_end=False)
        self._directory = self._numbers(self._directory_offset, self._table_count)
        self._table = lru_cache(maxsize=_TABLES)(self._read_table)
        self._grain = lru_cache(maxsize=_UNPACKED)(self._unpack)

    def describe(self) -> dict[str, object]:
        """The kind, and the grain size."""
        kind = self.descriptor.settings.get("createtype", "") if self.descriptor else ""
        return {"kind": kind, "grain_size": self._grain_bytes, "compression": "deflate" if self._packed else "none"}

    def locate(self, offset: int, length: int) -> Piece:
        """By directory and table."""
        index, within = divmod(offset, self._grain_bytes)
        length = min(length, self._grain_bytes - within)
        table = self._directory[index // self._entries]
        place = self._table(table)[index % self._entries] if table else 0
        if place == 0 or (place == 1 and self._has_zeros):
            return Piece(length)
        if self._packed:
            return Piece(length, self._grain(place), within)
        return Piece(length, self.source, place * _SECTOR + within)

    def _unpack(self, place: int) -> bytes:
        start = place * _SECTOR
        name = self.source.name
        # Without markers the grain begins with its length alone.
        marker = self.source.read(start, _MARKER.size)
        if len(marker) < _MARKER.size:
            raise damaged(name, f"it ends at byte {self.source.size}, before the grain at {start}")
        _, length = _MARKER.unpack(marker)
        if length > 2 * self._grain_bytes + _SECTOR:
            raise damaged(name, f"the compressed grain at byte {start} cannot have {length} bytes")
        packed = self.source.read(start + _MARKER.size, length)
        try:
            data = zlib.decompressobj().decompress(packed, self._grain_bytes)
        except zlib.error as error:
            raise damaged(name, f"the compressed grain at byte {start} cannot be unpacked") from error
        rest = self._grain_bytes - len(data)
        # The last grain of a disk may be shorter.
        if rest and len(packed) < length:
            raise damaged(name, f"it ends at byte {self.source.size}, in the grain at {start}")
        return data + bytes(rest)

    def _read_table(self, sector: int) -> array[int]:
        return self._numbers(sector * _SECTOR, self._entries)

    def _numbers(self, start: int, count: int) -> array[int]:
        raw = self.source.read(start, count * 4)
        if len(raw) != count * 4:
            raise damaged(self.source.name, f"it ends at byte {self.source.size}, in a table of grains")
        return array("I", raw)

    def _read_header(self, head: bytes, *, at_end: bool) -> None:
        name = self.source.name
        if len(head) < _HEADER.size or not head.startswith(_MAGIC):
            raise damaged(name, "it ends before its header")
        (
            _, version, flags, capacity, grain, descriptor, descriptor_sectors, self._entries,
            _, directory, _, _, _, algorithm,
        ) = _HEADER.unpack_from(head)  # fmt: skip
        if directory == _AT_END and not at_end:
            # A stream is written from start to end: where its tables are is said last, before a closing marker.
            self._read_header(self.source.read(self.source.size - 2 * _SECTOR, _SECTOR), at_end=True)
            return
        if version > 3 or (flags & _PACKED and algorithm != _DEFLATE):
            raise unsupported(name, f"VMDK of version {version} with compression {algorithm} is not read")
        if not 0 < grain <= _LARGEST_GRAIN_SECTORS or not 0 < self._entries <= 1 << 16:
            raise damaged(name, f"its grains cannot have {grain} sectors, {self._entries} to a table")
        self.size = capacity * _SECTOR
        self._grain_bytes = grain * _SECTOR
        self._packed = bool(flags & _PACKED)
        self._has_zeros = bool(flags & _HAS_ZEROS)
        self._directory_offset = directory * _SECTOR
        self._table_count = -(-capacity // (grain * self._entries))
        if self._table_count * 4 > _LARGEST_DIRECTORY_BYTES:
            raise damaged(name, f"it cannot be a disk of {self.size} bytes")
        length = min(descriptor_sectors * _SECTOR, _LARGEST_DESCRIPTOR_BYTES)
        self.descriptor = _parse(self.source.read(descriptor * _SECTOR, length)) if descriptor else None
