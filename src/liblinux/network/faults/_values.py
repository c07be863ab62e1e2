"""Faults as values: what happens, when, to which hosts or link. Each is printed, compared, and written as JSON.

Hosts are their names. A link is the names of the hosts at its ends, in the order of
`net.link(a, b)` or the other one; `number` says which of several between the same hosts.
"""

from __future__ import annotations

import dataclasses
import importlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from liblinux.network._link import parse_lines
from liblinux.network.faults._filters import parse
from liblinux.network.faults._life import HOWS

if TYPE_CHECKING:
    from liblinux.network._link import Link
    from liblinux.network._network import Network

__all__ = [
    "KINDS",
    "Call",
    "ClockRate",
    "ClockStep",
    "Drop",
    "Fault",
    "Heal",
    "Intercept",
    "Kill",
    "LinkDown",
    "LinkSet",
    "LinkUp",
    "Partition",
    "Pause",
    "Restart",
    "Resume",
]

Action = Callable[[], object]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What all have in common: `at`, in seconds of the network's clock."""

    kind: ClassVar[str] = ""
    at: float

    def __post_init__(self) -> None:
        if not (isinstance(self.at, int | float) and math.isfinite(self.at) and self.at >= 0):
            raise ValueError(f"{type(self).__name__}: at={self.at!r} is no time: it is in seconds, from 0 on")

    def prepare(self, net: Network) -> Action:
        """What does it, after a look whether it can be done; KeyError or ValueError when it cannot."""
        raise NotImplementedError

    def as_json(self) -> dict[str, Any]:
        """As an object of JSON: `at`, `do`, and what else there is."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"at": fields.pop("at"), "do": self.kind, **fields}


@dataclass(frozen=True, kw_only=True)
class Partition(Fault):
    """See :meth:`Network.partition`: these hosts, and all others."""

    kind: ClassVar[str] = "partition"
    hosts: tuple[str, ...]

    def prepare(self, net: Network) -> Action:
        net._faults.groups(self.hosts)
        return partial(net.partition, *self.hosts)


@dataclass(frozen=True, kw_only=True)
class Heal(Fault):
    """See :meth:`Network.heal`."""

    kind: ClassVar[str] = "heal"

    def prepare(self, net: Network) -> Action:
        return net.heal


@dataclass(frozen=True, kw_only=True)
class _OfLink(Fault):
    link: tuple[str, str]
    number: int = 0

    def find(self, net: Network) -> Link:
        """The link that is meant."""
        for name in self.link:
            net._find(name)
        found = [link for link in net.links if {link.a.name, link.b.name} == set(self.link)]
        if not 0 <= self.number < len(found):
            raise KeyError(
                f"there is no link {self.number} between {' and '.join(self.link)}: there are {len(found)}; "
                f"links are {', '.join(f'{link.a.name} - {link.b.name}' for link in net.links) or 'none'}"
            )
        return found[self.number]


@dataclass(frozen=True, kw_only=True)
class LinkDown(_OfLink):
    """See :meth:`Link.down`."""

    kind: ClassVar[str] = "link_down"

    def prepare(self, net: Network) -> Action:
        return self.find(net).down


@dataclass(frozen=True, kw_only=True)
class LinkUp(_OfLink):
    """See :meth:`Link.up`."""

    kind: ClassVar[str] = "link_up"

    def prepare(self, net: Network) -> Action:
        return self.find(net).up


@dataclass(frozen=True, kw_only=True)
class LinkSet(_OfLink):
    """See :meth:`Link.set`: rate, delay, jitter, loss, duplicate, reorder; those that are None stay as they are."""

    kind: ClassVar[str] = "link_set"
    rate: Any = None
    delay: Any = None
    jitter: Any = None
    loss: Any = None
    duplicate: Any = None
    reorder: Any = None

    def prepare(self, net: Network) -> Action:
        names = ("rate", "delay", "jitter", "loss", "duplicate", "reorder")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        # A pair is a list in JSON.
        parameters = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        parse_lines(parameters)
        return partial(self.find(net).set, **parameters)


@dataclass(frozen=True, kw_only=True)
class Drop(_OfLink):
    """See :meth:`Link.drop`: for `seconds`, or for ever with None. `program` as `tcpdump -ddd` prints it."""

    kind: ClassVar[str] = "drop"
    program: str
    toward: str | None = None
    seconds: float | None = None

    def prepare(self, net: Network) -> Action:
        link, program = self.find(net), parse(self.program)
        return lambda: _end_later(net, self, link.drop(program, toward=self.toward).close)


@dataclass(frozen=True, kw_only=True)
class Intercept(_OfLink):
    """See :meth:`Link.intercept`: by a function "module:name", for `seconds`, or for ever with None."""

    kind: ClassVar[str] = "intercept"
    function: str
    toward: str | None = None
    seconds: float | None = None

    def prepare(self, net: Network) -> Action:
        link, function = self.find(net), _import(self.function)
        return lambda: _end_later(net, self, link.intercept(function, toward=self.toward).close)


@dataclass(frozen=True, kw_only=True)
class _OfHost(Fault):
    host: str


@dataclass(frozen=True, kw_only=True)
class Kill(_OfHost):
    """See :meth:`Host.kill`."""

    kind: ClassVar[str] = "kill"
    how: str = "power"

    def prepare(self, net: Network) -> Action:
        if self.how not in HOWS:
            raise ValueError(f"a host is killed by one of {', '.join(HOWS)}, not {self.how!r}")
        return partial(net._find(self.host).kill, self.how)


@dataclass(frozen=True, kw_only=True)
class Restart(_OfHost):
    """See :meth:`Host.restart`; one that lives by then is left alone."""

    kind: ClassVar[str] = "restart"

    def prepare(self, net: Network) -> Action:
        host = net._find(self.host)
        # So that a schedule whose kills have been taken away has fewer faults, not others.
        return lambda: None if host.alive else host.restart()


@dataclass(frozen=True, kw_only=True)
class Pause(_OfHost):
    """See :meth:`Host.pause`."""

    kind: ClassVar[str] = "pause"
    silent: bool = False

    def prepare(self, net: Network) -> Action:
        return partial(net._find(self.host).pause, silent=self.silent)


@dataclass(frozen=True, kw_only=True)
class Resume(_OfHost):
    """See :meth:`Host.resume`."""

    kind: ClassVar[str] = "resume"

    def prepare(self, net: Network) -> Action:
        return net._find(self.host).resume


@dataclass(frozen=True, kw_only=True)
class ClockStep(_OfHost):
    """See :meth:`Host.step_clock`."""

    kind: ClassVar[str] = "clock_step"
    seconds: float

    def prepare(self, net: Network) -> Action:
        return partial(net._find(self.host).step_clock, self.seconds)


@dataclass(frozen=True, kw_only=True)
class ClockRate(_OfHost):
    """See :meth:`Host.skew_clock`."""

    kind: ClassVar[str] = "clock_rate"
    rate: float

    def prepare(self, net: Network) -> Action:
        if not 0 < self.rate < math.inf:
            raise ValueError(f"a clock cannot go {self.rate} times as fast: it goes forward")
        return partial(net._find(self.host).skew_clock, self.rate)


@dataclass(frozen=True, kw_only=True)
class Call(Fault):
    """A function of one's own, "module:name", called with the network."""

    kind: ClassVar[str] = "call"
    function: str

    def prepare(self, net: Network) -> Action:
        return partial(_import(self.function), net)


KINDS: dict[str, type[Fault]] = {
    kind.kind: kind
    for kind in (
        Partition, Heal, LinkDown, LinkUp, LinkSet, Drop, Intercept, Kill, Restart, Pause, Resume, ClockStep, ClockRate,
        Call,
    )
}  # fmt: skip


def _end_later(net: Network, fault: Drop | Intercept, end: Action) -> None:
    if fault.seconds is not None:
        net.at(fault.at + fault.seconds, end)


def _import(name: str) -> Callable[..., Any]:
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(f"{name!r} is no function: write it as 'module:name'")
    try:
        found: Any = importlib.import_module(module)
        for part in attribute.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"there is no function {name!r}: {error}") from error
    if not callable(found):
        raise ValueError(f"{name!r} is no function")
    result: Callable[..., Any] = found
    return result
