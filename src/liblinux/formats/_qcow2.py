"""qcow2, by the specification of QEMU (docs/interop/qcow2.txt), versions 2 and 3.

Read are: backing files, compressed clusters (deflate, and zstd), clusters of
zeros, extended L2 entries (subclusters), external data files. Internal snapshots
are ignored: what is read is the active state. Refused: encryption, version 1.
An image that was not closed is read as it is: what is marked dirty are its
reference counts, which only a writer needs.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from functools import lru_cache
from typing import TYPE_CHECKING

from liblinux.formats._block import BlockImage, Piece
from liblinux.formats._errors import damaged, unsupported
from liblinux.formats._zstd import decompress_zstd

if TYPE_CHECKING:
    from liblinux.formats._files import Files, Source

__all__ = ["Qcow2"]

_HEADER = struct.Struct(">4sIQIIQIIQQIIQ")
_HEADER3 = struct.Struct(">QQQII")
_HEADER3_BYTES = 104
_COMPRESSION_OFFSET = 104
_EXTENSION = struct.Struct(">II")
_EXTENSION_BACKING = 0xE2792ACA
_EXTENSION_DATA_FILE = 0x44415441
_DATA_FILE = 1 << 2
_COMPRESSION = 1 << 3
_EXTENDED_L2 = 1 << 4
_KNOWN = 0x1F
_OFFSET = 0x00FFFFFFFFFFFE00
_PACKED = 1 << 62
_COPIED = 1 << 63  # in an external data file also: this is a cluster, though its offset is 0
_ZERO = 1
_SUBCLUSTERS = 32
_SECTOR = 512
_TABLES = 64
_UNPACKED = 64
_SMALLEST_CLUSTER_BITS, _LARGEST_CLUSTER_BITS = 9, 21
_LARGEST_L1_BYTES = 32 << 20
_LARGEST_NAME_BYTES = 1023


class Qcow2(BlockImage):
    """A qcow2 file; `backing` and `data` are opened by who makes it, by the names that it has."""

    format = "qcow2"

    def __init__(self, source: Source, files: Files) -> None:
        super().__init__(source, files)
        self.backing: BlockImage | None = None
        self.backing_name = self.backing_format = self.data_name = ""
        self.data: Source = source
        self._read_header()
        self._l1 = self._read_l1()
        self._table = lru_cache(maxsize=_TABLES)(self._read_table)
        self._cluster = lru_cache(maxsize=_UNPACKED)(self._unpack)

    def describe(self) -> dict[str, object]:
        """Version, cluster size, compression, backing file."""
        found: dict[str, object] = {
            "version": self._version,
            "cluster_size": self._cluster_bytes,
            "compression": "zstd" if self._zstd else "deflate",
            "snapshots": self._snapshots,
        }
        if self.backing_name:
            found["backing_file"] = self.backing_name
        if self.data_name:
            found["data_file"] = self.data_name
        return found

    def locate(self, offset: int, length: int) -> Piece:
        """Follow the two levels of tables."""
        index = offset >> self._cluster_bits
        within = offset & (self._cluster_bytes - 1)
        length = min(length, self._cluster_bytes - within)
        table = self._l1[index >> self._l2_bits] & _OFFSET
        if not table:
            return self._below(offset, length)
        entries = self._table(table)
        place = (index & ((1 << self._l2_bits) - 1)) * self._entry_words
        entry = entries[place]
        if entry & _PACKED:
            return Piece(length, self._cluster(entry), within)
        if self._entry_words == 2:
            return self._locate_part(offset, length, entry, entries[place + 1])
        if self._version > 2 and entry & _ZERO:
            return Piece(length)
        if not entry & _OFFSET and not (entry & _COPIED and self.data is not self.source):
            return self._below(offset, length)
        return self._stored(offset, length, entry)

    def _locate_part(self, offset: int, length: int, entry: int, bitmap: int) -> Piece:
        """In an extended entry each of 32 parts is stored, zero, or that of the backing file."""
        part_bits = self._cluster_bits - 5
        part = (offset >> part_bits) & (_SUBCLUSTERS - 1)
        length = min(length, (1 << part_bits) - (offset & ((1 << part_bits) - 1)))
        if bitmap >> (part + _SUBCLUSTERS) & 1:
            return Piece(length)
        return self._stored(offset, length, entry) if bitmap >> part & 1 else self._below(offset, length)

    def _stored(self, offset: int, length: int, entry: int) -> Piece:
        return Piece(length, self.data, (entry & _OFFSET) + (offset & (self._cluster_bytes - 1)))

    def _below(self, offset: int, length: int) -> Piece:
        if self.backing is None or offset >= self.backing.size:
            return Piece(length)
        return Piece(min(length, self.backing.size - offset), self.backing, offset)

    def _unpack(self, entry: int) -> bytes:
        bits = 62 - (self._cluster_bits - 8)
        start = entry & ((1 << bits) - 1)
        sectors = (entry & (_PACKED - 1)) >> bits
        packed = self.source.read(start, (sectors + 1) * _SECTOR - start % _SECTOR)
        try:
            if self._zstd:
                data = decompress_zstd(packed, self._cluster_bytes)
            else:
                data = zlib.decompressobj(-15).decompress(packed, self._cluster_bytes)
        except (zlib.error, ValueError) as error:
            raise damaged(self.source.name, f"the compressed cluster at byte {start} cannot be unpacked") from error
        if len(data) != self._cluster_bytes:
            raise damaged(self.source.name, f"the compressed cluster at byte {start} is too short")
        return data

    def _read_table(self, start: int) -> array[int]:
        return self._numbers(start, self._cluster_bytes)

    def _numbers(self, start: int, length: int) -> array[int]:
        raw = self.source.read(start, length)
        if len(raw) != length:
            raise damaged(self.source.name, f"it ends at byte {self.source.size}, in a table of clusters")
        numbers = array("Q", raw)
        numbers.byteswap()  # x86-64 is the only machine that there is
        return numbers

    def _read_l1(self) -> array[int]:
        clusters = -(-self.size // self._cluster_bytes)
        needed = -(-clusters // (1 << self._l2_bits))
        if self._l1_size < needed or self._l1_size * 8 > _LARGEST_L1_BYTES:
            raise damaged(self.source.name, f"its table has {self._l1_size} entries, for {self.size} bytes of disk")
        table = self._numbers(self._l1_offset, self._l1_size * 8)
        for entry in table[:needed]:
            if entry & _OFFSET >= self.source.size:
                raise damaged(self.source.name, f"it ends at byte {self.source.size}, before its tables")
        return table

    def _read_header(self) -> None:
        name = self.source.name
        head = self.source.read(0, 4096)
        if len(head) < _HEADER3_BYTES:
            raise damaged(name, "it ends in its header")
        (
            _, self._version, backing, backing_bytes, self._cluster_bits, self.size, encryption,
            self._l1_size, self._l1_offset, _, _, self._snapshots, _,
        ) = _HEADER.unpack_from(head)  # fmt: skip
        if self._version not in (2, 3):
            raise unsupported(name, f"qcow of version {self._version} is not read, only 2 and 3")
        if encryption:
            raise unsupported(name, "the qcow2 image is encrypted by QEMU, which is not read")
        if not _SMALLEST_CLUSTER_BITS <= self._cluster_bits <= _LARGEST_CLUSTER_BITS:
            raise damaged(name, f"its clusters cannot have 2^{self._cluster_bits} bytes")
        self._read_features(head)
        self._cluster_bytes = 1 << self._cluster_bits
        self._l2_bits = self._cluster_bits - (4 if self._entry_words == 2 else 3)
        if backing:
            if not 0 < backing_bytes <= _LARGEST_NAME_BYTES:
                raise damaged(name, "the name of its backing file is too long")
            self.backing_name = self.source.read(backing, backing_bytes).decode("utf-8", "surrogateescape")

    def _read_features(self, head: bytes) -> None:
        features, header_bytes = 0, 72
        if self._version == 3:
            features, _, _, _, header_bytes = _HEADER3.unpack_from(head, 72)
        if features & ~_KNOWN:
            raise unsupported(self.source.name, f"it has features that are not known here ({features & ~_KNOWN:#x})")
        if not 72 <= header_bytes <= len(head):
            raise damaged(self.source.name, f"its header cannot have {header_bytes} bytes")
        kind = head[_COMPRESSION_OFFSET] if features & _COMPRESSION and header_bytes > _COMPRESSION_OFFSET else 0
        if kind > 1:
            raise unsupported(self.source.name, f"its compression, number {kind}, is not known here")
        self._zstd = kind == 1
        self._entry_words = 2 if features & _EXTENDED_L2 else 1
        self._read_extensions(head, header_bytes)
        if features & _DATA_FILE and not self.data_name:
            raise damaged(self.source.name, "it has an external data file, and no name of it")

    def _read_extensions(self, head: bytes, start: int) -> None:
        while start + _EXTENSION.size <= len(head):
            kind, length = _EXTENSION.unpack_from(head, start)
            start += _EXTENSION.size
            if not kind or length > len(head) - start:
                return
            text = head[start : start + length]
            if kind == _EXTENSION_BACKING:
                self.backing_format = text.decode("ascii", "replace")
            elif kind == _EXTENSION_DATA_FILE:
                self.data_name = text.decode("utf-8", "surrogateescape")
            start += -(-length // 8) * 8
