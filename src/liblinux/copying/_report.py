"""What has come of a copy: how much was copied, what was lost on the way, what failed."""

from __future__ import annotations

import errno
import os
import stat as stat_modes
import struct

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING, Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from liblinux.copying._survey import Survey

__all__ = ["CopyFailed", "CopyProblem", "CopyReport", "Loss", "Problems"]

# struct host_copy_problem: index, trouble, errno, where its text is and how long.
_PROBLEM = struct.Struct("=QIiQQ")
# enum host_copy_trouble
_NAME, _OPEN, _READ, _CREATE, _WRITE, _RENAME, _LINK, _OWNER, _MODE, _TIMES, _XATTR, _CHATTR = range(12)
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
        self._top = top
        self._losses: dict[tuple[str, int], list[int]] = {}
        self._errors: list[CopyProblem] = []
        survey.report_errors(self._unread)

    def _unread(self, path: bytes, number: int) -> None:
        name = os.path.join(self._top, path) if path else self._top
        self._errors.append(CopyProblem(name.decode("utf-8", "surrogateescape"), "cannot read", number))

    def add(self, raw: bytes, texts: bytes) -> None:
        """Take the answer of one call."""
        for index, trouble, number, text_at, text_bytes in _PROBLEM.iter_unpack(raw):
            text = texts[text_at : text_at + text_bytes].decode("utf-8", "surrogateescape")
            lost = self._lost(index, trouble, number, text)
            if lost:
                self._losses.setdefault((lost, number), []).append(index)
            else:
                self._errors.append(CopyProblem(self._survey.name_of(self._top, index), _FAILED[trouble], number))

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
        """What is lost, the most frequent first."""
        for (what, number), indices in sorted(self._losses.items(), key=lambda item: -len(item[1])):
            why = os.strerror(number) if number else _KEPT_OTHERWISE
            yield Loss(what, len(set(indices)), why, self._survey.name_of(self._top, indices[0]))
