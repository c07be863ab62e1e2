"""What can be known before anything is copied: what the target will not hold.

No table says what a file system can hold, for it depends on how it was made and
mounted, and on who asks. It is tried: with one entry of each kind that the source has.
"""

from __future__ import annotations

import os
import stat as stat_modes

from liblinux import _abi
from liblinux._typing import TYPE_CHECKING
from liblinux.copying._survey import ATIME, GID, MTIME, NLINK, SIZE, UID

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from liblinux.copying._place import Place
    from liblinux.copying._survey import Survey

__all__ = ["folds_case", "name_collisions", "sample"]

# statfs(2) f_type of file systems to which README and readme are the same: FAT, exFAT, HFS, HFS+.
_FOLDING = (0x4D44, 0x2011BAB0, 0x4244, 0x482B)
# Steps of time in which file systems count, in nanoseconds, and ends of their clocks, in seconds.
_STEPS = (100, 1000, 10**6, 10**7, 10**9, 2 * 10**9, 86400 * 10**9)
_ENDS = (-(2**31), 0, 2**31, 2**32, 2**34)


def name_collisions(survey: Survey, target: Place, indices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Entries whose names differ from that of another, the second of each pair, in nothing that the target keeps."""
    if not folds_case(target):
        return
    seen: dict[str, int] = {}
    for index in indices:
        folded = survey.path(index).decode("utf-8", "surrogateescape").casefold()
        first = seen.setdefault(folded, index)
        if first != index:
            yield index, first


def folds_case(place: Place) -> bool:
    """Whether README and readme are the same there; of the host it is not asked."""
    if place.native is None:
        return False
    buffer = bytearray(_abi.STATFS.size)
    place.system._call("fstatfs", place.dir, buffer)
    return _abi.STATFS.unpack(buffer)[0] in _FOLDING


def sample(survey: Survey, source: Place) -> list[int]:
    """Entries that stand for all, with the directories above them: the smallest of each kind."""
    numbers = [survey.column(index) for index in (UID, GID, NLINK, SIZE)]
    times = [survey.column(index).cast("B").cast("q") for index in (ATIME, MTIME)]
    chosen: dict[object, int] = {}
    for index, mode in enumerate(survey.modes):
        uid, gid, links, size = (column[index] for column in numbers)
        moments = tuple(_grain(column[index]) for column in times)
        kind = (mode, uid, gid, moments, links > 1 and not stat_modes.S_ISDIR(mode), _attributes(survey, source, index))
        best = chosen.get(kind)
        if best is None or size < numbers[3][best]:
            chosen[kind] = index
    wanted = set(chosen.values())
    for index, other in enumerate(survey.links(range(len(survey)))):
        if other >= 0:
            wanted |= {index, other}
            break
    return sorted(wanted | _above(survey, wanted))


def _above(survey: Survey, indices: set[int]) -> set[int]:
    known = {survey.path(index): index for index in survey.directories()}
    found = {0}
    for index in indices:
        path = os.path.dirname(survey.path(index))
        while path:
            found.add(known[path])
            path = os.path.dirname(path)
    return found


def _grain(moment: int) -> tuple[int, ...]:
    """The steps that a time is a multiple of, and the clocks that it is beyond."""
    exact = sum(moment % step == 0 for step in _STEPS)
    return exact, sum(moment // 10**9 >= end for end in _ENDS)


def _attributes(survey: Survey, source: Place, index: int) -> tuple[str, ...]:
    below = survey.path(index)
    path = os.path.join(source.here, below) if below else source.here
    try:
        return tuple(source.system.listxattr(path, follow_symlinks=False))
    except OSError:  # it has none, or the copy itself will say what is wrong
        return ()
