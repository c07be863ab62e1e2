"""read(2), write(2) and their kin, and buffers in pieces."""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
from collections.abc import Callable
from typing import Final

from unmodified import waiting
from unmodified.call import Call, signed
from unmodified.files import borrow

MOST_READ_BYTES = 1 << 20
NOSIGNAL: Final = socket.MSG_NOSIGNAL


def spans(call: Call, address: int, count: int) -> list[tuple[int, int]]:
    raw = call.read(address, 16 * min(count, 1024))
    return list(struct.iter_unpack("<QQ", raw))


def scatter(call: Call, spans: list[tuple[int, int]], data: bytes | bytearray) -> None:
    at = 0
    for base, length in spans:
        if at >= len(data):
            return
        call.write(base, data[at : at + length])
        at += length


def gather(call: Call, spans: list[tuple[int, int]]) -> bytearray:
    return bytearray().join(call.read(base, length) for base, length in spans)


def _received(call: Call, spans: list[tuple[int, int]], name: str, *more: int) -> int:
    file = call.file()
    data = bytearray(min(sum(length for _, length in spans), MOST_READ_BYTES))
    result = call.patiently(file, waiting.IN, lambda: call.call(name, file.fd, data, len(data), *more))
    if result > 0:
        scatter(call, spans, data[:result])
    return result


def _sent(call: Call, data: bytearray, name: str, *more: int) -> int:
    """All of it, as a file that waits does; one that does not takes what it can."""
    file, done = call.file(), 0
    while True:
        part = data[done:] if done else data
        result = call.patiently(file, waiting.OUT, lambda: call.call(name, file.fd, part, len(part), *more))  # noqa: B023
        if result < 0:
            return broken(call, done or result)
        done += result
        if not file.waits or done >= len(data) or not result:
            return done


def broken(call: Call, result: int, flags: int = 0) -> int:
    if result == -errno.EPIPE and not flags & NOSIGNAL:
        os.kill(call.pid, signal.SIGPIPE)
    return result


def _read(call: Call) -> int:
    call.file()
    return _received(call, [(call.arguments[1], call.arguments[2])], "read")


def _readv(call: Call) -> int:
    call.file()
    return _received(call, spans(call, call.arguments[1], call.arguments[2]), "read")


def _pread(call: Call) -> int:
    call.file()
    return _received(call, [(call.arguments[1], call.arguments[2])], "pread64", call.arguments[3])


def _write(call: Call) -> int:
    if call.file().fd in call.server.files.of_processes:
        return _into_group(call)
    return _sent(call, call.read(call.arguments[1], call.arguments[2]), "write")


def _into_group(call: Call) -> int:
    """A process is put into a group of processes: it has another number in the kernel."""
    data = call.read(call.arguments[1], call.arguments[2])
    number = f"{call.server.number(int(data))}\n".encode()
    result = call.call("write", call.file().fd, number, len(number))
    return len(data) if result > 0 else result


def _writev(call: Call) -> int:
    call.file()
    return _sent(call, gather(call, spans(call, call.arguments[1], call.arguments[2])), "write")


def _sendfile(call: Call) -> int:
    """From a file of this machine, mostly, which is read here; from one of the kernel, the kernel does it."""
    call.file()
    source, at, count = signed(call.arguments[1]), call.arguments[2], min(call.arguments[3], MOST_READ_BYTES)
    offset = call.read(at, 8) if at else None
    inside = call.find(source)
    if inside is not None:
        result = call.call("sendfile", call.file().fd, inside.fd, offset, count)
        if offset is not None:
            call.write(at, offset)
        return result
    with os.fdopen(borrow(call.pid, source), "rb", buffering=0) as file:
        begin = struct.unpack("<q", offset)[0] if offset is not None else file.tell()
        result = _sent(call, bytearray(os.pread(file.fileno(), count, begin)), "write")
        if result > 0 and offset is not None:
            call.write(at, struct.pack("<q", begin + result))
        elif result > 0:
            file.seek(begin + result)  # the program has the same place in the file
    return result


def _pwrite(call: Call) -> int:
    call.file()
    return _sent(call, call.read(call.arguments[1], call.arguments[2]), "pwrite64", call.arguments[3])


HANDLERS: dict[str, Callable[[Call], int]] = {
    "read": _read,
    "readv": _readv,
    "pread64": _pread,
    "write": _write,
    "writev": _writev,
    "pwrite64": _pwrite,
    "sendfile": _sendfile,
}
