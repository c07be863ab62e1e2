"""Waiting: for one file, and poll, select and epoll over files of the kernel and of this machine.

The kernel is asked in slices: between them we look whether the program still waits, for a signal may have come.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import select as host_select
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

from unmodified.files import borrow
from unmodified.outcomes import Gone, Passed

if TYPE_CHECKING:
    from collections.abc import Callable

    from unmodified.call import Call
    from unmodified.files import File

IN: Final = host_select.POLLIN
OUT: Final = host_select.POLLOUT
HANG_UP: Final = host_select.POLLRDHUP
_SLICE_SECONDS = 0.05
_MIXED_SLICE_SECONDS = 0.003  # when files of both sides are looked at in turns


def deadline(call: Call, file: File, events: int) -> float | None:
    """When SO_RCVTIMEO or SO_SNDTIMEO of a socket is over."""
    option = socket.SO_RCVTIMEO if events & IN else socket.SO_SNDTIMEO
    value = bytearray(16)
    if call.call("getsockopt", file.fd, socket.SOL_SOCKET, option, value, bytearray(struct.pack("<i", 16))) < 0:
        return None
    seconds, microseconds = struct.unpack("<qq", value)
    return time.monotonic() + seconds + microseconds / 1e6 if seconds or microseconds else None


def ready(call: Call, fd: int, events: int, until: float | None) -> bool:
    """Wait for one file of the kernel; False when the time is over."""
    asked = [(fd, events)]
    while True:
        slice_seconds = _left(until, _SLICE_SECONDS)
        if any(_ask(call, asked, slice_seconds)):
            return True
        if until is not None and time.monotonic() >= until:
            return False
        _check(call)


def pause(call: Call) -> None:
    """For a moment, as something in the kernel is not done yet."""
    _ask(call, [], _MIXED_SLICE_SECONDS)
    _check(call)


def _left(until: float | None, most: float) -> float:
    return most if until is None else max(min(until - time.monotonic(), most), 0)


def _check(call: Call) -> None:
    # What a program closed, or had when it ended, is only now closed in the kernel; others may wait for just that.
    call.server.sweep()
    if not call.server.valid(call.listener, call.notification):
        raise Gone


def _ask(call: Call, asked: list[tuple[int, int]], seconds: float) -> list[int]:
    """What is ready in the kernel. By init: all share its descriptors, and the caller may get other calls."""
    if seconds > 0:
        call.server.let_others()
    raw = bytearray().join(struct.pack("<ihh", fd, events, 0) for fd, events in asked)
    limit = struct.pack("<qq", int(seconds), int(seconds % 1 * 1e9))
    call.server.init.call(call.server.numbers["ppoll"], raw, len(asked), bytearray(limit), None, 0)
    return [revents & 0xFFFF for _, _, revents in struct.iter_unpack("<ihh", raw)]


def _wait(call: Call, wanted: list[tuple[int, int]], until: float | None) -> list[int]:
    """poll() over descriptors of a program; returns what each is ready for. Passed if all are this machine's."""
    files = [call.find(fd) if fd >= 0 else None for fd, _ in wanted]
    rings = [file.ring for file in files if file and file.ring]
    if not any(files):
        raise Passed
    inside = [(file.fd, events) for file, (_, events) in zip(files, wanted, strict=True) if file]
    outside = [(fd, events) for file, (fd, events) in zip(files, wanted, strict=True) if not file and fd >= 0]
    with contextlib.ExitStack() as stack:
        poll, borrowed = host_select.poll(), {}
        for fd, events in outside:
            copy = borrow(call.pid, fd)
            if copy >= 0:
                stack.callback(os.close, copy)
                poll.register(copy, events)
                borrowed[fd] = copy
        seconds = 0.0  # at first nothing is waited for: then no other thread is needed
        while True:
            for ring in rings:
                ring.before()
            in_kernel = iter(_ask(call, inside, seconds))
            for ring in rings:
                ring.after()
            at_host = dict(poll.poll(0)) if borrowed else {}
            found = [
                next(in_kernel) if file else 0 if fd < 0 else at_host.get(borrowed.get(fd, -1), 0) if fd in borrowed
                else host_select.POLLNVAL
                for file, (fd, _) in zip(files, wanted, strict=True)
            ]  # fmt: skip
            if any(found) or (until is not None and time.monotonic() >= until):
                return found
            seconds = _left(until, _MIXED_SLICE_SECONDS if outside else _SLICE_SECONDS)
            _check(call)


def _until(call: Call, address: int, unit: int) -> float | None:
    if not address:
        return None
    seconds, parts = struct.unpack("<qq", call.read(address, 16))
    return float(time.monotonic() + seconds + parts / unit)


def poll(call: Call) -> int:
    """poll, ppoll."""
    address, count = call.arguments[:2]
    raw = call.read(address, 8 * min(count, 1024))
    entries = list(struct.iter_unpack("<ihh", raw))
    if call.name == "ppoll":
        until = _until(call, call.arguments[2], 10**9)
    else:
        milliseconds = ctypes.c_int(call.arguments[2] & 0xFFFFFFFF).value
        until = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000
    found = _wait(call, [(fd, events) for fd, events, _ in entries], until)
    call.write(
        address,
        b"".join(struct.pack("<ihH", fd, events, seen) for (fd, events, _), seen in zip(entries, found, strict=True)),
    )
    return sum(1 for seen in found if seen)


_READABLE = host_select.POLLIN | host_select.POLLHUP | host_select.POLLERR | host_select.POLLRDNORM
_WRITABLE = host_select.POLLOUT | host_select.POLLERR | host_select.POLLWRNORM


def select(call: Call) -> int:
    """select, pselect6."""
    count = min(ctypes.c_int(call.arguments[0] & 0xFFFFFFFF).value, 1024)
    size = (count + 63) // 64 * 8
    sets = {at: call.read(call.arguments[at], size) for at in (1, 2, 3) if call.arguments[at]}
    wanted: dict[int, int] = {}
    for at, events, _ in ((1, host_select.POLLIN, 0), (2, host_select.POLLOUT, 0), (3, host_select.POLLPRI, 0)):
        for fd in range(count):
            if at in sets and sets[at][fd // 8] >> fd % 8 & 1:
                wanted[fd] = wanted.get(fd, 0) | events
    until = _until(call, call.arguments[4], 10**9 if call.name == "pselect6" else 10**6)
    seen = dict(zip(wanted, _wait(call, list(wanted.items()), until), strict=True))
    if any(events & host_select.POLLNVAL for events in seen.values()):
        return -errno.EBADF
    total = 0
    for at, mask in ((1, _READABLE), (2, _WRITABLE), (3, host_select.POLLPRI)):
        if at not in sets:
            continue
        result = bytearray(size)
        for fd, events in seen.items():
            if events & mask and sets[at][fd // 8] >> fd % 8 & 1:
                result[fd // 8] |= 1 << fd % 8
                total += 1
        call.write(call.arguments[at], result)
    return total


def epoll_create(call: Call) -> int:
    """epoll_create, epoll_create1: an epoll of the kernel."""
    cloexec = call.name == "epoll_create1" and bool(call.arguments[0] & os.O_CLOEXEC)
    return call.install(call.call("epoll_create1", 0), waits=True, cloexec=cloexec)


def epoll_ctl(call: Call) -> int:
    """Files of the kernel only: an epoll of the kernel cannot look at one of this machine."""
    file = call.file()
    other = call.find(call.arguments[2])
    if other is None:
        return -errno.EPERM
    event = call.read(call.arguments[3], 12) if call.arguments[3] else None
    return call.call("epoll_ctl", file.fd, call.arguments[1], other.fd, event)


def epoll_wait(call: Call) -> int:
    """epoll_wait, epoll_pwait."""
    file, most = call.file(), min(call.arguments[2], 1024)
    milliseconds = ctypes.c_int(call.arguments[3] & 0xFFFFFFFF).value
    until = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000
    events = bytearray(12 * most)
    while True:
        result = call.call("epoll_wait", file.fd, events, most, 0)
        if result:
            break
        if (until is not None and time.monotonic() >= until) or not ready(call, file.fd, IN, until):
            return 0
    if result > 0:
        call.write(call.arguments[1], events[: 12 * result])
    return result


HANDLERS: dict[str, Callable[[Call], int]] = {
    "poll": poll,
    "ppoll": poll,
    "select": select,
    "pselect6": select,
    "epoll_create": epoll_create,
    "epoll_create1": epoll_create,
    "epoll_ctl": epoll_ctl,
    "epoll_wait": epoll_wait,
    "epoll_pwait": epoll_wait,
}
