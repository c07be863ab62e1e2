"""`kernel.os`: extended attributes. Names and arguments are those of `os`; source: xattr(7)."""

from __future__ import annotations

import errno
import os

from liblinux._os_base import Calls, PathOrFd, StrOrBytesPath, decode, encode
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["Xattrs"]

# Most lists and values fit in here at the first attempt.
_FIRST_ATTEMPT_BYTES = 4096


class Xattrs(Calls):
    """Extended attributes of a path, a symbolic link itself, or a descriptor."""

    def getxattr(self, path: PathOrFd, attribute: StrOrBytesPath, *, follow_symlinks: bool = True) -> bytes:
        """The value of an attribute."""
        return self._fetch(path, "getxattr", follow_symlinks, encode(attribute))

    def listxattr(self, path: PathOrFd | None = None, *, follow_symlinks: bool = True) -> list[str]:
        """The names of all attributes; of the working directory without a path."""
        raw = self._fetch("." if path is None else path, "listxattr", follow_symlinks)
        return [decode(name) for name in raw.split(b"\0") if name]

    def setxattr(
        self,
        path: PathOrFd,
        attribute: StrOrBytesPath,
        value: Buffer,
        flags: int = 0,
        *,
        follow_symlinks: bool = True,
    ) -> None:
        """Set an attribute; XATTR_CREATE and XATTR_REPLACE in `flags`."""
        name, target = self._which(path, "setxattr", follow_symlinks)
        self._on(path, name, target, encode(attribute), value, memoryview(value).nbytes, flags)

    def removexattr(self, path: PathOrFd, attribute: StrOrBytesPath, *, follow_symlinks: bool = True) -> None:
        """Remove an attribute."""
        name, target = self._which(path, "removexattr", follow_symlinks)
        self._on(path, name, target, encode(attribute))

    def _fetch(self, path: PathOrFd, call: str, follow_symlinks: bool, *attribute: bytes) -> bytes:
        name, target = self._which(path, call, follow_symlinks)
        size = _FIRST_ATTEMPT_BYTES
        while True:
            buffer = bytearray(size)
            length = self.call(name, target, *attribute, buffer, size)
            if length >= 0:
                return bytes(buffer[:length])
            if length != -errno.ERANGE:
                raise OSError(-length, os.strerror(-length), path)
            # It may grow between asking for the size and fetching it: so, a loop.
            size = self._on(path, name, target, *attribute, None, 0) + _FIRST_ATTEMPT_BYTES

    @staticmethod
    def _which(path: PathOrFd, call: str, follow_symlinks: bool) -> tuple[str, int | bytes]:
        """The name of the system call for this kind of target, and its first argument."""
        if isinstance(path, int):
            if not follow_symlinks:
                raise ValueError(f"{call}: cannot use fd and follow_symlinks together")
            return "f" + call, path
        return (call if follow_symlinks else "l" + call), encode(path)
