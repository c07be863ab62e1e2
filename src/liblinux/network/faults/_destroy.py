"""End all TCP connections of a host at once, as `ss --kill` does, also those that no program holds any more.

Source: sock_diag(7), linux/inet_diag.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from liblinux._process import Process

__all__ = ["destroy_connections"]

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY, _SOCK_DESTROY = 20, 21
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_DUMP = 1, 4, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_ALL_STATES = 0xFFFFFFFF
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI")  # family, protocol, extensions, states; then what names a socket
_ID_BYTES = 48
_ID_OFFSET = 4  # in the answer: family, state, timer, retransmissions
_BUFFER_BYTES = 1 << 16
_GONE = (0, errno.ENOENT, errno.EOPNOTSUPP)  # it was quicker, or is a remainder that goes by itself


def destroy_connections(process: Process) -> int:
    """Abort every TCP socket in the namespace of a process; returns how many there were.

    Peers of connections get a reset, programs that hold them ECONNABORTED.
    """
    fd = process.syscall("socket", socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
    try:
        found = [(family, one) for family in (socket.AF_INET, socket.AF_INET6) for one in _list(process, fd, family)]
        for family, identity in found:
            request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, _ALL_STATES) + identity
            _send(process, fd, _SOCK_DESTROY, _NLM_F_ACK, request)
            for kind, body in _receive(process, fd):
                if kind == _NLMSG_ERROR and (error := -struct.unpack_from("=i", body)[0]) not in _GONE:
                    raise OSError(error, f"a connection could not be aborted: {os.strerror(error)}")
        return len(found)
    finally:
        process.os.close(fd)


def _list(process: Process, fd: int, family: int) -> list[bytes]:
    _send(process, fd, _SOCK_DIAG_BY_FAMILY, _NLM_F_DUMP, _REQUEST.pack(family, 6, 0, _ALL_STATES) + bytes(_ID_BYTES))
    found: list[bytes] = []
    while True:
        for kind, body in _receive(process, fd):
            if kind == _NLMSG_DONE:
                return found
            if kind == _NLMSG_ERROR:
                error = -struct.unpack_from("=i", body)[0]
                raise OSError(error, f"connections could not be listed: {os.strerror(error)}")
            found.append(body[_ID_OFFSET : _ID_OFFSET + _ID_BYTES])


def _send(process: Process, fd: int, kind: int, flags: int, body: bytes) -> None:
    message = _HEADER.pack(_HEADER.size + len(body), kind, flags | _NLM_F_REQUEST, 0, 0) + body
    process.syscall("sendto", fd, message, len(message), 0, None, 0)


def _receive(process: Process, fd: int) -> Iterator[tuple[int, bytes]]:
    buffer = bytearray(_BUFFER_BYTES)
    length = process.syscall("recvfrom", fd, buffer, len(buffer), 0, None, None)
    start = 0
    while start + _HEADER.size <= length:
        size, kind, _, _, _ = _HEADER.unpack_from(buffer, start)
        yield kind, bytes(buffer[start + _HEADER.size : start + size])
        start += max(size + -size % 4, _HEADER.size)
