"""Checksums of metadata, so that a change gets past them and deep into a file system.

Nothing is parsed. A stretch of an image counts as covered by a checksum when it
has the form of one and the checksum in it is right before anything is changed;
after a change the same checksum is put in again. A wrong idea of a format
therefore costs depth, never correctness.

Sources: the kernel's fs/ext4/super.c, fs/xfs/libxfs/xfs_format.h and
xfs_da_format.h, fs/btrfs/disk-io.c, fs/f2fs/checkpoint.c, fs/exfat/super.c,
fs/erofs/super.c; ECMA-167 part 3, 7.2 for UDF.
"""

from __future__ import annotations

import binascii
import mmap
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Unit", "crc32c", "units"]

Bytes = bytes | bytearray | memoryview | mmap.mmap


def _table() -> list[int]:
    table = []
    for number in range(256):
        for _ in range(8):
            number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)  # noqa: PLW2901 - as such tables are made
        table.append(number)
    return table


_TABLE = _table()


def crc32c(data: Bytes, value: int = 0xFFFFFFFF) -> int:
    """Castagnoli's CRC of `data`, beginning with `value`, not inverted at the end."""
    table = _TABLE
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ value >> 8
    return value


@dataclass(frozen=True)
class Unit:
    """`size` bytes at `start` that a checksum covers; `seal` gives them with the right one."""

    start: int
    size: int
    seal: Callable[[bytes], bytes]

    def is_sealed(self, image: Bytes) -> bool:
        """Whether the checksum in the image is right."""
        data = bytes(image[self.start : self.start + self.size])
        return len(data) == self.size and self.seal(data) == data


def units(type: str, image: Bytes, offset: int) -> Iterator[Unit]:
    """What may be covered by a checksum around `offset`, in a file system of this `type`."""
    find = _FINDERS.get(type)
    if find is not None:
        yield from find(image, offset)


def _put(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


def _castagnoli(field: int, *, skip: int = 0, inverted: bool = True) -> Callable[[bytes], bytes]:
    """A little-endian CRC32C at `field` of everything from `skip` on, with itself as zeros."""

    def seal(data: bytes) -> bytes:
        value = crc32c(_put(data, field, bytes(4))[skip:])
        return _put(data, field, struct.pack("<I", value ^ 0xFFFFFFFF if inverted else value))

    return seal


# ---- ext4 ---------------------------------------------------------------------


def _seal_ext4(data: bytes) -> bytes:
    return data[:1020] + struct.pack("<I", crc32c(data[:1020]))


def _ext4(image: Bytes, offset: int) -> Iterator[Unit]:
    # Inodes and directories are sealed with their own numbers: an image without metadata_csum is there for those.
    if 1024 <= offset < 2048:
        yield Unit(1024, 1024, _seal_ext4)


# ---- XFS ----------------------------------------------------------------------

_XFS_SECTORS = {b"XFSB": 224, b"XAGF": 216, b"XAGI": 312, b"XAFL": 32}
_XFS_BLOCKS = {
    **dict.fromkeys((b"AB3B", b"AB3C", b"IAB3", b"FIB3", b"RMB3", b"R3FC"), 52),
    b"BMA3": 64,
    **dict.fromkeys((b"XDB3", b"XDD3", b"XDF3"), 4),
    **dict.fromkeys((b"XSLM", b"XARM"), 12),
}
_XFS_DIRECTORIES = (b"\x3e\xbe", b"\x3b\xee", b"\x3d\xf1", b"\x3d\xff")


def _xfs(image: Bytes, offset: int) -> Iterator[Unit]:
    sector, block = offset & ~511, offset & ~4095
    magic = bytes(image[sector : sector + 4])
    if magic in _XFS_SECTORS:
        yield Unit(sector, 512, _castagnoli(_XFS_SECTORS[magic]))
    if magic.startswith(b"IN"):
        yield Unit(sector, 512, _castagnoli(100))
    magic = bytes(image[block : block + 4])
    if magic in _XFS_BLOCKS:
        yield Unit(block, 4096, _castagnoli(_XFS_BLOCKS[magic]))
    if bytes(image[block + 8 : block + 10]) in _XFS_DIRECTORIES:
        yield Unit(block, 4096, _castagnoli(12))


# ---- Btrfs --------------------------------------------------------------------

_BTRFS_SUPER = 65536


def _btrfs(image: Bytes, offset: int) -> Iterator[Unit]:
    if _BTRFS_SUPER <= offset < _BTRFS_SUPER + 4096:
        yield Unit(_BTRFS_SUPER, 4096, _castagnoli(0, skip=32))
    file_system = bytes(image[_BTRFS_SUPER + 32 : _BTRFS_SUPER + 48])
    (node_bytes,) = struct.unpack_from("<I", image, _BTRFS_SUPER + 148)
    block = offset & ~4095
    for start in range(block - node_bytes + 4096, block + 1, 4096):
        if start > 0 and bytes(image[start + 32 : start + 48]) == file_system:
            yield Unit(start, node_bytes, _castagnoli(0, skip=32))


# ---- F2FS, exFAT, EROFS -------------------------------------------------------

_F2FS_MAGIC = 0xF2F52010


def _seal_checkpoint(data: bytes) -> bytes:
    value = zlib.crc32(data[:4092], _F2FS_MAGIC ^ 0xFFFFFFFF) ^ 0xFFFFFFFF
    return data[:4092] + struct.pack("<I", value)


def _f2fs(image: Bytes, offset: int) -> Iterator[Unit]:
    block = offset & ~4095
    if struct.unpack_from("<I", image, block + 164)[0] == 4092:
        yield Unit(block, 4096, _seal_checkpoint)


def _seal_boot_region(data: bytes) -> bytes:
    value = 0
    for at, byte in enumerate(data[: 11 * 512]):
        if at not in (106, 107, 112):  # flags and how full it is: they change without it
            value = ((value << 31 | value >> 1) + byte) & 0xFFFFFFFF
    return data[: 11 * 512] + struct.pack("<I", value) * 128


def _exfat(image: Bytes, offset: int) -> Iterator[Unit]:
    if offset < 12 * 512:
        yield Unit(0, 12 * 512, _seal_boot_region)


def _erofs(image: Bytes, offset: int) -> Iterator[Unit]:
    if 1024 <= offset < 4096:
        yield Unit(1024, 3072, _castagnoli(4, inverted=False))


# ---- UDF ----------------------------------------------------------------------


def _seal_descriptor(data: bytes) -> bytes:
    (length,) = struct.unpack_from("<H", data, 10)
    data = _put(data, 8, struct.pack("<H", binascii.crc_hqx(data[16 : 16 + length], 0)))
    return _put(data, 4, bytes((sum(data[:4] + data[5:16]) & 0xFF,)))


def _udf(image: Bytes, offset: int) -> Iterator[Unit]:
    for start in {offset & ~511, offset & ~2047}:
        # A tag of zeros would be right, too.
        if any(image[start : start + 16]):
            yield Unit(start, 512 if start % 2048 else 2048, _seal_descriptor)


_FINDERS: dict[str, Callable[[Bytes, int], Iterator[Unit]]] = {
    "btrfs": _btrfs,
    "erofs": _erofs,
    "exfat": _exfat,
    "ext2": _ext4,
    "ext3": _ext4,
    "ext4": _ext4,
    "f2fs": _f2fs,
    "udf": _udf,
    "xfs": _xfs,
}
