"""Entries of a tree: read through an `os`-shaped namespace, a kernel's or the host's own."""

from __future__ import annotations

import errno
import os
import stat

from liblinux._typing import TYPE_CHECKING, Any
from liblinux.archives._acl import ACL_ACCESS, ACL_DEFAULT
from liblinux.archives._entry import Entry, no_data

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from liblinux.archives._choice import Choice

__all__ = ["read_tree"]

_PIECE_BYTES = 1 << 20
_SECTOR_BYTES = 512
# Views of what has a place of its own: XFS shows ACLs a second time, NTFS its attributes
# (its owner and mode are in $LXUID, $LXGID, $LXMOD and $LXDEV, as the Linux of Windows has them).
_VIEWS = ("system.", "trusted.SGI_ACL_", "$LX")
_ACLS = (ACL_ACCESS, ACL_DEFAULT)
_NO_XATTRS = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EPERM, errno.EACCES, errno.ENODATA)


def read_tree(system: Any, top: str | bytes, choice: Choice | None = None, *, xattrs: bool = True) -> Iterator[Entry]:
    """All entries below a directory, and the directory itself first as b""; sorted by their paths.

    `system` is `os` or has its functions. A file gives one entry, by its last name.
    Of files with several names the first is the file, the others say `same_as`.
    Other file systems mounted below are left out. Raises OSError.
    """
    start = os.fsencode(top)
    reader = _Reader(system, start.rstrip(b"/"), xattrs=xattrs)
    status = system.stat(start or b"/")
    if not stat.S_ISDIR(status.st_mode):
        name = start.rstrip(b"/").rpartition(b"/")[2]
        reader = _Reader(system, start.rstrip(b"/")[: -len(name) - 1], xattrs=xattrs)
        yield reader.entry(name, _raw(status))
        return
    yield reader.entry(b"", _raw(status))
    listing = _listed_by_kernel if hasattr(system, "scantree") else _listed_by_host
    for path, raw in sorted(listing(system, start, status.st_dev)):
        if choice is None or choice.wants(path):
            yield reader.entry(path, raw)


# mode, inode, device, number of names, uid, gid, size, mtime, sectors, rdev
_Raw = tuple[int, int, int, int, int, int, int, int, int, int]


def _raw(status: os.stat_result) -> _Raw:
    return (
        status.st_mode,
        status.st_ino,
        status.st_dev,
        status.st_nlink,
        status.st_uid,
        status.st_gid,
        status.st_size,
        status.st_mtime_ns,
        status.st_blocks,
        status.st_rdev,
    )


def _listed_by_kernel(system: Any, top: bytes, device: int) -> Iterator[tuple[bytes, _Raw]]:
    """In one call."""
    for path, status in system.scantree(top, follow_mounts=False)._listing:
        mode, inode, device, names, uid, gid, size, _, mtime, _, _, sectors, rdev, _, _ = status
        yield path, (mode, inode, device, names, uid, gid, size, mtime, sectors, rdev)


def _listed_by_host(system: Any, top: bytes, device: int) -> Iterator[tuple[bytes, _Raw]]:
    waiting = [b""]
    while waiting:
        directory = waiting.pop()
        with system.scandir(os.path.join(top, directory)) as entries:
            for entry in entries:
                path = os.path.join(directory, entry.name)
                status = entry.stat(follow_symlinks=False)
                if status.st_dev != device:
                    continue
                yield path, _raw(status)
                if stat.S_ISDIR(status.st_mode):
                    waiting.append(path)


class _Reader:
    """Makes entries of what was listed."""

    def __init__(self, system: Any, top: bytes, *, xattrs: bool) -> None:
        self._system = system
        self._top = top
        self._names: dict[tuple[int, int], bytes] = {}
        self._xattrs = _lister(system) if xattrs else None

    def entry(self, path: bytes, raw: _Raw) -> Entry:
        mode, inode, device, names, uid, gid, size, mtime, sectors, rdev = raw
        whole = self._top + b"/" + path
        kind = mode & 0o170000
        entry = Entry(path, mode, uid, gid, mtime, names=names)
        if names > 1 and kind != stat.S_IFDIR:
            first = self._names.setdefault((device, inode), path)
            if first != path:
                entry.same_as = first
                return entry
        if self._xattrs is not None:
            listed = self._xattrs(whole)
            if listed:
                entry.xattrs = self._values(whole, listed)
        if kind == stat.S_IFREG:
            entry.size = size
            if sectors * _SECTOR_BYTES < size:
                entry.extents = _extents(self._system, whole, size)
            entry.data = self._content(whole, size, entry.extents) if size else no_data
        elif kind == stat.S_IFLNK:
            entry.link = self._system.readlink(whole)
        elif kind in (stat.S_IFCHR, stat.S_IFBLK):
            entry.rdev = rdev
        return entry

    def _values(self, path: bytes, names: list[str]) -> dict[str, bytes]:
        return {
            name: self._system.getxattr(path, name, follow_symlinks=False)
            for name in names
            if name in _ACLS or not name.startswith(_VIEWS)
        }

    def _content(
        self, path: bytes, size: int, extents: list[tuple[int, int]] | None
    ) -> Callable[[], Iterator[tuple[int, bytes]]]:
        def pieces() -> Iterator[tuple[int, bytes]]:
            system = self._system
            descriptor = system.open(path, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                if extents is None and size < _PIECE_BYTES:
                    # More than promised is one byte more, for the writer to see it.
                    yield 0, system.read(descriptor, size + 1)
                    return
                for start, length in extents if extents is not None else [(0, size)]:
                    position, end = start, start + length
                    while position < end and (
                        data := system.pread(descriptor, min(_PIECE_BYTES, end - position), position)
                    ):
                        yield position, data
                        position += len(data)
            finally:
                system.close(descriptor)

        return pieces


def _extents(system: Any, path: bytes, size: int) -> list[tuple[int, int]] | None:
    """Where the data of a file is; None when it has no holes, as compressed ones and those in their inodes."""
    descriptor = system.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        extents = []
        position = 0
        while position < size:
            try:
                start = system.lseek(descriptor, position, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    break  # nothing but a hole
                raise
            position = system.lseek(descriptor, start, os.SEEK_HOLE)
            extents.append((start, min(position, size) - start))
    finally:
        system.close(descriptor)
    return None if extents == [(0, size)] else extents


def _lister(system: Any) -> Callable[[bytes], list[str]]:
    """Names of a path's extended attributes; for a kernel with the fewest steps, since most files have none."""
    if not hasattr(system, "scantree"):

        def of_host(path: bytes) -> list[str]:
            try:
                names: list[str] = system.listxattr(path, follow_symlinks=False)
            except OSError as error:
                if error.errno in _NO_XATTRS:
                    return []
                raise
            return names

        return of_host
    call, number, buffer = system._raw_call, system._numbers["llistxattr"], bytearray(4096)

    def of_kernel(path: bytes) -> list[str]:
        length = call(number, path, buffer, len(buffer))
        if not length or -length in _NO_XATTRS:
            return []
        if length == -errno.ERANGE:
            longer: list[str] = system.listxattr(path, follow_symlinks=False)
            return longer
        if length < 0:
            raise OSError(-length, os.strerror(-length), path)
        return [os.fsdecode(name) for name in bytes(buffer[:length]).split(b"\0") if name]

    return of_kernel
