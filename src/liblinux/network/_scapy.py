"""Scapy's sockets on a host: packets of scapy's classes, sent and received by the kernel's packet sockets.

Scapy waits with `select` and measures with `time`; here both are the kernel's, so that
`timeout=` is of its clock, and nothing waits under the virtual one.
"""

from __future__ import annotations

import selectors
import socket
from typing import TYPE_CHECKING, Any

from scapy.config import conf
from scapy.layers import inet, inet6, l2  # noqa: F401 - tell scapy which layer is which number
from scapy.supersocket import SuperSocket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from liblinux.network._host import Host

__all__ = ["FrameSocket", "PacketSocket"]

_ETH_P_ALL = 3
_SOL_PACKET, _PACKET_AUXDATA = 263, 8
_SO_TIMESTAMPNS = 35
_LARGEST = 65535


class _HostSocket(SuperSocket):  # type: ignore[misc]  # scapy is not typed for us
    """What both kinds have in common."""

    # Scapy would wait for a pipe of the machine as well, by which other threads stop it.
    nonblocking_socket = True

    def __init__(self, host: Host, kind: int) -> None:
        self.host = host
        self.promisc = False
        self.ins = host.socket.socket(socket.AF_PACKET, kind, socket.htons(_ETH_P_ALL))
        self.outs = self.ins
        # The tag of a VLAN is not in what a packet socket gives, but beside it.
        self.ins.setsockopt(_SOL_PACKET, _PACKET_AUXDATA, 1)
        self.ins.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self.auxdata_available = True

    @staticmethod
    def select(sockets: Sequence[_HostSocket], remain: float | None = None) -> list[_HostSocket]:
        """Those that have something to receive, after `remain` seconds of the kernel's clock at the latest."""
        with sockets[0].host.network.selector() as selector:
            for one in sockets:
                selector.register(one, selectors.EVENT_READ)
            ready: list[Any] = [key.fileobj for key, _ in selector.select(remain)]
            return ready

    def sniff(self, *arguments: Any, **options: Any) -> Any:
        """scapy.sendrecv.sniff() on this socket. ValueError for `filter`, which scapy would leave out."""
        if options.get("filter"):
            raise ValueError(
                "filter= is in the language of tcpdump, which scapy leaves to libpcap; give lfilter=, a function, "
                "or attach a program of BPF to the socket's `ins` (SO_ATTACH_FILTER)"
            )
        return self._act(super().sniff, arguments, options)

    def sr(self, x: Any, **options: Any) -> Any:
        """scapy.sendrecv.sr() on this socket."""
        return self._act(super().sr, (self._prepare(x),), {"threaded": False, "verbose": 0, **options})

    def sr1(self, x: Any, **options: Any) -> Any:
        """scapy.sendrecv.sr1() on this socket."""
        return self._act(super().sr1, (self._prepare(x),), {"threaded": False, "verbose": 0, **options})

    def _prepare(self, packets: Any) -> Any:
        return packets

    def _act(self, call: Callable[..., Any], arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if self.host.network._runs.run.takes_part():
            return self.host._context().run(call, *arguments, **options)
        return self.host.run_blocking(call, *arguments, **options)

    def _receive(self, size: int) -> tuple[bytes, tuple[str, int, int, int, bytes], float | None]:
        data, source, time = self._recv_raw(self.ins, size)
        return data, source, time


class FrameSocket(_HostSocket):
    """All frames of one interface, in both directions."""

    def __init__(self, host: Host, interface: str) -> None:
        super().__init__(host, socket.SOCK_RAW)
        self.iface = interface
        self.ins.bind((interface, _ETH_P_ALL))

    def recv(self, x: int = _LARGEST, **options: Any) -> Any:
        """The next frame, in the class of the interface's kind: Ether, or IP of a tunnel."""
        data, (_, protocol, _, kind, _), time = self._receive(x)
        # A tunnel's interface has no frames of its own: its packets begin with IP.
        layer = conf.l2types.num2layer.get(kind) or conf.l3types.num2layer.get(protocol, conf.raw_layer)
        return _stamped(layer(data, **options), time)


class PacketSocket(_HostSocket):
    """IP packets of a whole host: sent by its routes, received from all its interfaces."""

    def __init__(self, host: Host) -> None:
        super().__init__(host, socket.SOCK_DGRAM)
        self._senders = {
            4: host.socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW),
            6: host.socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_RAW),
        }

    def send(self, x: Any) -> int:
        """Send a packet that begins with IP or IPv6, by the host's routes."""
        packet = self._with_source(x)
        return self._senders[packet.version].sendto(bytes(packet), (packet.dst, 0))

    def _prepare(self, packets: Any) -> Any:
        return [self._with_source(packet) for packet in packets]

    def _with_source(self, packet: Any) -> Any:
        """A packet without a source gets that of the host; scapy would look into the machine's routes."""
        if "src" not in packet.fields:
            family = socket.AF_INET if packet.version == 4 else socket.AF_INET6
            with self.host.socket.socket(family, socket.SOCK_DGRAM) as asking:
                asking.connect((packet.dst, 9))
                packet.src = asking.getsockname()[0]
        return packet

    def recv(self, x: int = _LARGEST, **options: Any) -> Any:
        """The next packet that arrived; None for one that the host sent."""
        data, (_, protocol, direction, _, _), time = self._receive(x)
        if direction == socket.PACKET_OUTGOING:
            return None
        return _stamped(conf.l3types.num2layer.get(protocol, conf.raw_layer)(data, **options), time)

    def close(self) -> None:
        """Close all three sockets."""
        for sender in self._senders.values():
            sender.close()
        super().close()


def _stamped(packet: Any, time: float | None) -> Any:
    if time is not None:
        packet.time = time
    return packet
