"""What a target cannot hold: counted and named, or refused."""

from __future__ import annotations

from liblinux._typing import TYPE_CHECKING
from liblinux.archives._errors import LostError
from liblinux.copying._report import Loss

if TYPE_CHECKING:
    from liblinux.archives._entry import Entry

__all__ = ["ANOTHER_VALUE", "Losses"]

ANOTHER_VALUE = "the target keeps another value"


class Losses:
    """What was lost of a whole archive. With `strict` the first loss raises LostError."""

    def __init__(self, *, strict: bool = False) -> None:
        self._strict = strict
        self._first: dict[tuple[str, str], str] = {}
        self._counts: dict[tuple[str, str], int] = {}

    def add(self, what: str, why: str, entry: Entry | str) -> None:
        """Something of `entry` was lost: `what` is the plural of it, "owners"."""
        name = entry if isinstance(entry, str) else entry.name
        if self._strict:
            raise LostError(f"{Loss(what, 1, why, name)} (strict)")
        self._first.setdefault((what, why), name)
        self._counts[what, why] = self._counts.get((what, why), 0) + 1

    def all(self) -> list[Loss]:
        """The kinds, in the order in which they were met."""
        return [Loss(what, count, why, self._first[what, why]) for (what, why), count in self._counts.items()]
