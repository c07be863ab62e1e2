"""What is behind a cable that leads out of a kernel.

    host               beyond: a network namespace
    eth0 ══ cable ══ eth0 ── tc mirred ── tap0 ── a device, or the same of another kernel

The cable is as any other, with its delays and captures. Two rules of traffic
control hand every frame on between its end and a TAP device of the kernel, as it
is; from there pumps or wires of kernel/host carry it.
"""

from __future__ import annotations

import os
import struct

from liblinux._typing import TYPE_CHECKING
from liblinux.network import _rtnetlink as rtnetlink
from liblinux.network._host import Host
from liblinux.network._topology import Interface, Node

if TYPE_CHECKING:
    from liblinux._process import Process
    from liblinux.network._network import Network

__all__ = ["Beyond"]

_NAME_BYTES = 64
_TAP = "tap0"
# linux/if_tun.h
_TUNSETIFF, _TUNSETOFFLOAD = 0x400454CA, 0x400454D0
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 2, 0x1000, 0x4000
_TUN_F_CSUM, _TUN_F_TSO4, _TUN_F_TSO6, _TUN_F_TSO_ECN = 1, 2, 4, 8
_EVENTFD_FLAGS = os.EFD_CLOEXEC | os.EFD_NONBLOCK
_IFREQ = struct.Struct("=16sh22x")


class Beyond(Host):
    """The far end of a cable that leads out of its kernel; not one of the network's hosts.

    `interface` is that end, `near` the one at the host.
    """

    def __init__(self, network: Network, name: str, number: int, version: str | None) -> None:
        # Of a path the end says most; a name of a host has no room for all of it.
        name = name.encode()[-_NAME_BYTES:].decode(errors="ignore")
        # A node without addresses, whom no route leads through.
        super().__init__(network, Node(name, number, switches=True), version)
        self.interface: Interface
        self.near: Interface
        self._tap = -1

    def lead_to(self, near: Interface) -> None:
        """Which interface the cable comes from."""
        self.near = near
        self.interface = Interface(self._node, None, ())

    def _prepare(self) -> None:
        # Nothing but the frames of others is sent from here.
        if self.network._wiring.subnets.base6 is None:
            return
        path = "/proc/sys/net/ipv6/conf/default/disable_ipv6"
        fd = self._inside.os.open(path, os.O_WRONLY)
        self._inside.os.write(fd, b"1")
        self._inside.os.close(fd)

    def _first_messages(self) -> list[bytes]:
        return []

    def _up_messages(self, end: Interface) -> list[bytes]:
        return [rtnetlink.put_up(end.index)]

    @property
    def _inside(self) -> Process:
        return self._acting()

    def make_tap(self, mtu: int, *, header: bool, wait: bool) -> int:
        """The TAP device that all frames of the cable pass; returns its descriptor.

        With `header` frames have a virtio header and may be large; with `wait` a
        read waits for one.
        """
        if self._tap >= 0:
            return self._tap
        process = self._inside
        self._tap = tap = process.os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK * (not wait))
        flags = _IFF_TAP | _IFF_NO_PI | _IFF_VNET_HDR * header
        process.syscall("ioctl", tap, _TUNSETIFF, _IFREQ.pack(_TAP.encode(), flags))
        offloads = _TUN_F_CSUM | _TUN_F_TSO4 | _TUN_F_TSO6 | _TUN_F_TSO_ECN if header else 0
        process.syscall("ioctl", tap, _TUNSETOFFLOAD, offloads)
        index, cable = process.socket.if_nametoindex(_TAP), self.interface.index
        messages = [rtnetlink.set_mtu(index, mtu), rtnetlink.put_up(index)]
        self.network._wiring.send(
            self, [*messages, *rtnetlink.redirect(index, cable), *rtnetlink.redirect(cable, index)]
        )
        return tap

    def eventfd(self) -> int:
        """A new one, by which a pump is stopped."""
        return self._inside.syscall("eventfd2", 0, _EVENTFD_FLAGS)
