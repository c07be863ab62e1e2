"""What is asked of a network at each step: messages for netlink, one or two for each host.

Sources: sock_diag(7), rtnetlink(7).
"""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from liblinux.network import Host
    from liblinux.network._topology import Interface

__all__ = ["INTERFACES", "SOCKETS", "Question", "ask_interfaces", "ask_sockets"]

SOCKETS, INTERFACES = "sockets", "interfaces"
_NETLINK_ROUTE, _NETLINK_SOCK_DIAG = 0, 4
_REQUEST, _ECHO, _DUMP = 1, 8, 0x300
_RTM_GETQDISC, _RTM_GETSTATS, _TCPDIAG_GETSOCK = 38, 94, 18
_TC_H_ROOT = 0xFFFFFFFF
_IFLA_STATS_LINK_64 = 1
_INET_DIAG_INFO = 2
# Those of connections: without LISTEN, TIME_WAIT, CLOSE, and what is not in the table of connections.
_STATES = sum(1 << state for state in (1, 2, 4, 5, 8, 9, 11))
# So many interfaces are cheaper to be asked for one by one than by a dump of all.
_FEW = 3
_HEADER = struct.Struct("=IHHII")


@dataclass(frozen=True)
class Question:
    """A message for a netlink socket of a host."""

    kind: str
    host: Host
    socket: Any
    message: bytes


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags | _REQUEST, 0, 0) + body


def _open(host: Host, protocol: int) -> Any:
    opened = host.socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
    opened.bind((0, 0))
    return opened


def ask_sockets(host: Host) -> Question:
    """All TCP connections of a host, with tcp_info; by the older request, which is for IPv4 and IPv6 at once."""
    request = struct.pack("=BBBB", socket.AF_INET, 0, 0, 1 << (_INET_DIAG_INFO - 1)) + bytes(48)
    message = _message(_TCPDIAG_GETSOCK, _DUMP, request + struct.pack("=II", _STATES, 0))
    return Question(SOCKETS, host, _open(host, _NETLINK_SOCK_DIAG), message)


def ask_interfaces(host: Host, interfaces: Collection[Interface]) -> Iterable[Question]:
    """Queues and counters of interfaces of a host."""
    if len(interfaces) <= _FEW:
        parts = []
        for interface in interfaces:
            parts.append(_message(_RTM_GETSTATS, 0, struct.pack("=BxxxII", 0, interface.index, _IFLA_STATS_LINK_64)))
            parts.append(_message(_RTM_GETQDISC, _ECHO, struct.pack("=BxxxiIII", 0, interface.index, 0, _TC_H_ROOT, 0)))
        yield Question(INTERFACES, host, _open(host, _NETLINK_ROUTE), b"".join(parts))
        return
    # One dump at a time is under way on a socket.
    stats = _message(_RTM_GETSTATS, _DUMP, struct.pack("=BxxxII", 0, 0, _IFLA_STATS_LINK_64))
    yield Question(INTERFACES, host, _open(host, _NETLINK_ROUTE), stats)
    queues = _message(_RTM_GETQDISC, _DUMP, struct.pack("=BxxxiIII", 0, 0, 0, 0, 0))
    yield Question(INTERFACES, host, _open(host, _NETLINK_ROUTE), queues)
