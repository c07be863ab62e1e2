"""Schedules: faults in the order of their times, as a value that can be printed, kept, played again and shrunk."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liblinux._arrival import arriving
from liblinux.network.faults._values import KINDS, Fault

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator

    from liblinux.network._host import Host
    from liblinux.network._network import Network

__all__ = ["Schedule"]


@dataclass(frozen=True, init=False)
class Schedule:
    """Faults, the earliest first: `Schedule(Partition(at=1, hosts=("a",)), Heal(at=3))`."""

    faults: tuple[Fault, ...]

    def __init__(self, *faults: Fault) -> None:
        for fault in faults:
            if not isinstance(fault, Fault):
                raise TypeError(f"a schedule is made of faults, and {fault!r} is none")
        # Those of one instant stay in their order.
        object.__setattr__(self, "faults", tuple(sorted(faults, key=lambda fault: fault.at)))

    def __len__(self) -> int:
        return len(self.faults)

    def __iter__(self) -> Iterator[Fault]:
        return iter(self.faults)

    def __str__(self) -> str:
        return "\n".join(f"{fault.at:10.6f} s  {_words(fault)}" for fault in self.faults) or "no faults"

    def bind(self, net: Network, hosts: Iterable[Host] | None = None) -> Schedule:
        """Look whether the network has all that it speaks of; returns itself. KeyError or ValueError if not."""
        for fault in self.faults:
            fault.prepare(net)
        return self

    # ---- JSON ----------------------------------------------------------------------

    def as_json(self) -> dict[str, Any]:
        """As an object of JSON, which :meth:`from_json` reads."""
        return {"faults": [fault.as_json() for fault in self.faults]}

    @classmethod
    def from_json(cls, value: Any) -> Schedule:
        """The schedule of such an object; ValueError says which fault is none, and why."""
        faults = value.get("faults") if isinstance(value, dict) else None
        if not isinstance(faults, list) or set(value) != {"faults"}:
            raise ValueError('a schedule is {"faults": [{"at": seconds, "do": kind, ...}, ...]}')
        return cls(*(_parse(number, one) for number, one in enumerate(faults, 1)))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, as JSON."""
        with arriving(path) as name:
            Path(name).write_text(json.dumps(self.as_json(), indent=2) + "\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Schedule:
        """Read it from a file; ValueError for one that is none, with the line where JSON ends to be such."""
        try:
            return cls.from_json(json.loads(Path(path).read_text()))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def _words(fault: Fault) -> str:
    """As a person reads it: what, and with what."""
    fields = fault.as_json()
    del fields["at"]
    what = fields.pop("do")
    defaults = {field.name: field.default for field in dataclasses.fields(fault)}
    shown = []
    for name, value in fields.items():
        if value == defaults[name]:
            continue
        if name in ("host", "function"):
            shown.append(str(value))
        elif name in ("hosts", "link"):
            shown.append((" - " if name == "link" else " ").join(value))
        else:
            shown.append(f"{name}={value}")
    return " ".join([what, *shown])


def _parse(number: int, value: Any) -> Fault:
    where = f"fault {number}"
    if not isinstance(value, dict):
        raise ValueError(f"{where} is no object: {value!r}")
    kind = KINDS.get(value.get("do", ""))
    if kind is None:
        raise ValueError(f"{where}: there is no {value.get('do')!r} to do; there are {', '.join(KINDS)}")
    fields = {field.name: field for field in dataclasses.fields(kind)}
    given = {name: content for name, content in value.items() if name != "do"}
    unknown = [name for name in given if name not in fields]
    if unknown:
        raise ValueError(f"{where}: {kind.kind} has no {unknown[0]!r}; it has {', '.join(fields)}")
    missing = [name for name, field in fields.items() if field.default is dataclasses.MISSING and name not in given]
    if missing:
        raise ValueError(f"{where}: {kind.kind} needs {missing[0]!r}")
    for name in ("hosts", "link"):
        if name in given:
            given[name] = _names(where, name, given[name])
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def _names(where: str, name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"{where}: {name} is a list of names of hosts, not {value!r}")
    if name == "link" and len(value) != 2:
        raise ValueError(f"{where}: a link has two ends, not {len(value)}")
    return tuple(value)
