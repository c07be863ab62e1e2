"""Links between hosts in different kernels: a cable in each, joined at their far ends.

What a host sends is delayed and lost on the cable of its own kernel, and is in the
other kernel in no time. With a virtual clock all kernels have the same and run one
after the other (kernel/host/group.c); with a real one threads carry the frames.
"""

from __future__ import annotations

from liblinux import _native
from liblinux._typing import TYPE_CHECKING
from liblinux.network._beyond import Beyond

if TYPE_CHECKING:
    from liblinux.network._link import Link
    from liblinux.network._network import Network

__all__ = ["Crossing"]


class Crossing:
    """What joins the two cables of a link."""

    def __init__(self, network: Network, link: Link, number: int) -> None:
        self.network = network
        self.link = link
        self.sides = (
            Beyond(network, f"{link.a.name}:{link.ends[0].name}", number, link.a._version),
            Beyond(network, f"{link.b.name}:{link.ends[1].name}", number + 1, link.b._version),
        )
        for side, end in zip(self.sides, link.ends, strict=True):
            side.lead_to(end)
        self._joined = False

    def connect(self) -> None:
        """Begin to carry frames; what does already goes on."""
        if self._joined:
            return
        self._joined = True
        virtual = self.network.kernel.clock == "virtual"
        taps = [side.make_tap(self.link._mtu, header=True, wait=virtual) for side in self.sides]
        if virtual:
            self._wire(taps)
        else:
            self._pump(taps)

    def _wire(self, taps: list[int]) -> None:
        first, second = ((side._inside._process, tap) for side, tap in zip(self.sides, taps, strict=True))
        _native.group_wire(*first, False, *second)
        _native.group_wire(*second, False, *first)

    def _pump(self, taps: list[int]) -> None:
        ends = [(side._inside._process, tap, side.eventfd(), 0) for side, tap in zip(self.sides, taps, strict=True)]
        last = (None, -1, 0, b"")
        pumps = [_native.Pump(ends[0], ends[1], last), _native.Pump(ends[1], ends[0], last)]
        # Each is inside of both kernels, of which the first to be closed stops it.
        for side in self.sides:
            side.kernel._pumps.extend(pumps)
