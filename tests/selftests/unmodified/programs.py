"""bpf(2)."""

from __future__ import annotations

import errno
import struct
from collections.abc import Callable

from unmodified import memory
from unmodified.call import Call, signed, view

_BPF_PROG_LOAD = 5
_BPF_OF_NUMBERS = {8, 9}  # BPF_PROG_ATTACH, BPF_PROG_DETACH: descriptors, which are the same in the kernel


def _bpf(call: Call) -> int:
    """Programs are loaded with all that they point to; maps are other numbers and copies of keys and values."""
    command, size = signed(call.arguments[0]), min(call.arguments[2], 256)
    attributes = call.read(call.arguments[1], size)
    if command == 0:  # BPF_MAP_CREATE
        fd = call.call("bpf", command, attributes, size)
        return call.install(fd, waits=True, cloexec=True)
    if command in _BPF_OF_NUMBERS:
        return call.call("bpf", command, attributes, size)
    if command != _BPF_PROG_LOAD:
        return -errno.EINVAL
    _, count, code_at, license_at, _, log_bytes, log_at = struct.unpack_from("<IIQQIIQ", attributes)
    code, words = call.read(code_at, 8 * count), bytearray(memory.read_string(call.pid, license_at) + b"\0")
    log = bytearray(log_bytes)
    struct.pack_into("<QQ", attributes, 8, view(code), view(words))
    struct.pack_into("<Q", attributes, 32, view(log))
    fd = call.call("bpf", command, attributes, size)
    if log_at:
        call.write(log_at, log)
    return call.install(fd, waits=True, cloexec=True)


HANDLERS: dict[str, Callable[[Call], int]] = {
    "bpf": _bpf,
}
