"""Options of sockets, with pointers in some, and rings of packet sockets."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from unmodified import ring
from unmodified.call import Call, signed, view
from unmodified.outcomes import Passed

if TYPE_CHECKING:
    from unmodified.files import File

_OPTIONS_WITH_PROGRAMS = {26, 51}  # SO_ATTACH_FILTER, SO_ATTACH_REUSEPORT_CBPF
_PACKET_FANOUT_DATA = 22


# IPT_SO_SET_REPLACE, IP6T_SO_SET_REPLACE: a table, in which is said where the counters of the old one shall go.
_TABLES, _REPLACE = (socket.SOL_IP, socket.IPPROTO_IPV6), 64
_COUNTERS_AT, _COUNTER_BYTES = 84, 16


def _replace_table(call: Call, file: File, value: bytearray) -> int:
    count, at = struct.unpack_from("<IQ", value, _COUNTERS_AT)
    counters = bytearray(_COUNTER_BYTES * min(count, 65536))
    struct.pack_into("<Q", value, _COUNTERS_AT + 4, view(counters))
    result = call.call("setsockopt", file.fd, signed(call.arguments[1]), _REPLACE, value, len(value))
    if result >= 0:
        call.write(at, counters)
    return result


_FLOW_LABELS = (socket.IPPROTO_IPV6, 32)  # IPV6_FLOWLABEL_MGR: the label that the kernel has chosen is written back


def _setsockopt(call: Call) -> int:
    file = call.file()
    level, option, length = signed(call.arguments[1]), signed(call.arguments[2]), signed(call.arguments[4])
    value = call.read(call.arguments[3], min(max(length, 0), 1 << 20)) if call.arguments[3] else None
    if value is not None and level in _TABLES and option == _REPLACE and length >= _COUNTERS_AT + 12:
        return _replace_table(call, file, value)
    if value is not None and (
        (level == socket.SOL_SOCKET and option in _OPTIONS_WITH_PROGRAMS)
        or (level == ring.SOL_PACKET and option == _PACKET_FANOUT_DATA and length == 16)
    ):
        count, at = struct.unpack("<H6xQ", value)
        code = call.read(at, 8 * count)
        value = bytearray(struct.pack("<H6xQ", count, view(code)))
    result = call.call("setsockopt", file.fd, level, option, value, length)
    if result >= 0 and value is not None and level == ring.SOL_PACKET and option in (ring.RX_RING, ring.TX_RING):
        file.wanted.ask(option, value)
    if result >= 0 and value is not None and (level, option) == _FLOW_LABELS:
        call.write(call.arguments[3], value)
    return result


def _mmap(call: Call) -> int:
    """The ring of a packet socket; nothing else of a kernel's file is memory here."""
    fd, length = signed(call.arguments[4]), call.arguments[1]
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
    struct.pack_into("<QQ", value, 24, view(subflows), view(tcp))
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
    level, option = signed(call.arguments[1]), signed(call.arguments[2])
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


HANDLERS: dict[str, Callable[[Call], int]] = {
    "setsockopt": _setsockopt,
    "getsockopt": _getsockopt,
    "mmap": _mmap,
}
