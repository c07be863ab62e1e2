"""Devices: what of this machine a link can lead to.

A device gives a descriptor of this machine on which frames come and go; everything
else (the cable up to there, the threads that carry frames) is _outside.py's.
"""

from __future__ import annotations

import os

from liblinux._typing import TYPE_CHECKING, Value
from liblinux.network._topology import Interface

if TYPE_CHECKING:
    import asyncio

    from liblinux._process import Process
    from liblinux.network._host import Host
    from liblinux.network._outside import Outside
    from liblinux.network._routing import Route

__all__ = ["DATAGRAMS", "PACKETS", "STREAM", "Device", "End", "Traffic"]

# enum host_pump_kind of kernel/host/host.h
DATAGRAMS, PACKETS, STREAM = range(3)
_MTU = 1500


class End(Value):
    """Where frames come and go: a descriptor, what a read of it is, and whether frames have a virtio header.

    The header (struct virtio_net_hdr, 10 bytes) tells of unfinished checksums and of
    segments that are to be cut, so that large frames can pass.
    """

    fd: int
    kind: int
    header: bool = False


class Traffic(Value):
    """What has passed a device: frames and bytes, and frames that the receiving side refused."""

    frames_out: int = 0
    bytes_out: int = 0
    dropped_out: int = 0
    frames_in: int = 0
    bytes_in: int = 0
    dropped_in: int = 0


class Device:
    """What a link can lead to instead of a host: `net.link(host, device)`.

    The interface of the host is an ordinary one, with the rate, delay and loss of
    its link, and captures show it. A device belongs to one link. Frames are carried
    by threads of their own, so they flow while no call is under way; which needs
    clock="real", but for Functions and Replay. Not in a process that was forked.

    Attributes: `name`, in messages; `mtu` in bytes, when the link names none.
    """

    mtu = _MTU
    #: Whether it has a meaning with a virtual clock.
    virtual = False

    def __init__(self, name: str) -> None:
        self.name = name
        self._outside: Outside | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def traffic(self) -> Traffic:
        """Counters since the link came up; `out` is what leaves the network."""
        return self._outside.traffic() if self._outside is not None else Traffic()

    @property
    def error(self) -> OSError | None:
        """Why no frames are carried any more, as when the other end has gone; else None.

        The host's interface has lost its carrier then.
        """
        number = self._outside.error() if self._outside is not None else 0
        if not number:
            return None
        advice = "the other end is gone, or sent what is no frame; begin a new Network with a new device"
        return OSError(number, f"{self.name}: {os.strerror(number)}; {advice}")

    # ---- for those that are one ----------------------------------------------

    def open(self, interface: Interface) -> End:
        """Begin; `interface` is the host's. What it returns is used until :meth:`close`."""
        raise NotImplementedError

    def enter(self, process: Process, tap: int) -> None:
        """Begin with a virtual clock: frames come and go on a TAP device of a process, without waiting."""
        raise NotImplementedError

    def serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """With a virtual clock: an event loop runs from now on."""

    def close(self) -> None:
        """End; nobody uses the descriptor any more."""
        raise NotImplementedError

    def routes(self, interface: Interface) -> list[Route]:
        """Routes of the host that lead here."""
        return []

    def greet(self, host: Host) -> None:
        """The host is up, and so is this."""
