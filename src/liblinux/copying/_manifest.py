"""The list of what a host does not have of an image that was extracted: a JSON object on each line.

Keys: `path`, below the top of what was extracted, bytes that are not UTF-8 as
os.fsdecode() has them; `what`: "owner", "mode", "device", "pipe", "socket", "xattr",
"link", or what a copy has lost; `value`, of an attribute in base64; and `why`.
"""

from __future__ import annotations

import base64
import errno
import json
import os
import posixpath
import stat as stat_modes

from liblinux._os_base import decode
from liblinux._typing import TYPE_CHECKING
from liblinux.copying._survey import GID, RDEV, UID

if TYPE_CHECKING:
    from typing import IO

    from liblinux.copying._place import Place
    from liblinux.copying._report import Problems
    from liblinux.copying._survey import Survey

__all__ = ["Manifest"]

_KINDS = {
    stat_modes.S_IFCHR: ("device", "character"),
    stat_modes.S_IFBLK: ("device", "block"),
    stat_modes.S_IFIFO: ("pipe", "pipe"),
    stat_modes.S_IFSOCK: ("socket", "socket"),
}
_SETUID = stat_modes.S_ISUID | stat_modes.S_ISGID
# A file system without, and an attribute that has just gone.
_NO_ATTRIBUTES = (errno.EOPNOTSUPP, errno.ENODATA)
_NOT_ASKED = "not asked for: {}"


class Manifest:
    """Writes the list to a text file."""

    def __init__(self, file: IO[str], survey: Survey, source: Place) -> None:
        self._file = file
        self._survey = survey
        self._source = source
        self.lines = 0

    def note(self, index: int, what: str, value: object, why: str) -> None:
        """One line."""
        self._write(self._survey.path(index), what, value, why)

    def _write(self, path: bytes, what: str, value: object, why: str) -> None:
        json.dump({"path": decode(path) or ".", "what": what, "value": value, "why": why}, self._file)
        self._file.write("\n")
        self.lines += 1

    def choose(self, rights: frozenset[str], *, skip_links: bool) -> list[int]:
        """The entries that are to be made, in their order; all else of the image is noted."""
        modes, devices = self._survey.modes, self._survey.column(RDEV)
        chosen = []
        for index, mode in enumerate(modes):
            kind = stat_modes.S_IFMT(mode)
            if kind in _KINDS and "devices" not in rights:
                what, value = _KINDS[kind]
                number = f" {os.major(devices[index])}:{os.minor(devices[index])}" if what == "device" else ""
                self.note(index, what, value + number, _NOT_ASKED.format("devices"))
            elif kind == stat_modes.S_IFLNK and self._leads_out(index) and skip_links:
                continue
            else:
                chosen.append(index)
        self._note_rights(rights)
        return chosen

    def _leads_out(self, index: int) -> bool:
        """Whether a link leads out of what is extracted, which is noted."""
        path = self._survey.path(index)
        try:
            says = self._source.system.readlink(self._whole(index))
        except OSError:  # the copy will say so
            return False
        inside = posixpath.normpath(posixpath.join(b"/top", posixpath.dirname(path), says))
        if inside == b"/top" or inside.startswith(b"/top/"):
            return False
        self.note(index, "link", decode(says), "leads out of the directory")
        return True

    def _note_rights(self, rights: frozenset[str]) -> None:
        """Note what belongs to entries and is not to be set."""
        uids, gids = self._survey.column(UID), self._survey.column(GID)
        mine = (os.geteuid(), os.getegid())
        for index, mode in enumerate(self._survey.modes):
            if "owners" not in rights and (uids[index], gids[index]) != mine:
                self.note(index, "owner", [uids[index], gids[index]], _NOT_ASKED.format("owners"))
            if "setuid" not in rights and mode & _SETUID and not stat_modes.S_ISLNK(mode):
                self.note(index, "mode", f"{stat_modes.S_IMODE(mode):04o}", _NOT_ASKED.format("setuid"))
            if "xattrs" not in rights:
                self._note_attributes(index)

    def _note_attributes(self, index: int) -> None:
        system, path = self._source.system, self._whole(index)
        try:
            names = system.listxattr(path, follow_symlinks=False)
            for name in names:
                value = system.getxattr(path, name, follow_symlinks=False)
                text = base64.b64encode(value).decode()
                self.note(index, "xattr", {"name": name, "base64": text}, _NOT_ASKED.format("xattrs"))
        except OSError as error:
            if error.errno not in _NO_ATTRIBUTES:
                self.note(index, "xattr", None, f"cannot be read: {error.strerror}")

    def _whole(self, index: int) -> bytes:
        below = self._survey.path(index)
        return os.path.join(self._source.here, below) if below else self._source.here

    def add_problems(self, problems: Problems) -> None:
        """Note what the copy has lost, and what it could not read or make."""
        for index, what, why in problems.each():
            self.note(index, what, None, why)
        for path, why in problems.unread():
            self._write(path, "directory", None, why)
