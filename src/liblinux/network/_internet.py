"""The way to the Internet, and to this machine's loopback, without any rights: libslirp."""

from __future__ import annotations

import ipaddress
import socket

from liblinux import _native
from liblinux._typing import TYPE_CHECKING, Any
from liblinux.network._device import PACKETS, Device, End

if TYPE_CHECKING:
    from liblinux._process import Process
    from liblinux.network._host import Host
    from liblinux.network._routing import Route
    from liblinux.network._topology import Interface

__all__ = ["Internet"]

# Large frames: what an ordinary network would have sent in forty is one.
_MTU = 65520
_BUFFER_BYTES = 4 << 20


class Internet(Device):
    """User-mode networking by libslirp (Debian: libslirp0), as of QEMU: `net.link(host, Internet())`.

    The host gets a subnet with a gateway and a DNS server in it, default routes, and
    that server as `host.socket.nameservers`. Its TCP connections, UDP datagrams and
    pings become those of this process; `gateway` is this machine itself, whose
    loopback is reached there (unless `loopback=False`). Nobody comes in, but for
    ports that :meth:`forward` opens.

    Attributes: `gateway` and `gateway6`, addresses of this machine as the host sees
    it; `name_server`. FileNotFoundError without libslirp.
    """

    mtu = _MTU

    def __init__(self, *, loopback: bool = True) -> None:
        super().__init__("internet")
        self._loopback = loopback
        self._slirp: _native.Slirp | None = None
        self._socket: socket.socket | None = None
        self._mine: Any = None

    def open(self, interface: Interface) -> End:
        """Begin; see :class:`Device`."""
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            for sock in (here, there):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            try:
                self._slirp = _native.Slirp(there.fileno(), self.mtu, *self._addresses(interface), self._loopback)
            except BaseException:
                here.close()
                raise
        self._socket = here
        return End(here.fileno(), PACKETS)

    def begin(self, process: Process, tap: int) -> _native.Slirp:
        """Begin to deliver frames; see :class:`Device`."""
        assert self._slirp is not None, "open() makes it"
        self._slirp.start(process._process, tap)
        return self._slirp

    def _addresses(self, interface: Interface) -> tuple[bytes, bytes, bytes, bytes, bytes, int, bytes, bytes]:
        if interface.ipv4 is None:
            raise ValueError(f"{interface.node.name} has no IPv4 address on its way to the Internet; give it one")
        network = interface.ipv4.network
        self._mine = interface.ipv4.ip
        first, second = _others(interface.ipv4)
        self.gateway, self.name_server = str(first), str(second)
        self.gateway6: str | None = None
        four = (network.network_address.packed, network.netmask.packed, first.packed, second.packed)
        if interface.ipv6 is None:
            return (*four, b"", 0, b"", b"")
        one, two = _others(interface.ipv6)
        self.gateway6 = str(one)
        network6 = interface.ipv6.network
        return (*four, network6.network_address.packed, network6.prefixlen, one.packed, two.packed)

    def routes(self, interface: Interface) -> list[Route]:
        """Everything that is nowhere else is here."""
        return [
            (address.version, 0, b"", _others(address)[0].packed) for address in interface.addresses()
        ]  # the gateway

    def greet(self, host: Host) -> None:
        """Let names be resolved, unless the host knows somebody to ask already."""
        module = host.socket
        if not module.nameservers:
            module.nameservers = [self.name_server]

    def forward(self, port: int, *, to: int | None = None, udp: bool = False, address: str = "127.0.0.1") -> None:
        """Let `port` at `address` of this machine lead to port `to` of the host (the same, if None).

        OSError when the port is in use, or needs rights.
        """
        if self._slirp is None:
            raise ValueError("the network is not up yet: call Network.up() first")
        packed = ipaddress.IPv4Address(address).packed
        self._slirp.forward(udp, packed, port, self._mine.packed, port if to is None else to)

    def close(self) -> None:
        """End; see :class:`Device`."""
        if self._slirp is not None:
            self._slirp.stop()
            self._slirp = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _others(interface: Any) -> tuple[Any, Any]:
    """Two addresses of the subnet that are not the interface's own: the lowest ones."""
    free = (address for address in interface.network.hosts() if address != interface.ip)
    try:
        return next(free), next(free)
    except StopIteration:
        text = f"{interface.network} has no room for a gateway and a name server; give {interface} a larger subnet"
        raise ValueError(text) from None
