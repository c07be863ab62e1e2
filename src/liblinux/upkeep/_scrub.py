"""Btrfs reads all that it has, compares it with its checksums, and mends from a copy where there is one."""

from __future__ import annotations

import errno
import os
import struct

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING, Value
from liblinux.upkeep import _ioctl as ioctl

if TYPE_CHECKING:
    from liblinux._image_root import ImageRoot

__all__ = ["Scrubbed", "scrub"]

# linux/btrfs.h: device, start, end, flags; then the counters.
_ARGUMENTS = struct.Struct("<4Q")
_COUNTERS = struct.Struct("<15Q")
_BYTES = 1024
_READONLY = 1
_TO_THE_END = (1 << 64) - 1
_DEVICES = struct.Struct("<2Q")  # the largest id, how many


class Scrubbed(Value):
    """What a scrub has read, in bytes, and the errors that it has found, corrected, and could not."""

    data_bytes: int
    tree_bytes: int
    errors: int
    corrected: int
    uncorrectable: int


def scrub(image: ImageRoot) -> Scrubbed:
    """Scrub a mounted file system; it corrects what it can when the image is writable.

    LiblinuxError for a file system that has no such thing, OSError of the ioctl.
    """
    if image.mount.type != "btrfs":
        reason = {
            "xfs": "this kernel is built without XFS's online check (CONFIG_XFS_ONLINE_SCRUB)",
        }.get(image.mount.type, f"{image.mount.type} has no check of its own while it is mounted")
        raise LiblinuxError(f"{reason}; without --scrub its checker looks at the image")
    descriptor = image.os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    try:
        largest, _ = _DEVICES.unpack_from(ioctl.call(image.os, descriptor, ioctl.BTRFS_IOC_FS_INFO, bytes(_BYTES)))
        found = [_scrub_device(image, descriptor, number) for number in range(1, largest + 1)]
    finally:
        image.os.close(descriptor)
    return Scrubbed(*(sum(column) for column in zip(*filter(None, found), strict=True)))


def _scrub_device(image: ImageRoot, descriptor: int, number: int) -> tuple[int, ...] | None:
    arguments = _ARGUMENTS.pack(number, 0, _TO_THE_END, 0 if image.writable else _READONLY)
    try:
        answer = ioctl.call(image.os, descriptor, ioctl.BTRFS_IOC_SCRUB, arguments.ljust(_BYTES, b"\0"))
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None  # a device that has been removed
        raise
    _, _, data, tree, reads, checksums, verifies, _, _, supers, memory, lost, corrected, _, _ = _COUNTERS.unpack_from(
        answer, _ARGUMENTS.size
    )
    return data, tree, reads + checksums + verifies + supers + memory, corrected, lost
