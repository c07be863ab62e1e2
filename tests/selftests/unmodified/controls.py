"""fcntl(2), dup(2) and ioctl(2)."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from unmodified.call import Call, signed, view
from unmodified.outcomes import Passed

if TYPE_CHECKING:
    from unmodified.files import File

_F_GETFL, _F_SETFL = 3, 4
_FIONBIO = 0x5421
# A struct ifreq of these points to something: SIOCETHTOOL, SIOCSHWTSTAMP, SIOCGHWTSTAMP, those of drivers (tunnels).
_WITH_DATA = {0x8946, 0x89B0, 0x89B1, *range(0x89F0, 0x8A00)}
_MOST_DATA_BYTES = 16384


def _fcntl(call: Call) -> int:
    file, command = call.file(), signed(call.arguments[1])
    if command == _F_GETFL:
        flags = call.call("fcntl", file.fd, command, 0)
        return flags & ~os.O_NONBLOCK if file.waits and flags >= 0 else flags
    if command == _F_SETFL:
        file.waits = not call.arguments[2] & os.O_NONBLOCK
        return call.call("fcntl", file.fd, command, signed(call.arguments[2]) | os.O_NONBLOCK)
    if command in (fcntl.F_DUPFD, fcntl.F_DUPFD_CLOEXEC):
        return _copy(call, file, command)
    raise Passed  # of the descriptor, not of the file


def _dup(call: Call) -> int:
    return _copy(call, call.file(), fcntl.F_DUPFD)


def _copy(call: Call, file: File, command: int) -> int:
    """A copy with a number that the kernel chooses: this machine's choice would be one of which no call is told."""
    fd = call.call("fcntl", file.fd, command, 0)
    return call.install(fd, waits=file.waits, cloexec=command == fcntl.F_DUPFD_CLOEXEC)


def _ioctl(call: Call) -> int:
    file, command, address = call.file(), call.arguments[1] & 0xFFFFFFFF, call.arguments[2]
    if command == _FIONBIO:
        file.waits = not struct.unpack("<i", call.read(address, 4))[0]
        return 0
    # Numbers of the old kind (SIOC...) say no size, and those of TUN a wrong one: a struct ifreq has 40 bytes.
    size = max((command >> 16) & 0x3FFF if command >> 30 else 0, 40)
    try:
        value: bytearray | int = call.read(address, size)
    except OSError:
        value = address
    if isinstance(value, int):
        return call.call("ioctl", file.fd, command, value)
    if command in _WITH_DATA:
        return _with_data(call, file, command, value)
    result = call.call("ioctl", file.fd, command, value)
    if result >= 0:
        call.write(address, value)
    return result


def _with_data(call: Call, file: File, command: int, request: bytearray) -> int:
    (at,) = struct.unpack_from("<Q", request, 16)
    size = _MOST_DATA_BYTES
    while True:
        try:
            data = call.read(at, size)
            break
        except OSError:
            if size <= 32:
                raise
            size //= 2
    inner = bytearray(request)
    struct.pack_into("<Q", inner, 16, view(data))
    result = call.call("ioctl", file.fd, command, inner)
    if result >= 0:
        call.write(at, data)
    return result


HANDLERS: dict[str, Callable[[Call], int]] = {
    "dup": _dup,
    "fcntl": _fcntl,
    "ioctl": _ioctl,
}
