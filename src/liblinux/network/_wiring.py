"""What is declared comes up: addresses, then a namespace for each host, cables, and routes."""

from __future__ import annotations

from liblinux._typing import TYPE_CHECKING
from liblinux.network import _rtnetlink as rtnetlink
from liblinux.network._namespaces import Namespaces
from liblinux.network._routing import Route, find_routes
from liblinux.network._topology import Node, Subnets, find_segments

if TYPE_CHECKING:
    from collections.abc import Iterable

    from liblinux.network._host import Host
    from liblinux.network._link import Link
    from liblinux.network._network import Network

__all__ = ["Wiring"]


class Wiring:
    """How far a network has come up; its addresses are taken from `subnets`."""

    def __init__(self, network: Network, subnets: Subnets) -> None:
        self._network = network
        self.subnets = subnets
        self.is_up = False
        self.routes: dict[Node, list[Route]] = {}
        self.namespaces = Namespaces(network, (4, 6) if subnets.base6 else (4,))
        self._assigned = False

    def extended(self) -> None:
        """A host or a link was declared."""
        self._assigned = self.is_up = False

    def assign(self) -> None:
        """Addresses for everything that is declared."""
        if not self._assigned:
            nodes = [host._node for host in self._network._hosts.values()]
            segments = find_segments(end for link in self._network.links for end in link.ends)
            self.subnets.assign(segments)
            self.routes = find_routes(nodes, segments, self.subnets)
            self._assigned = True

    def bring_up(self) -> None:
        """Bring up what is not; `is_up` afterwards."""
        network = self._network
        self.assign()
        fresh = [host for host in (*network._hosts.values(), *network._ways_out.ends) if host._namespace < 0]
        self.namespaces.make(fresh)
        for host in fresh:
            host._prepare()
        links = [link for link in network.links if not link._made]
        self._lay(links)
        self._put_up(fresh, links)
        for host in network._hosts.values():
            self.set_routes(host)
        for link in links:
            link._made = True
        network._ways_out.connect()
        self.is_up = True

    def set_routes(self, host: Host) -> None:
        """The routes of a host, those that are there already too."""
        routes = [*self.routes.get(host._node, ()), *self._network._ways_out.routes(host)]
        if routes:
            self.send(host, [rtnetlink.pack_route(*route) for route in routes])

    def send(self, host: Host, messages: list[bytes]) -> None:
        """Messages of rtnetlink, in one go; an OSError has the name of the host."""
        try:
            self.namespaces.send(host, messages)
        except OSError as error:
            error.filename = host.name
            raise

    def _lay(self, links: Iterable[Link]) -> None:
        """Make the cables, those of one host in one go."""
        messages: dict[Host, list[bytes]] = {}
        cables = [(link, cable) for link in links for cable in link._cables]
        for link, cable in cables:
            near, far = cable.hosts
            message = rtnetlink.new_cable(cable.ends, far._namespace, cable.lines[0], link._mtu, link._queue)
            messages.setdefault(near, []).append(message)
        for host, batch in messages.items():
            self.send(host, batch)
        for _, cable in cables:
            if cable.lines[0] != cable.lines[1]:
                self.send(cable.hosts[1], [rtnetlink.change_cable(cable.ends[1].index, cable.lines[1])])

    def _put_up(self, fresh: list[Host], links: list[Link]) -> None:
        """The interfaces of new hosts and new links, with their addresses."""
        messages: dict[Host, list[bytes]] = {host: host._first_messages() for host in fresh}
        for cable in (cable for link in links for cable in link._cables):
            for host, end in zip(cable.hosts, cable.ends, strict=True):
                messages.setdefault(host, []).extend(host._up_messages(end))
        for host, batch in messages.items():
            self.send(host, batch)
