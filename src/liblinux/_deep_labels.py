"""Labels that are no part of a super block: NTFS has it in a file, exFAT in its root directory.

Sources: "exFAT file system specification" (Microsoft), 7.3; for NTFS the kernel's
`fs/ntfs3/ntfs.h`.
"""

from __future__ import annotations

import struct

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[int, int], bytes]  # length and offset, as of pread

__all__ = ["DEEP_TYPES", "deep_label"]

DEEP_TYPES = ("ntfs3", "exfat")

_NTFS_BOOT = struct.Struct("<11xHB34xQ8xb")
_NTFS_RECORD = struct.Struct("<4sHH12xH")
_NTFS_ATTRIBUTE = struct.Struct("<II8xIH")
_NTFS_VOLUME = 3  # the number of the file
_NTFS_NAME = 0x60
_NTFS_END = 0xFFFFFFFF
_SECTOR = 512
_LARGEST_RECORD_BYTES = 65536
_EXFAT_BOOT = struct.Struct("<88xI4xI8xBB")
_EXFAT_ROOT_BYTES = 4096
_EXFAT_LABEL = 0x83
_LARGEST_OFFSET = 1 << 62


def deep_label(type: str, head: bytes, read: Read) -> str:
    """The label of a volume of one of the DEEP_TYPES, "" if it has none or is damaged. OSError of `read`."""
    try:
        return _ntfs(head, read) if type == "ntfs3" else _exfat(head, read)
    except (struct.error, ValueError, OverflowError):
        return ""  # damaged; whoever mounts it will hear of that


def _ntfs(head: bytes, read: Read) -> str:
    sector, per_cluster, table, size = _NTFS_BOOT.unpack_from(head)
    cluster = sector * (per_cluster if per_cluster <= 128 else 1 << (256 - per_cluster))
    record_bytes = 1 << -size if size < 0 else size * cluster
    start = table * cluster + _NTFS_VOLUME * record_bytes
    if not 0 < record_bytes <= _LARGEST_RECORD_BYTES or start > _LARGEST_OFFSET:
        return ""
    record = bytearray(read(record_bytes, start))
    magic, fixup, count, place = _NTFS_RECORD.unpack_from(record)
    if magic != b"FILE":
        return ""
    # The last two bytes of each sector are kept at the head of the record.
    for number in range(1, count):
        end = number * _SECTOR
        record[end - 2 : end] = record[fixup + 2 * number : fixup + 2 * number + 2]
    while True:
        kind, length, value_bytes, value = _NTFS_ATTRIBUTE.unpack_from(record, place)
        if kind == _NTFS_NAME:
            return record[place + value : place + value + value_bytes].decode("utf-16-le")
        if kind == _NTFS_END or not length:
            return ""
        place += length


def _exfat(head: bytes, read: Read) -> str:
    heap, root, sector_bits, cluster_bits = _EXFAT_BOOT.unpack_from(head)
    start = (heap << sector_bits) + (root - 2 << sector_bits + cluster_bits)
    if not 0 < start <= _LARGEST_OFFSET:
        return ""
    directory = read(_EXFAT_ROOT_BYTES, start)
    for place in range(0, len(directory), 32):
        if directory[place] == _EXFAT_LABEL:
            return directory[place + 2 : place + 2 + 2 * min(directory[place + 1], 11)].decode("utf-16-le")
    return ""
