"""Flows: what all kinds have in common, and what is counted of them."""

from __future__ import annotations

import math
from array import array
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liblinux.experiments._loop import Loop
    from liblinux.network import Host

__all__ = ["Running", "Times"]


class Running:
    """One flow between two hosts, while it runs; a kind of flow derives from it.

    `name` is that of the file, with a number where there are several. `received` counts bytes that have arrived
    at the program, `delays` are of what the flow asks and waits for.
    """

    over_tcp = False

    def __init__(self, loop: Loop, name: str, hosts: tuple[Host, Host], port: int) -> None:
        self.loop = loop
        self.name = name
        self.source, self.target = hosts
        self.port = port
        self.address = self.target.network.resolve(self.target.name, near=self.source)[0]
        self.received = 0
        self.delays = Times()
        self.started: float | None = None
        self.ended: float | None = None

    def listen(self) -> None:
        """Before anything starts."""

    def start(self) -> None:
        """Begin."""
        raise NotImplementedError

    def stop(self) -> None:
        """Send nothing more."""
        raise NotImplementedError

    def drain(self) -> None:
        """Take what has arrived and not been counted yet."""

    def close(self) -> None:
        """Give up its sockets."""
        raise NotImplementedError

    def tcp_info(self) -> Any:
        """What the kernel knows of the sender's connection; None when it has none."""
        return None

    def results(self) -> dict[str, float]:
        """What has come of it; names have their units in :data:`liblinux.experiments._results.UNITS`."""
        found: dict[str, float] = {"bytes": self.received}
        if self.started is not None:
            end = self.loop.now if self.ended is None else self.ended
            found["started"] = self.started
            found["seconds"] = end - self.started
            if end > self.started:
                found["throughput"] = 8 * self.received / (end - self.started)
        return found


class Times:
    """Lengths of time of one kind, in seconds, with the instants when they were over."""

    def __init__(self) -> None:
        self.instants = array("d")
        self.values = array("d")

    def add(self, instant: float, seconds: float) -> None:
        """One more."""
        self.instants.append(instant)
        self.values.append(seconds)

    def results(self, name: str) -> dict[str, float]:
        """Mean and percentiles; nothing when there are none."""
        if not self.values:
            return {}
        ordered = sorted(self.values)
        return {
            f"{name}_mean": math.fsum(ordered) / len(ordered),
            **{f"{name}_p{percent}": _percentile(ordered, percent) for percent in (50, 95, 99)},
            f"{name}_max": ordered[-1],
        }


def _percentile(ordered: list[float], percent: int) -> float:
    """By linear interpolation between the neighbours, as numpy's."""
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)
