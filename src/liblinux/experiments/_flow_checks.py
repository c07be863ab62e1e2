"""What can be wrong with flows besides their values: hosts that are not there, or that nothing leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liblinux.experiments._errors import Path, Problem
from liblinux.experiments._names import expand_all, pairs
from liblinux.experiments._reading import suggest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from liblinux.experiments import _model as model
    from liblinux.experiments._model import Experiment
    from liblinux.network import Host, Network

__all__ = ["check"]

_MOST_DATAGRAMS = 10_000_000  # a second; a program that sends more sends nothing else


def check(experiment: Experiment, network: Network, *, whole: bool) -> Iterator[Problem]:
    """What is wrong with the flows; whether their hosts reach each other when the network is `whole`."""
    seen: set[str] = set()
    reach = _Reach(network)
    for number, flow in enumerate(experiment.flow):
        path: Path = ("flow", number)
        if flow.name in seen:
            yield Problem((*path, "name"), f"there is a flow {flow.name!r} already")
        seen.add(flow.name)
        yield from _check_times(experiment, flow, path)
        if flow.kind == "udp" and flow.rate > 8 * flow.size * _MOST_DATAGRAMS:
            yield Problem((*path, "rate"), f"{flow.rate:,} bit/s in datagrams of {flow.size} bytes are too many")
        problems = list(_check_ends(flow, network, path))
        yield from problems
        if whole and not problems:
            yield from _check_reach(flow, reach, path)


def _check_times(experiment: Experiment, flow: model.Flow, path: Path) -> Iterator[Problem]:
    stop = experiment.duration if flow.stop is None else flow.stop
    if stop > experiment.duration:
        yield Problem((*path, "stop"), f"it stops at {stop:g} s, after the experiment's {experiment.duration:g} s")
    elif flow.start + flow.spread >= stop:
        last = flow.start + flow.spread
        yield Problem((*path, "start"), f"it starts at {last:g} s and stops at {stop:g} s: nothing would run")


def _check_ends(flow: model.Flow, network: Network, path: Path) -> Iterator[Problem]:
    """Names of both ends."""
    sides = []
    for key, texts in (("from", flow.source), ("to", flow.target)):
        try:
            sides.append(expand_all(texts))
        except ValueError as error:
            yield Problem((*path, key), str(error))
            continue
        for name in sides[-1]:
            if name not in network.hosts:
                yield Problem((*path, key), f"there is no host {name!r}{suggest(name, network.hosts)}")
                break
            if network.hosts[name]._node.switches:
                yield Problem((*path, key), f"{name!r} is a switch, which has no address to send from or to")
    if len(sides) == 2:
        try:
            pairs(*sides)
        except ValueError as error:
            yield Problem((*path, "to"), str(error))


def _check_reach(flow: model.Flow, reach: _Reach, path: Path) -> Iterator[Problem]:
    for source, target in pairs(expand_all(flow.source), expand_all(flow.target)):
        if source == target:
            yield Problem((*path, "to"), f"{source!r} would send to itself")
        elif target not in reach.of(source):
            why = "only routers and switches pass on what is for others"
            yield Problem((*path, "to"), f"no links lead from {source!r} to {target!r}: {why}")


class _Reach:
    """Which nodes a node reaches, over routers and switches."""

    def __init__(self, network: Network) -> None:
        self._hosts = network.hosts
        self._near: dict[str, list[str]] = {}
        for link in network.links:
            self._near.setdefault(link.a.name, []).append(link.b.name)
            self._near.setdefault(link.b.name, []).append(link.a.name)
        self._known: dict[str, frozenset[str]] = {}

    def of(self, source: str) -> frozenset[str]:
        if source not in self._known:
            seen = {source}
            edge = [source]
            while edge:
                further = [near for name in edge for near in self._near.get(name, ())]
                edge = [name for name in dict.fromkeys(further) if name not in seen]
                seen.update(edge)
                edge = [name for name in edge if _passes_on(self._hosts[name])]
            self._known[source] = frozenset(seen)
        return self._known[source]


def _passes_on(host: Host) -> bool:
    return host._node.forwards or host._node.switches
