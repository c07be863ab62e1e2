"""How much a path carries: one TCP stream, or datagrams at a rate, as iperf measures."""

from __future__ import annotations

import contextlib
import selectors
import socket

from liblinux._typing import TYPE_CHECKING, Literal, Value

if TYPE_CHECKING:
    from collections.abc import Callable

    from liblinux._sockets.sock import Socket
    from liblinux.network._host import Host

__all__ = ["Throughput", "iperf"]

_SECOND_NS = 10**9
_CHUNK = bytes(1 << 16)
_DATAGRAM_BYTES = 1400
_BITS = 8


class Throughput(Value):
    """What arrived: `bytes` in `seconds` of the kernel's clock; `sent` and `received` datagrams of UDP."""

    bytes: int
    seconds: float
    sent: int = 0
    received: int = 0

    @property
    def bits_per_second(self) -> float:
        """The throughput that a program sees, without headers."""
        return self.bytes * _BITS / self.seconds

    def __str__(self) -> str:
        return f"{self.bits_per_second / 1e6:.3f} Mbit/s ({self.bytes} bytes in {self.seconds:.3f} s)"


def iperf(
    client: Host,
    server: Host,
    address: str,
    *,
    seconds: float,
    protocol: Literal["tcp", "udp"],
    rate: int,
    congestion: str | None,
) -> Throughput:
    """Send from `client` to `server` for so many seconds; see :meth:`Network.iperf`."""
    if not seconds > 0:
        raise ValueError(f"seconds={seconds}: to measure takes some time; give more than 0")
    if protocol == "udp":
        return _udp(client, server, address, seconds, rate)
    if protocol != "tcp":
        raise ValueError(f"protocol must be 'tcp' or 'udp', not {protocol!r}")
    return _tcp(client, server, address, seconds, congestion)


def _family(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _tcp(client: Host, server: Host, address: str, seconds: float, congestion: str | None) -> Throughput:
    clock = client.network.kernel.now
    family = _family(address)
    with (
        server.socket.create_server(("", 0), family=family, backlog=1) as listening,
        client.socket.socket(family, socket.SOCK_STREAM) as sending,
    ):
        if congestion is not None:
            _choose(client, sending, congestion)
        sending.connect((address, listening.getsockname()[1]))
        receiving, _ = listening.accept()
        with receiving:
            sending.setblocking(False)
            receiving.setblocking(False)
            return _pump(client, sending, receiving, clock, seconds)


def _choose(client: Host, sending: Socket, congestion: str) -> None:
    try:
        sending.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
    except FileNotFoundError:
        known = client.sysctl["net.ipv4.tcp_available_congestion_control"]
        raise ValueError(f"the kernel has no congestion control {congestion!r}; it has {known}") from None


def _pump(client: Host, sending: Socket, receiving: Socket, clock: Callable[[], int], seconds: float) -> Throughput:
    """Both ends in turns, on this thread: what the kernel does in between takes the time."""
    buffer = bytearray(len(_CHUNK))
    total = 0
    start = clock()
    end = start + round(seconds * _SECOND_NS)
    with client.network.selector() as selector:
        selector.register(sending, selectors.EVENT_WRITE)
        selector.register(receiving, selectors.EVENT_READ)
        while (now := clock()) < end:
            for key, _ in selector.select((end - now) / _SECOND_NS):
                if key.fd == sending.fileno():
                    sending.send(_CHUNK)
                else:
                    total += receiving.recv_into(buffer)
    return Throughput(total, (clock() - start) / _SECOND_NS)


def _udp(client: Host, server: Host, address: str, seconds: float, rate: int) -> Throughput:
    if rate <= 0:
        raise ValueError("datagrams need a rate to be sent at, as rate='10Mbit'")
    clock = client.network.kernel.now
    family = _family(address)
    gap = _DATAGRAM_BYTES * _BITS * _SECOND_NS // rate
    buffer = bytearray(len(_CHUNK))
    sent = received = total = 0
    with (
        server.socket.socket(family, socket.SOCK_DGRAM) as receiving,
        client.socket.socket(family, socket.SOCK_DGRAM) as sending,
        client.network.selector() as selector,
    ):
        receiving.bind(("", 0))
        receiving.setblocking(False)
        # One that waited for room would be late with all that follows, and nobody would receive meanwhile.
        sending.setblocking(False)
        sending.connect((address, receiving.getsockname()[1]))
        selector.register(receiving, selectors.EVENT_READ)
        start = due = clock()
        end = start + round(seconds * _SECOND_NS)
        while (now := clock()) < end:
            if now >= due:
                sent += 1
                due += gap
                # What does not leave was sent, and is lost.
                with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                    sending.send(_CHUNK[:_DATAGRAM_BYTES])
                if due > now:
                    continue
            # At a rate that is too high for this the next one is due already: all the same one is received for each.
            if selector.select(max(min(due, end) - now, 0) / _SECOND_NS):
                total += receiving.recv_into(buffer)
                received += 1
        return Throughput(total, (clock() - start) / _SECOND_NS, sent, received)
