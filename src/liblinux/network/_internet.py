"""The way to the Internet, and to this machine's loopback, without any rights: libslirp."""

from __future__ import annotations

import errno
import ipaddress
import logging
import os
import signal
import socket
import subprocess
import threading

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
# It answers in microseconds; but should it die of something just then there is no answer.
_PATIENCE_SECONDS = 10
_log = logging.getLogger("liblinux.internet")


class Internet(Device):
    """User-mode networking by libslirp (Debian: libslirp0), as of QEMU: `net.link(host, Internet())`.

    The host gets a subnet with a gateway and a DNS server in it, default routes, and
    that server as `host.socket.nameservers`. Its TCP connections, UDP datagrams and
    pings become those of this process; `gateway` is this machine itself, whose
    loopback is reached there (unless `loopback=False`). Nobody comes in, but for
    ports that :meth:`forward` opens. What a router would drop is dropped (headers
    that are wrong, addresses that are never on a wire), fragments of IPv4 are put
    together, urgent data of TCP become ordinary data.

    libslirp is in a process of its own, which ends with the network. Should it die of
    what the host sends it is begun anew, which the log "liblinux.internet" tells: its
    connections are lost, as when a router is switched off and on, and forwarded ports
    are forwarded again. Ten deaths within ten seconds are the end, and an `error`.

    Attributes: `gateway` and `gateway6`, addresses of this machine as the host sees
    it; `name_server`; `restarts`, how often libslirp was begun anew. FileNotFoundError
    without libslirp.
    """

    mtu = _MTU

    def __init__(self, *, loopback: bool = True) -> None:
        super().__init__("internet")
        self.restarts = 0
        self._loopback = loopback
        self._program: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._fate: str | None = None
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
                [find_slirp(), *numbers, *arguments],
                pass_fds=fds, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env={},
            )  # fmt: skip
        answer = self._control.recv(_TEXT_BYTES).decode(errors="replace")
        if answer != "ready":
            self.close()
            raise FileNotFoundError(
                errno.ENOENT,
                f"the way to the Internet is libslirp ({answer or 'its program ended'}); apt-get install libslirp0",
            )
        self._fate = None
        self._listener = threading.Thread(target=self._listen, args=(self._program,), daemon=True)
        self._listener.start()
        return End(self._frames.fileno(), PACKETS)

    def _listen(self, program: subprocess.Popen[bytes]) -> None:
        """What the program says of libslirp's deaths, "died SIGNAL" or "gave up SIGNAL", goes to the log."""
        assert program.stdout is not None
        for line in program.stdout:
            what, number = line.decode().rsplit(maxsplit=1)
            name = signal.Signals(int(number)).name
            if what == "died":
                _log.warning("libslirp died of what the host sent (%s) and is begun anew; connections are lost", name)
                self.restarts += 1
            else:
                self._fate = (
                    f"libslirp died ten times within ten seconds, at last of {name}; "
                    "find with Network.capture() what the host sends, and begin with a new Network"
                )
                _log.error("%s", self._fate)

    @property
    def error(self) -> OSError | None:
        """Why no frames are carried any more; see :class:`Device`."""
        if self._fate is not None:
            return OSError(errno.ECONNABORTED, f"{self.name}: {self._fate}")
        return super().error

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

        OSError when the port is in use, or needs rights; TimeoutError when libslirp died just then.
        """
        if self._control is None:
            raise ValueError("the network is not up yet: call Network.up() first")
        protocol, target = "udp" if udp else "tcp", port if to is None else to
        packed = ipaddress.IPv4Address(address)
        self._control.settimeout(_PATIENCE_SECONDS)
        self._control.send(f"forward {protocol} {packed} {port} {self._mine} {target}".encode())
        answer = self._control.recv(_TEXT_BYTES)
        if not answer:
            raise BrokenPipeError(errno.EPIPE, "the program that runs libslirp has ended")
        if number := int(answer):
            advice = {errno.EADDRINUSE: "; take another one", errno.EACCES: "; take one above 1023"}.get(number, "")
            raise OSError(number, f"port {port} of {address} of this machine: {os.strerror(number)}{advice}")

    def close(self) -> None:
        """End; see :class:`Device`."""
        # The end of its socket is the end of the program.
        for sock in (self._control, self._frames):
            if sock is not None:
                sock.close()
        if self._program is not None:
            self._program.wait()
            assert self._program.stdout is not None
            if self._listener is not None:
                self._listener.join()
            self._program.stdout.close()
        self._program = self._control = self._frames = self._listener = None


def _others(interface: Any) -> tuple[Any, Any]:
    """Two addresses of the subnet that are not the interface's own: the lowest ones."""
    free = (address for address in interface.network.hosts() if address != interface.ip)
    try:
        return next(free), next(free)
    except StopIteration:
        text = f"{interface.network} has no room for a gateway and a name server; give {interface} a larger subnet"
        raise ValueError(text) from None
