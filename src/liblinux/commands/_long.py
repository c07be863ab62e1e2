"""The lines of `ls -l`."""

from __future__ import annotations

import errno
import os
import stat

from liblinux._os_base import encode
from liblinux._typing import TYPE_CHECKING
from liblinux.commands._acl import ACL_ACCESS, ACL_DEFAULT
from liblinux.commands._entries import BLOCK_BYTES, Entry
from liblinux.commands._lines import shown
from liblinux.commands._output import human_size
from liblinux.commands._times import local_time, short_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from liblinux._image_root import ImageRoot
    from liblinux.commands._owners import Owners
    from liblinux.commands._problems import Problems

__all__ = ["long_lines", "selinux_label"]

_SELINUX = "security.selinux"
_ACCESS, _DEFAULT = ACL_ACCESS.encode(), ACL_DEFAULT.encode()
_NUMBERS = frozenset({"inode", "links", "size"})


def long_lines(
    image: ImageRoot,
    entries: Sequence[Entry],
    owners: Owners,
    problems: Problems,
    options: Mapping[str, Any],
    *,
    total: bool,
) -> Iterator[str]:
    """Columns of equal width for these entries; -i, -Z, -l, -h and --full-time are in `options`."""
    if total and options["long"]:
        allocated = sum(entry.status.st_blocks for entry in entries) * BLOCK_BYTES
        yield f"total {human_size(allocated) if options['human'] else allocated // 1024}"
    columns = _columns(image, owners, options)
    rows = [[text(entry) for _, text in columns] for entry in entries]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    form = " ".join(
        f"%{'' if name in _NUMBERS else '-'}{width}s" for (name, _), width in zip(columns, widths, strict=bool(rows))
    )
    for entry, row in zip(entries, rows, strict=True):
        line = f"{form % tuple(row)} {shown(entry.name)}"
        if entry.is_link and options["long"]:
            with problems:
                line += f" -> {shown(image.os.readlink(entry.path))}"
        yield line


def _columns(image: ImageRoot, owners: Owners, options: Mapping[str, Any]) -> list[tuple[str, Callable[[Entry], str]]]:
    """Names of the columns that are wanted, and what makes their text."""
    time = local_time if options["full_time"] else short_time
    mark = _Marks(image)
    columns: dict[str, Callable[[Entry], str]] = {
        "inode": lambda entry: str(entry.status.st_ino),
        "mode": lambda entry: stat.filemode(entry.status.st_mode) + mark.of(entry.path),
        "links": lambda entry: str(entry.status.st_nlink),
        "user": lambda entry: shown(owners.user(entry.status.st_uid)),
        "group": lambda entry: shown(owners.group(entry.status.st_gid)),
        "label": lambda entry: shown(selinux_label(image, entry.path) or "?"),
        "size": lambda entry: _size(entry, human=options["human"]),
        "time": lambda entry: time(entry.status.st_mtime_ns),
    }
    wanted = ["inode"] * options["inode"]
    wanted += ["mode", "links", "user", "group"] * options["long"]
    wanted += ["label"] * options["context"]
    wanted += ["size", "time"] * options["long"]
    return [(name, columns[name]) for name in wanted]


def _size(entry: Entry, *, human: bool) -> str:
    if entry.is_device:
        return f"{os.major(entry.status.st_rdev)}, {os.minor(entry.status.st_rdev)}"
    return human_size(entry.status.st_size) if human else str(entry.status.st_size)


class _Marks:
    """What `ls` puts behind a mode: "+" for an access control list, "." for an SELinux label alone.

    One system call for each file, into the same buffer: with os.listxattr() it was
    a quarter of `ls -lR`.
    """

    def __init__(self, image: ImageRoot) -> None:
        self._image = image
        self._buffer = bytearray(4096)

    def of(self, path: str) -> str:
        """The mark of a file itself; "?" when it cannot be told."""
        length = self._image.os.call("llistxattr", encode(path), self._buffer, len(self._buffer))
        if not length or length == -errno.EOPNOTSUPP:
            return " "
        if length < 0 and length != -errno.ERANGE:
            return "?"
        names = (
            self._buffer[:length].split(b"\0")
            if length > 0
            else _encoded(self._image.os.listxattr(path, follow_symlinks=False))
        )
        if _ACCESS in names or _DEFAULT in names:
            return "+"
        return "." if _SELINUX.encode() in names else " "


def _encoded(names: list[str]) -> list[bytes]:
    return [encode(name) for name in names]


def selinux_label(image: ImageRoot, path: str) -> str | None:
    """The label of a file itself, None when it has none."""
    try:
        label = image.os.getxattr(path, _SELINUX, follow_symlinks=False)
    except OSError:
        return None
    return label.rstrip(b"\0").decode("utf-8", "surrogateescape")
