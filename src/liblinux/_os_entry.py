"""`kernel.os`: one entry of a directory."""

from __future__ import annotations

import stat as stat_modes

from liblinux import _abi
from liblinux._os_base import blame, encode
from liblinux._os_descriptors import stat_result
from liblinux._typing import TYPE_CHECKING, AnyStr, Generic

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from liblinux import _native

__all__ = ["DirEntry"]


class DirEntry(Generic[AnyStr]):
    """One entry of a directory, with the methods of `os.DirEntry`."""

    __slots__ = ("_dir_fd", "_followed", "_inode", "_native", "_raw", "_type", "name", "path")

    def __init__(
        self,
        native: _native.Process,
        name: AnyStr,
        path: AnyStr,
        inode: int,
        type: int,
        raw: Sequence[int] | None = None,
        dir_fd: int = _abi.AT_FDCWD,
    ) -> None:
        self._native = native
        self.name: AnyStr = name
        self.path: AnyStr = path
        self._inode = inode
        self._type = type
        self._dir_fd = dir_fd
        self._raw = raw  # status of the entry itself, as the native layer gives it
        self._followed: Sequence[int] | None = None

    def __repr__(self) -> str:
        return f"<DirEntry {self.name!r}>"

    def __fspath__(self) -> AnyStr:
        return self.path

    def inode(self) -> int:
        """The inode number."""
        return self._inode

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a directory, or a link to one."""
        return self._is(_abi.DT_DIR, follow_symlinks)

    def is_file(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a regular file, or a link to one."""
        return self._is(_abi.DT_REG, follow_symlinks)

    def is_symlink(self) -> bool:
        """Whether it is a symbolic link."""
        return self._is(_abi.DT_LNK, False)

    def is_junction(self) -> bool:
        """Never: Linux has no junctions."""
        return False

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Status of the entry; asked for once and kept."""
        return stat_result(self._status(follow_symlinks))

    def _is(self, type: int, follow_symlinks: bool) -> bool:
        if self._type != _abi.DT_UNKNOWN and not (follow_symlinks and self._type == _abi.DT_LNK):
            return self._type == type
        try:
            return stat_modes.S_IFMT(self._status(follow_symlinks)[0]) >> 12 == type
        except FileNotFoundError:
            return False

    def _status(self, follow_symlinks: bool) -> Sequence[int]:
        if follow_symlinks and self._type in (_abi.DT_LNK, _abi.DT_UNKNOWN):
            if self._followed is None:
                self._followed = self._ask(True)
            return self._followed
        if self._raw is None:
            self._raw = self._ask(False)
        return self._raw

    def _ask(self, follow_symlinks: bool) -> Sequence[int]:
        try:
            return self._native.stat(encode(self.path), dir_fd=self._dir_fd, follow_symlinks=follow_symlinks)
        except OSError as error:
            blame(error, self.path)
