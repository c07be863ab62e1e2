"""ICMP echo, from one host to another, by a raw socket."""

from __future__ import annotations

import ipaddress
import socket
import struct

from liblinux._typing import TYPE_CHECKING, Value

if TYPE_CHECKING:
    from collections.abc import Callable

    from liblinux._sockets.sock import Socket
    from liblinux.network._host import Host

__all__ = ["Ping", "echo_reply", "echo_request", "ping"]

_SECOND_NS = 10**9
_ECHO = {4: (8, 0), 6: (128, 129)}  # request and reply, ICMP and ICMPv6
_HEADER = struct.Struct("!BBHHH")
_IDENTIFIER = 0x4C4C
_LARGEST_ECHO = 65535 - 20 - _HEADER.size  # of what fits into a packet of IPv4


class Ping(Value):
    """What came of it: `times` has a round trip in seconds for each request, None for one without an answer."""

    address: str
    times: tuple[float | None, ...]

    @property
    def sent(self) -> int:
        """Requests sent."""
        return len(self.times)

    @property
    def received(self) -> int:
        """Answers in time."""
        return sum(time is not None for time in self.times)

    @property
    def loss(self) -> float:
        """Share of the requests without an answer, from 0 to 1."""
        return 1 - self.received / self.sent

    @property
    def average(self) -> float | None:
        """The mean round trip in seconds; None when nothing was answered."""
        answered = [time for time in self.times if time is not None]
        return sum(answered) / len(answered) if answered else None

    def __str__(self) -> str:
        average = f", {self.average * 1e3:.3f} ms" if self.average is not None else ""
        return f"{self.address}: {self.received} of {self.sent} answered{average}"


def ping(host: Host, address: str, *, count: int, size: int, interval: float, timeout: float) -> Ping:
    """Ask `address` for echoes; see :meth:`Network.ping`."""
    if not 0 <= size <= _LARGEST_ECHO:
        raise ValueError(f"an echo of {size} bytes is out of range: 0 to {_LARGEST_ECHO}")
    if count < 1:
        raise ValueError(f"count={count}: one echo is the least")
    if not (interval >= 0 and timeout > 0):
        raise ValueError(f"interval={interval}, timeout={timeout}: seconds, not negative, and a timeout is not 0")
    version = ipaddress.ip_address(address.partition("%")[0]).version
    clock = host.network.kernel.now
    times: list[float | None] = []
    with _socket(host, version) as sock:
        for sequence in range(count):
            start = clock()
            error = _request(sock, address, version, sequence, size)
            times.append(None if error else _answer(sock, version, sequence, start, clock, timeout))
            if sequence < count - 1:
                _sleep(host, interval - (clock() - start) / _SECOND_NS)
    return Ping(address, tuple(times))


def _socket(host: Host, version: int) -> Socket:
    sockets = host.socket
    if version == 4:
        return sockets.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    return sockets.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)


def _request(sock: Socket, address: str, version: int, sequence: int, size: int) -> bool:
    """Send one; whether that was refused, as without a route."""
    try:
        # At every time anew: there may be no way now, and one later.
        sock.connect((address, 0))
        sock.send(echo_request(version, _IDENTIFIER, sequence, size))
    except OSError:
        return True
    return False


def echo_request(version: int, identifier: int, sequence: int, size: int) -> bytes:
    """A request for a raw socket, with a payload of `size` zeros."""
    kind = _ECHO[version][0]
    checksum = _checksum(_HEADER.pack(kind, 0, 0, identifier, sequence & 0xFFFF)) if version == 4 else 0
    # Zeros change no checksum; that of ICMPv6 is the kernel's business.
    return _HEADER.pack(kind, 0, checksum, identifier, sequence & 0xFFFF) + bytes(size)


def echo_reply(version: int, packet: bytes, identifier: int) -> int | None:
    """The sequence number of a reply that a raw socket has received, of 16 bits; None when it is something else."""
    # The length of the header of IPv4 is in words, in the lower half of its first byte.
    message = packet[(packet[0] & 15) * 4 :] if version == 4 else packet
    if len(message) < _HEADER.size:
        return None
    kind, _, _, found, number = _HEADER.unpack_from(message)
    return int(number) if (kind, found) == (_ECHO[version][1], identifier) else None


def _answer(
    sock: Socket, version: int, sequence: int, start: int, clock: Callable[[], int], timeout: float
) -> float | None:
    """The time until the answer comes, in seconds."""
    while (left := timeout - (clock() - start) / _SECOND_NS) > 0:
        sock.settimeout(left)
        try:
            packet = sock.recv(65536)
        except (TimeoutError, BlockingIOError):
            return None
        if echo_reply(version, packet, _IDENTIFIER) == sequence & 0xFFFF:
            return (clock() - start) / _SECOND_NS
    return None


def _checksum(data: bytes) -> int:
    """The Internet checksum. Source: RFC 1071."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~int(total) & 0xFFFF


def _sleep(host: Host, seconds: float) -> None:
    if seconds > 0:
        host.syscall("nanosleep", struct.pack("=qq", *divmod(round(seconds * _SECOND_NS), _SECOND_NS)), None)
