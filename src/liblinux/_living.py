"""What of some objects is still there, for those that must be told something: flushed, closed, or put back."""

from __future__ import annotations

import weakref

from liblinux._typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Living"]

_T = TypeVar("_T")


class Living(Generic[_T]):
    """A set of weak references, by identity, that one thread may go through while others add and lose objects.

    `list()` of a `weakref.WeakSet` raises RuntimeError then: it goes through its set in Python, where another thread
    may come in between. Here what there is is copied in one step.
    """

    __slots__ = ("__weakref__", "_references")

    def __init__(self) -> None:
        self._references: dict[int, weakref.ref[_T]] = {}

    def add(self, thing: _T) -> None:
        """Know of it, as long as somebody else does."""
        key, references = id(thing), self._references
        references[key] = weakref.ref(thing, lambda _: references.pop(key, None))

    def discard(self, thing: _T) -> None:
        """Forget it."""
        self._references.pop(id(thing), None)

    def __contains__(self, thing: object) -> bool:
        return id(thing) in self._references

    def __len__(self) -> int:
        return len(self._references)

    def __iter__(self) -> Iterator[_T]:
        """Those that are there now."""
        return iter([thing for reference in [*self._references.values()] if (thing := reference()) is not None])
