"""`kernel.os.path`: the questions of `os.path` asked of a kernel of our own.

What only computes with names (join, basename, splitext, ...) is the standard
library's `posixpath` itself.
"""

from __future__ import annotations

import os
import posixpath
import stat as stat_modes

from liblinux._errors import KernelClosed
from liblinux._os_base import PathOrFd, StrOrBytesPath, encode, like
from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liblinux._os_tree import Trees

__all__ = ["PathFunctions"]

_PURE = frozenset(
    {
        "basename",
        "commonpath",
        "commonprefix",
        "dirname",
        "isabs",
        "join",
        "normcase",
        "normpath",
        "samestat",
        "sep",
        "split",
        "splitdrive",
        "splitext",
        "splitroot",
    }
)
# As many links as the kernel itself follows before it says ELOOP.
_MOST_LINKS = 40


class PathFunctions:
    """Questions about paths."""

    def __init__(self, files: Trees) -> None:
        self._files = files

    def __getattr__(self, name: str) -> Any:
        if name in _PURE:
            return getattr(posixpath, name)
        raise AttributeError(f"kernel.os.path has no {name!r}")

    def exists(self, path: PathOrFd) -> bool:
        """Whether the path leads to something."""
        return self._mode(path) is not None

    def lexists(self, path: StrOrBytesPath) -> bool:
        """Whether there is such a name, even if it is a broken link."""
        return self._mode(path, follow_symlinks=False) is not None

    def isdir(self, path: PathOrFd) -> bool:
        """Whether it is a directory, or a link to one."""
        return stat_modes.S_ISDIR(self._mode(path) or 0)

    def isfile(self, path: PathOrFd) -> bool:
        """Whether it is a regular file, or a link to one."""
        return stat_modes.S_ISREG(self._mode(path) or 0)

    def islink(self, path: StrOrBytesPath) -> bool:
        """Whether it is a symbolic link."""
        return stat_modes.S_ISLNK(self._mode(path, follow_symlinks=False) or 0)

    def ismount(self, path: StrOrBytesPath) -> bool:
        """Whether a file system is mounted there."""
        try:
            here = self._files.lstat(path)
            above = self._files.lstat(os.path.join(encode(path), b".."))
        except KernelClosed:  # a ValueError, as the path with a null byte below
            raise
        except (OSError, ValueError):
            return False
        if stat_modes.S_ISLNK(here.st_mode):
            return False
        return here.st_dev != above.st_dev or here.st_ino == above.st_ino

    def getsize(self, path: PathOrFd) -> int:
        """Size in bytes."""
        return self._files.stat(path).st_size

    def getatime(self, path: PathOrFd) -> float:
        """Time of the last access, in seconds."""
        return self._files.stat(path).st_atime

    def getmtime(self, path: PathOrFd) -> float:
        """Time of the last modification, in seconds."""
        return self._files.stat(path).st_mtime

    def getctime(self, path: PathOrFd) -> float:
        """Time of the last change of status, in seconds."""
        return self._files.stat(path).st_ctime

    def samefile(self, first: PathOrFd, second: PathOrFd) -> bool:
        """Whether two paths lead to the same file."""
        return posixpath.samestat(self._files.stat(first), self._files.stat(second))

    def abspath(self, path: StrOrBytesPath) -> str | bytes:
        """The path from the root, by the working directory of the process."""
        return like(path, os.path.normpath(os.path.join(self._files.getcwdb(), encode(path))))

    def realpath(self, path: StrOrBytesPath, *, strict: bool = False) -> str | bytes:
        """The path without symbolic links; with `strict` it must exist."""
        resolved = self._resolve(encode(path))
        if strict:
            self._files.stat(resolved)
        return like(path, resolved)

    def _resolve(self, path: bytes) -> bytes:
        done = b"/"
        todo = os.path.join(self._files.getcwdb(), path).split(b"/")[::-1]
        links = 0
        while todo:
            name = todo.pop()
            if name in (b"", b"."):
                continue
            candidate = os.path.dirname(done) if name == b".." else os.path.join(done, name)
            if name != b".." and links < _MOST_LINKS and self.islink(candidate):
                links += 1
                target = self._files.readlink(candidate)
                done = b"/" if target.startswith(b"/") else done
                todo.extend(target.split(b"/")[::-1])
            else:
                done = candidate
        return done

    def _mode(self, path: PathOrFd, *, follow_symlinks: bool = True) -> int | None:
        try:
            return self._files.stat(path, follow_symlinks=follow_symlinks).st_mode
        except KernelClosed:
            raise
        except (OSError, ValueError):
            return None
