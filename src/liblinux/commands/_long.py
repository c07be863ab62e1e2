"""The lines of `ls -l`."""

from __future__ import annotations

import errno
import os
import stat

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._acl import ACL_ACCESS, ACL_DEFAULT
from liblinux.commands._entries import BLOCK_BYTES, Entry
from liblinux.commands._lines import shown
from liblinux.commands._output import human_size
from liblinux.commands._times import local_time, short_time

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from liblinux._image_root import ImageRoot
    from liblinux.commands._owners import Owners
    from liblinux.commands._problems import Problems

__all__ = ["long_lines", "selinux_label"]

_SELINUX = "security.selinux"
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
    rows = [_columns(image, entry, owners, options) for entry in entries]
    names = list(rows[0]) if rows else []
    widths = [max(len(row[name]) for row in rows) for name in names]
    for entry, row in zip(entries, rows, strict=True):
        line = [
            row[name].rjust(width) if name in _NUMBERS else row[name].ljust(width)
            for name, width in zip(names, widths, strict=True)
        ]
        line.append(shown(entry.name))
        if entry.is_link and options["long"]:
            with problems:
                line += ["->", shown(image.os.readlink(entry.path))]
        yield " ".join(line)


def _columns(image: ImageRoot, entry: Entry, owners: Owners, options: Mapping[str, Any]) -> dict[str, str]:
    status = entry.status
    columns: dict[str, str] = {}
    if options["inode"]:
        columns["inode"] = str(status.st_ino)
    if options["long"]:
        columns["mode"] = stat.filemode(status.st_mode) + _mark(image, entry)
        columns["links"] = str(status.st_nlink)
        columns["user"] = shown(owners.user(status.st_uid))
        columns["group"] = shown(owners.group(status.st_gid))
    if options["context"]:
        columns["label"] = shown(selinux_label(image, entry.path) or "?")
    if options["long"]:
        columns["size"] = _size(entry, human=options["human"])
        time = status.st_mtime_ns
        columns["time"] = local_time(time) if options["full_time"] else short_time(time)
    return columns


def _size(entry: Entry, *, human: bool) -> str:
    if entry.is_device:
        return f"{os.major(entry.status.st_rdev)}, {os.minor(entry.status.st_rdev)}"
    return human_size(entry.status.st_size) if human else str(entry.status.st_size)


def _mark(image: ImageRoot, entry: Entry) -> str:
    """As ls has it: "+" for an access control list, "." for an SELinux label alone."""
    try:
        names = image.os.listxattr(entry.path, follow_symlinks=False)
    except OSError as error:
        return " " if error.errno == errno.EOPNOTSUPP else "?"
    if ACL_ACCESS in names or ACL_DEFAULT in names:
        return "+"
    return "." if _SELINUX in names else " "


def selinux_label(image: ImageRoot, path: str) -> str | None:
    """The label of a file itself, None when it has none."""
    try:
        label = image.os.getxattr(path, _SELINUX, follow_symlinks=False)
    except OSError:
        return None
    return label.rstrip(b"\0").decode("utf-8", "surrogateescape")
