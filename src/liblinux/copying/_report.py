"""What has come of a copy: how much was copied, what was lost on the way, what failed."""

from __future__ import annotations

import errno
import os
import stat as stat_modes
import struct

from liblinux._errors import LiblinuxError
from liblinux._os_base import decode
from liblinux._typing import TYPE_CHECKING, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from liblinux.copying._survey import Survey

__all__ = ["CopyFailed", "CopyProblem", "CopyReport", "Loss", "Problems"]

# struct host_copy_problem: index, trouble, errno, where its text is and how long.
_PROBLEM = struct.Struct("=QIiQQ")
# enum host_copy_trouble
_NAME, _OPEN, _READ, _CREATE, _WRITE, _RENAME, _LINK, _OWNER, _MODE, _TIMES, _XATTR, _CHATTR, _DIFFERS = range(13)
_LOST = {
    _LINK: "hard links (they are files of their own now)",
    _OWNER: "owners",
    _MODE: "modes",
    _TIMES: "times",
    _XATTR: "extended attribute",
    _CHATTR: "file flag",
}
_FAILED = {
    _NAME: "this is no name",
    _OPEN: "cannot open",
    _READ: "cannot read",
    _CREATE: "cannot create",
    _WRITE: "cannot write",
    _RENAME: "cannot put in place",
}
_SPECIAL = {
    stat_modes.S_IFLNK: "symbolic links",
    stat_modes.S_IFCHR: "device nodes",
    stat_modes.S_IFBLK: "device nodes",
    stat_modes.S_IFIFO: "pipes",
    stat_modes.S_IFSOCK: "sockets",
}
_NO_NAME = "the target cannot hold this name"
_OF_NAMES = (errno.EINVAL, errno.ENAMETOOLONG, errno.EILSEQ)
_NO_PLACE = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)
_KEPT_OTHERWISE = "the target keeps another value"


class Loss(Value):
    """One kind of thing that the target does not have: what, of how many entries, why, and the first of them."""

    what: str
    count: int
    why: str
    first: str

    def __str__(self) -> str:
        entries = "1 entry" if self.count == 1 else f"{self.count:,} entries"
        return f"lost: {self.what} of {entries} ({self.why}), {'' if self.count == 1 else 'first of '}{self.first}"


class CopyProblem(Value):
    """An entry that was not copied: its path in the source, what was tried, and errno."""

    path: str
    what: str
    errno: int

    def __str__(self) -> str:
        return f"{self.path}: {self.what}: {os.strerror(self.errno)}"


class CopyReport(Value):
    """What was copied. `bytes` is data read; `losses` and `errors` say what the target does not have."""

    entries: int
    bytes: int
    losses: tuple[Loss, ...]
    errors: tuple[CopyProblem, ...]


class CopyFailed(LiblinuxError):
    """Entries could not be copied, or with strict=True not as they are; `report` has all of it."""

    def __init__(self, message: str, report: CopyReport) -> None:
        super().__init__(message)
        self.report = report


class Problems:
    """Gathers what `_native.copy` notes, and makes losses and errors of it."""

    def __init__(self, survey: Survey, top: bytes) -> None:
        self._survey = survey
        self._top = os.path.normpath(top)
        self._losses: dict[tuple[str, int], list[int]] = {}
        self._errors: list[CopyProblem] = []
        # Of a comparison: entries whose content differs, and from which byte on.
        self.different: dict[int, int] = {}
        self._failed: list[tuple[int, str]] = []
        self.note_unread(survey, self._top)

    def note_unread(self, survey: Survey, top: bytes) -> None:
        """Note the directories that could not be read when the tree was listed."""
        for path, number in survey.errors:
            name = os.path.join(top, path) if path else top
            self._errors.append(CopyProblem(decode(name), _FAILED[_READ], number))

    def refuse(self, collisions: Mapping[int, int]) -> None:
        """Note entries whose names the target would take for those of others."""
        for index, other in collisions.items():
            first = os.path.basename(self._survey.name_of(self._top, other))
            self._fail(index, f"to the target its name is that of {first}", errno.EEXIST)

    def _fail(self, index: int, what: str, number: int) -> None:
        problem = CopyProblem(self._survey.name_of(self._top, index), what, number)
        self._errors.append(problem)
        self._failed.append((index, f"{what}: {os.strerror(number)}"))

    def add(self, raw: bytes, texts: bytes) -> None:
        """Take the answer of one call."""
        for index, trouble, number, text_at, text_bytes in _PROBLEM.iter_unpack(raw):
            text = texts[text_at : text_at + text_bytes].decode("utf-8", "surrogateescape")
            lost = self._lost(index, trouble, number, text)
            if trouble == _DIFFERS:
                self.different[index] = int(text)
            elif lost:
                self._losses.setdefault((lost, number), []).append(index)
            else:
                what = _NO_NAME if trouble in (_CREATE, _RENAME) and number in _OF_NAMES else _FAILED[trouble]
                self._fail(index, what, number)

    def _lost(self, index: int, trouble: int, number: int, text: str) -> str:
        """What is lost, or "" when the entry has failed."""
        if trouble in _LOST:
            return f"{_LOST[trouble]} {text}".rstrip()
        if trouble == _CREATE and number in _NO_PLACE:
            # A target has no place for this kind, or the host no permission.
            return _SPECIAL.get(stat_modes.S_IFMT(self._survey.modes[index]), "")
        return ""

    @property
    def errors(self) -> tuple[CopyProblem, ...]:
        """Entries that are missing."""
        return tuple(self._errors)

    def losses(self) -> Iterator[Loss]:
        """What is lost, the most frequent first; of what is not there at all nothing is."""
        failed = {index for index, _ in self._failed}
        for (what, number), indices in sorted(self._losses.items(), key=lambda item: -len(item[1])):
            why = os.strerror(number) if number else _KEPT_OTHERWISE
            there = [index for index in indices if index not in failed] if failed else indices
            if there:
                yield Loss(what, len(set(there)), why, self._survey.name_of(self._top, there[0]))

    def each(self) -> Iterator[tuple[int, str, str]]:
        """Every entry that has lost something or is missing: its index, what, why."""
        for (what, number), indices in self._losses.items():
            why = os.strerror(number) if number else _KEPT_OTHERWISE
            for index in indices:
                yield index, what, why
        for index, why in self._failed:
            yield index, "entry", why

    def unread(self) -> Iterator[tuple[bytes, str]]:
        """Directories that could not be read as a whole: the path below the top, why."""
        for path, number in self._survey.errors:
            yield path, os.strerror(number)
