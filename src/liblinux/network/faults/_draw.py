"""Schedules by chance: what happens to a network that is not known yet, from a seed.

Faults come in pairs, something and its end, so that every schedule ends with a
network that works: what is to be found are programs that do not recover, or that
break a promise meanwhile, not that nothing works without a network.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from liblinux.network.faults._schedule import Schedule
from liblinux.network.faults._values import (
    ClockRate,
    ClockStep,
    Fault,
    Heal,
    Kill,
    LinkDown,
    LinkSet,
    LinkUp,
    Partition,
    Pause,
    Restart,
    Resume,
)

if TYPE_CHECKING:
    from liblinux.network._host import Host
    from liblinux.network._link import Link
    from liblinux.network._network import Network

__all__ = ["DRAWN", "Draw"]

_MOST, _UNTIL = 4, 20.0
_DECIMALS, _STEP = 3, 0.001
_LOSSES, _DELAYS = (0.02, 0.1, 0.3), (0.05, 0.3, 1.5)
_STEPS, _RATES = (-3600.0, -5.0, -0.5, 0.5, 5.0, 3600.0), (0.5, 0.9, 1.1, 2.0)


@dataclass(frozen=True)
class _Scene:
    hosts: Sequence[str]
    links: Sequence[Link]
    numbers: Sequence[int]
    chance: random.Random
    begin: float
    end: float


def _partition(scene: _Scene) -> list[Fault]:
    if len(scene.hosts) < 2:
        return []
    # Half of the hosts at most: the other half is the other group.
    count = scene.chance.randint(1, max(len(scene.hosts) // 2, 1))
    hosts = tuple(sorted(scene.chance.sample(scene.hosts, count)))
    return [Partition(at=scene.begin, hosts=hosts), Heal(at=scene.end)]


def _kill(scene: _Scene) -> list[Fault]:
    host, how = scene.chance.choice(scene.hosts), scene.chance.choice(("power", "reset", "process"))
    return [Kill(at=scene.begin, host=host, how=how), Restart(at=scene.end, host=host)]


def _pause(scene: _Scene) -> list[Fault]:
    host, silent = scene.chance.choice(scene.hosts), scene.chance.random() < 0.5
    return [Pause(at=scene.begin, host=host, silent=silent), Resume(at=scene.end, host=host)]


def _clock(scene: _Scene) -> list[Fault]:
    host = scene.chance.choice(scene.hosts)
    if scene.chance.random() < 0.5:
        seconds = scene.chance.choice(_STEPS)
        return [
            ClockStep(at=scene.begin, host=host, seconds=seconds), ClockStep(at=scene.end, host=host, seconds=-seconds)
        ]  # fmt: skip
    rate = scene.chance.choice(_RATES)
    return [ClockRate(at=scene.begin, host=host, rate=rate), ClockRate(at=scene.end, host=host, rate=1.0)]


def _link_of(scene: _Scene) -> tuple[Link, tuple[str, str], int] | None:
    if not scene.links:
        return None
    place = scene.chance.randrange(len(scene.links))
    link = scene.links[place]
    return link, (link.a.name, link.b.name), scene.numbers[place]


def _link(scene: _Scene) -> list[Fault]:
    if (found := _link_of(scene)) is None:
        return []
    _, names, number = found
    return [LinkDown(at=scene.begin, link=names, number=number), LinkUp(at=scene.end, link=names, number=number)]


def _slow(scene: _Scene) -> list[Fault]:
    if (found := _link_of(scene)) is None:
        return []
    link, names, number = found
    lines = link._lines
    if scene.chance.random() < 0.5:
        loss, before = scene.chance.choice(_LOSSES), tuple(line.loss for line in lines)
        return [
            LinkSet(at=scene.begin, link=names, number=number, loss=loss),
            LinkSet(at=scene.end, link=names, number=number, loss=before),
        ]
    delay, delays = scene.chance.choice(_DELAYS), tuple(line.delay / 1e9 for line in lines)
    return [
        LinkSet(at=scene.begin, link=names, number=number, delay=delay),
        LinkSet(at=scene.end, link=names, number=number, delay=delays),
    ]


# What `--faults` of `liblinux explore` names.
DRAWN: dict[str, Callable[[_Scene], list[Fault]]] = {
    "partition": _partition,
    "kill": _kill,
    "pause": _pause,
    "clock": _clock,
    "link": _link,
    "slow": _slow,
}


@dataclass(frozen=True)
class Draw:
    """A schedule that is drawn when it is known for which network; see :meth:`Network.play`.

    `seed` is whose chance it is; `kinds` are of "partition", "kill", "pause",
    "clock", "link" (down and up) and "slow" (loss or delay); `most` of them, each
    with its end, before `until` seconds of the network's clock.
    """

    seed: int
    kinds: tuple[str, ...] = ("partition",)
    most: int = _MOST
    until: float = _UNTIL

    def __post_init__(self) -> None:
        for kind in self.kinds:
            if kind not in DRAWN:
                raise ValueError(f"faults of the kind {kind!r} cannot be drawn; there are {', '.join(DRAWN)}")
        if not self.kinds or self.most < 1 or self.until <= 0:
            raise ValueError("to draw faults there must be kinds of them, at least 1, and time for them")

    def bind(self, net: Network, hosts: Sequence[Host] | None = None) -> Schedule:
        """The schedule for this network: the same for the same seed and declarations."""
        chance = random.Random(f"faults {self.seed}")  # noqa: S311 - repeatable, and no secret
        names = [host.name for host in (net._faults.ends() if hosts is None else hosts)]
        if not names:
            raise ValueError("there are no hosts yet that faults could be drawn for: declare them before play()")
        pairs: dict[frozenset[Host], int] = {}
        links, numbers = [], []
        for link in net.links:
            key = frozenset((link.a, link.b))
            number = pairs.get(key, 0)
            pairs[key] = number + 1
            # Those that lead outside have an end that is no host.
            if link.a.name in net._hosts and link.b.name in net._hosts:
                links.append(link)
                numbers.append(number)
        start = net.kernel.now() / 1e9 if net.kernel_is_alive else 0.0
        faults: list[Fault] = []
        for _ in range(chance.randint(1, self.most)):
            kind = chance.choice(self.kinds)
            begin, end = sorted(start + chance.random() * max(self.until - start, 0) for _ in range(2))
            scene = _Scene(names, links, numbers, chance, _rounded(begin), _rounded(end))
            faults += DRAWN[kind](scene)
        return Schedule(*faults).bind(net)


def _rounded(seconds: float) -> float:
    """Up, so that it is not in the past."""
    return round(seconds + _STEP, _DECIMALS)
