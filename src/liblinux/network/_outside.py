"""Links that lead to a device of this machine: threads carry their frames, see kernel/host/pump.c."""

from __future__ import annotations

import os
import socket
import struct

from liblinux import _native
from liblinux._typing import TYPE_CHECKING
from liblinux.network._beyond import Beyond
from liblinux.network._device import Traffic

if TYPE_CHECKING:
    from liblinux.network._device import Device, End
    from liblinux.network._host import Host
    from liblinux.network._link import Link
    from liblinux.network._network import Network
    from liblinux.network._routing import Route

__all__ = ["Outside"]

_IFREQ = struct.Struct("=16sh22x")
_SIOCSIFFLAGS = 0x8914


class Outside(Beyond):
    """The far end of a link that leads to a device."""

    def __init__(self, network: Network, device: Device, number: int, version: str | None) -> None:
        super().__init__(network, device.name, number, version)
        self.device = device
        self.link: Link
        self._pumps: tuple[_native.Pump, ...] = ()
        self._opened = False

    def connect(self) -> None:
        """Begin to carry frames between the cable and the device; what does already goes on."""
        if self._pumps:
            return
        self._opened = True
        if self.network.kernel.clock == "virtual":
            if self._tap < 0:
                self.device.enter(self._inside, self.make_tap(self.link._mtu, header=False, wait=False))
            return
        end = self.device.open(self.near)
        self._start(self.make_tap(self.link._mtu, header=end.header, wait=False), end)

    def routes(self, host: Host) -> list[Route]:
        """The routes of a host that lead here."""
        return self.device.routes(self.near) if host is self.link.a else []

    def greet(self) -> None:
        """The network is up."""
        self.device.greet(self.link.a)

    def _start(self, tap: int, end: End) -> None:
        process = self._inside
        # What an interface is put down by, when the other end has gone.
        control = process.syscall("socket", socket.AF_INET, socket.SOCK_DGRAM, 0)
        down = _IFREQ.pack(self.interface.name.encode(), 0)
        os.set_blocking(end.fd, False)
        inner = (process._process, tap, self.eventfd(), 0)
        outer = (None, end.fd, -1, end.kind)
        last = (process._process, control, _SIOCSIFFLAGS, down)
        self._pumps = (_native.Pump(inner, outer, last), _native.Pump(outer, inner, last))
        self.kernel._pumps.extend(self._pumps)

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
            self.kernel._pumps.remove(pump)
        self._pumps = ()
        if self._opened:
            self._opened = False
            self.device.close()
