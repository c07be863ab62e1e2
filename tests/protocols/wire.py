"""What crossed the wire, decoded by scapy; and small networks to send it over."""

from __future__ import annotations

import asyncio
import contextlib
import selectors
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from socket import IPPROTO_TCP, TCP_CONGESTION
from typing import Any, Self

from scapy.layers import inet, inet6, l2  # noqa: F401 - tell the reader which layer is which number
from scapy.utils import RawPcapNgReader, rdpcap

from liblinux import Network
from liblinux._sockets.sock import Socket
from liblinux.asyncio._selector import KernelSelector

SECRET = b"a secret that must not be seen by anyone on the way "


class Wire:
    """A capture of all cables of a network, during a `with` statement; `packets`, the first `most`, afterwards."""

    def __init__(self, net: Network, path: Path, most: int = 300) -> None:
        self._net = net
        self._path = path / "wire.pcapng"
        self._most = most  # scapy decodes some thousand packets in a second
        self.packets: list[Any] = []

    def __enter__(self) -> Self:
        self._capture = self._net.capture(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        self._capture.close()
        self.packets = list(rdpcap(str(self._path), count=self._most)) if self._most else []

    def of(self, layer: Any, **fields: Any) -> list[Any]:
        """The layers of a kind, with such fields, in the order of the packets."""
        found = [part for packet in self.packets for part in packet.iterpayloads() if isinstance(part, layer)]
        return [one for one in found if all(getattr(one, name) == value for name, value in fields.items())]

    def sent_by(self, interface: str) -> list[Any]:
        """The packets that an interface, "a:eth0", has sent."""
        return [packet for packet in self.packets if packet.sniffed_on == interface]

    @property
    def frames(self) -> Iterator[bytes]:
        """All frames, also those that are not decoded."""
        with RawPcapNgReader(str(self._path)) as reader:
            yield from (frame for frame, _ in reader)

    def sent(self, interface: str) -> Iterator[tuple[float, bytes]]:
        """All frames that an interface, "a:eth0", has sent, with their times in seconds; not decoded."""
        with RawPcapNgReader(str(self._path)) as reader:
            for frame, about in reader:
                if about.ifname == interface.encode():
                    yield ((about.tshigh << 32) + about.tslow) / about.tsresol, frame

    def rates(self, interface: str, seconds: float = 0.5) -> list[float]:
        """What an interface has sent, in bits per second, of each such while from its first frame to its last."""
        frames = list(self.sent(interface))
        start, end = frames[0][0], frames[-1][0]
        bits = Counter[int]()
        for when, frame in frames:
            bits[int((when - start) / seconds)] += len(frame) * 8
        return [bits[number] / seconds for number in range(int((end - start) / seconds))]

    @property
    def bytes(self) -> bytes:
        """Everything that crossed, as an eavesdropper sees it."""
        return b"".join(bytes(packet) for packet in self.packets)


@contextlib.contextmanager
def pair(links: int = 1, **line: Any) -> Iterator[Network]:
    """Hosts a and b, joined by one cable or several."""
    with Network(clock="virtual", seed=1) as net:
        net.host("a"), net.host("b")
        for _ in range(links):
            net.link("a", "b", **line)
        net.up()
        yield net


@contextlib.contextmanager
def routed(**line: Any) -> Iterator[Network]:
    """Hosts a and b, with a router r between them; `line` is that of the second cable."""
    with Network(clock="virtual", seed=1) as net:
        net.host("a"), net.router("r"), net.host("b")
        net.link("a", "r")
        net.link("r", "b", **line)
        net.up()
        yield net


def carry(net: Network, sending: Socket, receiving: Socket, data: bytes, during: Any = None) -> bytes:
    """Send `data` by one socket and receive it by another, on this thread; `during()` is called in between."""
    sending.setblocking(False)
    receiving.setblocking(False)
    view, received = memoryview(data), bytearray()
    with KernelSelector(net.kernel) as selector:
        selector.register(sending, selectors.EVENT_WRITE)
        selector.register(receiving, selectors.EVENT_READ)
        while len(received) < len(data):
            for key, _ in selector.select(60):
                if key.fileobj is sending:
                    view = view[sending.send(view[:65536]) :]
                    if not view:
                        selector.unregister(sending)
                else:
                    received += _more(receiving)
                if during is not None:
                    during()
    return bytes(received)


def _more(receiving: Socket) -> bytes:
    data: bytes = receiving.recv(65536)
    assert data, "the connection ended before everything had arrived"
    return data


def connected(
    net: Network, kind: tuple[int, ...], port: int = 7, address: str | None = None, congestion: str = ""
) -> tuple[Socket, Socket]:
    """A connection from a to b of a kind that connects, such as (AF_INET, SOCK_STREAM): both ends."""
    a, b = net.hosts["a"], net.hosts["b"]
    with b.socket.socket(*kind) as listening:
        listening.bind(("", port))
        listening.listen()
        client = a.socket.socket(*kind)
        for sock in (listening, client) if congestion else ():
            sock.setsockopt(IPPROTO_TCP, TCP_CONGESTION, congestion.encode())
        client.connect((address or b.address, port))
        server, _ = listening.accept()
    return client, server


def wait(net: Network, seconds: float) -> None:
    """Let time pass."""
    net.run(asyncio.sleep(seconds))


def index(net: Network, host: str, interface: str) -> int:
    """The number of an interface."""
    return int(net.hosts[host].ip.link_lookup(ifname=interface)[0])
