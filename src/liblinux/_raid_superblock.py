"""The superblock of a member of an md array: which array it is of, by `linux/raid/md_p.h`.

Versions 1.1 (at the start) and 1.2 (4 KiB behind it) show in the first bytes of a
disk, 1.0 and 0.90 only near its end: such a member of a mirror looks like the file
system that is on the array, and would be out of step if it were written alone.
"""

from __future__ import annotations

import struct

from liblinux._typing import TYPE_CHECKING, Value

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Superblock", "find_superblock"]

_SECTOR = 512
_MAGIC = 0xA92B4EFC
_VERSION1 = struct.Struct("<IIII16s32sQiIQII")
_WHERE = struct.Struct("<QQQ")
_WHERE_OFFSET = 128
_VERSION90 = struct.Struct("<IIIIIIIiIIIIIIII")
_BYTES = 4096
_RESERVED_90 = 64 << 10
_LEVELS = {-1: "linear", 0: "raid0", 1: "raid1", 4: "raid4", 5: "raid5", 6: "raid6", 10: "raid10"}


class Superblock(Value):
    """What it says: `version` as "1.2" or "0.90"; UUID, name, level and number of disks of the array."""

    version: str
    uuid: bytes
    name: str
    level: str
    disks: int


def find_superblock(read: Callable[[int, int], bytes], size: int) -> Superblock | None:
    """The superblock on a device of `size` bytes; `read(length, offset)` gives a part of it. None if there is none."""
    sectors = size // _SECTOR
    for minor, place in ((0, (sectors - 16) & ~7), (1, 0), (2, 8)):
        if place < 0 or (place + 8) * _SECTOR > size:
            continue
        raw = read(_BYTES, place * _SECTOR)
        if len(raw) < _BYTES or _VERSION1.unpack_from(raw)[:2] != (_MAGIC, 1):
            continue
        _, _, _, _, uuid, name, _, level, _, _, _, disks = _VERSION1.unpack_from(raw)
        # One that was copied from elsewhere says where it was meant to be.
        if _WHERE.unpack_from(raw, _WHERE_OFFSET)[2] == place:
            text = name.partition(b"\0")[0].decode("utf-8", "replace")
            return Superblock(f"1.{minor}", uuid, text, _LEVELS.get(level, f"level {level}"), disks)
    return _find_90(read, size)


def _find_90(read: Callable[[int, int], bytes], size: int) -> Superblock | None:
    place = (size & ~(_RESERVED_90 - 1)) - _RESERVED_90
    raw = read(_BYTES, place) if place >= 0 else b""
    if len(raw) < _BYTES:
        return None
    found = _VERSION90.unpack_from(raw)
    if found[:2] != (_MAGIC, 0):
        return None
    _, _, _, _, _, first, _, level, _, _, disks, number, _, second, third, fourth = found
    uuid = b"".join(word.to_bytes(4, "big") for word in (first, second, third, fourth))
    return Superblock("0.90", uuid, str(number), _LEVELS.get(level, f"level {level}"), disks)
