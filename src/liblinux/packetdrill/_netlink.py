"""Netlink to the library's kernel: pyroute2 makes and reads the messages, our system calls carry them.

pyroute2 (GPL-2.0-or-later or Apache-2.0) has every family that is needed; its
own sockets are the host's, and stay unused.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from liblinux._kernel import Kernel

__all__ = ["ACK", "APPEND", "CREATE", "DUMP", "EXCLUSIVE", "GENERIC", "NETFILTER", "REPLACE", "ROUTE", "Netlink"]

ROUTE, NETFILTER, GENERIC = 0, 12, 16
REQUEST, MULTI, ACK = 1, 2, 4
REPLACE, EXCLUSIVE, CREATE, APPEND = 0x100, 0x200, 0x400, 0x800
DUMP = 0x300

_AF_NETLINK, _SOCK_RAW = 16, 3
_HEADER = struct.Struct("=IHHII")
_ERROR, _DONE = 2, 3
_RECEIVE_BYTES = 1 << 17


class Netlink:
    """A netlink socket of a kernel; a context manager."""

    def __init__(self, kernel: Kernel, family: int) -> None:
        self._kernel = kernel
        self._fd = kernel.syscall("socket", _AF_NETLINK, _SOCK_RAW, family)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kernel.os.close(self._fd)

    def request(self, message: Any, kind: int, flags: int = ACK, reply: Any = None) -> list[Any]:
        """Send a message of pyroute2 and return the answers, as `reply` or the message's own class.

        `flags` without DUMP must have ACK: that is how the end of the answers is
        known. Raises OSError with what the kernel says.
        """
        self.send([(message, kind, flags)])
        return list(self._answers(reply or type(message), 1))

    def batch(self, messages: list[tuple[Any, int, int]], acknowledged: int) -> None:
        """Send messages in one go, of which so many ask for an acknowledgement."""
        self.send(messages)
        for _ in self._answers(None, acknowledged):
            raise AssertionError("a batch has no answers besides acknowledgements")

    def send(self, messages: list[tuple[Any, int, int]]) -> None:
        """Encode and send."""
        data = b""
        for message, kind, flags in messages:
            self._sequence += 1
            header = message["header"]
            header["type"], header["flags"] = kind, REQUEST | flags
            header["sequence_number"], header["pid"] = self._sequence, 0
            message.encode()
            data += bytes(message.data)
        self._kernel.syscall("sendto", self._fd, data, len(data), 0, None, 0)

    def _answers(self, reply: Any, acknowledgements: int) -> Iterator[Any]:
        buffer = bytearray(_RECEIVE_BYTES)
        while True:
            count = self._kernel.syscall("recvfrom", self._fd, buffer, len(buffer), 0, None, None)
            for kind, data in _split(bytes(buffer[:count])):
                if kind in (_ERROR, _DONE):
                    code = int.from_bytes(data[_HEADER.size : _HEADER.size + 4], "little", signed=True)
                    if code < 0:
                        raise OSError(-code, os.strerror(-code))
                    acknowledgements -= 1
                    if kind == _DONE or not acknowledgements:
                        return
                elif reply is not None:
                    message = reply(data)
                    message.decode()
                    yield message

    def index(self, name: str) -> int:
        """The number of an interface. Raises OSError (ENODEV)."""
        try:
            with self._kernel.open(f"/sys/class/net/{name}/ifindex") as file:
                return int(file.read())
        except FileNotFoundError:
            raise OSError(errno.ENODEV, f"there is no device {name!r}") from None


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, _, _, _ = _HEADER.unpack_from(data)
        yield kind, data[:length]
        data = data[(length + 3) & ~3 :]
