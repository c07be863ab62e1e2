"""From answers of the kernel to series with names."""

from __future__ import annotations

import ipaddress
import math
from array import array
from typing import TYPE_CHECKING, Any

from liblinux.observing._answers import SocketIds, columns, find_interfaces, find_sockets, split_answers
from liblinux.observing._questions import SOCKETS
from liblinux.observing._recording import LinkEntry, Node, Recording, Series, Topology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from liblinux.network import Host, Link, Network
    from liblinux.network._rtnetlink import Line
    from liblinux.network._topology import Interface
    from liblinux.observing._recorder import Recorder

__all__ = ["assemble"]

_SECOND_NS = 10**9
# Unit, and what the kernel's number is multiplied with.
_UNITS: dict[str, tuple[str, float]] = {
    "cwnd": ("segments", 1),
    "ssthresh": ("segments", 1),
    "rtt": ("s", 1e-6),
    "delivery_rate": ("bit/s", 8),
    "retransmits": ("segments", 1),
    "unacked": ("segments", 1),
    "acked": ("bytes", 1),
    "queue": ("packets", 1),
    "backlog": ("bytes", 1),
    "queue_drops": ("packets", 1),
    "sent_packets": ("packets", 1),
    "sent_bytes": ("bytes", 1),
    "line_losses": ("packets", 1),
}
_INFINITE_SSTHRESH = 0x7FFFFFFF
# Ports that Linux chooses by itself say nothing, and are others with another seed.
_CHOSEN_PORTS = range(32768, 61000)


class _Collected:
    """The values of one object: by field, with the places of the samples that they are of."""

    def __init__(self, host: Host, about: Any) -> None:
        self.host = host
        self.about = about
        self.places: list[range] = []
        self.fields: dict[str, list[int]] = {}

    def add(self, first: int, last: int, fields: dict[str, list[int]]) -> None:
        """Samples from `first` to `last` - 1."""
        self.places.append(range(first, last))
        for name, values in fields.items():
            self.fields.setdefault(name, []).extend(values)


def assemble(recording: Recording, recorder: Recorder, data: bytes) -> None:
    """Fill a recording with what the recorder has; `data` are all answers."""
    net = recorder.network
    answers = split_answers(data)
    count = min((len(one) for one in answers.values()), default=0)
    begin = recorder._begin
    times = array("d", ((time - begin) / _SECOND_NS for time, _, _ in answers[0])) if answers else array("d")
    flows: dict[Any, _Collected] = {}
    ends: dict[Any, _Collected] = {}
    for number, question in enumerate(recorder._questions):
        of_sockets = question.kind == SOCKETS
        into, find = (flows, find_sockets) if of_sockets else (ends, find_interfaces)
        for first, last, found in columns(data, answers.get(number, [])[:count], find):
            for one, fields in found:
                key = (question.host, one.key)
                into.setdefault(key, _Collected(question.host, one.about)).add(first, last, fields)
    _add_flows(recording, net, flows.values(), times)
    _add_ends(recording, recorder._ends, ends.values(), times)
    recording.topology = _topology(net)
    recording.metadata = {**recording.metadata, **_metadata(recorder)}


def _metadata(recorder: Recorder) -> dict[str, Any]:
    net = recorder.network
    seed = net._seed
    return {
        "seed": seed.hex() if isinstance(seed, bytes) else seed,
        "kernel": recorder._release,
        "clock": "virtual",
        "duration": recorder.time,
        "interval": recorder.interval,
        "missed": recorder._missed,
        "begin": recorder._begin / _SECOND_NS,
        "epoch": recorder._epoch,
    }


def _add(recording: Recording, name: str, collected: _Collected, times: array[float]) -> None:
    places = collected.places
    whole = len(places) == 1 and len(places[0]) == len(times)
    own = times if whole else array("d", (times[place] for run in places for place in run))
    for kind, values in collected.fields.items():
        if kind not in _UNITS:
            continue
        unit, factor = _UNITS[kind]
        numbers: Iterable[float] = values
        if kind == "ssthresh":
            numbers = (math.nan if value >= _INFINITE_SSTHRESH else value for value in values)
        elif factor != 1:
            numbers = (factor * value for value in values)
        recording.series[kind, name] = Series(kind, name, unit, own, array("d", numbers))


# ---- connections --------------------------------------------------------------------


def _add_flows(recording: Recording, net: Network, flows: Iterable[_Collected], times: array[float]) -> None:
    """Of connections that have sent something, in the order of their beginning."""
    names: dict[str, int] = {}
    host_of = _address_book(net)
    senders = [flow for flow in flows if flow.fields.get("sent", [0])[-1]]
    for flow in sorted(senders, key=lambda flow: (flow.places[0].start, flow.about.inode)):
        name = _flow_name(flow.host, flow.about, host_of)
        names[name] = names.get(name, 0) + 1
        _add(recording, name if names[name] == 1 else f"{name} #{names[name]}", flow, times)


def _address_book(net: Network) -> dict[str, str]:
    book = {}
    for host in net.hosts.values():
        for interface in host._node.interfaces:
            for address in interface.addresses():
                book[str(address.ip)] = host.name
    return book


def _flow_name(host: Host, ids: SocketIds, book: dict[str, str]) -> str:
    address: Any = ipaddress.ip_address(ids.target)
    address = getattr(address, "ipv4_mapped", None) or address
    target = host.name if address.is_loopback else book.get(str(address), str(address))
    return f"{host.name}{_known(ids.source_port)} -> {target}{_known(ids.target_port)}"


def _known(port: int) -> str:
    return "" if port in _CHOSEN_PORTS else f":{port}"


# ---- links ---------------------------------------------------------------------------


def _add_ends(
    recording: Recording,
    wanted: dict[tuple[Host, int], Interface],
    ends: Iterable[_Collected],
    times: array[float],
) -> None:
    name_of = _end_names(wanted.values())
    for end in ends:
        interface = wanted.get((end.host, end.about))
        if interface is not None:
            _add(recording, name_of(interface), end, times)


def _end_names(interfaces: Iterable[Interface]) -> Callable[[Interface], str]:
    """What one end sends, as "a -> b"; with interfaces where there are several links between the two."""
    pairs = [(one.node.name, one.peer.node.name) for one in interfaces]
    several = {pair for pair in pairs if pairs.count(pair) > 1}

    def name(one: Interface) -> str:
        pair = (one.node.name, one.peer.node.name)
        return f"{_full(one)} -> {_full(one.peer)}" if pair in several else f"{pair[0]} -> {pair[1]}"

    return name


def _full(interface: Interface) -> str:
    return f"{interface.node.name}:{interface.name}"


def _topology(net: Network) -> Topology:
    hosts = []
    for host in net.hosts.values():
        kind = "switch" if host._node.switches else "router" if host._node.forwards else "host"
        addresses = tuple(str(one) for end in host._node.interfaces for one in end.addresses())
        hosts.append(Node(host.name, kind, addresses))
    known = {host.name for host in hosts}
    links = [_link(link) for link in net.links]
    for link in net.links:
        for host in (link.a, link.b):
            if host.name not in known:
                known.add(host.name)
                hosts.append(Node(host.name, "device"))
    return Topology(tuple(hosts), tuple(links))


def _link(link: Link) -> LinkEntry:
    a, b = map(_full, link.ends)
    there, back = (_describe(line, link._queue) for line in link._lines)
    return LinkEntry(a, b, there, back)


def _describe(line: Line, queue: int) -> str:
    """ "10 Mbit/s, 20 ms, 1 % lost, 100 packets"."""
    parts = []
    if line.rate:
        factor, unit = next(
            (pair for pair in ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")) if line.rate >= pair[0]), (1, "bit/s")
        )
        parts.append(f"{line.rate / factor:g} {unit}")
    if line.delay:
        parts.append(f"{line.delay / 1e6:g} ms")
    if line.jitter:
        parts.append(f"± {line.jitter / 1e6:g} ms")
    parts += [
        f"{100 * chance:g} % {what}"
        for chance, what in ((line.loss, "lost"), (line.duplicate, "doubled"), (line.reorder, "early"))
        if chance
    ]
    return ", ".join([*parts, f"queue {queue}"])
