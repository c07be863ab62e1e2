"""Sockets: making, naming, connecting, sending and receiving."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from unmodified import waiting
from unmodified.call import Call, signed, view
from unmodified.transfers import MOST_READ_BYTES, NOSIGNAL, broken, gather, scatter, spans

if TYPE_CHECKING:
    from unmodified.files import File

_MESSAGE = struct.Struct("<QI4xQQQQi4x")
_MOST_ADDRESS_BYTES = 256
_DONTWAIT, _WAITALL, _PEEK = socket.MSG_DONTWAIT, socket.MSG_WAITALL, socket.MSG_PEEK
# Of what is received: the queue of errors is looked at, and never waited for.
_NEVER_WAITS: Final = socket.MSG_DONTWAIT | socket.MSG_ERRQUEUE


def _socket(call: Call) -> int:
    domain, kind, protocol = map(signed, call.arguments[:3])
    fd = call.call("socket", domain, kind | socket.SOCK_NONBLOCK, protocol)
    return call.install(fd, waits=not kind & socket.SOCK_NONBLOCK, cloexec=bool(kind & socket.SOCK_CLOEXEC))


def _socketpair(call: Call) -> int:
    domain, kind, protocol = map(signed, call.arguments[:3])
    pair = bytearray(8)
    result = call.call("socketpair", domain, kind | socket.SOCK_NONBLOCK, protocol, pair)
    if result < 0:
        return result
    waits, cloexec = not kind & socket.SOCK_NONBLOCK, bool(kind & socket.SOCK_CLOEXEC)
    given = [call.install(fd, waits=waits, cloexec=cloexec) for fd in struct.unpack("<ii", pair)]
    call.write(call.arguments[3], struct.pack("<ii", *given))
    return 0


def _address_out(call: Call, at: int, length_at: int, raw: bytearray, length: int) -> None:
    """An address to the program, cut to the room that it gave."""
    if not at or not length_at:
        return
    (room,) = struct.unpack("<i", call.read(length_at, 4))
    call.write(at, raw[: max(min(room, length), 0)])
    call.write(length_at, struct.pack("<i", length))


def _accept(call: Call) -> int:
    file = call.file()
    flags = signed(call.arguments[3]) if call.name == "accept4" else 0
    raw, length = bytearray(_MOST_ADDRESS_BYTES), bytearray(struct.pack("<i", _MOST_ADDRESS_BYTES))

    def attempt() -> int:
        length[:] = struct.pack("<i", _MOST_ADDRESS_BYTES)
        return call.call("accept4", file.fd, raw, length, flags | socket.SOCK_NONBLOCK)

    fd = call.patiently(file, waiting.IN, attempt)
    if fd < 0:
        return fd
    _address_out(call, call.arguments[1], call.arguments[2], raw, struct.unpack("<i", length)[0])
    return call.install(fd, waits=not flags & socket.SOCK_NONBLOCK, cloexec=bool(flags & socket.SOCK_CLOEXEC))


def _named(call: Call) -> int:
    """getsockname, getpeername."""
    file = call.file()
    raw, length = bytearray(_MOST_ADDRESS_BYTES), bytearray(struct.pack("<i", _MOST_ADDRESS_BYTES))
    result = call.call(call.name, file.fd, raw, length)
    if result == 0:
        _address_out(call, call.arguments[1], call.arguments[2], raw, struct.unpack("<i", length)[0])
    return result


def _bind(call: Call) -> int:
    file, length = call.file(), signed(call.arguments[2])
    return call.call("bind", file.fd, call.read(call.arguments[1], max(length, 0)), length)


def _connect(call: Call) -> int:
    file, length = call.file(), signed(call.arguments[2])
    address = call.read(call.arguments[1], max(length, 0))
    result = call.call("connect", file.fd, address, length)
    if result == -errno.EAGAIN and file.waits:  # a Unix socket whose backlog is full
        return call.patiently(file, waiting.OUT, lambda: call.call("connect", file.fd, address, length))
    if result != -errno.EINPROGRESS or not file.waits:
        return result
    # An association of SCTP that the other end has ended meanwhile is no more to be written to: that is to be seen too.
    events = waiting.OUT | waiting.IN | waiting.HANG_UP
    if not waiting.ready(call, file.fd, events, waiting.deadline(call, file, waiting.OUT)):
        return result
    said = bytearray(4)
    call.call("getsockopt", file.fd, socket.SOL_SOCKET, socket.SO_ERROR, said, bytearray(struct.pack("<i", 4)))
    return -int(struct.unpack("<i", said)[0])


def by_number(call: Call) -> int:
    """Also shutdown: two numbers."""
    return call.call(call.name, call.file().fd, signed(call.arguments[1]))


def _sendto(call: Call) -> int:
    file, flags = call.file(), signed(call.arguments[3])
    data = call.read(call.arguments[1], call.arguments[2])
    length = signed(call.arguments[5])
    address = call.read(call.arguments[4], length) if call.arguments[4] and length > 0 else None
    if file.ring is not None and file.ring.sends:
        return _send_ring(call, file, flags, address, length)
    done = 0
    while True:
        part = data[done:] if done else data
        result = call.patiently(
            file, waiting.OUT,
            lambda: call.call("sendto", file.fd, part, len(part), flags | NOSIGNAL, address, length),  # noqa: B023
            waits=not flags & _DONTWAIT,
        )  # fmt: skip
        if result == -errno.EINPROGRESS and flags & socket.MSG_FASTOPEN and file.waits:
            # There was no cookie: nothing was sent yet, and one that waits would wait for the connection.
            waiting.ready(call, file.fd, waiting.OUT, waiting.deadline(call, file, waiting.OUT))
            flags &= ~socket.MSG_FASTOPEN
            continue
        if result < 0:
            return done or broken(call, result, flags)
        done += result
        if not file.waits or flags & _DONTWAIT or done >= len(data) or not result:
            return done


def _send_ring(call: Call, file: File, flags: int, address: bytes | bytearray | None, length: int) -> int:
    """The frames of a ring; one that waits has its answer when all are sent."""
    shared = file.ring
    assert shared is not None
    shared.before()
    result = call.call("sendto", file.fd, None, 0, flags | NOSIGNAL, address, length)
    shared.after()
    while shared.sending and file.waits and not flags & _DONTWAIT and result >= 0:
        waiting.pause(call)
        shared.after()
    return result


def _recvfrom(call: Call) -> int:
    file, flags = call.file(), signed(call.arguments[3])
    size, done = min(call.arguments[2], MOST_READ_BYTES), 0
    raw, length = bytearray(_MOST_ADDRESS_BYTES), bytearray(4)
    while True:
        data = bytearray(size - done)

        def attempt() -> int:
            length[:] = struct.pack("<i", _MOST_ADDRESS_BYTES)
            return call.call("recvfrom", file.fd, data, len(data), flags, raw, length)  # noqa: B023

        result = call.patiently(file, waiting.IN, attempt, waits=not flags & _NEVER_WAITS)
        if result < 0:
            return done or result
        call.write(call.arguments[1] + done, data[: min(result, len(data))])
        _address_out(call, call.arguments[4], call.arguments[5], raw, struct.unpack("<i", length)[0])
        done += result
        if not flags & _WAITALL or flags & (_DONTWAIT | _PEEK) or not file.waits or done >= size or not result:
            return done


class _Message:
    """A struct msghdr of a program, and its copy here that the kernel is given."""

    def __init__(self, call: Call, address: int) -> None:
        self.call, self.address = call, address
        header = _MESSAGE.unpack(call.read(address, _MESSAGE.size))
        self.name_at, self.name_length, iov, count, self.control_at, self.control_length, self.flags = header
        self.name_length = max(signed(self.name_length), 0) if self.name_at else 0
        self.control_length = min(self.control_length, 65536) if self.control_at else 0
        self.spans = spans(call, iov, count)
        self.name = bytearray(min(self.name_length, _MOST_ADDRESS_BYTES))
        self.control = bytearray(self.control_length)
        self.data = bytearray()

    def load(self) -> None:
        """What is sent."""
        self.name[:] = self.call.read(self.name_at, len(self.name))
        self.control[:] = self.call.read(self.control_at, len(self.control))
        self.data = gather(self.call, self.spans)

    def room(self) -> None:
        """For what is received."""
        self.data = bytearray(min(sum(length for _, length in self.spans), MOST_READ_BYTES))

    def attempt(self, name: str, fd: int, flags: int) -> int:
        """sendmsg or recvmsg."""
        self._iov = bytearray(struct.pack("<QQ", view(self.data), len(self.data)))
        header = bytearray(
            _MESSAGE.pack(
                view(self.name),
                len(self.name),
                view(self._iov),
                1,
                view(self.control),
                len(self.control),
                self.flags,
            )
        )
        result = self.call.call(name, fd, header, flags)
        _, self.name_length, _, _, _, self.control_length, self.flags_out = _MESSAGE.unpack(header)
        return result

    def store(self, result: int) -> None:
        """What was received, into the program."""
        scatter(self.call, self.spans, self.data[: min(result, len(self.data))])
        self.call.write(self.name_at, self.name[: self.name_length])
        self.call.write(self.control_at, self.control[: self.control_length])
        self.call.write(self.address + 8, struct.pack("<I", self.name_length))
        self.call.write(self.address + 40, struct.pack("<Qi", self.control_length, self.flags_out))


def _send_message(call: Call, file: File, address: int, flags: int) -> int:
    message = _Message(call, address)
    message.load()
    done = 0
    while True:
        result = call.patiently(
            file, waiting.OUT, lambda: message.attempt("sendmsg", file.fd, flags | NOSIGNAL),
            waits=not flags & _DONTWAIT,
        )  # fmt: skip
        if result < 0:
            return done or broken(call, result, flags)
        done += result
        if not file.waits or flags & _DONTWAIT or result >= len(message.data) or not result:
            return done
        message.data, message.control = message.data[result:], bytearray()


def _receive_message(call: Call, file: File, address: int, flags: int) -> int:
    message = _Message(call, address)
    message.room()
    result = call.patiently(
        file, waiting.IN, lambda: message.attempt("recvmsg", file.fd, flags), waits=not flags & _NEVER_WAITS
    )
    if result >= 0:
        message.store(result)
    return result


def _sendmsg(call: Call) -> int:
    return _send_message(call, call.file(), call.arguments[1], signed(call.arguments[2]))


def _recvmsg(call: Call) -> int:
    return _receive_message(call, call.file(), call.arguments[1], signed(call.arguments[2]))


def _several(call: Call) -> int:
    """sendmmsg, recvmmsg: one after the other; the first may wait."""
    file, flags = call.file(), signed(call.arguments[3])
    one = _send_message if call.name == "sendmmsg" else _receive_message
    for at in range(min(signed(call.arguments[2]), 1024)):
        address = call.arguments[1] + 64 * at
        receiving = call.name == "recvmmsg"
        result = one(call, file, address, flags & ~0x10000 | (_DONTWAIT if at and receiving else 0))
        if result < 0:
            return at or result
        call.write(address + 56, struct.pack("<I", result))
    return signed(call.arguments[2])


HANDLERS: dict[str, Callable[[Call], int]] = {
    "socket": _socket,
    "socketpair": _socketpair,
    "accept": _accept,
    "accept4": _accept,
    "connect": _connect,
    "bind": _bind,
    "listen": by_number,
    "shutdown": by_number,
    "getsockname": _named,
    "getpeername": _named,
    "sendto": _sendto,
    "recvfrom": _recvfrom,
    "sendmsg": _sendmsg,
    "recvmsg": _recvmsg,
    "sendmmsg": _several,
    "recvmmsg": _several,
    "ftruncate": by_number,
}
