"""md arrays: the superblock of each member says which array it is of; the kernel assembles them.

Superblocks: version 1.0 (near the end), 1.1 (at the start), 1.2 (4 KiB behind it)
and 0.90 (near the end), by the kernel header `linux/raid/md_p.h`; ioctls by
`linux/raid/md_u.h`. What the members say is believed by the kernel or not: this
only sorts them.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from liblinux._errors import VolumeError
from liblinux._signatures import format_uuid

if TYPE_CHECKING:
    from collections.abc import Callable

    from liblinux._kernel import Kernel
    from liblinux.volumes._device import Device

__all__ = ["Arrays", "Member", "read_member"]

_SECTOR = 512
_MAGIC = 0xA92B4EFC
_SUPER1 = struct.Struct("<IIII16s32sQIIQII")
_SUPER1_WHERE = struct.Struct("<QQQQII")
_SUPER1_WHERE_OFFSET = 128
_SUPER90 = struct.Struct("<IIIIIIIIIIIIIIII")
_SUPER_BYTES = 4096
_RESERVED_90 = 64 << 10
_LEVELS = {-1: "linear", 0: "raid0", 1: "raid1", 4: "raid4", 5: "raid5", 6: "raid6", 10: "raid10"}

_MD_MAJOR = 9
_ARRAY_INFO = struct.Struct("=18i")
_DISK_INFO = struct.Struct("=5i")
_RUN = bytes(12)
_SET_ARRAY_INFO = 1 << 30 | _ARRAY_INFO.size << 16 | _MD_MAJOR << 8 | 0x23
_ADD_NEW_DISK = 1 << 30 | _DISK_INFO.size << 16 | _MD_MAJOR << 8 | 0x21
_RUN_ARRAY = 1 << 30 | len(_RUN) << 16 | _MD_MAJOR << 8 | 0x30
_STOP_ARRAY = _MD_MAJOR << 8 | 0x32
_PARAMETERS = "/sys/module/md_mod/parameters"


class Member(NamedTuple):
    """What a superblock says: `version` as 1.2 or 0.90, the array, and how many disks it has."""

    device: Device
    version: str
    uuid: str
    name: str
    level: str
    disks: int


def read_member(kernel: Kernel, device: Device) -> Member | None:
    """The superblock on a device, wherever it is; None when there is none."""
    descriptor = kernel.os.open(device.path, os.O_RDONLY)
    try:

        def read(offset: int) -> bytes:
            return kernel.os.pread(descriptor, _SUPER_BYTES, offset) if offset >= 0 else b""

        return _find(device, read)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return None  # what cannot be read is said by who needs it
    finally:
        kernel.os.close(descriptor)


def _find(device: Device, read: Callable[[int], bytes]) -> Member | None:
    sectors = device.size // _SECTOR
    for minor, place in ((2, 8), (1, 0), (0, (sectors - 16) & ~7)):
        raw = read(place * _SECTOR)
        if len(raw) < _SUPER_BYTES or _SUPER1.unpack_from(raw)[:2] != (_MAGIC, 1):
            continue
        _, _, _, _, uuid, name, _, level, _, _, _, disks = _SUPER1.unpack_from(raw)
        # One that was copied elsewhere says where it was meant to be.
        if _SUPER1_WHERE.unpack_from(raw, _SUPER1_WHERE_OFFSET)[2] == place:
            text = name.partition(b"\0")[0].decode("utf-8", "replace")
            return Member(device, f"1.{minor}", format_uuid(uuid), text, _level(level), disks)
    raw = read((device.size & ~(_RESERVED_90 - 1)) - _RESERVED_90)
    if len(raw) == _SUPER_BYTES and (super90 := _SUPER90.unpack_from(raw))[:2] == (_MAGIC, 0):
        _, _, _, _, _, first, _, level, _, _, disks, number, _, second, third, fourth = super90
        uuid = b"".join(word.to_bytes(4, "big") for word in (first, second, third, fourth))
        return Member(device, "0.90", format_uuid(uuid), str(number), _level(level), disks)
    return None


def _level(number: int) -> str:
    number -= (number & 0x80000000) << 1  # the level of "linear" is -1
    return _LEVELS.get(number, f"level {number}")


class Arrays:
    """The arrays of a kernel; stop() writes back that they were left in order."""

    def __init__(self, kernel: Kernel, *, in_place: bool) -> None:
        self._kernel = kernel
        self._in_place = in_place
        self._running: list[str] = []
        if not in_place:
            # Nothing is to be resynchronised, and an array that was not left in order is good enough to be read.
            # It holds for the RAID of the device mapper as well.
            for parameter in ("start_ro", "start_dirty_degraded"):
                kernel._write(f"{_PARAMETERS}/{parameter}", b"1")

    def assemble(self, members: list[Member]) -> str:
        """Run an array of these; returns the name of its device, "md0". VolumeError with what the kernel says."""
        name = f"md{len(self._running)}"
        self._kernel._write(f"{_PARAMETERS}/new_array", name.encode())
        self._kernel._log.mark()
        descriptor = self._kernel.os.open(f"/dev/{name}", os.O_RDWR)
        try:
            self._run(descriptor, members)
        finally:
            self._kernel.os.close(descriptor)
        self._running.append(name)
        if not self._in_place:
            self._freeze(name)
        return name

    def _run(self, descriptor: int, members: list[Member]) -> None:
        call = self._kernel.syscall
        first = members[0]
        major, minor = (0, 90) if first.version == "0.90" else (1, int(first.version[2:]))
        try:
            call("ioctl", descriptor, _SET_ARRAY_INFO, _ARRAY_INFO.pack(major, minor, *[0] * 16))
            for member in members:
                number = self._kernel.os.stat(member.device.path).st_rdev
                info = _DISK_INFO.pack(0, os.major(number), os.minor(number), 0, 0)
                call("ioctl", descriptor, _ADD_NEW_DISK, info)
            call("ioctl", descriptor, _RUN_ARRAY, _RUN)
        except OSError as error:
            said = "; ".join(record.text for record in self._kernel._log.take())
            self._kernel.os.call("ioctl", descriptor, _STOP_ARRAY, 0)
            raise VolumeError(
                error.errno or 0,
                f"the array {first.name!r} ({first.level}, {len(members)} of {first.disks} disks are here) "
                f"does not run: {said or error.strerror}",
                advice="give the images of its other disks: --with IMAGE, members=[...]",
            ) from error

    def _freeze(self, name: str) -> None:
        """No resynchronisation either when something is written, into an overlay."""
        path = f"/sys/block/{name}/md/sync_action"
        if self._kernel.os.path.exists(path):
            self._kernel._write(path, b"frozen")

    def stop(self) -> None:
        """Stop all; nothing may be mounted. OSError (EBUSY) of an array in use."""
        while self._running:
            name = self._running[-1]
            descriptor = self._kernel.os.open(f"/dev/{name}", os.O_RDWR)
            try:
                self._kernel.syscall("ioctl", descriptor, _STOP_ARRAY, 0)
            finally:
                self._kernel.os.close(descriptor)
            self._running.pop()
