"""Rounds, medians, and the rows that come out of them.

All that is compared is measured in turns, one round of each after the other, so
that a machine that is busy for a while is busy for everybody.
"""

from __future__ import annotations

import mmap
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

__all__ = ["OURS", "Row", "Skipped", "medians"]

OURS = "liblinux"
# More than most players need.
_MEMORY = 256 << 20


class Skipped(Exception):
    """Something cannot be measured here; the message says why."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    `figures` are medians by who did it, our own as OURS, in `unit`; `published`
    are the figures of others that cannot be measured here; `met` is None when
    what the target is about was not measured.
    """

    subject: str
    what: str
    unit: str
    target: str
    figures: Mapping[str, float]
    met: bool | None = None
    published: Mapping[str, str] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    note: str = ""

    @property
    def ours(self) -> float | None:
        """Our figure, if there is one."""
        return self.figures.get(OURS)


def medians(
    players: Mapping[str, Callable[[], float]], rounds: int, *, warm_up: bool = True
) -> tuple[dict[str, float], dict[str, str]]:
    """The median of every player's figures, and who was skipped why.

    A player returns its figure, or raises Skipped. With `warm_up` the first
    round, which finds files and bytecode on the disk, does not count.
    """
    figures: dict[str, list[float]] = {name: [] for name in players}
    skipped: dict[str, str] = {}
    for turn in range(rounds + warm_up):
        for name, player in players.items():
            if name in skipped:
                continue
            _have_memory()
            try:
                figure = player()
            except Skipped as reason:
                skipped[name] = str(reason)
                continue
            except RuntimeError as failure:
                # One that fails must not take the figures of all others with it.
                skipped[name] = "FAILED: " + str(failure).rpartition("\n")[2]
                figures[name].clear()
                continue
            if turn >= warm_up:
                figures[name].append(figure)
    return {name: statistics.median(values) for name, values in figures.items() if values}, skipped


def _have_memory() -> None:
    """Use memory and give it back, for the next player to find it.

    A virtual machine may lend its free memory to its host; after two seconds of
    somebody else's turn each MiB would be some milliseconds of the host's.
    """
    mmap.mmap(-1, _MEMORY, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE).close()


def at_most(figures: Mapping[str, float], limit: float) -> bool | None:
    """Whether our figure is within `limit`."""
    return figures[OURS] <= limit if OURS in figures else None


def within(figures: Mapping[str, float], other: str, factor: float) -> bool | None:
    """Whether our figure is at most `factor` times that of `other`."""
    return figures[OURS] <= factor * figures[other] if {OURS, other} <= figures.keys() else None


def all_of(*verdicts: bool | None) -> bool | None:
    """False if one is, else None if one is not known."""
    if False in verdicts:
        return False
    return None if None in verdicts else True
