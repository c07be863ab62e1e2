"""What `kernel.os.scantree` returns: a tree whose entries are made when they are looked at."""

from __future__ import annotations

import os

from liblinux._os_entry import DirEntry
from liblinux._typing import TYPE_CHECKING, Any, AnyStr, overload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from liblinux import _native
else:
    # The same class: `collections` takes a millisecond to import, this is there already.
    from _collections_abc import Sequence

__all__ = ["Tree"]

# Where the native layer has them, see _native.pyi.
_COLUMNS = {
    "st_mode": 0,
    "st_ino": 1,
    "st_dev": 2,
    "st_nlink": 3,
    "st_uid": 4,
    "st_gid": 5,
    "st_size": 6,
    "st_atime_ns": 7,
    "st_mtime_ns": 8,
    "st_ctime_ns": 9,
    "st_blksize": 10,
    "st_blocks": 11,
    "st_rdev": 12,
}
_SIGNED = ("st_atime_ns", "st_mtime_ns", "st_ctime_ns")


class Tree(Sequence[DirEntry[AnyStr]]):
    """A sequence of :class:`DirEntry`: every directory before its content."""

    __slots__ = ("_listing", "_native", "_prefix", "_text")

    def __init__(self, native: _native.Process, listing: _native.Listing, prefix: bytes, *, text: bool) -> None:
        self._native = native
        self._listing = listing
        self._prefix = prefix
        self._text = text

    def __repr__(self) -> str:
        return f"<liblinux.Tree of {len(self)} entries below {os.fsdecode(self._prefix)}>"

    def __len__(self) -> int:
        return len(self._listing)

    @overload
    def __getitem__(self, index: int) -> DirEntry[AnyStr]: ...
    @overload
    def __getitem__(self, index: slice) -> list[DirEntry[AnyStr]]: ...
    def __getitem__(self, index: int | slice) -> DirEntry[AnyStr] | list[DirEntry[AnyStr]]:
        if isinstance(index, slice):
            return [self[at] for at in range(len(self))[index]]
        return self._entry(*self._listing[index])

    def __iter__(self) -> Iterator[DirEntry[AnyStr]]:
        for name, raw in self._listing:
            yield self._entry(name, raw)

    def column(self, name: str) -> memoryview:
        """One number of every entry, in their order, without making the entries.

        `name` is that of an attribute of `os.stat_result`: "st_size", "st_mode",
        "st_mtime_ns", … The result is a memoryview of 64-bit integers, which
        sum(), array and numpy take as it is. Raises ValueError for a name that is
        none, OverflowError for times beyond 64 bits of nanoseconds.
        """
        if name not in _COLUMNS:
            raise ValueError(f"there is no column {name!r}; there are {', '.join(_COLUMNS)}")
        return memoryview(self._listing.column(_COLUMNS[name])).cast("q" if name in _SIGNED else "Q")

    def _entry(self, name: bytes, raw: tuple[int, ...]) -> DirEntry[AnyStr]:
        shown: Any = name
        path: Any = self._prefix + name
        if self._text:
            shown = shown.decode("utf-8", "surrogateescape")
            path = path.decode("utf-8", "surrogateescape")
        return DirEntry(self._native, shown, path, raw[1], raw[0] >> 12, raw)
