"""What two trees differ in: in images, on the host, one of each.

Status comes with the listings of both trees and is compared first; files are read
when their sizes are the same, both at once and without Python (copy.c).
"""

from __future__ import annotations

import errno
import fnmatch
import os
import stat as stat_modes
from array import array

from liblinux._os_base import decode
from liblinux._typing import TYPE_CHECKING, Any, Literal, Value
from liblinux.copying._copy import COMPARE, Copy, CopyOptions, CopyProgress
from liblinux.copying._place import Place
from liblinux.copying._report import CopyFailed, CopyReport
from liblinux.copying._survey import BLOCKS, GID, MTIME, RDEV, SIZE, UID, Survey

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

__all__ = ["ASPECTS", "Difference", "compare_trees"]

ASPECTS = frozenset({"content", "mode", "owner", "times", "xattrs", "target", "device", "links", "holes"})
_KINDS = {
    stat_modes.S_IFREG: "file",
    stat_modes.S_IFDIR: "directory",
    stat_modes.S_IFLNK: "symbolic link",
    stat_modes.S_IFCHR: "character device",
    stat_modes.S_IFBLK: "block device",
    stat_modes.S_IFIFO: "pipe",
    stat_modes.S_IFSOCK: "socket",
}
# What is there by another name as well: ACLs of XFS, owner and mode of NTFS.
_VIEWS = ("trusted.SGI_ACL_", "$LX")
_DEVICES = (stat_modes.S_IFCHR, stat_modes.S_IFBLK)


class Difference(Value):
    """One thing in which two trees differ.

    `path` is below the tops, "." for these; `what` is "entry" (one side has none: None),
    "type", "size", "content" (the offset of the first byte that differs), "mode",
    "owner" ((uid, gid)), "times" (of modification, nanoseconds), "target", "device"
    ((major, minor)), "xattr NAME" (bytes), "links" (the first other name of the file),
    "holes" (bytes that the file takes).
    """

    path: str
    what: str
    left: Any
    right: Any


def compare_trees(
    left: Any,
    right: Any,
    *,
    left_os: Any = os,
    right_os: Any = os,
    ignore: Collection[str] = ("holes",),
    content: Literal["all", "quick", "none"] = "all",
    exclude: Sequence[str] = (),
    progress: CopyProgress | None = None,
) -> list[Difference]:
    """What two trees differ in, in the order of their paths; an empty list when they are the same.

    `left_os` and `right_os` say where the paths are, as in :func:`copy_tree`. `ignore`
    names what is not compared: "content", "mode", "owner", "times", "xattrs", "target",
    "device", "links", "holes". Contents are compared of files that have the same size:
    all, with "quick" only those whose times of modification differ. `exclude` are
    patterns of paths, as of fnmatch, that are left out with all below them.

    Raises OSError when one is not there, CopyFailed when something could not be read.
    """
    if unknown := set(ignore) - ASPECTS:
        raise ValueError(f"ignore: no {', '.join(sorted(unknown))}; there are {', '.join(sorted(ASPECTS))}")
    aspects = ASPECTS - set(ignore)
    if content == "none":
        aspects -= {"content"}
    with _place(left_os, left) as first, _place(right_os, right) as second:
        comparison = _Comparison(_Side(first, exclude), _Side(second, exclude), aspects, quick=content == "quick")
        return comparison.run(progress)


def _place(system: Any, path: Any) -> Place:
    return Place(system, path, below=bool(system.path.isdir(path)))


class _Side:
    """One of the two trees."""

    def __init__(self, place: Place, exclude: Sequence[str]) -> None:
        self.place = place
        self.survey = Survey(place)
        if place.name == b".":
            place.enter()
        self.index = {
            path: index for index, (path, _) in enumerate(self.survey.listing) if not _is_left_out(path, exclude)
        }
        self.columns = {number: self.survey.column(number) for number in (UID, GID, SIZE, MTIME, BLOCKS, RDEV)}

    def kind(self, index: int) -> int:
        """The type of an entry."""
        return stat_modes.S_IFMT(self.survey.modes[index])

    def names(self) -> dict[int, bytes]:
        """For entries with several names in this tree the first of them that is another one's."""
        groups: dict[int, list[int]] = {}
        indices = sorted(self.index.values(), key=self.survey.path)
        for index, first in zip(indices, self.survey.links(indices), strict=True):
            if first >= 0:
                groups.setdefault(first, [first]).append(index)
        found: dict[int, bytes] = {}
        for group in groups.values():
            found.update(dict.fromkeys(group, self.survey.path(group[0])))
            found[group[0]] = self.survey.path(group[1])
        return found

    def whole(self, index: int) -> bytes:
        """The path for a system call."""
        below = self.survey.path(index)
        return os.path.join(self.place.here, below) if below else self.place.here

    def attributes(self, index: int) -> dict[str, bytes]:
        """The extended attributes of an entry; of one without, or where there are none, empty."""
        system, path = self.place.system, self.whole(index)
        try:
            names = system.listxattr(path, follow_symlinks=False)
            return {
                name: system.getxattr(path, name, follow_symlinks=False)
                for name in names
                if not name.startswith(_VIEWS)
            }
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            return {}


def _is_left_out(path: bytes, patterns: Sequence[str]) -> bool:
    if not patterns or not path:
        return False
    parts = decode(path).split("/")
    above = ["/".join(parts[: count + 1]) for count in range(len(parts))]
    return any(fnmatch.fnmatchcase(each, pattern) for pattern in patterns for each in above)


class _Comparison:
    """Left and right, and what has been found so far."""

    def __init__(self, left: _Side, right: _Side, aspects: frozenset[str], *, quick: bool) -> None:
        self._left, self._right = left, right
        self._aspects = aspects
        self._quick = quick
        self._found: list[tuple[bytes, Difference]] = []
        self._names = (left.names(), right.names()) if "links" in aspects else ({}, {})

    def run(self, progress: CopyProgress | None) -> list[Difference]:
        """Compare everything."""
        left, right = self._left.index, self._right.index
        for path in left.keys() ^ right.keys():
            # Of a directory that only one has, only itself.
            above = os.path.dirname(path)
            if above in left and above in right:
                sides = (self._kind_of(self._left, path), self._kind_of(self._right, path))
                self._note(path, "entry", *sides)
        same = [(path, index, right[path]) for path, index in left.items() if path in right]
        read = [pair for pair in same if self._compare(*pair)]
        report = self._compare_content(read, progress)
        if report.errors:
            more = f" (and {len(report.errors) - 1:,} more)" if len(report.errors) > 1 else ""
            raise CopyFailed(f"not compared: {report.errors[0]}{more}", report)
        return [difference for _, difference in sorted(self._found, key=lambda pair: pair[0])]

    def _note(self, path: bytes, what: str, left: Any, right: Any) -> None:
        self._found.append((path, Difference(decode(path) or ".", what, left, right)))

    @staticmethod
    def _kind_of(side: _Side, path: bytes) -> str | None:
        index = side.index.get(path)
        return None if index is None else _KINDS[side.kind(index)]

    def _compare(self, path: bytes, left: int, right: int) -> bool:
        """All that is known without reading content; whether that is to be read."""
        kind = self._left.kind(left)
        if kind != self._right.kind(right):
            self._note(path, "type", self._kind_of(self._left, path), self._kind_of(self._right, path))
            return False
        for what, one, other in self._pairs(kind, left, right):
            if what in self._aspects and one != other:
                self._note(path, what, one, other)
        if "xattrs" in self._aspects:
            self._compare_attributes(path, left, right)
        if kind != stat_modes.S_IFREG or "content" not in self._aspects:
            return False
        sizes, times = ((self._left.columns[at][left], self._right.columns[at][right]) for at in (SIZE, MTIME))
        if sizes[0] != sizes[1]:
            self._note(path, "size", *sizes)
            return False
        return bool(sizes[0]) and not (self._quick and times[0] == times[1])

    def _pairs(self, kind: int, left: int, right: int) -> Iterator[tuple[str, Any, Any]]:
        one, other = self._left, self._right
        if kind != stat_modes.S_IFLNK:
            yield "mode", stat_modes.S_IMODE(one.survey.modes[left]), stat_modes.S_IMODE(other.survey.modes[right])
        elif "target" in self._aspects:
            yield "target", one.place.system.readlink(one.whole(left)), other.place.system.readlink(other.whole(right))
        yield "owner", _owner(one, left), _owner(other, right)
        yield "times", _signed(one.columns[MTIME][left]), _signed(other.columns[MTIME][right])
        if kind in _DEVICES:
            yield "device", _device(one, left), _device(other, right)
        if kind != stat_modes.S_IFDIR:
            yield "links", self._names[0].get(left), self._names[1].get(right)
        if kind == stat_modes.S_IFREG:
            yield "holes", one.columns[BLOCKS][left] * 512, other.columns[BLOCKS][right] * 512

    def _compare_attributes(self, path: bytes, left: int, right: int) -> None:
        one, other = self._left.attributes(left), self._right.attributes(right)
        for name in sorted(one.keys() | other.keys()):
            if one.get(name) != other.get(name):
                self._note(path, f"xattr {name}", one.get(name), other.get(name))

    def _compare_content(self, pairs: list[tuple[bytes, int, int]], progress: CopyProgress | None) -> CopyReport:
        """Read both of each; the right one is found by the path of the left."""
        survey = self._left.survey
        copy = Copy(survey, self._left.place, self._right.place, CopyOptions(), progress=progress)
        indices = array("q", [index for _, index, _ in pairs])
        copy.progress.total += survey.data_bytes(indices)
        copy.call(COMPARE, indices)
        for index, offset in copy.problems.different.items():
            self._note(survey.path(index), "content", offset, offset)
        # What of the right tree could not be listed would be taken for missing.
        copy.problems.note_unread(self._right.survey, self._right.place.path)
        return copy.report(len(indices))


def _owner(side: _Side, index: int) -> tuple[int, int]:
    return side.columns[UID][index], side.columns[GID][index]


def _device(side: _Side, index: int) -> tuple[int, int]:
    number = side.columns[RDEV][index]
    return os.major(number), os.minor(number)


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number
