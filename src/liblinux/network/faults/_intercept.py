"""Frames in the hands of Python: each that arrives at an interface goes through a function.

    cable ══ eth0 ── redirected ──> fault0, a TAP device ── read: the function
             eth0 <── redirected ──  fault0             <── written: what it gave back

All of it in the host's own namespace, by two rules of traffic control; what has
been written carries a mark, by which the first rule knows it. The function is
called by the event loop of the run (or by a thread of it that takes turns), never
inside of the kernel, and no virtual time passes meanwhile. Frames come as they are
on a wire: large ones are cut, and checksums are there.
"""

from __future__ import annotations

import contextlib
import os
import struct
from contextvars import Context
from typing import TYPE_CHECKING

from liblinux.network import _rtnetlink as rtnetlink
from liblinux.network.faults._filters import detour, drop, set_mac
from liblinux.network.faults._partition import ALL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Self

    from liblinux.network._host import Host
    from liblinux.network._link import Link
    from liblinux.network._topology import Interface
    from liblinux.network.faults._faulting import Faulting
    from liblinux.network.faults._filters import Program

__all__ = ["Detour", "Dropping", "Intercept", "ends_toward"]

_DROP_PRIORITY, _DETOUR_PRIORITY = 100, 5
_MARK = 0x6C6C6661
_LOAD_MARK = (0x20, 0, 0, 0xFFFFF000 + 20)  # SKF_AD_OFF + SKF_AD_MARK of linux/filter.h
_UNMARKED: Program = [_LOAD_MARK, (0x15, 0, 1, _MARK), (0x06, 0, 0, 0), (0x06, 0, 0, 0xFFFFFFFF)]
_FIRST_INDEX = 10_000  # no host has so many links
_LARGEST_FRAME = 1 << 16
_LARGEST_MTU = 65535 - 14  # of a TAP device
# linux/if_tun.h
_TUNSETIFF, _TUNSETIFINDEX = 0x400454CA, 0x400454DA
_IFF_TAP, _IFF_NO_PI = 2, 0x1000
_IFREQ = struct.Struct("=16sh22x")


def ends_toward(link: Link, toward: Host | str | None) -> list[tuple[Host, Interface]]:
    """The ends of a link where frames arrive: at one host, or at both."""
    link.network.up()
    if link._beyond != (None, None):
        raise ValueError(f"{link!r} leads out of its kernel; put the fault on a link inside of one")
    ends = link._hosts_and_ends
    if toward is None:
        return ends
    host = link.network._find(toward)
    found = [one for one in ends if one[0] is host]
    if not found:
        raise ValueError(f"{host.name} is not at the end of {link!r}")
    return found


class Dropping:
    """Frames of a link that a BPF program matches are dropped; made by :meth:`Link.drop`, ended by :meth:`close`."""

    def __init__(self, faulting: Faulting, ends: Sequence[tuple[Host, Interface]], program: Program) -> None:
        self._faulting = faulting
        self._ends = list(ends)
        # Each has a priority of its own, so that it can be taken away alone.
        self._priority = _DROP_PRIORITY + next(faulting.droppings)
        for host, interface in self._ends:
            faulting.filters.add(host, interface, program, drop(), priority=self._priority)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let them pass again. Twice does nothing."""
        ends, self._ends = self._ends, []
        for host, interface in ends if self._faulting.network.kernel_is_alive else ():
            self._faulting.filters.remove(host, interface, priority=self._priority)


class Intercept:
    """Frames of a link go through `function`; made by :meth:`Link.intercept`, ended by :meth:`close`.

    `seen` and `dropped` count frames.
    """

    def __init__(
        self,
        faulting: Faulting,
        ends: Sequence[tuple[Host, Interface]],
        function: Callable[[bytes], bytes | Iterable[bytes] | None],
    ) -> None:
        self.seen = self.dropped = 0
        self._function = function
        self._faulting = faulting
        self._detours: list[Detour] = []
        for host, interface in ends:
            made = faulting.detours.get(interface)
            if made is None:
                made = faulting.detours[interface] = Detour(faulting, host, interface)
            made.intercepts.append(self)
            self._detours.append(made)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let frames pass as they are. Twice does nothing."""
        detours, self._detours = self._detours, []
        for made in detours:
            made.remove(self)

    def apply(self, frame: bytes) -> list[bytes]:
        """What becomes of a frame."""
        self.seen += 1
        result = self._function(frame)
        if result is None:
            self.dropped += 1
            return []
        return [bytes(result)] if isinstance(result, bytes | bytearray | memoryview) else list(result)


class Detour:
    """The way of frames that arrive at one interface through functions."""

    def __init__(self, faulting: Faulting, host: Host, interface: Interface) -> None:
        self._faulting = faulting
        self._host = host
        self._interface = interface
        self._process = host.process
        self.intercepts: list[Intercept] = []
        self._buffer = bytearray(_LARGEST_FRAME)
        self._index = _FIRST_INDEX + interface.index
        self.fd = self._open()
        filters = faulting.filters
        filters.add(host, self._index, ALL, detour(interface.index, arriving=True, mark=_MARK), priority=1)
        filters.add(host, interface, _UNMARKED, detour(self._index), priority=_DETOUR_PRIORITY)
        self.listen()

    def _open(self) -> int:
        system, name = self._process.os, f"fault{self._interface.index}"
        fd = system.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        self._process.syscall("ioctl", fd, _TUNSETIFINDEX, struct.pack("=I", self._index))
        self._process.syscall("ioctl", fd, _TUNSETIFF, _IFREQ.pack(name.encode(), _IFF_TAP | _IFF_NO_PI))
        with contextlib.suppress(FileNotFoundError):  # a network without IPv6
            setting = system.open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", os.O_WRONLY)
            system.write(setting, b"1")  # it shall say nothing of its own
            system.close(setting)
        # The address of the interface, else frames to that were for somebody else.
        messages = [
            set_mac(self._index, self._interface.mac),
            rtnetlink.set_mtu(self._index, _LARGEST_MTU),
            rtnetlink.put_up(self._index),
        ]
        self._host.network._wiring.send(self._host, messages)
        return fd

    def remove(self, intercept: Intercept) -> None:
        """One less; without any frames go their usual way."""
        self.intercepts.remove(intercept)
        if self.intercepts or not self._faulting.network.kernel_is_alive:
            return
        del self._faulting.detours[self._interface]
        self._faulting.filters.remove(self._host, self._interface, priority=_DETOUR_PRIORITY)
        self.take()
        self.deafen()
        self._faulting.filters.forget(self._host, self._index)
        self._process.os.close(self.fd)

    def listen(self) -> None:
        """Be called by the loop of the run when a frame comes."""
        if self._faulting.loop is not None:
            Context().run(self._faulting.loop.add_reader, self.fd, self.take_or_fail)
        else:
            self._faulting.nudge()

    def deafen(self) -> None:
        """Frames wait from now on."""
        if self._faulting.loop is not None:
            self._faulting.loop.remove_reader(self.fd)

    def take_or_fail(self) -> None:
        """Take what has come; what a function raises ends the run."""
        try:
            self.take()
        except BaseException as failure:  # noqa: BLE001 - of somebody's function; raised by the run
            self._faulting.fail(failure)

    def take(self) -> None:
        """Pass all frames that have come through the functions, in the order of these."""
        while True:
            try:
                length = self._process.syscall("read", self.fd, self._buffer, len(self._buffer))
            except BlockingIOError:
                return
            frames = [bytes(self._buffer[:length])]
            for intercept in list(self.intercepts):
                frames = [result for frame in frames for result in intercept.apply(frame)]
            for frame in frames:
                self._process.syscall("write", self.fd, frame, len(frame))
