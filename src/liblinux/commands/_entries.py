"""Entries of directories with their status, and how they are described to programs."""

from __future__ import annotations

import os
import stat

from liblinux._typing import TYPE_CHECKING
from liblinux.commands._times import iso_time

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from liblinux._image_root import ImageRoot
    from liblinux.commands._owners import Owners

__all__ = ["BLOCK_BYTES", "TYPES", "Entry", "below", "children", "entry_at", "join", "record"]

BLOCK_BYTES = 512  # of st_blocks, whatever the file system's own blocks are

TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


class Entry:
    """A name, the path in the image and the status of a file; a link is itself."""

    __slots__ = ("name", "path", "status")

    def __init__(self, name: str, path: str, status: os.stat_result) -> None:
        self.name = name
        self.path = path
        self.status = status

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory itself."""
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.status.st_mode)

    @property
    def is_device(self) -> bool:
        """Whether it is a device node."""
        return stat.S_IFMT(self.status.st_mode) in (stat.S_IFBLK, stat.S_IFCHR)


def join(directory: str, name: str) -> str:
    """The path of `name` in `directory`."""
    return directory + name if directory.endswith("/") else f"{directory}/{name}"


def entry_at(image: ImageRoot, path: str, *, follow: bool = False) -> Entry:
    """The entry of a path, named as the path is."""
    return Entry(path, path, image.os.stat(path, follow_symlinks=follow))


def children(image: ImageRoot, directory: str, onerror: Callable[[OSError], object]) -> list[Entry]:
    """What is in a directory; an entry whose status cannot be had goes to `onerror`."""
    entries = []
    with image.os.scandir(directory) as found:
        for entry in found:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError as error:
                onerror(error)
                continue
            entries.append(Entry(entry.name, entry.path, status))
    return entries


def below(image: ImageRoot, top: str, onerror: Callable[[OSError], object]) -> Iterable[Entry]:
    """Everything below a directory, each directory before its content; names are paths below `top`."""
    for entry in image.os.scantree(top, onerror=onerror):
        yield Entry(entry.name, entry.path, entry.stat(follow_symlinks=False))


def record(name: str, image: ImageRoot, entry: Entry, owners: Owners) -> dict[str, Any]:
    """An entry for --json; `name` is that of the image.

    Times are there twice: exact in nanoseconds, and readable in UTC. A path that is
    not UTF-8 is there as os.fsdecode() has it, and as hexadecimal bytes.
    """
    status = entry.status
    found: dict[str, Any] = {"image": name, "path": entry.path}
    if not _is_utf8(entry.path):
        found["path_hex"] = entry.path.encode("utf-8", "surrogateescape").hex()
    found |= {
        "type": TYPES.get(stat.S_IFMT(status.st_mode), "unknown"),
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "uid": status.st_uid,
        "gid": status.st_gid,
        "user": owners.user(status.st_uid),
        "group": owners.group(status.st_gid),
        "size": status.st_size,
        "allocated": status.st_blocks * BLOCK_BYTES,
        "inode": status.st_ino,
        "links": status.st_nlink,
    }
    for time in ("atime", "mtime", "ctime"):
        nanoseconds = getattr(status, f"st_{time}_ns")
        found |= {time: iso_time(nanoseconds), f"{time}_ns": nanoseconds}
    if entry.is_device:
        found["device"] = [os.major(status.st_rdev), os.minor(status.st_rdev)]
    if entry.is_link:
        found["target"] = image.os.readlink(entry.path)
    return found


def _is_utf8(name: str) -> bool:
    return name.isascii() or not any("\udc80" <= character <= "\udcff" for character in name)
