"""One file, directory, link or node on its way: what sources give and sinks take."""

from __future__ import annotations

import os
import stat

from liblinux._typing import TYPE_CHECKING
from liblinux.archives._errors import ArchiveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    class Data(Protocol):
        """The content of a file: pieces in the order of their offsets, holes left out."""

        def __call__(self) -> Iterator[tuple[int, bytes]]: ...


__all__ = ["SECOND", "Entry", "no_data", "safe_path"]

SECOND = 10**9


def no_data() -> Iterator[tuple[int, bytes]]:
    """The content of what has none."""
    return iter(())


class Entry:
    """What is known of one name; `data` is read once, and before the next entry is asked for.

    `path` is relative, b"" for the directory at the top. `link` is what a symbolic
    link says; `same_as` is the path of an earlier entry that this one is another
    name of, and then only the two paths count; `names` is how many names there are.
    `mtime` in nanoseconds, None when the source has none. `extents` are the (offset,
    length) of what is no hole; None for a file without holes. `xattrs` has ACLs in
    the kernel's own form.
    """

    __slots__ = (
        "data",
        "extents",
        "gid",
        "link",
        "mode",
        "mtime",
        "names",
        "path",
        "rdev",
        "same_as",
        "size",
        "uid",
        "xattrs",
    )

    def __init__(
        self,
        path: bytes,
        mode: int,
        uid: int = 0,
        gid: int = 0,
        mtime: int | None = None,
        size: int = 0,
        *,
        link: bytes = b"",
        same_as: bytes | None = None,
        rdev: int = 0,
        names: int = 1,
        xattrs: dict[str, bytes] | None = None,
        extents: list[tuple[int, int]] | None = None,
        data: Callable[[], Iterator[tuple[int, bytes]]] = no_data,
    ) -> None:
        self.path = path
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.mtime = mtime
        self.size = size
        self.link = link
        self.same_as = same_as
        self.rdev = rdev
        self.names = names
        self.xattrs = xattrs or {}
        self.extents = extents
        self.data = data

    def __repr__(self) -> str:
        return f"<Entry {os.fsdecode(self.path)} {stat.filemode(self.mode)} {self.size} bytes>"

    @property
    def name(self) -> str:
        """The path for a message."""
        return os.fsdecode(self.path) or "./"


def safe_path(raw: bytes, what: str = "the archive") -> bytes:
    """The path of a member below the directory that it goes to; b"" is that directory.

    Raises ArchiveError for an absolute path, one with "..", and one with a NUL.
    """
    if raw.startswith(b"/"):
        raise ArchiveError(f"{what} is refused: it holds an absolute path, {os.fsdecode(raw)}")
    if b"\0" in raw:
        raise ArchiveError(f"{what} is refused: it holds a path with a NUL byte, {raw!r}")
    parts = [part for part in raw.split(b"/") if part not in (b"", b".")]
    if b".." in parts:
        raise ArchiveError(f"{what} is refused: it holds a path with '..', {os.fsdecode(raw)}")
    return b"/".join(parts)
