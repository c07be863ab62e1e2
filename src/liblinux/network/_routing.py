"""Shortest paths, by the number of routers, as few routes as they need.

For each subnet a breadth-first search goes backwards from it over the routers. A
host with one interface gets a default route. A router gets one route for the
whole base of the network through the neighbour that most subnets are behind, and
one for each subnet that is behind another.
"""

from __future__ import annotations

from array import array
from collections import Counter

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network

    from liblinux.network._topology import Interface, Node, Segment, Subnets

__all__ = ["Route", "find_routes"]

# Version of IP, length of the prefix, packed network, packed gateway.
Route = tuple[int, int, bytes, bytes]


def find_routes(nodes: Sequence[Node], segments: Sequence[Segment], subnets: Subnets) -> dict[Node, list[Route]]:
    """The routes of every node that needs some."""
    hops = _Hops(nodes, segments)
    tables = [
        _Table(4, subnets.base4, {one: one.ipv4 for one in segments}, lambda interface: interface.ipv4),
        _Table(6, subnets.base6, {one: one.ipv6 for one in segments}, lambda interface: interface.ipv6),
    ]
    routes: dict[Node, list[Route]] = {}
    for node in nodes:
        if node.switches or not node.interfaces:
            continue
        if not _chooses(node):
            found = list(_default(node))
        else:
            ways = hops.of(node)
            found = [route for table in tables if table for route in table.routes(ways)]
        if found:
            routes[node] = found
    return routes


class _Hops:
    """For each node with a choice and each segment that is not its own: the neighbour's interface to send to.

    All in one array of numbers, which the host gets back as a whole: a thousand routers have a million of
    them, and dictionaries left 36 MB behind that nobody could use.
    """

    def __init__(self, nodes: Iterable[Node], segments: Sequence[Segment]) -> None:
        self._segments = segments
        self._neighbours = [one for segment in segments for one in segment.interfaces]
        # From 1 on: 0 is no way.
        self._codes = {interface: code for code, interface in enumerate(self._neighbours, 1)}
        self._rows = {node: row * len(segments) for row, node in enumerate(filter(_chooses, nodes))}
        self._table = array("I", [0]) * (len(self._rows) * len(segments))
        self._search()

    def of(self, node: Node) -> list[tuple[Segment, Interface]]:
        """What the node sends to whom, in the order of the segments."""
        start = self._rows[node]
        row = self._table[start : start + len(self._segments)]
        return [
            (segment, self._neighbours[code - 1]) for segment, code in zip(self._segments, row, strict=True) if code
        ]

    def _search(self) -> None:
        codes, rows, table = self._codes, self._rows, self._table
        routed = {segment: [one for one in segment.interfaces if _chooses(one.node)] for segment in self._segments}
        for column, target in enumerate(self._segments):
            reached = {interface.node for interface in target.interfaces}
            edge = [interface.node for interface in target.interfaces if interface.node.forwards]
            while edge:
                further = []
                for node in edge:
                    for mine in node.interfaces:
                        for other in routed[mine.segment]:
                            if other.node not in reached:
                                reached.add(other.node)
                                table[rows[other.node] + column] = codes[mine]
                                if other.node.forwards:
                                    further.append(other.node)
                edge = further


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
        networks: Mapping[Segment, IPv4Network | IPv6Network | None],
        address: Callable[[Interface], IPv4Interface | IPv6Interface | None],
    ) -> None:
        self._version = version
        self._base = base
        self._networks = {
            segment: (network.prefixlen, network.network_address.packed, _is_inside(network, base))
            for segment, network in networks.items()
            if network is not None
        }
        found = ((interface, address(interface)) for segment in networks for interface in segment.interfaces)
        self._gateways = {interface: one.ip.packed for interface, one in found if one is not None}

    def __bool__(self) -> bool:
        return bool(self._networks)

    def routes(self, ways: Iterable[tuple[Segment, Interface]]) -> Iterator[Route]:
        networks, gateways = self._networks, self._gateways
        wanted = [
            (*networks[segment], gateways[interface])
            for segment, interface in ways
            if segment in networks and interface in gateways
        ]
        inside = Counter(gateway for _, _, inside, gateway in wanted if inside)
        # The first of the most wanted: the same in every run.
        most = inside.most_common(1)[0][0] if inside else None
        if most is not None and self._base is not None:
            yield (self._version, self._base.prefixlen, self._base.network_address.packed, most)
        for prefix, network, is_inside, gateway in wanted:
            if gateway != most or not is_inside:
                yield (self._version, prefix, network, gateway)


def _is_inside(network: IPv4Network | IPv6Network, base: IPv4Network | IPv6Network | None) -> bool:
    return base is not None and network.subnet_of(base)  # type: ignore[arg-type]  # of the same version
