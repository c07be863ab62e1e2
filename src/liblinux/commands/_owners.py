"""Names of users and groups, from the image's own /etc/passwd and /etc/group."""

from __future__ import annotations

import os

from liblinux._os_base import decode
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liblinux._image_root import ImageRoot

__all__ = ["NO_ID", "Owners"]

# Those of a large site have some megabytes; a hostile image may have anything.
_LONGEST_BYTES = 16 << 20
_LARGEST_ID = (1 << 32) - 2
NO_ID = -1  # of chown(2): leave it as it is


class Owners:
    """Numbers to names and back; numbers alone where the image has no names, or with `numeric`."""

    def __init__(self, image: ImageRoot, *, numeric: bool = False) -> None:
        self._image = image
        self._users: list[list[str]] | None = None
        self._groups: list[list[str]] | None = None
        self._user_names: dict[int, str] | None = {} if numeric else None
        self._group_names: dict[int, str] | None = {} if numeric else None

    def user(self, uid: int) -> str:
        """The name of a user, or its number."""
        if self._user_names is None:
            self._user_names = _names(self._user_lines())
        return self._user_names.get(uid) or str(uid)

    def group(self, gid: int) -> str:
        """The name of a group, or its number."""
        if self._group_names is None:
            self._group_names = _names(self._group_lines())
        return self._group_names.get(gid) or str(gid)

    def uid(self, text: str) -> int:
        """The number of a user by name or number; ValueError when there is none of that name."""
        return _number(self._user_lines(), text, "user", "/etc/passwd")

    def gid(self, text: str) -> int:
        """The number of a group by name or number; ValueError when there is none of that name."""
        return _number(self._group_lines(), text, "group", "/etc/group")

    def login_gid(self, text: str) -> int:
        """The group that a user logs in with; ValueError for a user without one."""
        for fields in self._user_lines():
            if text in (fields[0], fields[2]) and len(fields) > 3 and fields[3].isdecimal():
                return int(fields[3])
        raise ValueError(f"the image's /etc/passwd names no group of user {text!r}: write it behind the colon")

    def _user_lines(self) -> list[list[str]]:
        if self._users is None:
            self._users = _read(self._image, "/etc/passwd")
        return self._users

    def _group_lines(self) -> list[list[str]]:
        if self._groups is None:
            self._groups = _read(self._image, "/etc/group")
        return self._groups


def _read(image: ImageRoot, path: str) -> list[list[str]]:
    """The lines of such a file with a number in the third field; none when it cannot be read."""
    try:
        descriptor = image.os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return []  # many images have none: numbers are shown then
    try:
        text = decode(image.os.read(descriptor, _LONGEST_BYTES))
    except OSError:
        return []
    finally:
        image.os.close(descriptor)
    lines = (line.split(":") for line in text.split("\n"))
    return [fields for fields in lines if len(fields) > 2 and fields[0] and fields[2].isdecimal()]


def _names(lines: list[list[str]]) -> dict[int, str]:
    """Names by number; the first one counts, as in getpwuid(3)."""
    return {int(fields[2]): fields[0] for fields in reversed(lines)}


def _number(lines: list[list[str]], text: str, what: str, where: str) -> int:
    for fields in lines:
        if fields[0] == text:
            return int(fields[2])
    if text.isdecimal() and int(text) <= _LARGEST_ID:
        return int(text)
    raise ValueError(f"the image's {where} knows no {what} {text!r}: give a number up to {_LARGEST_ID}")
