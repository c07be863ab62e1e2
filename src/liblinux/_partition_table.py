"""UUIDs of partitions, which Linux keeps to itself.

The kernel finds the partitions; /sys has their numbers, places and names, but not
their UUIDs (6.12 says them in no file either). So they are read from the table,
by the number that the kernel has given: of a GPT (UEFI Specification, 5.3) the
entry's own, of a DOS table the disk's number and the partition's (blkid(8) has
the same for both).
"""

from __future__ import annotations

import errno
import os
import struct

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liblinux._kernel import Kernel

__all__ = ["part_uuids", "table_kind"]

_DOS_ID = struct.Struct("<I")
_DOS_ID_OFFSET = 440
_DOS_MAGIC = b"\x55\xaa"
_DOS_PARTITIONS = 64  # more than Linux looks for
_GPT_MAGIC = b"EFI PART"
# Where the entries are, how many, and of what size.
_GPT_ENTRIES = struct.Struct("<72xQII")
_GPT_UUID_OFFSET = 16
_GPT_ENTRY_BYTES = 128
_GPT_LARGEST_TABLE = 1 << 20
_LARGEST_SECTOR = 4096
_SECTORS = (512, 1024, 2048, 4096)


def part_uuids(kernel: Kernel, path: str) -> dict[int, str]:
    """The UUIDs of the partitions of a disk of the kernel, by number; empty when its table has none."""
    try:
        return _read(kernel, path)
    except OSError as error:
        # What cannot be read has no UUID; a disk that is gone will say so to who asks for more.
        if error.errno not in (errno.EIO, errno.ENXIO, errno.ENODEV, errno.EBADMSG):
            raise
        return {}


def table_kind(head: bytes) -> str:
    """ "gpt", "dos" or "", for the first 8192 bytes of a disk."""
    if any(head.startswith(_GPT_MAGIC, sector) for sector in _SECTORS):
        return "gpt"
    return "dos" if head[510:512] == _DOS_MAGIC else ""


def _read(kernel: Kernel, path: str) -> dict[int, str]:
    descriptor = kernel.os.open(path, os.O_RDONLY)
    try:
        head = kernel.os.pread(descriptor, 2 * _LARGEST_SECTOR, 0)
        for sector in _SECTORS:
            if head.startswith(_GPT_MAGIC, sector):
                start, count, size = _GPT_ENTRIES.unpack_from(head, sector)
                if size < _GPT_ENTRY_BYTES or count * size > _GPT_LARGEST_TABLE or start >> 48:
                    return {}  # damaged; the kernel has found it by its copy
                return _gpt_uuids(kernel.os.pread(descriptor, count * size, start * sector), size)
    finally:
        kernel.os.close(descriptor)
    if table_kind(head) != "dos":
        return {}
    (number,) = _DOS_ID.unpack_from(head, _DOS_ID_OFFSET)
    return {part: f"{number:08x}-{part:02x}" for part in range(1, _DOS_PARTITIONS)} if number else {}


def _gpt_uuids(table: bytes, size: int) -> dict[int, str]:
    entries = (table[start : start + size] for start in range(0, len(table), size))
    return {
        number: _gpt_uuid(entry[_GPT_UUID_OFFSET : _GPT_UUID_OFFSET + 16])
        for number, entry in enumerate(entries, 1)
        if len(entry) == size and any(entry[:16])
    }


def _gpt_uuid(raw: bytes) -> str:
    """The first three fields are little-endian, the rest are bytes."""
    first, second, third = struct.unpack_from("<IHH", raw)
    return f"{first:08x}-{second:04x}-{third:04x}-{raw[8:10].hex()}-{raw[10:16].hex()}"
