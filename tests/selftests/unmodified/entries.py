"""Files by name and their status: open(2), stat(2), directories."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Final

from unmodified import memory
from unmodified.call import Call, signed

_EMPTY_PATH: Final = 0x1000
_STAT_BYTES, _STATX_BYTES = 144, 256


def _lseek(call: Call) -> int:
    return call.call("lseek", call.file().fd, signed(call.arguments[1], 64), signed(call.arguments[2]))


def _getdents(call: Call) -> int:
    file, data = call.file(), bytearray(min(call.arguments[2], 65536))
    result = call.call("getdents64", file.fd, data, len(data))
    if result > 0:
        call.write(call.arguments[1], data[:result])
    return result


def _fstat(call: Call) -> int:
    return _stat_to(call, call.arguments[1], "newfstatat", call.file().fd, b"\0", _EMPTY_PATH)


def _stat_to(call: Call, address: int, name: str, dirfd: int, path: bytes, flags: int) -> int:
    data = bytearray(_STAT_BYTES)
    result = call.call(name, dirfd, path, data, flags)
    if result == 0:
        call.write(address, data)
    return result


# ---- paths ------------------------------------------------------------------


def _open(call: Call) -> int:
    at = call.name == "openat"
    arguments = call.arguments[at:]
    dirfd, path = call.path(arguments[0], call.arguments[0] if at else None)
    flags = signed(arguments[1])
    fd = call.call("openat", dirfd, path + b"\0", flags | os.O_NONBLOCK, arguments[2] & 0o7777)
    given = call.install(fd, waits=not flags & os.O_NONBLOCK, cloexec=bool(flags & os.O_CLOEXEC))
    if given >= 0 and path.endswith(b"/cgroup.procs"):
        call.server.files.of_processes.add(fd)
    return given


def _stat(call: Call) -> int:
    dirfd, path = call.path(call.arguments[0])
    return _stat_to(call, call.arguments[1], "newfstatat", dirfd, path + b"\0", 0x100 * (call.name == "lstat"))


def _empty(call: Call, flags: int) -> bool:
    return bool(flags & _EMPTY_PATH) and not memory.read_string(call.pid, call.arguments[1])


def _newfstatat(call: Call) -> int:
    flags = signed(call.arguments[3])
    dirfd, path = (call.file().fd, b"") if _empty(call, flags) else call.path(call.arguments[1], call.arguments[0])
    return _stat_to(call, call.arguments[2], "newfstatat", dirfd, path + b"\0", flags)


def _statx(call: Call) -> int:
    flags = signed(call.arguments[2])
    dirfd, path = (call.file().fd, b"") if _empty(call, flags) else call.path(call.arguments[1], call.arguments[0])
    data = bytearray(_STATX_BYTES)
    result = call.call("statx", dirfd, path + b"\0", flags, call.arguments[3], data)
    if result == 0:
        call.write(call.arguments[4], data)
    return result


def _about_path(call: Call) -> int:
    """access, mkdir, rmdir, unlink and those with a directory before the path: numbers behind it."""
    at = call.name.endswith(("at", "at2"))
    dirfd, path = call.path(call.arguments[at], call.arguments[0] if at else None)
    rest = [signed(value) for value in call.arguments[1 + at : 3 + at]]
    name, count = {
        "access": ("faccessat", 1), "faccessat": ("faccessat", 1), "faccessat2": ("faccessat2", 2),
        "mkdir": ("mkdirat", 1), "mkdirat": ("mkdirat", 1), "unlink": ("unlinkat", 0), "unlinkat": ("unlinkat", 1),
        "rmdir": ("unlinkat", -1),
    }[call.name]  # fmt: skip
    numbers = {-1: [0x200], 0: [0]}.get(count, rest[:count])
    return call.call(name, dirfd, path + b"\0", *numbers)


def _readlink(call: Call) -> int:
    at = call.name == "readlinkat"
    arguments = call.arguments[at:]
    dirfd, path = call.path(arguments[0], call.arguments[0] if at else None)
    data = bytearray(min(arguments[2], 4096))
    result = call.call("readlinkat", dirfd, path + b"\0", data, len(data))
    if result > 0:
        call.write(arguments[1], data[:result])
    return result


HANDLERS: dict[str, Callable[[Call], int]] = {
    "lseek": _lseek,
    "getdents64": _getdents,
    "fstat": _fstat,
    "open": _open,
    "openat": _open,
    "stat": _stat,
    "lstat": _stat,
    "newfstatat": _newfstatat,
    "statx": _statx,
    "access": _about_path,
    "faccessat": _about_path,
    "faccessat2": _about_path,
    "mkdir": _about_path,
    "mkdirat": _about_path,
    "rmdir": _about_path,
    "unlink": _about_path,
    "unlinkat": _about_path,
    "readlink": _readlink,
    "readlinkat": _readlink,
}
