"""Messages of rtnetlink(7), made in numbers.

`host.ip` is pyroute2, which builds and reads a message in some hundred
microseconds. A network of a thousand hosts is ten thousands of messages, so what
:class:`Network` sets up itself goes the short way: packed here, and many in one
sendto(2).
"""

from __future__ import annotations

import os
import socket
import struct
import threading

from liblinux._typing import TYPE_CHECKING, Value

if TYPE_CHECKING:
    from collections.abc import Iterable
    from ipaddress import IPv4Interface, IPv6Interface

    from liblinux._process import Process
    from liblinux.network._topology import Interface

__all__ = [
    "Batch",
    "Line",
    "capture_cable",
    "change_cable",
    "new_address",
    "new_bridge",
    "new_cable",
    "new_discipline",
    "pack_route",
    "put_up",
    "redirect",
    "set_mtu",
]

# linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h
_RTM_NEWLINK, _RTM_NEWADDR, _RTM_NEWROUTE, _RTM_NEWQDISC, _RTM_NEWTFILTER = 16, 20, 24, 36, 44
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_REPLACE, _NLM_F_EXCL, _NLM_F_CREATE = 1, 4, 0x100, 0x200, 0x400
_NLMSG_ERROR = 2
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_TXQLEN, _IFLA_LINKINFO = 1, 3, 4, 10, 13, 18
_IFLA_NET_NS_FD, _IFLA_NEW_IFINDEX = 28, 49
_IFLA_INFO_KIND, _IFLA_INFO_DATA = 1, 2
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFA_F_NODAD = 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_VIA = 1, 4, 5, 18
_RT_TABLE_MAIN, _RTPROT_STATIC, _RT_SCOPE_UNIVERSE, _RTN_UNICAST = 254, 4, 0, 1
_IFF_UP = 1
# linux/pkt_sched.h, linux/pkt_cls.h, linux/tc_act/tc_mirred.h
_TC_H_ROOT, _TC_H_INGRESS, _INGRESS_HANDLE = 0xFFFFFFFF, 0xFFFFFFF1, 0xFFFF0000
_TCA_KIND, _TCA_OPTIONS, _TCA_MATCHALL_ACT = 1, 2, 2
_TCA_ACT_KIND, _TCA_ACT_OPTIONS, _TCA_MIRRED_PARMS = 1, 2, 2
_TC_ACT_STOLEN, _TCA_EGRESS_REDIR = 4, 1
_ALL_PROTOCOLS = socket.htons(3)  # ETH_P_ALL
# Of kernel/arch/lib/drivers/cable_link.c.
_CABLE_PEER, _CABLE_RATE, _CABLE_DELAY, _CABLE_JITTER, _CABLE_LOSS, _CABLE_DUPLICATE, _CABLE_REORDER = range(1, 8)
_CABLE_CAPTURE_IN, _CABLE_CAPTURE_OUT = 8, 9
_ALWAYS = 0xFFFFFFFF

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=8BI")
_TRAFFIC = struct.Struct("=BxxxiIII")
_MIRRED = struct.Struct("=IIiiiiI")
_U32 = struct.Struct("=I")
_U64 = struct.Struct("=Q")
_TO_KERNEL = struct.pack("=HHII", socket.AF_NETLINK, 0, 0, 0)
_SEND_BYTES = 1 << 16
_ANSWER_BYTES = 1 << 16


class Line(Value):
    """One direction of a cable: bits per second, nanoseconds, chances from 0 to 1."""

    rate: int = 0
    delay: int = 0
    jitter: int = 0
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0


def _attribute(kind: int, content: bytes) -> bytes:
    return _ATTRIBUTE.pack(len(content) + 4, kind) + content + bytes(-len(content) % 4)


def _u32(kind: int, value: int) -> bytes:
    return _attribute(kind, _U32.pack(value))


def _message(kind: int, flags: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | _NLM_F_REQUEST, 0, 0) + body


def _new_link(index: int, name: str, address: bytes, kind: str, data: bytes, *parts: bytes) -> bytes:
    return _message(
        _RTM_NEWLINK,
        _NLM_F_CREATE | _NLM_F_EXCL,
        _LINK.pack(0, 0, index, 0, 0),
        _attribute(_IFLA_IFNAME, name.encode() + b"\0"),
        _attribute(_IFLA_ADDRESS, address),
        *parts,
        _attribute(_IFLA_LINKINFO, _attribute(_IFLA_INFO_KIND, kind.encode()) + _attribute(_IFLA_INFO_DATA, data)),
    )


def _line(line: Line) -> bytes:
    chances = ((_CABLE_LOSS, line.loss), (_CABLE_DUPLICATE, line.duplicate), (_CABLE_REORDER, line.reorder))
    numbers = ((_CABLE_RATE, line.rate), (_CABLE_DELAY, line.delay), (_CABLE_JITTER, line.jitter))
    return b"".join(
        (
            *(_attribute(kind, _U64.pack(number)) for kind, number in numbers),
            *(_u32(kind, round(number * _ALWAYS)) for kind, number in chances),
        )
    )


def new_cable(ends: tuple[Interface, Interface], other: int, line: Line, mtu: int, queue: int) -> bytes:
    """A cable from here to the namespace that the descriptor `other` keeps."""
    here, there = ends
    peer = b"".join(
        (
            _attribute(_IFLA_IFNAME, there.name.encode() + b"\0"),
            _attribute(_IFLA_ADDRESS, there.mac),
            _u32(_IFLA_NEW_IFINDEX, there.index),
            _u32(_IFLA_NET_NS_FD, other),
        )
    )
    data = _attribute(_CABLE_PEER, peer) + _line(line)
    return _new_link(here.index, here.name, here.mac, "cable", data, _u32(_IFLA_MTU, mtu), _u32(_IFLA_TXQLEN, queue))


def change_cable(index: int, line: Line) -> bytes:
    """Other parameters for what the end `index` sends."""
    info = _attribute(_IFLA_INFO_KIND, b"cable") + _attribute(_IFLA_INFO_DATA, _line(line))
    return _message(_RTM_NEWLINK, 0, _LINK.pack(0, 0, index, 0, 0), _attribute(_IFLA_LINKINFO, info))


def capture_cable(index: int, arriving: int, sent: int) -> bytes:
    """Let the host hear the end `index`, by these numbers; 0 ends that."""
    data = _u32(_CABLE_CAPTURE_IN, arriving) + _u32(_CABLE_CAPTURE_OUT, sent)
    info = _attribute(_IFLA_INFO_KIND, b"cable") + _attribute(_IFLA_INFO_DATA, data)
    return _message(_RTM_NEWLINK, 0, _LINK.pack(0, 0, index, 0, 0), _attribute(_IFLA_LINKINFO, info))


def new_bridge(index: int, name: str, address: bytes) -> bytes:
    """A bridge; it forwards as soon as it is up, for nobody waits for spanning trees."""
    return _new_link(index, name, address, "bridge", b"")


def put_up(index: int, master: int = 0, *, up: bool = True) -> bytes:
    """Put an interface up or down; as a port of the bridge `master`."""
    parts = (_u32(_IFLA_MASTER, master),) if master else ()
    return _message(_RTM_NEWLINK, 0, _LINK.pack(0, 0, index, _IFF_UP * up, _IFF_UP), *parts)


def set_mtu(index: int, mtu: int) -> bytes:
    """Another MTU, in bytes."""
    return _message(_RTM_NEWLINK, 0, _LINK.pack(0, 0, index, 0, 0), _u32(_IFLA_MTU, mtu))


def new_discipline(index: int, kind: str, options: bytes) -> bytes:
    """Another queueing discipline at the root of an interface; `options` are the content of TCA_OPTIONS."""
    parts = (_attribute(_TCA_OPTIONS, options),) if options else ()
    head = _TRAFFIC.pack(0, index, 0, _TC_H_ROOT, 0)
    flags = _NLM_F_CREATE | _NLM_F_REPLACE
    return _message(_RTM_NEWQDISC, flags, head, _attribute(_TCA_KIND, kind.encode() + b"\0"), *parts)


def redirect(index: int, target: int) -> list[bytes]:
    """Send all that arrives at one interface out of another, as it is. Source: tc-mirred(8)."""
    flags = _NLM_F_CREATE | _NLM_F_EXCL
    qdisc = _TRAFFIC.pack(0, index, _INGRESS_HANDLE, _TC_H_INGRESS, 0)
    parameters = _MIRRED.pack(0, 0, _TC_ACT_STOLEN, 0, 0, _TCA_EGRESS_REDIR, target)
    action = _attribute(_TCA_ACT_KIND, b"mirred\0") + _attribute(
        _TCA_ACT_OPTIONS, _attribute(_TCA_MIRRED_PARMS, parameters)
    )
    # The first of the actions of the only filter.
    options = _attribute(_TCA_MATCHALL_ACT, _attribute(1, action))
    priority_and_protocol = 1 << 16 | _ALL_PROTOCOLS
    return [
        _message(_RTM_NEWQDISC, flags, qdisc, _attribute(_TCA_KIND, b"ingress\0")),
        _message(
            _RTM_NEWTFILTER,
            flags,
            _TRAFFIC.pack(0, index, 0, _INGRESS_HANDLE, priority_and_protocol),
            _attribute(_TCA_KIND, b"matchall\0"),
            _attribute(_TCA_OPTIONS, options),
        ),
    ]


def new_address(index: int, interface: IPv4Interface | IPv6Interface) -> bytes:
    """An address with its subnet; one of IPv6 is usable at once, for it was given by somebody who knows."""
    four = interface.version == 4
    family, flags = (socket.AF_INET, 0) if four else (socket.AF_INET6, _IFA_F_NODAD)
    local = interface.ip.packed
    return _message(
        _RTM_NEWADDR,
        _NLM_F_CREATE | _NLM_F_REPLACE,
        _ADDRESS.pack(family, interface.network.prefixlen, flags, 0, index),
        _attribute(_IFA_LOCAL, local),
        _attribute(_IFA_ADDRESS, local),
    )


def pack_route(version: int, prefix: int, network: bytes, gateway: bytes) -> bytes:
    """A route through a neighbour, of packed addresses; an earlier one to the same network is replaced."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    head = _ROUTE.pack(
        family, prefix, 0, 0, _RT_TABLE_MAIN, _RTPROT_STATIC, _RT_SCOPE_UNIVERSE, _RTN_UNICAST, 0
    )  # fmt: skip
    parts = (_attribute(_RTA_DST, network),) if prefix else ()
    return _message(_RTM_NEWROUTE, _NLM_F_CREATE | _NLM_F_REPLACE, head, *parts, _attribute(_RTA_GATEWAY, gateway))


class _Room(threading.local):
    """For answers: one in each thread, for a network has a batch for each of its hosts."""

    def __init__(self) -> None:
        self.answer = bytearray(_ANSWER_BYTES)


_room = _Room()


class Batch:
    """Sends messages in the network namespace of a process, many at a time."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._socket = process.syscall("socket", socket.AF_NETLINK, socket.SOCK_RAW, 0)

    def close(self) -> None:
        """Close the socket."""
        self._process.os.close(self._socket)

    def send(self, messages: Iterable[bytes]) -> None:
        """Send them all; OSError with the kernel's errno for the first that was refused."""
        waiting: list[bytes] = []
        size = 0
        for message in messages:
            if size + len(message) > _SEND_BYTES:
                self._flush(waiting)
                waiting, size = [], 0
            waiting.append(message)
            size += len(message)
        if waiting:
            self._flush(waiting)

    def _flush(self, messages: list[bytes]) -> None:
        # Errors are always answered; success only of the last, which is how one knows that there was none.
        last = bytearray(messages[-1])
        last[6] |= _NLM_F_ACK
        data = b"".join((*messages[:-1], last))
        sent = self._process.syscall("sendto", self._socket, data, len(data), 0, _TO_KERNEL, len(_TO_KERNEL))
        assert sent == len(data), "the kernel takes a datagram as a whole"
        # The answers are there: rtnetlink works while it is being sent to.
        errors = [error for error in self._errors() if error]
        if errors:
            raise OSError(errors[0], f"the network could not be set up: {os.strerror(errors[0])}")

    def _errors(self) -> Iterable[int]:
        answer = _room.answer
        while True:
            try:
                length = self._process.syscall(
                    "recvfrom", self._socket, answer, len(answer), socket.MSG_DONTWAIT, None, None
                )
            except BlockingIOError:
                return
            start = 0
            while start + _HEADER.size <= length:
                size, kind, _, _, _ = _HEADER.unpack_from(answer, start)
                if kind == _NLMSG_ERROR:
                    yield -struct.unpack_from("=i", answer, start + _HEADER.size)[0]
                start += max(size + -size % 4, _HEADER.size)
