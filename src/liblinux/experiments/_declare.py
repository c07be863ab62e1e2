"""The network that an experiment describes, declared and not yet up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from liblinux.experiments._errors import Path, Problem
from liblinux.experiments._model import Experiment, LinkPart
from liblinux.experiments._names import expand, expand_all, pairs
from liblinux.experiments._reading import suggest
from liblinux.network import Host, Link, Network

__all__ = ["Laid", "declare"]

_BASE_BYTES = 192 << 20
_HOST_BYTES = 1 << 20
_FLOW_BYTES = 2 << 20
_MOST_BYTES = 4 << 30
_IPV6 = "fd00::/16"


class Laid(NamedTuple):
    """A network, its links by the names of the file, and the part of the file that each link is of."""

    network: Network
    links: dict[str, list[Link]]
    parts: list[tuple[Link, LinkPart]]


def declare(experiment: Experiment, seed: int, problems: list[Problem]) -> Laid:
    """Declare hosts and links; what is wrong with them is added to `problems`. Nothing boots."""
    network = Network(
        clock="virtual",
        seed=seed,
        version=experiment.kernel,
        memory=_memory(experiment),
        ipv6=_IPV6 if experiment.ipv6 else None,
    )
    _add_nodes(network, experiment, problems)
    laid = Laid(network, {}, [])
    for number, part in enumerate(experiment.link):
        if part.name in laid.links:
            problems.append(Problem(("link", number, "name"), f"there is a link {part.name!r} already"))
        _add_links(laid, part, ("link", number), problems)
    return laid


def _memory(experiment: Experiment) -> int:
    """Bytes for the kernel: what nobody touches costs nothing."""
    nodes = experiment.nodes
    hosts = sum(_count([*nodes.hosts, *nodes.routers, *nodes.switches]))
    flows = sum(flow.count * max(sum(_count(flow.source)), sum(_count(flow.target))) for flow in experiment.flow)
    return min(_MOST_BYTES, _BASE_BYTES + _HOST_BYTES * hosts + _FLOW_BYTES * flows)


def _count(texts: list[str]) -> Iterator[int]:
    for text in texts:
        try:
            yield len(expand(text))
        except ValueError:  # it is told as a problem when the nodes are added
            yield 0


def _add_nodes(network: Network, experiment: Experiment, problems: list[Problem]) -> None:
    nodes = experiment.nodes
    makers: list[tuple[str, list[str], Callable[..., Host]]] = [
        ("hosts", nodes.hosts, network.host),
        ("routers", nodes.routers, network.router),
        ("switches", nodes.switches, network.switch),
    ]
    for kind, texts, make in makers:
        for text in texts:
            try:
                for name in expand(text):
                    make(name, kernel=nodes.kernels.get(name))
            except ValueError as error:
                problems.append(Problem(("nodes", kind), str(error)))
    problems += [
        Problem(("nodes", "kernels", name), f"there is no node {name!r}{suggest(name, network.hosts)}")
        for name in nodes.kernels
        if name not in network.hosts
    ]


def _add_links(laid: Laid, part: LinkPart, path: Path, problems: list[Problem]) -> None:
    network = laid.network
    try:
        ends = pairs(expand_all(part.between[0]), expand_all(part.between[1]))
    except ValueError as error:
        problems.append(Problem((*path, "between"), str(error)))
        return
    made = laid.links.setdefault(part.name, []) if part.name else []
    for pair in ends:
        if unknown := [name for name in pair if name not in network.hosts]:
            known = network.hosts
            problems += [
                Problem((*path, "between"), f"there is no node {name!r}{suggest(name, known)}") for name in unknown
            ]
            return
        try:
            link = network.link(*pair, **_parameters(part))
        except ValueError as error:
            problems.append(Problem((*path, "between"), str(error)))
            return
        made.append(link)
        laid.parts.append((link, part))


def _parameters(part: LinkPart) -> dict[str, Any]:
    names = ("rate", "delay", "jitter", "loss", "duplicate", "reorder", "queue", "mtu")
    return {name: getattr(part, name) for name in names}
