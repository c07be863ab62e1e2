"""`kernel.os`: directories and whole trees."""

from __future__ import annotations

import errno
import os
import stat as stat_modes

from liblinux import _abi
from liblinux._listing import Tree
from liblinux._os_base import PathOrFd, StrOrBytesPath, blame, decode, encode
from liblinux._os_descriptors import Descriptors
from liblinux._os_entry import DirEntry
from liblinux._os_paths import Paths
from liblinux._typing import TYPE_CHECKING, AnyStr, Generic, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Self


__all__ = ["ScandirIterator", "Trees"]


class ScandirIterator(Generic[AnyStr]):
    """What scandir returns: an iterator that is also a context manager."""

    def __init__(self, entries: Iterator[DirEntry[AnyStr]]) -> None:
        self._entries: Iterator[DirEntry[AnyStr]] = entries

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> DirEntry[AnyStr]:
        return next(self._entries)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget the entries that are left."""
        self._entries = iter(())


class Trees(Descriptors, Paths):
    """Functions over directories and trees."""

    @overload
    def listdir(self, path: bytes | os.PathLike[bytes]) -> list[bytes]: ...
    @overload
    def listdir(self, path: int | str | os.PathLike[str] = ...) -> list[str]: ...
    def listdir(self, path: PathOrFd = ".") -> list[str] | list[bytes]:
        """The names in a directory, without "." and ".."."""
        entries = self._entries(path)
        if _wants_bytes(path):
            return [entry[0] for entry in entries]
        return [decode(entry[0]) for entry in entries]

    @overload
    def scandir(self, path: bytes | os.PathLike[bytes]) -> ScandirIterator[bytes]: ...
    @overload
    def scandir(self, path: int | str | os.PathLike[str] = ...) -> ScandirIterator[str]: ...
    def scandir(self, path: PathOrFd = ".") -> ScandirIterator[str] | ScandirIterator[bytes]:
        """The entries of a directory, with their types; see :class:`DirEntry`."""
        native = self._native
        entries = self._entries(path)
        if isinstance(path, int):
            return ScandirIterator(
                DirEntry(native, text, text, inode, type, dir_fd=path)
                for text, inode, type in ((decode(name), inode, type) for name, inode, type in entries)
            )
        top = os.fspath(path)
        if isinstance(top, bytes):
            prefix = top if top.endswith(b"/") or not top else top + b"/"
            return ScandirIterator(DirEntry(native, name, prefix + name, inode, type) for name, inode, type in entries)
        start = top if top.endswith("/") or not top else top + "/"
        return ScandirIterator(
            DirEntry(native, text, start + text, inode, type)
            for text, inode, type in ((decode(name), inode, type) for name, inode, type in entries)
        )

    def walk(
        self,
        top: AnyStr | os.PathLike[AnyStr],
        topdown: bool = True,
        onerror: Callable[[OSError], object] | None = None,
        followlinks: bool = False,
    ) -> Iterator[tuple[AnyStr, list[AnyStr], list[AnyStr]]]:
        """Directory by directory: (path, names of directories, names of the rest), as `os.walk`."""
        path: AnyStr = os.fspath(top)
        try:
            entries: list[DirEntry[AnyStr]] = list(self.scandir(path))
        except OSError as error:
            if onerror is not None:
                onerror(error)
            return
        directories = [entry.name for entry in entries if entry.is_dir()]
        rest = [entry.name for entry in entries if not entry.is_dir()]
        if topdown:
            yield path, directories, rest
        for name in directories:
            below: AnyStr = os.path.join(path, name)
            if followlinks or not self._is_link(below):
                yield from self.walk(below, topdown, onerror, followlinks)
        if not topdown:
            yield path, directories, rest

    def fwalk(
        self,
        top: StrOrBytesPath = ".",
        topdown: bool = True,
        onerror: Callable[[OSError], object] | None = None,
        *,
        follow_symlinks: bool = False,
        dir_fd: int | None = None,
    ) -> Iterator[tuple[str, list[str], list[str], int]]:
        """Like walk, with an open descriptor of each directory, valid until the next step."""
        path = decode(encode(top))
        flags = os.O_RDONLY | os.O_DIRECTORY | (0 if follow_symlinks else os.O_NOFOLLOW)
        try:
            descriptor = self.open(path, flags, dir_fd=dir_fd)
        except OSError as error:
            if onerror is not None:
                onerror(error)
            return
        try:
            entries = list(self.scandir(descriptor))
            directories = [entry.name for entry in entries if entry.is_dir()]
            rest = [entry.name for entry in entries if not entry.is_dir()]
            if topdown:
                yield path, directories, rest, descriptor
            for name in directories:
                for step in self.fwalk(name, topdown, onerror, follow_symlinks=follow_symlinks, dir_fd=descriptor):
                    yield (os.path.join(path, step[0]), *step[1:])
            if not topdown:
                yield path, directories, rest, descriptor
        finally:
            self.close(descriptor)

    @overload
    def scantree(
        self,
        top: bytes | os.PathLike[bytes],
        *,
        follow_mounts: bool = ...,
        onerror: Callable[[OSError], object] | None = ...,
    ) -> Tree[bytes]: ...
    @overload
    def scantree(
        self,
        top: str | os.PathLike[str],
        *,
        follow_mounts: bool = ...,
        onerror: Callable[[OSError], object] | None = ...,
    ) -> Tree[str]: ...
    def scantree(
        self,
        top: StrOrBytesPath,
        *,
        follow_mounts: bool = True,
        onerror: Callable[[OSError], object] | None = None,
    ) -> Tree[str] | Tree[bytes]:
        """A whole tree with the status of every entry, in one call into the kernel.

        The counterpart to walk() followed by lstat() of everything, some ten
        times faster: Python is entered once, and `entry.stat(
        follow_symlinks=False)` needs no system call any more. The result is a
        sequence of entries; its `column("st_size")` is one number of all of them
        at once. `entry.name` is the path below `top`, `entry.path` has `top`
        before it; directories come before their content. With follow_mounts=False other file systems that
        are mounted below are left out.

        An unreadable directory raises its OSError, unless `onerror` is given:
        then it is called with each error and the rest is returned.
        """
        native = self._native
        try:
            found, errors = native.walk(encode(top), follow_mounts=follow_mounts)
        except OSError as error:
            blame(error, top)
        for relative, number in errors:
            problem = OSError(number, os.strerror(number), os.path.join(encode(top), relative))
            if not _wants_bytes(top):
                problem.filename = decode(problem.filename)
            if onerror is None:
                raise problem
            onerror(problem)
        return Tree(native, found, os.path.join(encode(top), b""), text=not _wants_bytes(top))

    def makedirs(self, name: StrOrBytesPath, mode: int = 0o777, exist_ok: bool = False) -> None:
        """Create a directory and those above it that are missing."""
        raw = encode(name)
        error = -self.call("mkdirat", _abi.AT_FDCWD, raw, mode)
        head, tail = os.path.split(raw.rstrip(b"/"))
        if error == errno.ENOENT and head and tail:
            self.makedirs(head, exist_ok=True)
            error = -self.call("mkdirat", _abi.AT_FDCWD, raw, mode)
        if error and not (exist_ok and self._is_directory(raw)):
            raise OSError(error, os.strerror(error), name)

    def removedirs(self, name: StrOrBytesPath) -> None:
        """Remove an empty directory, and those above it as long as they are empty."""
        self.rmdir(name)
        head, tail = os.path.split(encode(name).rstrip(b"/"))
        while head and tail:
            if self.call("unlinkat", _abi.AT_FDCWD, head, _abi.AT_REMOVEDIR) < 0:
                break
            head, tail = os.path.split(head)

    def renames(self, old: StrOrBytesPath, new: StrOrBytesPath) -> None:
        """Rename, creating the directories that `new` needs and removing those that `old` leaves empty."""
        head, tail = os.path.split(encode(new))
        if head and tail and not self._is_directory(head):
            self.makedirs(head)
        self.rename(old, new)
        head, tail = os.path.split(encode(old))
        if head and tail:
            try:  # noqa: SIM105 - contextlib is slow to import
                self.removedirs(head)
            except OSError:
                pass  # not empty: renamed all the same, as os.renames has it

    def _entries(self, path: PathOrFd) -> list[tuple[bytes, int, int]]:
        try:
            return self._native.listdir(path if isinstance(path, int) else encode(path))
        except OSError as error:
            blame(error, path)

    def _is_directory(self, path: bytes) -> bool:
        try:
            return stat_modes.S_ISDIR(self._native.stat(path)[0])
        except OSError:
            return False

    def _is_link(self, path: StrOrBytesPath) -> bool:
        try:
            return stat_modes.S_ISLNK(self._native.stat(encode(path), follow_symlinks=False)[0])
        except OSError:
            return False


def _wants_bytes(path: PathOrFd) -> bool:
    return not isinstance(path, int) and isinstance(os.fspath(path), bytes)
