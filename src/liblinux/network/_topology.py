"""What a network is made of, before a kernel has heard of it: nodes, interfaces, segments, addresses.

Interfaces that hear each other, through cables and switches, are a segment, and a
segment is a subnet. A node is a host or a router, with addresses, or a switch,
which has none.
"""

from __future__ import annotations

import ipaddress
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from itertools import count

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Interface", "Node", "Segment", "Subnets", "find_segments", "parse_interface"]

# A segment gets a /24 of the base if it fits, and of IPv6 a /64 always.
_PREFIX_4, _PREFIX_6 = 24, 64
_BITS_4 = 32
_RESERVED = 2  # the network itself, and its broadcast address


class Node:
    """A host, a router (which forwards) or a switch (which has no addresses)."""

    def __init__(self, name: str, number: int, *, forwards: bool = False, switches: bool = False) -> None:
        self.name = name
        self.number = number
        self.forwards = forwards
        self.switches = switches
        self.interfaces: list[Interface] = []

    def __repr__(self) -> str:
        return f"<Node {self.name}>"


class Interface:
    """One end of a cable. `index` and `name` are those that the kernel will know it by."""

    def __init__(self, node: Node, name: str | None, asked: Sequence[IPv4Interface | IPv6Interface]) -> None:
        place = len(node.interfaces)
        self.node = node
        # 1 is the loopback, and 2 the bridge of a switch.
        self.index = place + (3 if node.switches else 2)
        # The first that is free: somebody may have asked for "eth1" as the first one.
        taken = {interface.name for interface in node.interfaces}
        self.name: str = name or next(free for number in count(place) if (free := f"eth{number}") not in taken)
        # Of the range for local use; readable: the number of the node, and that of the interface.
        self.mac = b"\x02\x00" + node.number.to_bytes(2, "big") + (place + 1).to_bytes(2, "big")
        self.asked = tuple(asked)
        self.ipv4: IPv4Interface | None = None
        self.ipv6: IPv6Interface | None = None
        self.peer: Interface
        self.segment: Segment
        node.interfaces.append(self)

    def __repr__(self) -> str:
        return f"<Interface {self.node.name}.{self.name}>"

    def addresses(self) -> Iterator[IPv4Interface | IPv6Interface]:
        """Its addresses, with their subnets."""
        for address in (self.ipv4, self.ipv6):
            if address is not None:
                yield address


class Segment:
    """Interfaces that hear each other; those of switches are left out."""

    def __init__(self, interfaces: Iterable[Interface]) -> None:
        self.interfaces = list(interfaces)
        self.ipv4: IPv4Network | None = None
        self.ipv6: IPv6Network | None = None
        for interface in self.interfaces:
            interface.segment = self

    def __repr__(self) -> str:
        return f"<Segment {', '.join(map(repr, self.interfaces))}>"


def parse_interface(text: str) -> IPv4Interface | IPv6Interface:
    """An address with its subnet, "10.0.0.1/24"; ValueError says what is wrong with it."""
    try:
        interface = ipaddress.ip_interface(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no address: {error}; write it as '10.0.0.1/24' or 'fd00::1/64'") from None
    if "/" not in text:
        raise ValueError(f"{text!r} does not say how long its subnet's prefix is; write it as '{text}/24'")
    _check_of_host(text, interface)
    return interface


def _check_of_host(text: str, interface: IPv4Interface | IPv6Interface) -> None:
    """ValueError for addresses that no interface of a host can have."""
    address, network = interface.ip, interface.network
    kinds = {
        "the unspecified address": address.is_unspecified,
        "a loopback address": address.is_loopback,
        "a multicast address": address.is_multicast,
    }
    if interface.version == 4 and network.prefixlen < _BITS_4 - 1:
        kinds["the address of the subnet itself"] = address == network.network_address
        kinds["the broadcast address of the subnet"] = address == network.broadcast_address
    for kind, is_so in kinds.items():
        if is_so:
            raise ValueError(f"{text!r} is {kind}, which no interface can have; take one of a host, as '10.0.0.1/24'")


def find_segments(interfaces: Iterable[Interface]) -> list[Segment]:
    """The segments, in the order of their first interface."""
    seen: set[Interface] = set()
    segments = []
    for interface in interfaces:
        if not interface.node.switches and interface not in seen:
            members = list(_reach(interface))
            seen.update(members)
            segments.append(Segment(members))
    return segments


def _reach(start: Interface) -> Iterator[Interface]:
    """All that hear `start`, itself included."""
    seen = {start}
    waiting = [start]
    while waiting:
        interface = waiting.pop(0)
        if not interface.node.switches:
            yield interface
            near: Iterable[Interface] = (interface.peer,)
        else:
            near = (interface.peer, *interface.node.interfaces)
        for other in near:
            if other not in seen:
                seen.add(other)
                waiting.append(other)


class Subnets:
    """Gives subnets to segments and addresses to interfaces, and refuses overlaps."""

    def __init__(self, base4: IPv4Network, base6: IPv6Network | None) -> None:
        self.base4 = base4
        self.base6 = base6
        self._next4 = int(base4.network_address)
        self._next6 = int(base6.network_address) if base6 else 0
        self._taken: list[tuple[IPv4Network | IPv6Network, Segment]] = []

    def assign(self, segments: Iterable[Segment]) -> None:
        """Addresses for all interfaces of the segments that have none."""
        segments = list(segments)
        # Those that were asked for come first: the others go around them.
        for segment in segments:
            self._take_asked(segment)
        for segment in segments:
            if segment.ipv4 is None and not self._only_asks_for(segment, 6):
                segment.ipv4 = self._free4(len(segment.interfaces))
                self._taken.append((segment.ipv4, segment))
            if segment.ipv6 is None and self.base6 is not None and not self._only_asks_for(segment, 4):
                segment.ipv6 = self._free6()
            _give_addresses(segment)

    @staticmethod
    def _only_asks_for(segment: Segment, version: int) -> bool:
        asked = [address.version for interface in segment.interfaces for address in interface.asked]
        return bool(asked) and all(one == version for one in asked)

    def _take_asked(self, segment: Segment) -> None:
        owners: dict[object, Interface] = {}
        for interface in segment.interfaces:
            for address in interface.asked:
                owner = owners.setdefault(address.ip, interface)
                if owner is not interface:
                    raise ValueError(
                        f"{address.ip} is given to {owner.node.name} and to {interface.node.name}, which hear each "
                        "other; give one of them another"
                    )
                network = address.network
                known = segment.ipv4 if network.version == 4 else segment.ipv6
                if known is None:
                    self._check_free(network, segment)
                    self._taken.append((network, segment))
                elif known != network:
                    raise ValueError(
                        f"{interface.node.name} has {address}, which is not in {known}, the subnet of those it hears"
                    )
                if isinstance(address, IPv4Interface):
                    segment.ipv4, interface.ipv4 = address.network, address
                else:
                    segment.ipv6, interface.ipv6 = address.network, address

    def _check_free(self, network: IPv4Network | IPv6Network, segment: Segment) -> None:
        for taken, other in self._taken:
            if taken.version == network.version and taken.overlaps(network):
                here, there = (", ".join(one.node.name for one in part.interfaces) for part in (segment, other))
                raise ValueError(
                    f"subnet {network} of {here} overlaps with {taken} of {there}; give one of them another"
                )

    def _free4(self, members: int) -> IPv4Network:
        prefix = min(_PREFIX_4, _BITS_4 - (members + _RESERVED - 1).bit_length())
        size = 1 << (_BITS_4 - prefix)
        fixed = [network for network, _ in self._taken if network.version == 4]
        start = -(-self._next4 // size) * size
        while True:
            if start + size > int(self.base4.broadcast_address) + 1:
                raise ValueError(f"{self.base4} has no subnet left; give Network() a larger one")
            network = IPv4Network((start, prefix))
            start += size
            self._next4 = start
            # What this hands out lies behind all that it has handed out.
            if not any(network.overlaps(other) for other in self._asked(fixed)):
                return network

    def _asked(self, networks: Iterable[IPv4Network | IPv6Network]) -> Iterator[IPv4Network]:
        for network in networks:
            if isinstance(network, IPv4Network) and int(network.broadcast_address) >= self._next4 - 1:
                yield network

    def _free6(self) -> IPv6Network:
        network = IPv6Network((self._next6, _PREFIX_6))
        self._next6 += 1 << (128 - _PREFIX_6)
        return network


def _give_addresses(segment: Segment) -> None:
    """The lowest free ones, in the order of the interfaces."""
    taken = {address.ip for interface in segment.interfaces for address in interface.addresses()}
    _give(segment, segment.ipv4, 4, taken)
    _give(segment, segment.ipv6, 6, taken)


def _give(
    segment: Segment, network: IPv4Network | IPv6Network | None, version: int, taken: set[IPv4Address | IPv6Address]
) -> None:
    if network is None:
        return
    number = int(network.network_address)
    for interface in segment.interfaces:
        if _has(interface, version) or any(address.version == version for address in interface.asked):
            continue
        number += 1
        while (address := ipaddress.ip_address(number)) in taken:
            number += 1
        if address not in network:
            raise ValueError(f"subnet {network} has no address left for {interface.node.name}")
        if version == 4:
            interface.ipv4 = IPv4Interface((number, network.prefixlen))
        else:
            interface.ipv6 = IPv6Interface((number, network.prefixlen))


def _has(interface: Interface, version: int) -> bool:
    return (interface.ipv4 if version == 4 else interface.ipv6) is not None
