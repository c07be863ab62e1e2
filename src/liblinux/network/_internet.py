"""The way to the Internet, and to this machine's loopback, without any rights: libslirp."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import subprocess

from liblinux._library import find_slirp
from liblinux._typing import TYPE_CHECKING, Any
from liblinux.network._device import PACKETS, Device, End

if TYPE_CHECKING:
    from liblinux.network._host import Host
    from liblinux.network._routing import Route
    from liblinux.network._topology import Interface

__all__ = ["Internet"]

# Large frames: what an ordinary network would have sent in twenty is one. Two of them fit into the window of libslirp,
# which knows no window scaling: with 65,520, where one fills it, either side waits for the other, and a download is
# slower by 14 % (median of twelve pairs).
_MTU = 32000
_BUFFER_BYTES = 4 << 20
_TEXT_BYTES = 512


class Internet(Device):
    """User-mode networking by libslirp (Debian: libslirp0), as of QEMU: `net.link(host, Internet())`.

    The host gets a subnet with a gateway and a DNS server in it, default routes, and
    that server as `host.socket.nameservers`. Its TCP connections, UDP datagrams and
    pings become those of this process; `gateway` is this machine itself, whose
    loopback is reached there (unless `loopback=False`). Nobody comes in, but for
    ports that :meth:`forward` opens. libslirp is in a process of its own, which ends
    with the network: should it die of what the host sends, that is an `error`.

    Attributes: `gateway` and `gateway6`, addresses of this machine as the host sees
    it; `name_server`. FileNotFoundError without libslirp.
    """

    mtu = _MTU

    def __init__(self, *, loopback: bool = True) -> None:
        super().__init__("internet")
        self._loopback = loopback
        self._program: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._frames: socket.socket | None = None

    def open(self, interface: Interface) -> End:
        """Begin; see :class:`Device`."""
        assert self._outside is not None, "a link leads here"
        arguments = self._addresses(interface)
        self._frames, frames = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with frames, control:
            for sock in (self._frames, frames):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            fds = (frames.fileno(), control.fileno())
            numbers = [str(number) for number in (*fds, self._outside.link._mtu, int(self._loopback))]
            self._program = subprocess.Popen(
                [find_slirp(), *numbers, *arguments], pass_fds=fds, stdin=subprocess.DEVNULL, env={}
            )
        answer = self._control.recv(_TEXT_BYTES).decode(errors="replace")
        if answer != "ready":
            self.close()
            raise FileNotFoundError(
                errno.ENOENT,
                f"the way to the Internet is libslirp ({answer or 'its program ended'}); apt-get install libslirp0",
            )
        return End(self._frames.fileno(), PACKETS)

    def _addresses(self, interface: Interface) -> list[str]:
        """What the program is told of the network; and `gateway`, `name_server`."""
        if interface.ipv4 is None:
            raise ValueError(f"{interface.node.name} has no IPv4 address on its way to the Internet; give it one")
        self._mine = str(interface.ipv4.ip)
        gateway, server = _others(interface.ipv4)
        self.gateway, self.name_server = str(gateway), str(server)
        self.gateway6: str | None = None
        told = [f"{interface.ipv4.network},{gateway},{server}"]
        if interface.ipv6 is not None:
            gateway, server = _others(interface.ipv6)
            self.gateway6 = str(gateway)
            told.append(f"{interface.ipv6.network},{gateway},{server}")
        return told

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
        if self._control is None:
            raise ValueError("the network is not up yet: call Network.up() first")
        protocol, target = "udp" if udp else "tcp", port if to is None else to
        packed = ipaddress.IPv4Address(address)
        self._control.send(f"forward {protocol} {packed} {port} {self._mine} {target}".encode())
        answer = self._control.recv(_TEXT_BYTES)
        if not answer:
            raise BrokenPipeError(errno.EPIPE, "the program that runs libslirp has ended")
        if number := int(answer):
            raise OSError(number, f"port {port} of {address} of this machine: {os.strerror(number)}")

    def close(self) -> None:
        """End; see :class:`Device`."""
        # The end of its socket is the end of the program.
        for sock in (self._control, self._frames):
            if sock is not None:
                sock.close()
        if self._program is not None:
            self._program.wait()
        self._program = self._control = self._frames = None


def _others(interface: Any) -> tuple[Any, Any]:
    """Two addresses of the subnet that are not the interface's own: the lowest ones."""
    free = (address for address in interface.network.hosts() if address != interface.ip)
    try:
        return next(free), next(free)
    except StopIteration:
        text = f"{interface.network} has no room for a gateway and a name server; give {interface} a larger subnet"
        raise ValueError(text) from None
