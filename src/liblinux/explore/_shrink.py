"""A schedule made small: as few faults as still make the test fail, at times that are easy to read.

Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing
input", 2002) over the faults. (Rejected: hypothesis' shrinker, which shrinks the
choices of its own generators, and picire, made for text in files: the list is short,
and what can be left out of it is known.) What ends a fault goes with it: a
partition without its end is not less of a schedule but another one, whose failure
says nothing of the first.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from liblinux.network.faults import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from liblinux.network.faults import Fault

__all__ = ["shrink"]

_ENDS = {"heal": "partition", "restart": "kill", "resume": "pause", "link_up": "link_down"}
# A second one of the same is what ends the first.
_PAIRED = ("clock_step", "clock_rate", "link_set")
_DECIMALS = (0, 1)


def shrink(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """The smallest schedule that still fails: no fault can be left out of it. `fails` tries one."""
    groups = _groups(schedule.faults)
    if not groups or fails(Schedule()):
        return Schedule()
    smaller = Schedule(*_joined(_minimise(groups, lambda some: fails(Schedule(*_joined(some))))))
    return _round(smaller, fails)


def _groups(faults: Sequence[Fault]) -> list[list[Fault]]:
    """Each fault with what ends it; the end of several, as of two partitions, goes with each of them."""
    groups: list[list[Fault]] = []
    opened: dict[Any, list[list[Fault]]] = {}
    for fault in faults:
        ended = _ENDS.get(fault.kind)
        key = (ended or fault.kind, getattr(fault, "host", None), getattr(fault, "link", None), _what(fault))
        mine = opened.pop(key, []) if ended or fault.kind in _PAIRED else []
        for group in mine:
            group.append(fault)
        if not mine:
            groups.append([fault])
            if ended is None:
                opened.setdefault(key, []).append(groups[-1])
    return groups


def _what(fault: Fault) -> tuple[str, ...]:
    """Of links also which of their parameters."""
    if fault.kind != "link_set":
        return ()
    return tuple(name for name, value in fault.as_json().items() if value is not None)


def _joined(groups: Sequence[Sequence[Fault]]) -> list[Fault]:
    return list({id(fault): fault for group in groups for fault in group}.values())


def _minimise(groups: list[list[Fault]], fails: Callable[[list[list[Fault]]], bool]) -> list[list[Fault]]:
    """ddmin: leave out ever smaller parts, until nothing can be left out."""
    parts = 2
    while len(groups) >= 2:
        size = -(-len(groups) // parts)
        for start in range(0, len(groups), size):
            rest = groups[:start] + groups[start + size :]
            if rest and fails(rest):
                groups, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                break
            parts = min(parts * 2, len(groups))
    return groups


def _round(schedule: Schedule, fails: Callable[[Schedule], bool]) -> Schedule:
    """The times one by one, to whole seconds or to tenths, where that fails as well."""
    for place in range(len(schedule)):
        fault = schedule.faults[place]
        for decimals in _DECIMALS:
            rounded = dataclasses.replace(fault, at=round(fault.at, decimals))
            if rounded == fault:
                break
            candidate = Schedule(*schedule.faults[:place], rounded, *schedule.faults[place + 1 :])
            # In the same order, so that places stay what they are, and not at the very start.
            if rounded.at > 0 and candidate.faults[place] == rounded and fails(candidate):
                schedule = candidate
                break
    return schedule
