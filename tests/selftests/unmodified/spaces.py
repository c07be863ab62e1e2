"""Namespaces, mounts, and who the program is."""

from __future__ import annotations

import errno
from collections.abc import Callable

from unmodified import memory, paths
from unmodified.call import Call, signed

_UNAME_BYTES = 390


def _unshare(call: Call) -> int:
    return call.call("unshare", call.arguments[0])


def _setns(call: Call) -> int:
    return call.call("setns", call.file().fd, signed(call.arguments[1]))


def _uname(call: Call) -> int:
    names = bytearray(_UNAME_BYTES)
    result = call.call("uname", names)
    call.write(call.arguments[0], names)
    return result


def _become(call: Call) -> int:
    """Another user or group: in the kernel only, for this machine has one user in here."""
    if call.name != "setgroups":
        return call.call(call.name, *map(signed, call.arguments[:3]))
    count = min(signed(call.arguments[0]), 65536)
    return call.call("setgroups", count, call.read(call.arguments[1], 4 * max(count, 0)))


def _text(call: Call, address: int) -> bytes | None:
    return memory.read_string(call.pid, address) + b"\0" if address else None


def _mounted(call: Call, address: int) -> bytes | None:
    raw = _text(call, address)
    return raw and (paths.inside(raw[:-1], call.server.number) or raw[:-1]) + b"\0"


def _mount(call: Call) -> int:
    source, target = _mounted(call, call.arguments[0]), _mounted(call, call.arguments[1])
    return call.call(
        "mount", source, target, _text(call, call.arguments[2]), call.arguments[3], _text(call, call.arguments[4])
    )


def _umount(call: Call) -> int:
    return call.call("umount2", _mounted(call, call.arguments[0]), signed(call.arguments[1]))


def _refused(call: Call) -> int:
    return -errno.EPERM


HANDLERS: dict[str, Callable[[Call], int]] = {
    "unshare": _unshare,
    "setns": _setns,
    "mount": _mount,
    "umount2": _umount,
    "chroot": _refused,
    "uname": _uname,
    "setuid": _become,
    "setgid": _become,
    "setreuid": _become,
    "setregid": _become,
    "setgroups": _become,
    "setresuid": _become,
    "setresgid": _become,
}
