"""What becomes of each system call: made in the kernel with copies of the program's memory, or passed on."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from unmodified import memory, paths, ring, waiting

if TYPE_CHECKING:
    from unmodified.files import File
    from unmodified.server import Server

_AT_FDCWD: Final = -100
_EMPTY_PATH: Final = 0x1000
_STAT_BYTES, _STATX_BYTES, _UNAME_BYTES = 144, 256, 390
_MESSAGE = struct.Struct("<QI4xQQQQi4x")
_MOST_ADDRESS_BYTES = 256
_MOST_READ_BYTES = 1 << 20
_DONTWAIT, _NOSIGNAL, _WAITALL, _PEEK = (
    socket.MSG_DONTWAIT, socket.MSG_NOSIGNAL, socket.MSG_WAITALL, socket.MSG_PEEK,
)  # fmt: skip


# Of what is received: the queue of errors is looked at, and never waited for.
_NEVER_WAITS: Final = socket.MSG_DONTWAIT | socket.MSG_ERRQUEUE


class Passed(Exception):
    """The call is this machine's."""


class Gone(Exception):
    """The program does not wait for the answer any more."""


def _signed(value: int, bits: int = 32) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


class Call:
    """One system call of a program."""

    def __init__(
        self, server: Server, listener: int, notification: int, pid: int, name: str, arguments: list[int]
    ) -> None:
        self.server, self.listener, self.notification = server, listener, notification
        self.pid, self.name, self.arguments = pid, name, arguments
        self._settled = False

    def make(self) -> int:
        """Make it; returns its result or -errno, raises Passed, Gone or OSError."""
        if self.server.files.set_aside:
            self.server.files.put_back(self.listener, self.notification, self.pid)
        return _HANDLERS[self.name](self)

    # ---- help ---------------------------------------------------------------

    def settle(self) -> None:
        """Before the kernel is called: what programs have closed, or had when they ended, is closed there too."""
        if not self._settled:
            self._settled = True
            self.server.sweep()

    def call(self, name: str, *arguments: int | bytes | bytearray | None) -> int:
        """A call in the kernel by this program."""
        self.settle()
        return self.server.call(self.pid, name, *arguments)

    def file(self, argument: int = 0) -> File:
        """The kernel's file that an argument is about; Passed when it is none."""
        return self.file_of(self.arguments[argument])

    def file_of(self, fd: int) -> File:
        """The kernel's file of a descriptor; Passed when it is none."""
        file = self.find(_signed(fd))
        if file is None:
            raise Passed
        return file

    def find(self, fd: int) -> File | None:
        """The kernel's file of a descriptor; None when it is none."""
        return self.server.files.find(self.pid, fd)

    def read(self, address: int, length: int) -> bytearray:
        """Memory of the program."""
        return memory.read(self.pid, address, length)

    def write(self, address: int, data: bytes | bytearray) -> None:
        """Change memory of the program."""
        memory.write(self.pid, address, data)

    def install(self, fd: int, *, waits: bool, cloexec: bool) -> int:
        """Give the program a descriptor for one of the kernel; negative results are passed through."""
        if fd < 0:
            return fd
        return self.server.files.install(self.listener, self.notification, fd, waits=waits, cloexec=cloexec)

    def path(self, address: int, dirfd: int | None = None) -> tuple[int, bytes]:
        """Directory and path in the kernel; Passed for those of this machine."""
        path = memory.read_string(self.pid, address)
        inside = paths.inside(path, self._number)
        if inside is not None:
            return _AT_FDCWD, inside
        if dirfd is not None and _signed(dirfd) >= 0 and not path.startswith(b"/"):
            return self.file_of(dirfd).fd, path
        raise Passed

    def _number(self, inner: int) -> int:
        self.settle()
        return self.server.number(inner)

    def patiently(self, file: File, events: int, attempt: Callable[[], int], *, waits: bool = True) -> int:
        """Try, and wait as long as there is nothing to do, if the program's file waits."""
        deadline: float | None = None
        first = True
        while True:
            result = attempt()
            if result != -errno.EAGAIN or not (file.waits and waits):
                return result
            if first:
                deadline, first = waiting.deadline(self, file, events), False
            if not waiting.ready(self, file.fd, events, deadline):
                return result


# ---- reading and writing ----------------------------------------------------


def _spans(call: Call, address: int, count: int) -> list[tuple[int, int]]:
    raw = call.read(address, 16 * min(count, 1024))
    return list(struct.iter_unpack("<QQ", raw))


def _scatter(call: Call, spans: list[tuple[int, int]], data: bytes | bytearray) -> None:
    at = 0
    for base, length in spans:
        if at >= len(data):
            return
        call.write(base, data[at : at + length])
        at += length


def _gather(call: Call, spans: list[tuple[int, int]]) -> bytearray:
    return bytearray().join(call.read(base, length) for base, length in spans)


def _received(call: Call, spans: list[tuple[int, int]], name: str, *more: int) -> int:
    file = call.file()
    data = bytearray(min(sum(length for _, length in spans), _MOST_READ_BYTES))
    result = call.patiently(file, waiting.IN, lambda: call.call(name, file.fd, data, len(data), *more))
    if result > 0:
        _scatter(call, spans, data[:result])
    return result


def _sent(call: Call, data: bytearray, name: str, *more: int) -> int:
    """All of it, as a file that waits does; one that does not takes what it can."""
    file, done = call.file(), 0
    while True:
        part = data[done:] if done else data
        result = call.patiently(file, waiting.OUT, lambda: call.call(name, file.fd, part, len(part), *more))  # noqa: B023
        if result < 0:
            return _broken(call, done or result)
        done += result
        if not file.waits or done >= len(data) or not result:
            return done


def _broken(call: Call, result: int, flags: int = 0) -> int:
    if result == -errno.EPIPE and not flags & _NOSIGNAL:
        os.kill(call.pid, signal.SIGPIPE)
    return result


def _read(call: Call) -> int:
    call.file()
    return _received(call, [(call.arguments[1], call.arguments[2])], "read")


def _readv(call: Call) -> int:
    call.file()
    return _received(call, _spans(call, call.arguments[1], call.arguments[2]), "read")


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
    return _sent(call, _gather(call, _spans(call, call.arguments[1], call.arguments[2])), "write")


def _pwrite(call: Call) -> int:
    call.file()
    return _sent(call, call.read(call.arguments[1], call.arguments[2]), "pwrite64", call.arguments[3])


# ---- sockets ----------------------------------------------------------------


def _socket(call: Call) -> int:
    domain, kind, protocol = map(_signed, call.arguments[:3])
    fd = call.call("socket", domain, kind | socket.SOCK_NONBLOCK, protocol)
    return call.install(fd, waits=not kind & socket.SOCK_NONBLOCK, cloexec=bool(kind & socket.SOCK_CLOEXEC))


def _socketpair(call: Call) -> int:
    domain, kind, protocol = map(_signed, call.arguments[:3])
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
    flags = _signed(call.arguments[3]) if call.name == "accept4" else 0
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
    file, length = call.file(), _signed(call.arguments[2])
    return call.call("bind", file.fd, call.read(call.arguments[1], max(length, 0)), length)


def _connect(call: Call) -> int:
    file, length = call.file(), _signed(call.arguments[2])
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


def _listen(call: Call) -> int:
    """Also shutdown: two numbers."""
    return call.call(call.name, call.file().fd, _signed(call.arguments[1]))


def _sendto(call: Call) -> int:
    file, flags = call.file(), _signed(call.arguments[3])
    data = call.read(call.arguments[1], call.arguments[2])
    length = _signed(call.arguments[5])
    address = call.read(call.arguments[4], length) if call.arguments[4] and length > 0 else None
    if file.ring is not None and file.ring.sends:
        return _send_ring(call, file, flags, address, length)
    done = 0
    while True:
        part = data[done:] if done else data
        result = call.patiently(
            file, waiting.OUT,
            lambda: call.call("sendto", file.fd, part, len(part), flags | _NOSIGNAL, address, length),  # noqa: B023
            waits=not flags & _DONTWAIT,
        )  # fmt: skip
        if result == -errno.EINPROGRESS and flags & socket.MSG_FASTOPEN and file.waits:
            # There was no cookie: nothing was sent yet, and one that waits would wait for the connection.
            waiting.ready(call, file.fd, waiting.OUT, waiting.deadline(call, file, waiting.OUT))
            flags &= ~socket.MSG_FASTOPEN
            continue
        if result < 0:
            return done or _broken(call, result, flags)
        done += result
        if not file.waits or flags & _DONTWAIT or done >= len(data) or not result:
            return done


def _send_ring(call: Call, file: File, flags: int, address: bytes | bytearray | None, length: int) -> int:
    """The frames of a ring; one that waits has its answer when all are sent."""
    shared = file.ring
    assert shared is not None
    shared.before()
    result = call.call("sendto", file.fd, None, 0, flags | _NOSIGNAL, address, length)
    shared.after()
    while shared.sending and file.waits and not flags & _DONTWAIT and result >= 0:
        waiting.pause(call)
        shared.after()
    return result


def _recvfrom(call: Call) -> int:
    file, flags = call.file(), _signed(call.arguments[3])
    size, done = min(call.arguments[2], _MOST_READ_BYTES), 0
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


def _view(data: bytearray) -> int:
    """The address of a buffer; it stays there as long as the buffer lives and keeps its size."""
    return ctypes.addressof((ctypes.c_char * len(data)).from_buffer(data)) if data else 0


class _Message:
    """A struct msghdr of a program, and its copy here that the kernel is given."""

    def __init__(self, call: Call, address: int) -> None:
        self.call, self.address = call, address
        header = _MESSAGE.unpack(call.read(address, _MESSAGE.size))
        self.name_at, self.name_length, iov, count, self.control_at, self.control_length, self.flags = header
        self.name_length = max(_signed(self.name_length), 0) if self.name_at else 0
        self.control_length = min(self.control_length, 65536) if self.control_at else 0
        self.spans = _spans(call, iov, count)
        self.name = bytearray(min(self.name_length, _MOST_ADDRESS_BYTES))
        self.control = bytearray(self.control_length)
        self.data = bytearray()

    def load(self) -> None:
        """What is sent."""
        self.name[:] = self.call.read(self.name_at, len(self.name))
        self.control[:] = self.call.read(self.control_at, len(self.control))
        self.data = _gather(self.call, self.spans)

    def room(self) -> None:
        """For what is received."""
        self.data = bytearray(min(sum(length for _, length in self.spans), _MOST_READ_BYTES))

    def attempt(self, name: str, fd: int, flags: int) -> int:
        """sendmsg or recvmsg."""
        self._iov = bytearray(struct.pack("<QQ", _view(self.data), len(self.data)))
        header = bytearray(
            _MESSAGE.pack(
                _view(self.name),
                len(self.name),
                _view(self._iov),
                1,
                _view(self.control),
                len(self.control),
                self.flags,
            )
        )
        result = self.call.call(name, fd, header, flags)
        _, self.name_length, _, _, _, self.control_length, self.flags_out = _MESSAGE.unpack(header)
        return result

    def store(self, result: int) -> None:
        """What was received, into the program."""
        _scatter(self.call, self.spans, self.data[: min(result, len(self.data))])
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
            file, waiting.OUT, lambda: message.attempt("sendmsg", file.fd, flags | _NOSIGNAL),
            waits=not flags & _DONTWAIT,
        )  # fmt: skip
        if result < 0:
            return done or _broken(call, result, flags)
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
    return _send_message(call, call.file(), call.arguments[1], _signed(call.arguments[2]))


def _recvmsg(call: Call) -> int:
    return _receive_message(call, call.file(), call.arguments[1], _signed(call.arguments[2]))


def _several(call: Call) -> int:
    """sendmmsg, recvmmsg: one after the other; the first may wait."""
    file, flags = call.file(), _signed(call.arguments[3])
    one = _send_message if call.name == "sendmmsg" else _receive_message
    for at in range(min(_signed(call.arguments[2]), 1024)):
        address = call.arguments[1] + 64 * at
        receiving = call.name == "recvmmsg"
        result = one(call, file, address, flags & ~0x10000 | (_DONTWAIT if at and receiving else 0))
        if result < 0:
            return at or result
        call.write(address + 56, struct.pack("<I", result))
    return _signed(call.arguments[2])


_OPTIONS_WITH_PROGRAMS = {26, 51}  # SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF
_PACKET_FANOUT_DATA = 22


# IPT_SO_SET_REPLACE, IP6T_SO_SET_REPLACE: a table, in which is said where the counters of the old one shall go.
_TABLES, _REPLACE = (socket.SOL_IP, socket.IPPROTO_IPV6), 64
_COUNTERS_AT, _COUNTER_BYTES = 84, 16


def _replace_table(call: Call, file: File, value: bytearray) -> int:
    count, at = struct.unpack_from("<IQ", value, _COUNTERS_AT)
    counters = bytearray(_COUNTER_BYTES * min(count, 65536))
    struct.pack_into("<Q", value, _COUNTERS_AT + 4, _view(counters))
    result = call.call("setsockopt", file.fd, _signed(call.arguments[1]), _REPLACE, value, len(value))
    if result >= 0:
        call.write(at, counters)
    return result


_FLOW_LABELS = (socket.IPPROTO_IPV6, 32)  # IPV6_FLOWLABEL_MGR: the label that the kernel has chosen is written back


def _setsockopt(call: Call) -> int:
    file = call.file()
    level, option, length = _signed(call.arguments[1]), _signed(call.arguments[2]), _signed(call.arguments[4])
    value = call.read(call.arguments[3], min(max(length, 0), 1 << 20)) if call.arguments[3] else None
    if value is not None and level in _TABLES and option == _REPLACE and length >= _COUNTERS_AT + 12:
        return _replace_table(call, file, value)
    if value is not None and (
        (level == socket.SOL_SOCKET and option in _OPTIONS_WITH_PROGRAMS)
        or (level == ring.SOL_PACKET and option == _PACKET_FANOUT_DATA and length == 16)
    ):
        count, at = struct.unpack("<H6xQ", value)
        code = call.read(at, 8 * count)
        value = bytearray(struct.pack("<H6xQ", count, _view(code)))
    result = call.call("setsockopt", file.fd, level, option, value, length)
    if result >= 0 and value is not None and level == ring.SOL_PACKET and option in (ring.RX_RING, ring.TX_RING):
        file.wanted.ask(option, value)
    if result >= 0 and value is not None and (level, option) == _FLOW_LABELS:
        call.write(call.arguments[3], value)
    return result


def _mmap(call: Call) -> int:
    """The ring of a packet socket; nothing else of a kernel's file is memory here."""
    fd, length = _signed(call.arguments[4]), call.arguments[1]
    file = call.file_of(fd)
    if file.ring is None and file.wanted.requests:
        version = bytearray(4)
        size = bytearray(struct.pack("<i", 4))
        call.call("getsockopt", file.fd, ring.SOL_PACKET, ring.VERSION_OPTION, version, size)
        (number,) = struct.unpack("<i", version)
        file.ring = ring.Ring(call.server.kernel, file.fd, file.wanted, number, length)
    if file.ring is None:
        return -errno.ENODEV
    call.server.files.show_memory(call.listener, call.notification, call.pid, fd, file)
    raise Passed


_AO_KEYS, _AO_KEYS_WANTED_AT = (socket.IPPROTO_TCP, 41), 272  # TCP_AO_GET_KEYS, struct tcp_ao_getsockopt


def _ao_keys(call: Call, file: File, asked: bytearray, room: int, length: bytearray) -> int:
    """The length is that of one key; as many are written as the first one asks for and there are."""
    (most,) = struct.unpack_from("<I", asked, _AO_KEYS_WANTED_AT)
    keys = asked + bytearray(room * (min(max(most, 1), 1024) - 1))
    result = call.call("getsockopt", file.fd, *_AO_KEYS, keys, length)
    if result >= 0:
        (found,) = struct.unpack_from("<I", keys, _AO_KEYS_WANTED_AT)
        call.write(call.arguments[3], keys[: room * max(min(found, most), 1)])
        call.write(call.arguments[4], length)
    return result


# MPTCP_FULL_INFO; struct mptcp_full_info: sizes of struct tcp_info and of mptcp_subflow_info in the kernel and here,
# number of subflows, room for how many; pointers to as many of each.
_FULL_INFO, _FULL_INFO_POINTERS = (284, 4), struct.Struct("<IIIIIIQQ")


def _full_info(call: Call, file: File, value: bytearray, length: bytearray) -> int:
    _, tcp_bytes, _, subflow_bytes, _, count, subflows_at, tcp_at = _FULL_INFO_POINTERS.unpack_from(value)
    count = min(count, 256)
    subflows, tcp = bytearray(min(subflow_bytes, 4096) * count), bytearray(min(tcp_bytes, 4096) * count)
    struct.pack_into("<QQ", value, 24, _view(subflows), _view(tcp))
    result = call.call("getsockopt", file.fd, *_FULL_INFO, value, length)
    if result >= 0:
        struct.pack_into("<QQ", value, 24, subflows_at, tcp_at)
        found = min(struct.unpack_from("<I", value, 16)[0], count)
        call.write(call.arguments[3], value[: struct.unpack("<i", length)[0]])
        call.write(call.arguments[4], length)
        call.write(subflows_at, subflows[: subflow_bytes * found])
        call.write(tcp_at, tcp[: tcp_bytes * found])
    return result


def _getsockopt(call: Call) -> int:
    file = call.file()
    level, option = _signed(call.arguments[1]), _signed(call.arguments[2])
    length = bytearray(call.read(call.arguments[4], 4))
    room = max(struct.unpack("<i", length)[0], 0)
    value = call.read(call.arguments[3], min(room, 1 << 20)) if call.arguments[3] else None
    if value is not None and (level, option) == _AO_KEYS and room >= _AO_KEYS_WANTED_AT + 4:
        return _ao_keys(call, file, value, room, length)
    if value is not None and (level, option) == _FULL_INFO and room >= _FULL_INFO_POINTERS.size:
        return _full_info(call, file, value, length)
    result = call.call("getsockopt", file.fd, level, option, value, length)
    if value is not None and (result >= 0 or result == -errno.ERANGE):
        call.write(call.arguments[3], value[: max(struct.unpack("<i", length)[0], 0)])
    if result >= 0 or result == -errno.ERANGE:
        call.write(call.arguments[4], length)
    return result


# ---- descriptors ------------------------------------------------------------

_F_GETFL, _F_SETFL = 3, 4
_FIONBIO = 0x5421
# A struct ifreq of these points to something: SIOCETHTOOL, SIOCSHWTSTAMP, SIOCGHWTSTAMP, those of drivers (tunnels).
_WITH_DATA = {0x8946, 0x89B0, 0x89B1, *range(0x89F0, 0x8A00)}
_MOST_DATA_BYTES = 16384


def _fcntl(call: Call) -> int:
    file, command = call.file(), _signed(call.arguments[1])
    if command == _F_GETFL:
        flags = call.call("fcntl", file.fd, command, 0)
        return flags & ~os.O_NONBLOCK if file.waits and flags >= 0 else flags
    if command == _F_SETFL:
        file.waits = not call.arguments[2] & os.O_NONBLOCK
        return call.call("fcntl", file.fd, command, _signed(call.arguments[2]) | os.O_NONBLOCK)
    raise Passed  # of the descriptor, not of the file


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
    struct.pack_into("<Q", inner, 16, _view(data))
    result = call.call("ioctl", file.fd, command, inner)
    if result >= 0:
        call.write(at, data)
    return result


def _lseek(call: Call) -> int:
    return call.call("lseek", call.file().fd, _signed(call.arguments[1], 64), _signed(call.arguments[2]))


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
    flags = _signed(arguments[1])
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
    flags = _signed(call.arguments[3])
    dirfd, path = (call.file().fd, b"") if _empty(call, flags) else call.path(call.arguments[1], call.arguments[0])
    return _stat_to(call, call.arguments[2], "newfstatat", dirfd, path + b"\0", flags)


def _statx(call: Call) -> int:
    flags = _signed(call.arguments[2])
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
    rest = [_signed(value) for value in call.arguments[1 + at : 3 + at]]
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


# ---- namespaces, mounts, BPF ------------------------------------------------


def _unshare(call: Call) -> int:
    return call.call("unshare", call.arguments[0])


def _setns(call: Call) -> int:
    return call.call("setns", call.file().fd, _signed(call.arguments[1]))


def _uname(call: Call) -> int:
    names = bytearray(_UNAME_BYTES)
    result = call.call("uname", names)
    call.write(call.arguments[0], names)
    return result


def _become(call: Call) -> int:
    """Another user or group: in the kernel only, for this machine has one user in here."""
    if call.name != "setgroups":
        return call.call(call.name, *map(_signed, call.arguments[:3]))
    count = min(_signed(call.arguments[0]), 65536)
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
    return call.call("umount2", _mounted(call, call.arguments[0]), _signed(call.arguments[1]))


def _refused(call: Call) -> int:
    return -errno.EPERM


_BPF_PROG_LOAD = 5
_BPF_OF_NUMBERS = {8, 9}  # BPF_PROG_ATTACH, BPF_PROG_DETACH: descriptors, which are the same in the kernel


def _bpf(call: Call) -> int:
    """Programs are loaded with all that they point to; maps are other numbers and copies of keys and values."""
    command, size = _signed(call.arguments[0]), min(call.arguments[2], 256)
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
    struct.pack_into("<QQ", attributes, 8, _view(code), _view(words))
    struct.pack_into("<Q", attributes, 32, _view(log))
    fd = call.call("bpf", command, attributes, size)
    if log_at:
        call.write(log_at, log)
    return call.install(fd, waits=True, cloexec=True)


_HANDLERS: dict[str, Callable[[Call], int]] = {
    "read": _read, "readv": _readv, "pread64": _pread, "write": _write, "writev": _writev, "pwrite64": _pwrite,
    "socket": _socket, "socketpair": _socketpair, "accept": _accept, "accept4": _accept, "connect": _connect,
    "bind": _bind, "listen": _listen, "shutdown": _listen, "getsockname": _named, "getpeername": _named,
    "sendto": _sendto, "recvfrom": _recvfrom, "sendmsg": _sendmsg, "recvmsg": _recvmsg, "sendmmsg": _several,
    "recvmmsg": _several, "setsockopt": _setsockopt, "getsockopt": _getsockopt, "fcntl": _fcntl, "ioctl": _ioctl,
    "lseek": _lseek, "ftruncate": _listen, "getdents64": _getdents, "fstat": _fstat, "open": _open, "openat": _open,
    "stat": _stat, "lstat": _stat, "newfstatat": _newfstatat, "statx": _statx, "access": _about_path,
    "faccessat": _about_path, "faccessat2": _about_path, "mkdir": _about_path, "mkdirat": _about_path,
    "rmdir": _about_path, "unlink": _about_path, "unlinkat": _about_path, "readlink": _readlink,
    "readlinkat": _readlink, "unshare": _unshare, "setns": _setns, "mount": _mount, "umount2": _umount,
    "chroot": _refused, "bpf": _bpf, "poll": waiting.poll, "ppoll": waiting.poll, "select": waiting.select,
    "pselect6": waiting.select, "epoll_create": waiting.epoll_create, "epoll_create1": waiting.epoll_create,
    "epoll_ctl": waiting.epoll_ctl, "epoll_wait": waiting.epoll_wait, "epoll_pwait": waiting.epoll_wait,
    "mmap": _mmap, "uname": _uname, "setuid": _become, "setgid": _become, "setreuid": _become, "setregid": _become,
    "setgroups": _become, "setresuid": _become, "setresgid": _become,
}  # fmt: skip
