"""Layers of a container image laid over each other, without unpacking what a later layer hides.

A first pass reads the names of all layers and finds out which entry of which layer is
seen in the end; a second one gives those. Source: OCI image-spec, layer.md.
"""

from __future__ import annotations

import os
import stat

from liblinux._typing import TYPE_CHECKING
from liblinux.archives._entry import Entry
from liblinux.archives._errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Layer = Callable[[], Iterator[Entry]]

__all__ = ["Layers"]

_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_MOST_LINKS = 40  # as Linux has it


class _Node:
    """A file, with all names that it has in the end."""

    __slots__ = ("directory", "link", "names", "place")

    def __init__(self, place: tuple[int, int], entry: Entry) -> None:
        self.place = place  # number of the layer, and of the entry in it
        self.directory = stat.S_ISDIR(entry.mode)
        self.link = entry.link
        self.names: set[bytes] = set()


class Layers:
    """The tree that layers make, the first one at the bottom; each can be read as often as one likes."""

    def __init__(self, layers: list[Layer]) -> None:
        self._layers = layers
        self._tree: dict[bytes, _Node] = {}
        self._below: dict[bytes, set[bytes]] = {}
        self._wanted: dict[tuple[int, int], _Node] | None = None

    def entries(self) -> Iterator[Entry]:
        """What is seen in the end, in the order of the layers."""
        if self._wanted is None:
            for number, layer in enumerate(self._layers):
                self._lay(number, layer())
            self._wanted = {node.place: node for node in self._tree.values()}
        for number, layer in enumerate(self._layers):
            for count, entry in enumerate(layer()):
                node = self._wanted.get((number, count))
                if node is not None:
                    yield from _named(entry, node)

    def _lay(self, number: int, entries: Iterable[Entry]) -> None:
        added: list[tuple[int, Entry]] = []
        for count, entry in enumerate(entries):
            directory, _, name = entry.path.rpartition(b"/")
            if name == _OPAQUE:
                for child in list(self._below.get(self._resolved(directory), ())):
                    self._remove(child)
            elif name.startswith(_WHITEOUT):
                # They hide what is in layers below, wherever they stand in theirs.
                hidden = self._resolved(directory)
                self._remove(hidden + b"/" * bool(hidden) + name.removeprefix(_WHITEOUT))
            else:
                added.append((count, entry))
        for count, entry in added:
            self._add(entry, (number, count))

    def _add(self, entry: Entry, place: tuple[int, int]) -> None:
        directory, _, name = entry.path.rpartition(b"/")
        above = self._resolved(directory)
        path = above + b"/" * bool(above) + name
        node = self._linked(entry, place) if entry.same_as is not None else _Node(place, entry)
        before = self._tree.get(path)
        if before is node:
            return
        if before is not None and not (before.directory and node.directory):
            self._remove(path)
        elif before is not None:
            before.names.discard(path)
        self._tree[path] = node
        node.names.add(path)
        self._note(path)

    def _note(self, path: bytes) -> None:
        """Let every directory above know what is below it, also those that no layer has an entry for."""
        while path:
            above = path.rpartition(b"/")[0]
            children = self._below.setdefault(above, set())
            if path in children:
                return
            children.add(path)
            path = above

    def _linked(self, entry: Entry, place: tuple[int, int]) -> _Node:
        directory, _, name = (entry.same_as or b"").rpartition(b"/")
        above = self._resolved(directory)
        node = self._tree.get(above + b"/" * bool(above) + name)
        if node is None or node.directory:
            raise ArchiveError(
                f"layer {place[0] + 1}: {entry.name} is another name of {os.fsdecode(entry.same_as or b'')}, "
                "which is no file in it or below"
            )
        return node

    def _remove(self, path: bytes) -> None:
        for child in list(self._below.get(path, ())):
            self._remove(child)
        self._below.pop(path, None)
        self._below.get(path.rpartition(b"/")[0], set()).discard(path)
        node = self._tree.pop(path, None)
        if node is not None:
            node.names.discard(path)

    def _resolved(self, directory: bytes) -> bytes:
        """A directory with the links on the way followed, within the tree: "bin" may lead to "usr/bin"."""
        done: list[bytes] = []
        left = directory.split(b"/")[::-1] if directory else []
        followed = 0
        while left:
            part = left.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":
                del done[-1:]
                continue
            node = self._tree.get(b"/".join([*done, part]))
            if node is None or not node.link:
                done.append(part)
                continue
            followed += 1
            if followed > _MOST_LINKS:
                raise ArchiveError(f"{os.fsdecode(directory)} goes in circles, by symbolic links of the layers")
            if node.link.startswith(b"/"):
                done.clear()
            left += node.link.split(b"/")[::-1]
        return b"/".join(done)


def _named(entry: Entry, node: _Node) -> Iterator[Entry]:
    """The entry under the first of its names, then the others."""
    first, *others = sorted(node.names)
    entry.path = first
    yield entry
    for name in others:
        yield Entry(name, entry.mode, entry.uid, entry.gid, entry.mtime, same_as=first)
