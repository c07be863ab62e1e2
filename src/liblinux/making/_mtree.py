"""Specifications in the form of mtree(5): owners, modes, times, and nodes that a normal user cannot make.

Sources: FreeBSD and NetBSD mtree(5); libarchive's mtree(5). Both forms are read:
full paths, as bsdtar writes them, and one directory in another.
"""

from __future__ import annotations

import os
import re
import shlex
import stat

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING
from liblinux.archives._entry import SECOND, Entry

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Mtree"]

_TYPES = {
    "file": stat.S_IFREG,
    "dir": stat.S_IFDIR,
    "link": stat.S_IFLNK,
    "char": stat.S_IFCHR,
    "block": stat.S_IFBLK,
    "fifo": stat.S_IFIFO,
    "socket": stat.S_IFSOCK,
}
_ESCAPE = re.compile(rb"\\([0-7]{3})")


class Mtree:
    """What a specification says, by paths. Raises LiblinuxError with the line that cannot be read."""

    def __init__(self, lines: Iterable[str], name: str) -> None:
        self._said: dict[bytes, dict[str, str]] = {}
        self._name = name
        self._defaults: dict[str, str] = {}
        self._directories: list[list[bytes]] = []  # those that the specification is in
        for number, line in enumerate(_joined(lines), 1):
            try:
                self._read(line)
            except (ValueError, IndexError) as error:
                raise LiblinuxError(f"{name}: entry {number} cannot be read: {line.strip()!r}: {error}") from None

    @classmethod
    def load(cls, path: str) -> Mtree:
        """Read a file."""
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return cls(file, path)

    def apply(self, entry: Entry) -> None:
        """Change an entry as the specification has it."""
        said = self._said.get(entry.path)
        if said is None:
            return
        if "uid" in said:
            entry.uid = int(said["uid"])
        if "gid" in said:
            entry.gid = int(said["gid"])
        if "mode" in said:
            entry.mode = stat.S_IFMT(entry.mode) | int(said["mode"], 8)
        if "time" in said:
            whole, _, nanoseconds = said["time"].partition(".")
            # Behind the point are nanoseconds, not a fraction.
            entry.mtime = int(whole) * SECOND + int(nanoseconds or "0")

    def additions(self) -> dict[bytes, Entry]:
        """Entries of what needs no content: it is made when the source does not have it."""
        found = {}
        for path, said in self._said.items():
            kind = _TYPES[said.get("type", "file")]
            if kind in (stat.S_IFREG, stat.S_IFSOCK) or not path:
                continue
            entry = Entry(path, kind | (0o755 if kind == stat.S_IFDIR else 0o644))
            if kind == stat.S_IFLNK:
                entry.mode = kind | 0o777
                entry.link = _decoded(said["link"])
            elif "device" in said:
                entry.rdev = _device(said["device"])
            found[path] = entry
        return found

    def _read(self, line: str) -> None:
        words = shlex.split(line.replace("\\", "\\\\"), comments=True)
        if not words:
            return
        name, said = words[0], dict(word.partition("=")[::2] for word in words[1:])
        if name == "/set":
            self._defaults |= said
        elif name == "/unset":
            for key in words[1:]:
                self._defaults.pop(key, None)
        elif name == "..":
            self._directories.pop()
        else:
            self._add(_decoded(name), {**self._defaults, **said})

    def _add(self, name: bytes, said: dict[str, str]) -> None:
        full = b"/" in name
        path = [part for part in name.split(b"/") if part not in (b"", b".")]
        if b".." in path:
            raise ValueError("a path with '..'")
        if not full:
            path = [*(self._directories or [[]])[-1], *path]
        self._check(said)
        self._said[b"/".join(path)] = said
        if not full and said.get("type") == "dir":
            self._directories.append(path)

    def _check(self, said: dict[str, str]) -> None:
        """Find what is wrong now, while it is known where."""
        if said.get("type", "file") not in _TYPES:
            raise ValueError(f"there is no type {said['type']!r}")
        for key, base in (("uid", 10), ("gid", 10), ("mode", 8)):
            if key in said:
                int(said[key], base)
        if "device" in said:
            _device(said["device"])
        if said.get("type") in ("char", "block") and "device" not in said:
            raise ValueError("a device without device=")
        if said.get("type") == "link" and "link" not in said:
            raise ValueError("a link without link=")


def _joined(lines: Iterable[str]) -> Iterable[str]:
    """Lines, where one that ends in a backslash goes on in the next."""
    before = ""
    for line in lines:
        text = before + line.rstrip("\n")
        if text.endswith("\\"):
            before = text[:-1] + " "
            continue
        before = ""
        yield text
    if before:
        yield before


def _decoded(text: str) -> bytes:
    """A name whose special bytes are written as a backslash and three octal digits (vis(3))."""
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), os.fsencode(text))


def _device(text: str) -> int:
    """ "native,8,17", "8,17", or a number as makedev(3) gives it."""
    numbers = [int(part, 0) for part in text.split(",") if part not in ("native", "linux")]
    if len(numbers) == 1:
        return numbers[0]
    major, minor = numbers
    return os.makedev(major, minor)
