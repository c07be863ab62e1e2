"""The kernel's device mapper, by its ioctls (kernel header `linux/dm-ioctl.h`, version 4).

A device is made, gets a table of targets, and is resumed; its node is /dev/dm-N,
for there is no udev to give it a name. Sizes and offsets in tables are in sectors
of 512 bytes.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from liblinux._kernel import Kernel

__all__ = ["SECTOR", "Mapper", "Target"]

SECTOR = 512

_CONTROL = "/dev/mapper/control"
# version, data_size, data_start, target_count, open_count, flags, event_nr, padding, dev, name, uuid, data
_IOCTL = struct.Struct("=3IIIIiIIIQ128s129s7x")
_SPEC = struct.Struct("=QQiI16s")
_VERSION = (4, 0, 0)
_CREATE, _REMOVE, _SUSPEND, _LOAD, _MESSAGE = 3, 4, 6, 9, 14
_READONLY = 1
_SECURE = 1 << 15  # the kernel wipes its copies of the table, which may hold a key


class Target(NamedTuple):
    """One line of a table, as dmsetup(8) has it."""

    start: int
    length: int
    kind: str
    arguments: str


class Mapper:
    """The device mapper of a kernel; remove_all() takes away what was made with it."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._made: list[str] = []

    def make(self, name: str, table: list[Target], *, readonly: bool) -> str:
        """Make a device; returns the path of its node. OSError when the kernel does not take the table."""
        flags = _READONLY if readonly else 0
        self._call(_CREATE, name)
        self._made.append(name)
        try:
            self._call(_LOAD, name, flags | _SECURE, b"".join(map(_pack, table)), len(table))
            device = self._call(_SUSPEND, name, flags)  # without its flag it resumes
        except BaseException:
            self.remove(name)
            raise
        return f"/dev/dm-{os.minor(device)}"

    def message(self, name: str, text: str) -> None:
        """Tell the target of a device something, as dmsetup(8) does."""
        data = bytes(8) + text.encode() + b"\0"  # for sector 0
        self._call(_MESSAGE, name, data=data)

    def remove(self, name: str) -> None:
        """Remove a device that nobody uses."""
        self._call(_REMOVE, name)
        self._made.remove(name)

    def remove_all(self) -> None:
        """Remove all, the last one first, for it may stand on the others."""
        for name in reversed(self._made.copy()):
            self.remove(name)

    def _call(self, command: int, name: str, flags: int = 0, data: bytes = b"", count: int = 0) -> int:
        """One ioctl; returns the number of the device."""
        size = _IOCTL.size + len(data)
        head = _IOCTL.pack(*_VERSION, size, _IOCTL.size, count, 0, flags, 0, 0, 0, os.fsencode(name), b"")
        argument = bytearray(head + data)
        request = 3 << 30 | _IOCTL.size << 16 | 0xFD << 8 | command
        descriptor = self._kernel.os.open(_CONTROL, os.O_RDWR)
        try:
            self._kernel.syscall("ioctl", descriptor, request, argument)
        finally:
            self._kernel.os.close(descriptor)
        device: int = _IOCTL.unpack_from(argument)[10]
        return device


def _pack(target: Target) -> bytes:
    arguments = target.arguments.encode() + b"\0"
    arguments += bytes(-len(arguments) % 8)
    step = _SPEC.size + len(arguments)
    return _SPEC.pack(target.start, target.length, 0, step, target.kind.encode()) + arguments
