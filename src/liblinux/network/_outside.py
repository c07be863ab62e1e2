"""What is behind a cable that leads out of the kernel.

    host               outside: a network namespace         this machine
    eth0 ══ cable ══ eth0 ── tc mirred ── tap0 ── pumps ── descriptor of the device

The cable is as any other, with its delays and captures. Two rules of traffic
control hand every frame on between its end and a TAP device of the kernel, as it
is; from there kernel/host/pump.c carries it.
"""

from __future__ import annotations

import os
import socket
import struct

from liblinux import _native
from liblinux._typing import TYPE_CHECKING
from liblinux.network import _rtnetlink as rtnetlink
from liblinux.network._device import Traffic
from liblinux.network._host import Host
from liblinux.network._topology import Node

if TYPE_CHECKING:
    from liblinux._process import Process
    from liblinux.network._device import Carrier, Device, End
    from liblinux.network._link import Link
    from liblinux.network._network import Network
    from liblinux.network._routing import Route
    from liblinux.network._topology import Interface

__all__ = ["Outside"]

_TAP = "tap0"
# linux/if_tun.h
_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 2, 0x1000, 0x4000
_TUN_F_CSUM, _TUN_F_TSO4, _TUN_F_TSO6, _TUN_F_TSO_ECN = 1, 2, 4, 8
_IFREQ = struct.Struct("=16sh22x")
_SIOCSIFFLAGS = 0x8914
_EVENTFD_FLAGS = os.EFD_CLOEXEC | os.EFD_NONBLOCK


class Outside(Host):
    """The far end of a link that leads to a device; not one of the network's hosts."""

    def __init__(self, network: Network, device: Device, number: int) -> None:
        # A node without addresses, whom no route leads through.
        super().__init__(network, Node(device.name, number, switches=True))
        self.device = device
        self._pumps: tuple[Carrier, ...] = ()
        self._opened = False
        self.link: Link
        device._outside = self

    def _prepare(self) -> None:
        # Nothing but the frames of others is sent from here.
        path = "/proc/sys/net/ipv6/conf/default/disable_ipv6"
        fd = self._inside.os.open(path, os.O_WRONLY)
        self._inside.os.write(fd, b"1")
        self._inside.os.close(fd)

    def _first_messages(self) -> list[bytes]:
        return []

    def _up_messages(self, end: Interface) -> list[bytes]:
        return [rtnetlink.put_up(end.index)]

    def connect(self) -> None:
        """Begin to carry frames between the cable and the device; what does already goes on."""
        if self._pumps:
            return
        interface = self.link.ends[1]
        self._opened = True
        end = self.device.open(interface.peer)
        tap = self._make_tap(end)
        index = self._inside.socket.if_nametoindex(_TAP)
        messages = [rtnetlink.set_mtu(index, self.link._mtu), rtnetlink.put_up(index)]
        for here, there in ((index, interface.index), (interface.index, index)):
            messages += rtnetlink.redirect(here, there)
        self.network._send(self, messages)
        self._start(tap, end, interface)

    def routes(self, host: Host) -> list[Route]:
        """The routes of a host that lead here."""
        return self.device.routes(self.link.ends[0]) if host is self.link.a else []

    def greet(self) -> None:
        """The network is up."""
        self.device.greet(self.link.a)

    @property
    def _inside(self) -> Process:
        assert self._process is not None, "up() makes it"
        return self._process

    def _make_tap(self, end: End) -> int:
        process = self._inside
        tap = process.os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR * end.header
        process.syscall("ioctl", tap, _TUNSETIFF, _IFREQ.pack(_TAP.encode(), flags))
        offloads = _TUN_F_CSUM | _TUN_F_TSO4 | _TUN_F_TSO6 | _TUN_F_TSO_ECN if end.header else 0
        process.syscall("ioctl", tap, _TUNSETOFFLOAD, offloads)
        return tap

    def _start(self, tap: int, end: End, interface: Interface) -> None:
        process = self._inside
        # What an interface is put down by, when the other end has gone.
        control = process.syscall("socket", socket.AF_INET, socket.SOCK_DGRAM, 0)
        down = _IFREQ.pack(interface.name.encode(), 0)
        stop = process.syscall("eventfd2", 0, _EVENTFD_FLAGS)
        os.set_blocking(end.fd, False)
        inner = (process._process, tap, stop, 0)
        outer = (None, end.fd, -1, end.kind)
        last = (process._process, control, _SIOCSIFFLAGS, down)
        out = _native.Pump(inner, outer, last)
        self._pumps = (out, self.device.begin(process, tap) or _native.Pump(outer, inner, last))
        self.network.kernel._pumps.extend(self._pumps)

    def traffic(self) -> Traffic:
        """What the pumps have carried."""
        counts = [count for pump in self._pumps for count in pump.statistics()[:3]]
        return Traffic(*counts)

    def error(self) -> int:
        """The errno that a pump ended by, or 0."""
        for pump in self._pumps:
            if number := pump.statistics()[3]:
                return number
        return 0

    def disconnect(self) -> None:
        """Carry no more frames, and let the device go."""
        for pump in self._pumps:
            pump.stop()
            self.network.kernel._pumps.remove(pump)
        self._pumps = ()
        if self._opened:
            self._opened = False
            self.device.close()
