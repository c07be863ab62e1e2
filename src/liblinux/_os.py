"""`kernel.os` and `process.os`: the standard library's `os` over a kernel of our own.

Functions keep the names, arguments, results and exceptions of `os`. Constants
(O_RDONLY, SEEK_END, ...) and what is pure computation (fspath, strerror, ...)
are the standard library's own.
"""

from __future__ import annotations

import os

from liblinux._os_path import PathFunctions
from liblinux._os_process import Identity
from liblinux._os_tree import Trees
from liblinux._os_xattr import Xattrs
from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from liblinux import _native
    from liblinux.running._waiter import Waiter

__all__ = ["Os"]

_PURE = frozenset(
    {
        "PathLike",
        "altsep",
        "curdir",
        "devnull",
        "error",
        "extsep",
        "fsdecode",
        "fsencode",
        "fspath",
        "linesep",
        "major",
        "makedev",
        "minor",
        "name",
        "pardir",
        "pathsep",
        "sep",
        "stat_result",
        "statvfs_result",
        "strerror",
        "uname_result",
    }
)


class Os(Trees, Xattrs, Identity):
    """An `os` whose files, processes and times are those of one process of a kernel."""

    def __init__(self, native: _native.Process, numbers: Mapping[str, int], kernel: _native.Kernel) -> None:
        super().__init__(native, numbers)
        self._kernel = kernel
        self._ended = False
        # Files are numbered as they are opened, for those that a restored kernel never had.
        self._files = 0
        self._lost_files: list[range] = []
        # How sockets, polls and epolls of a network's host wait; None: in the kernel.
        self._waiter: Waiter | None = None
        self.path = PathFunctions(self)

    @property
    def closed(self) -> bool:
        """Whether the process or its kernel is gone."""
        return self._ended or self._kernel.closed

    def _lose_files(self, since: int) -> None:
        """The kernel was put back to when so many files had been opened."""
        self._lost_files.append(range(since + 1, self._files + 1))

    def __getattr__(self, name: str) -> Any:
        if name.isupper() or name in _PURE:
            return getattr(os, name)
        raise AttributeError(f"kernel.os has no {name!r}")

    def __repr__(self) -> str:
        return f"<liblinux os of process {self._native.pid}>"
