"""What a target cannot hold: counted and named, or refused."""

from __future__ import annotations

from liblinux._typing import TYPE_CHECKING, Value
from liblinux.archives._errors import LostError

if TYPE_CHECKING:
    from liblinux.archives._entry import Entry

__all__ = ["Loss", "Losses"]

_SHOWN = 3


class Loss(Value):
    """One kind of thing that was lost: `what` it is, how often, and the first names that it happened to."""

    what: str
    count: int
    names: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {self.count - len(self.names)} more" if self.count > len(self.names) else ""
        return f"{self.what}: {', '.join(self.names)}{more}"


class Losses:
    """What was lost of a whole archive. With `strict` the first loss raises LostError."""

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._names: dict[str, list[str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, what: str, entry: Entry | str) -> None:
        """Something of `entry` was lost; `what` reads "owner not kept" or so."""
        name = entry if isinstance(entry, str) else entry.name
        if self._strict:
            raise LostError(f"{name}: {what}; nothing was to be lost")
        self._counts[what] = self._counts.get(what, 0) + 1
        names = self._names.setdefault(what, [])
        if len(names) < _SHOWN:
            names.append(name)

    def __bool__(self) -> bool:
        return bool(self._counts)

    def all(self) -> list[Loss]:
        """The kinds, in the order in which they were met."""
        return [Loss(what, count, tuple(self._names[what])) for what, count in self._counts.items()]
