"""What was seen of a run: numbers over virtual time, events, logs, and the network that it was."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator
    from typing import Self

__all__ = ["Event", "LinkEntry", "Node", "Recording", "Series", "Topology"]


@dataclass(frozen=True)
class Series:
    """One quantity over time.

    `kind` is what it is ("cwnd"), `name` of what ("a -> b:5001"), `unit` of the values ("bytes", "s", "1/s", ...).
    `times` are in seconds since the recording began, `values` as many; NaN where there was nothing to see.
    """

    kind: str
    name: str
    unit: str
    times: array[float]
    values: array[float]

    def __len__(self) -> int:
        return len(self.times)

    def __iter__(self) -> Iterator[tuple[float, float]]:
        return zip(self.times, self.values, strict=True)

    def rate(self, factor: float = 1.0) -> Series:
        """How fast a counter grows, in its unit times `factor` per second, at the end of each step."""
        times, values = self.times, self.values
        steps = range(1, len(times))
        grown = array("d", (factor * (values[i] - values[i - 1]) / (times[i] - times[i - 1]) for i in steps))
        return Series(f"{self.kind}_rate", self.name, f"{self.unit}/s", times[1:], grown)


@dataclass(frozen=True)
class Event:
    """Something that happened: `time` in seconds since the recording began, `host` "" for the network itself."""

    time: float
    host: str
    text: str


@dataclass(frozen=True)
class Node:
    """A host; `kind` is "host", "router", "switch" or "device"."""

    name: str
    kind: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True)
class LinkEntry:
    """A link: its ends, as "host:interface", and what it does to frames in each direction ("10 Mbit/s, 20 ms")."""

    a: str
    b: str
    there: str = ""
    back: str = ""


@dataclass(frozen=True)
class Topology:
    """Hosts and links."""

    hosts: tuple[Node, ...] = ()
    links: tuple[LinkEntry, ...] = ()


@dataclass
class Recording:
    """A run that was recorded by a :class:`Recorder`, or read by :meth:`from_json`.

    `series` by kind and name; `events` and `logs` (by host; "" for what acted as none) in the order of
    time; `topology`; `metadata`: "seed", "kernel", "clock", "duration" and "interval" in seconds, and what the
    program added. `capture` is the path of a pcapng file of the same run, or None.
    """

    series: dict[tuple[str, str], Series] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    logs: dict[str, list[Event]] = field(default_factory=dict)
    topology: Topology = field(default_factory=Topology)
    metadata: dict[str, Any] = field(default_factory=dict)
    capture: str | None = None

    def __getitem__(self, key: tuple[str, str]) -> Series:
        try:
            return self.series[key]
        except KeyError:
            raise KeyError(f"no series {key}; of this kind there are {self.names(key[0]) or 'none'}") from None

    def __repr__(self) -> str:
        return (
            f"<liblinux.observing.Recording of {self.duration:g} s: {len(self.series)} series, "
            f"{len(self.events)} events>"
        )

    @property
    def duration(self) -> float:
        """Seconds of virtual time."""
        return float(self.metadata.get("duration", 0.0))

    def kinds(self) -> list[str]:
        """The kinds of series that there are."""
        return list(dict.fromkeys(kind for kind, _ in self.series))

    def names(self, kind: str) -> list[str]:
        """The names of the series of one kind."""
        return [name for known, name in self.series if known == kind]

    def add(self, kind: str, name: str, unit: str, times: Iterable[float], values: Iterable[float]) -> Series:
        """Add a series of one's own, or replace one; ValueError when there are not as many values as times."""
        series = Series(kind, name, unit, array("d", times), array("d", values))
        if len(series.times) != len(series.values):
            raise ValueError(
                f"series ({kind!r}, {name!r}) has {len(series.times)} times and {len(series.values)} values"
            )
        self.series[kind, name] = series
        return series

    # ---- files -----------------------------------------------------------------

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write all series, a row for each value: time, kind, name, unit, value. OSError when that fails."""
        from liblinux.observing._files import write_csv  # noqa: PLC0415 - for those who do

        write_csv(self, path)

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """The same columns as Parquet, by pyarrow; ImportError without it (pip install pyarrow)."""
        from liblinux.observing._files import write_parquet  # noqa: PLC0415 - for those who do

        write_parquet(self, path)

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write all of it; :meth:`from_json` reads it again. OSError when that fails."""
        from liblinux.observing._files import write_json  # noqa: PLC0415 - for those who do

        write_json(self, path)

    @classmethod
    def from_json(cls, path: str | os.PathLike[str]) -> Self:
        """Read what :meth:`to_json` has written; ValueError for anything else, OSError when it cannot be read."""
        from liblinux.observing._files import read_json  # noqa: PLC0415 - for those who do

        return read_json(cls, path)
