"""What is declared comes up: addresses, then a process for each host, cables, and routes."""

from __future__ import annotations

from liblinux import _process as processes
from liblinux._typing import TYPE_CHECKING
from liblinux.network import _rtnetlink as rtnetlink
from liblinux.network._routing import Route, find_routes
from liblinux.network._topology import Node, Subnets, find_segments

if TYPE_CHECKING:
    from collections.abc import Iterable

    from liblinux._process import Process
    from liblinux.network._host import Host
    from liblinux.network._link import Link
    from liblinux.network._network import Network

__all__ = ["Wiring"]

_FORWARDING = {4: "/proc/sys/net/ipv4/ip_forward", 6: "/proc/sys/net/ipv6/conf/all/forwarding"}


class Wiring:
    """How far a network has come up; its addresses are taken from `subnets`."""

    def __init__(self, network: Network, subnets: Subnets) -> None:
        self._network = network
        self.subnets = subnets
        self.is_up = False
        self.routes: dict[Node, list[Route]] = {}
        self._batches: dict[Host, rtnetlink.Batch] = {}
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
        fresh = [host for host in (*network._hosts.values(), *network._ways_out.ends) if host._process is None]
        for host in fresh:
            self._boot(host)
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
            self._batches[host].send(messages)
        except OSError as error:
            error.filename = host.name
            raise

    def _boot(self, host: Host) -> None:
        kernel = host.kernel
        # The files of all hosts are in one table, so that one epoll can wait for them all.
        process = processes.start(kernel, namespaces=("net", "uts"), share_files=True)
        kernel._processes.add(process)
        host._process = process
        process.syscall("sethostname", host.name.encode(), len(host.name.encode()))
        if host._node.forwards:
            for version, file in _FORWARDING.items():
                if version == 4 or self.subnets.base6:
                    _write(process, file, b"1")
        self._batches[host] = rtnetlink.Batch(process)
        host._prepare()

    def _lay(self, links: Iterable[Link]) -> None:
        """Make the cables, those of one host in one go."""
        messages: dict[Host, list[bytes]] = {}
        cables = [(link, cable) for link in links for cable in link._cables]
        for link, cable in cables:
            near, far = cable.hosts
            assert far._process is not None
            message = rtnetlink.new_cable(cable.ends, far._process.pid, cable.lines[0], link._mtu, link._queue)
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


def _write(process: Process, path: str, data: bytes) -> None:
    fd = process.os.open(path, process.os.O_WRONLY)
    try:
        process.os.write(fd, data)
    finally:
        process.os.close(fd)
