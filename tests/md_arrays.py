"""Makes md arrays for tests: of version 0.90 by the kernel's ioctls, as mdadm once did; of 1.x by their superblock.

mdadm itself works on block devices and the md of the host only; it does look at
files, so tests compare with what it says of them.
"""

from __future__ import annotations

import os
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path

import liblinux
from conftest import MIB

DISK_BYTES = 24 * MIB
CHUNK_BYTES = 64 << 10
IDENTIFIER = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
# By version: where the superblock is, and where the data begins, in sectors.
_PLACES = {"1.0": ((DISK_BYTES // 512 - 16) & ~7, 0), "1.1": (0, 2048), "1.2": (8, 2048)}
_ACTIVE_AND_IN_SYNC = 6


@dataclass(frozen=True)
class Level:
    """A level: its number, how many disks, their layout, how many disks' worth of room, how many may be missing."""

    number: int
    disks: int
    layout: int
    room: int
    missing: int


LEVELS = {
    "linear": Level(-1, 3, 0, 3, 0),
    "raid0": Level(0, 3, 0, 3, 0),
    "raid1": Level(1, 2, 0, 1, 1),
    "raid4": Level(4, 3, 0, 2, 1),
    "raid5": Level(5, 3, 2, 2, 1),
    "raid6": Level(6, 4, 2, 2, 2),
    "raid10": Level(10, 4, 0x102, 2, 1),
}


def blank(directory: Path, level: str) -> list[Path]:
    """Empty disks for an array."""
    paths = [directory / f"{level}-{number}" for number in range(LEVELS[level].disks)]
    for path in paths:
        with path.open("wb") as file:
            file.truncate(DISK_BYTES)
    return paths


def make_90(disks: list[Path], name: str, content: bytes) -> None:
    """An array of version 0.90, with this content."""
    level = LEVELS[name]
    with liblinux.Kernel() as kernel:
        attached = [kernel.attach(disk) for disk in disks]
        with kernel.open("/sys/module/md_mod/parameters/new_array", "w") as file:
            file.write("md7")
        descriptor = kernel.os.open("/dev/md7", os.O_RDWR)
        size = (DISK_BYTES - (64 << 10)) // CHUNK_BYTES * CHUNK_BYTES // 1024
        info = struct.pack("=18i", 0, 90, 0, 0, level.number, size, level.disks, level.disks, 7, 0, 0, 1,
                           level.disks, level.disks, 0, 0, level.layout, CHUNK_BYTES)  # fmt: skip
        kernel.syscall("ioctl", descriptor, 0x40480923, info)
        for number, disk in enumerate(attached):
            device = kernel.os.stat(disk.path).st_rdev
            disk_info = struct.pack(
                "=5i", number, os.major(device), os.minor(device), number, _ACTIVE_AND_IN_SYNC
            )  # fmt: skip
            kernel.syscall("ioctl", descriptor, 0x40140921, disk_info)
        kernel.syscall("ioctl", descriptor, 0x400C0930, bytes(12))
        with kernel.open("/dev/md7", "r+b") as device_file:
            device_file.write(content)
        kernel.os.fsync(descriptor)
        kernel.syscall("ioctl", descriptor, 0x932, 0)
        kernel.os.close(descriptor)


def make_1(disks: list[Path], name: str, version: str, label: str = "host:array") -> None:
    """Superblocks of version 1.0, 1.1 or 1.2 on the disks of an array that nothing was written to yet."""
    level = LEVELS[name]
    place, data = _PLACES[version]
    room = min(place or DISK_BYTES // 512, DISK_BYTES // 512) if version == "1.0" else DISK_BYTES // 512 - data
    size = room // (CHUNK_BYTES // 512) * (CHUNK_BYTES // 512)
    for number, disk in enumerate(disks):
        block = bytearray(4096)
        struct.pack_into("<IIII16s32sQiIQII", block, 0, 0xA92B4EFC, 1, 0, 0, IDENTIFIER.bytes, label.encode(), 0,
                         level.number, level.layout, 0 if name in ("raid0", "linear") else size,
                         0 if name == "raid1" else CHUNK_BYTES // 512, level.disks)  # fmt: skip
        struct.pack_into(
            "<QQQQII16s", block, 128, data, size, place, 0, number, 0, uuid.uuid5(IDENTIFIER, disk.name).bytes
        )
        struct.pack_into("<QQQII", block, 192, 0, 1, 0xFFFFFFFFFFFFFFFF, 0, 128)
        roles = [*range(level.disks), *[0xFFFF] * (128 - level.disks)]
        struct.pack_into("<128H", block, 256, *roles)
        total = sum(struct.unpack_from("<128I", block))
        struct.pack_into("<I", block, 216, (total & 0xFFFFFFFF) + (total >> 32) & 0xFFFFFFFF)
        with disk.open("r+b") as file:
            file.seek(place * 512)
            file.write(block)
