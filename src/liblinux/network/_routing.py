"""Shortest paths, by the number of routers, as few routes as they need.

For each subnet a breadth-first search goes backwards from it over the routers. A
host with one interface gets a default route. A router gets one route for the
whole base of the network through the neighbour that most subnets are behind, and
one for each subnet that is behind another.
"""

from __future__ import annotations

from array import array
from collections import Counter
from itertools import compress

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

    from liblinux.network._topology import Node, Segment, Subnets

__all__ = ["Route", "find_routes"]

# Version of IP, length of the prefix, packed network, packed gateway.
Route = tuple[int, int, bytes, bytes]


def find_routes(nodes: Sequence[Node], segments: Sequence[Segment], subnets: Subnets) -> dict[Node, list[Route]]:
    """The routes of every node that needs some."""
    hops = _Hops(nodes, segments)
    tables = [
        _Table(4, subnets.base4, [one.ipv4 for one in segments], [one.ipv4 for one in hops.numbers]),
        _Table(6, subnets.base6, [one.ipv6 for one in segments], [one.ipv6 for one in hops.numbers]),
    ]
    routes: dict[Node, list[Route]] = {}
    for node in nodes:
        if node.switches or not node.interfaces:
            continue
        if not _chooses(node):
            found = list(_default(node))
        else:
            numbers = hops.of(node)
            found = [route for table in tables if table for route in table.routes(numbers)]
        if found:
            routes[node] = found
    return routes


class _Hops:
    """For each node with a choice and each segment that is not its own: the neighbour's interface to send to.

    Interfaces go by numbers, all of them in one array, which the host gets back as a whole: a thousand
    routers have a million of them, and dictionaries left 36 MB behind that nobody could use.
    """

    def __init__(self, nodes: Iterable[Node], segments: Sequence[Segment]) -> None:
        # From 1 on: 0 is no way.
        self.numbers = {
            interface: number
            for number, interface in enumerate((one for segment in segments for one in segment.interfaces), 1)
        }
        self._width = len(segments)
        self._places = {node: place for place, node in enumerate(filter(_chooses, nodes))}
        self._table = array("I", [0]) * (len(self._places) * self._width)
        self._search(segments)

    def of(self, node: Node) -> Sequence[int]:
        """For each segment the number of the interface that the node sends to."""
        start = self._places[node] * self._width
        return self._table[start : start + self._width]

    def _search(self, segments: Sequence[Segment]) -> None:
        nodes = list(self._places)
        behind = [list(self._behind(node)) if node.forwards else [] for node in nodes]
        starts = [place * self._width for place in range(len(nodes))]
        table = self._table
        for column, target in enumerate(segments):
            reached = bytearray(len(nodes))
            edge = [self._places[one.node] for one in target.interfaces if one.node in self._places]
            for place in edge:
                reached[place] = True
            while edge:
                further = []
                for place in edge:
                    for other, number in behind[place]:
                        if not reached[other]:
                            reached[other] = True
                            table[starts[other] + column] = number
                            further.append(other)
                edge = further

    def _behind(self, node: Node) -> Iterator[tuple[int, int]]:
        """Who may send to the node, and to which of its interfaces."""
        for mine in node.interfaces:
            for other in mine.segment.interfaces:
                if _chooses(other.node):
                    yield self._places[other.node], self.numbers[mine]


def _chooses(node: Node) -> bool:
    return node.forwards or len(node.interfaces) > 1


def _default(node: Node) -> Iterator[Route]:
    """Through the first router that it hears."""
    for other in node.interfaces[0].segment.interfaces:
        if other.node.forwards and other.node is not node:
            for address in other.addresses():
                yield (address.version, 0, b"", address.ip.packed)
            return


class _Table:
    """One version of IP, with everything packed once: it is looked at for every pair of router and subnet."""

    def __init__(
        self,
        version: int,
        base: IPv4Network | IPv6Network | None,
        networks: Sequence[IPv4Network | IPv6Network | None],
        addresses: Iterable[IPv4Interface | IPv6Interface | None],
    ) -> None:
        self._version = version
        self._base = base
        self._networks = [one and (one.prefixlen, one.network_address.packed) for one in networks]
        self._inside = [one is not None and _is_inside(one, base) for one in networks]
        self._gateways = [b"", *(one.ip.packed if one else b"" for one in addresses)]

    def __bool__(self) -> bool:
        return any(self._networks)

    def routes(self, numbers: Sequence[int]) -> Iterator[Route]:
        """Of a node that sends to these interfaces, one for each segment."""
        inside = Counter(compress(numbers, self._inside))
        # The first of the most wanted: the same in every run.
        most = next((number for number, _ in inside.most_common() if self._gateways[number]), 0)
        if most and self._base is not None:
            yield (self._version, self._base.prefixlen, self._base.network_address.packed, self._gateways[most])
        others = [at for at, number in enumerate(numbers) if number and (number != most or not self._inside[at])]
        for at in others:
            network, gateway = self._networks[at], self._gateways[numbers[at]]
            if network and gateway:
                yield (self._version, *network, gateway)


def _is_inside(network: IPv4Network | IPv6Network, base: IPv4Network | IPv6Network | None) -> bool:
    return base is not None and network.subnet_of(base)  # type: ignore[arg-type]  # of the same version
