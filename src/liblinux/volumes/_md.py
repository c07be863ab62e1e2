"""md arrays: the superblock of each member says which array it is of; the kernel assembles them.

The ioctls are those of the kernel header `linux/raid/md_u.h`. What the members say
is believed by the kernel or not: this only sorts them.
"""

from __future__ import annotations

import errno
import os
import struct
from typing import TYPE_CHECKING, NamedTuple

from liblinux._errors import VolumeError
from liblinux._raid_superblock import find_superblock
from liblinux._signatures import format_uuid

if TYPE_CHECKING:
    from liblinux._kernel import Kernel
    from liblinux.volumes._device import Device

__all__ = ["Arrays", "Member", "read_member"]

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
        found = find_superblock(lambda length, offset: kernel.os.pread(descriptor, length, offset), device.size)
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return None  # what cannot be read is said by who needs it
    finally:
        kernel.os.close(descriptor)
    if found is None:
        return None
    return Member(device, found.version, format_uuid(found.uuid), found.name, found.level, found.disks)


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
