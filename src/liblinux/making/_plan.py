"""What becomes of the entries of a source before they are stored, and how much they are."""

from __future__ import annotations

import hashlib
import stat
import time

from liblinux._fat_directory import entries_of_name
from liblinux._typing import TYPE_CHECKING
from liblinux.making._formats import Amount

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from liblinux.archives._choice import Choice
    from liblinux.archives._entry import Entry
    from liblinux.making._mtree import Mtree

__all__ = ["Plan"]

_BLOCK_BYTES = 4096
_SECOND_BLOCK = 60  # a link or some attributes that are longer want a block of their own


class Plan:
    """Which entries are stored, with which owners and times.

    `owner` is (uid, gid) for all of them, or None; `newest` nanoseconds that no time
    goes beyond, or None; `mtree` says more about single ones, and adds some.
    """

    def __init__(self, choice: Choice, owner: tuple[int, int] | None, newest: int | None, mtree: Mtree | None) -> None:
        self._choice = choice
        self._owner = owner
        self._newest = newest
        self._mtree = mtree

    def of(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The entries as they are stored."""
        pending = self._mtree.additions() if self._mtree else {}
        for entry in entries:
            if not self._choice.wants(entry.path):
                continue
            pending.pop(entry.path, None)
            yield self._changed(entry)
        # Directories before what is in them.
        for path in sorted(pending):
            yield self._changed(pending[path])

    def _changed(self, entry: Entry) -> Entry:
        if self._owner is not None:
            entry.uid, entry.gid = self._owner
        if self._mtree is not None:
            self._mtree.apply(entry)
        if entry.mtime is None:
            entry.mtime = time.time_ns() if self._newest is None else self._newest
        elif self._newest is not None and entry.mtime > self._newest:
            entry.mtime = self._newest
        return entry

    def measure(self, entries: Iterable[Entry]) -> tuple[Amount, bytes]:
        """How much it is, and a digest of names, kinds, owners, sizes and times."""
        digest = hashlib.sha256()
        count = content = blocks = 0
        top = 1  # FAT's label is an entry, too
        for entry in self.of(entries):
            numbers = (entry.mode, entry.uid, entry.gid, entry.size, entry.mtime or 0)
            top += entries_of_name(entry.path) if b"/" not in entry.path else 0
            digest.update(b"%b\0%o %d %d %d %d %b\0" % (entry.path, *numbers, entry.same_as or entry.link))
            if entry.same_as is not None:
                continue
            count += 1
            held = entry.size if entry.extents is None else sum(length for _, length in entry.extents)
            if stat.S_ISDIR(entry.mode):
                held = _BLOCK_BYTES
            held += _BLOCK_BYTES * (len(entry.link) >= _SECOND_BLOCK)
            extra = sum(len(name) + len(value) for name, value in entry.xattrs.items())
            held += extra if extra > _SECOND_BLOCK else 0
            content += held
            blocks += -(-held // _BLOCK_BYTES)
        return Amount(count, content, blocks, top), digest.digest()
