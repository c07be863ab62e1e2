"""Where the links of a network lead out of a kernel: to devices, and to hosts of other kernels."""

from __future__ import annotations

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liblinux.network._beyond import Beyond
    from liblinux.network._crossing import Crossing
    from liblinux.network._device import Device
    from liblinux.network._host import Host
    from liblinux.network._link import Link
    from liblinux.network._network import Network
    from liblinux.network._outside import Outside
    from liblinux.network._routing import Route

__all__ = ["WaysOut"]

# Numbers of nodes, of which MAC addresses are made, for what is no host.
_BEYOND_NUMBERS = 0xF000


class WaysOut:
    """What cables lead to that is beside the hosts, but not among them."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.outsides: list[Outside] = []
        self._crossings: list[Crossing] = []

    @property
    def ends(self) -> list[Beyond]:
        """The far ends of all such cables."""
        return [*self.outsides, *(side for crossing in self._crossings for side in crossing.sides)]

    def to_device(self, device: Device, near: Host) -> Outside:
        """What a link to a device ends at; add() it when the link is made.

        ValueError for a device that has a link, and for one that has no virtual clock.
        """
        from liblinux.network._outside import Outside  # noqa: PLC0415 - for those who do

        if self._network._kernels.options["clock"] == "virtual" and not device.virtual:
            raise ValueError(
                f"{device!r} lives in real time, which a virtual clock jumps ahead of; take Network(clock='real')"
            )
        if device._outside is not None:
            raise ValueError(f"{device!r} has a link already; make another one")
        return Outside(self._network, device, self._next_number(), near._version)

    def add(self, outside: Outside, link: Link) -> None:
        """The link to a device is made; until now another one could have been."""
        outside.device._outside = outside
        outside.link = link
        outside.near, outside.interface = link.ends
        self.outsides.append(outside)

    def cross(self, link: Link) -> None:
        """The link joins hosts of two kernels."""
        from liblinux.network._crossing import Crossing  # noqa: PLC0415 - for those who do

        crossing = Crossing(self._network, link, self._next_number())
        link._beyond = crossing.sides
        self._crossings.append(crossing)

    def routes(self, host: Host) -> list[Route]:
        """The routes of a host that lead to devices."""
        return [route for outside in self.outsides for route in outside.routes(host)]

    def connect(self) -> None:
        """Begin to carry frames; what does already goes on."""
        for outside in self.outsides:
            outside.connect()
        for crossing in self._crossings:
            crossing.connect()

    def greet(self) -> None:
        """The network is up."""
        for outside in self.outsides:
            outside.greet()

    def disconnect(self) -> None:
        """No device gets frames any more."""
        for outside in self.outsides:
            outside.disconnect()

    def _next_number(self) -> int:
        return _BEYOND_NUMBERS + len(self.outsides) + 2 * len(self._crossings)
