"""Writing entries as a tree, through an `os`-shaped namespace.

Nothing is written through a symbolic link: what is above an entry must have been made
here as a directory. Directories get their attributes last, so that neither their
times nor what their content would inherit (groups, ACLs) go wrong. What the file
system did not keep without saying so is found by looking at the whole tree in the end.
"""

from __future__ import annotations

import errno
import os
import stat

from liblinux._typing import TYPE_CHECKING, Any
from liblinux.archives._entry import SECOND, Entry
from liblinux.archives._errors import ArchiveError
from liblinux.archives._lost import ANOTHER_VALUE

if TYPE_CHECKING:
    from collections.abc import Callable

    from liblinux.archives._lost import Losses

__all__ = ["TreeWriter", "remove_tree"]

_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_NEW_DIRECTORY_MODE = 0o700  # until it is complete
_IMPLIED = stat.S_IFDIR | 0o755
_CANNOT = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EACCES)
_OWNER_REFUSED = (*_CANNOT, errno.EINVAL, errno.EOVERFLOW)
_XATTR_REFUSED = (*_CANNOT, errno.EINVAL, errno.ERANGE, errno.E2BIG)
_NO_NUMBER = (errno.EINVAL, errno.EOVERFLOW)
_BAD_NAME = (errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG)
_ROOM_BYTES = 1 << 20  # as long as there is so much, ENOSPC of an attribute is about its own size
_SPECIAL = {
    stat.S_IFLNK: "symbolic links",
    stat.S_IFCHR: "device nodes",
    stat.S_IFBLK: "device nodes",
    stat.S_IFIFO: "pipes",
    stat.S_IFSOCK: "sockets",
}


class TreeWriter:
    """Writes entries below the directory `top`; `finish()` completes it.

    `written` is called with the bytes of content as they are written.
    """

    def __init__(self, system: Any, top: bytes, losses: Losses, written: Callable[[int], object] | None = None) -> None:
        self._system = system
        self._top = top.rstrip(b"/")
        self._losses = losses
        self._written = written or (lambda _: None)
        self._kinds: dict[bytes, int] = {b"": stat.S_IFDIR}
        self.directories: dict[bytes, Entry] = {}
        self._expected: dict[bytes, tuple[int, int, int, int | None]] = {}
        self._owner = (system.geteuid(), system.getegid())
        self._umask = system.umask(0)
        self.implied: set[bytes] = set()

    def add(self, entry: Entry) -> None:
        """Write one entry. OSError with its path, ArchiveError for one that would go astray."""
        path = entry.path
        kind = stat.S_IFMT(entry.mode)
        self._make_room(entry, kind)
        whole = self._top + b"/" + path
        try:
            made = self._create(entry, kind, whole)
        except OSError as error:
            raise self._explained(error, entry) from None
        if made:
            self._kinds[path] = kind if entry.same_as is None else stat.S_IFREG
            if kind != stat.S_IFDIR and entry.same_as is None:
                self._expected[path] = (entry.mode, entry.uid, entry.gid, entry.mtime)

    def finish(self) -> None:
        """Give directories their attributes, and see what was not kept."""
        for path in sorted(self.directories, reverse=True):
            entry = self.directories[path]
            whole = self._top + b"/" + path
            self.dress(whole, entry)
            self._expected[path] = (entry.mode, entry.uid, entry.gid, entry.mtime)
        self._system.umask(self._umask)
        self._compare()

    def abandon(self) -> None:
        """Leave it as it is."""
        self._system.umask(self._umask)

    # ---- what is made

    def _make_room(self, entry: Entry, kind: int) -> None:
        """The directory above must be one, and what had the same name goes."""
        path = entry.path
        above = path.rpartition(b"/")[0]
        if self._kinds.get(above) != stat.S_IFDIR:
            self._imply(above, entry)
        before = self._kinds.get(path)
        if before is None or (before == kind == stat.S_IFDIR):
            return
        if before == stat.S_IFDIR:
            if any(other.startswith(path + b"/") for other in self._kinds):
                raise ArchiveError(f"the archive holds {entry.name} as a directory with files in it, and as a file")
            self._system.rmdir(self._top + b"/" + path)
            self.directories.pop(path, None)
        else:
            self._system.unlink(self._top + b"/" + path)
            self._expected.pop(path, None)
        del self._kinds[path]

    def _imply(self, path: bytes, entry: Entry) -> None:
        """A directory that the archive does not hold, only what is in it."""
        if path in self._kinds:
            raise ArchiveError(
                f"the archive is refused: {entry.name} goes through {os.fsdecode(path)}, which is no directory in it"
            )
        self.add(Entry(path, _IMPLIED, *self._owner, entry.mtime))
        self.implied.add(path)

    def _create(self, entry: Entry, kind: int, whole: bytes) -> bool:
        """Make it; False when the file system cannot hold it."""
        if entry.same_as is not None:
            return self._link(entry, whole)
        if kind == stat.S_IFREG:
            self._file(entry, whole)
            return True
        if kind == stat.S_IFDIR:
            self._directory(entry, whole)
            return True
        try:
            if kind == stat.S_IFLNK:
                self._system.symlink(entry.link, whole)
            else:
                self._system.mknod(whole, kind | 0o600, entry.rdev)
        except OSError as error:
            if error.errno in _CANNOT:
                self._losses.add(_SPECIAL[kind], os.strerror(error.errno), entry)
                return False
            if error.errno in _NO_NUMBER and kind in (stat.S_IFCHR, stat.S_IFBLK):
                self._losses.add(_SPECIAL[kind], "numbers as large as theirs cannot be held", entry)
                return False
            raise
        self._set_attributes(whole, entry, self._owner, 0o600)
        return True

    def _directory(self, entry: Entry, whole: bytes) -> None:
        if entry.path and entry.path not in self._kinds:
            try:
                self._system.mkdir(whole, _NEW_DIRECTORY_MODE)
            except FileExistsError:
                # lost+found of a fresh file system.
                if not stat.S_ISDIR(self._system.lstat(whole).st_mode):
                    raise
        self.directories[entry.path] = entry

    def _file(self, entry: Entry, whole: bytes) -> None:
        system = self._system
        mode = entry.mode & 0o7777
        descriptor = system.open(whole, _FILE_FLAGS, mode)
        try:
            end = 0
            for offset, data in entry.data():
                self._write(descriptor, data, offset)
                end = offset + len(data)
                self._written(len(data))
            if end != entry.size:
                system.ftruncate(descriptor, entry.size)
            self._set_attributes(descriptor, entry, self._owner, mode)
        finally:
            system.close(descriptor)

    def _write(self, descriptor: int, data: bytes, offset: int) -> None:
        done = self._system.pwrite(descriptor, data, offset)
        while done < len(data):
            count = self._system.pwrite(descriptor, memoryview(data)[done:], offset + done)
            if not count:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            done += count

    def _link(self, entry: Entry, whole: bytes) -> bool:
        first = entry.same_as or b""
        if first not in self._kinds:
            raise ArchiveError(f"{entry.name} is another name of {os.fsdecode(first)}, which is not in the archive")
        try:
            self._system.link(self._top + b"/" + first, whole, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (*_CANNOT, errno.EMLINK):
                raise
            self._losses.add("hard links (they are files of their own now)", os.strerror(error.errno), entry)
            self._copy(first, entry.path)
        return True

    def _copy(self, first: bytes, path: bytes) -> None:
        source = self._top + b"/" + first
        status = self._system.lstat(source)
        copy = Entry(path, status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns, status.st_size)
        with_content = self._system.open(source, os.O_RDONLY | os.O_NOFOLLOW)
        try:

            def pieces() -> Any:
                offset = 0
                while data := self._system.pread(with_content, 1 << 20, offset):
                    yield offset, data
                    offset += len(data)

            copy.data = pieces
            self._file(copy, self._top + b"/" + path)
        finally:
            self._system.close(with_content)

    # ---- its attributes

    def dress(self, path: bytes, entry: Entry) -> None:
        """Give what is at `path` all attributes of an entry."""
        self._set_attributes(path, entry, (-1, -1), -1)

    def _set_attributes(self, target: int | bytes, entry: Entry, owner: tuple[int, int], mode: int) -> None:
        """Set all; `owner` and `mode` are what it has already. Setting the owner takes bits of the mode away."""
        system = self._system
        link = stat.S_ISLNK(entry.mode)
        options = {} if isinstance(target, int) else {"follow_symlinks": False}
        if (entry.uid, entry.gid) != owner:
            try:
                system.chown(target, entry.uid, entry.gid, **options)
            except OSError as error:
                if error.errno not in _OWNER_REFUSED:
                    raise
            if entry.mode & 0o6000:
                mode = -1
        wanted = entry.mode & 0o7777
        if not link and wanted != mode:
            try:
                system.chmod(target, wanted)
            except OSError as error:
                if error.errno not in _OWNER_REFUSED:
                    raise
        for name, value in entry.xattrs.items():
            self._set_xattr(target, entry, name, value, options)
        if entry.mtime is not None:
            self._set_time(target, entry.mtime, options)

    def _set_xattr(self, target: int | bytes, entry: Entry, name: str, value: bytes, options: dict[str, bool]) -> None:
        try:
            self._system.setxattr(target, name, value, **options)
        except OSError as error:
            if error.errno not in _XATTR_REFUSED and not (error.errno == errno.ENOSPC and self._has_room()):
                raise
            what = "access control lists" if name.startswith("system.posix_acl") else f"extended attribute {name}"
            self._losses.add(what, os.strerror(error.errno), entry)

    def _set_time(self, target: int | bytes, time: int, options: dict[str, bool]) -> None:
        try:
            self._system.utime(target, ns=(time, time), **options)
        except OSError as error:
            if error.errno not in _OWNER_REFUSED:
                raise

    def _has_room(self) -> bool:
        status = self._system.statvfs(self._top or b"/")
        return bool(status.f_bavail * status.f_frsize > _ROOM_BYTES)

    # ---- what became of it

    def _compare(self) -> None:
        """Find what the file system took without an error and did not keep."""
        system = self._system
        top = self._top or b"/"
        if not hasattr(system, "scantree"):
            for path, wanted in self._expected.items():
                status = system.lstat(self._top + b"/" + path)
                self._compare_one(path, wanted, (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns))
            return
        found = {path: (raw[0], raw[4], raw[5], raw[8]) for path, raw in system.scantree(top)._listing}
        status = system.stat(top)
        found[b""] = (status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns)
        for path, wanted in self._expected.items():
            kept = found.get(path)
            if kept is None:
                # It folds cases, or has no such letters: then two of the tree may be one now.
                self._losses.add("names", ANOTHER_VALUE, os.fsdecode(path))
            elif kept != wanted:
                self._compare_one(path, wanted, kept)

    def _compare_one(
        self, path: bytes, wanted: tuple[int, int, int, int | None], kept: tuple[int, int, int, int]
    ) -> None:
        name = os.fsdecode(path) or "./"
        if wanted[1:3] != kept[1:3]:
            self._losses.add("owners", ANOTHER_VALUE, name)
        if wanted[0] != kept[0] and not stat.S_ISLNK(wanted[0]) and not self._mode_set(path, wanted[0]):
            self._losses.add("modes", ANOTHER_VALUE, name)
        if wanted[3] is not None and wanted[3] != kept[3]:
            near = abs(wanted[3] - kept[3]) <= 2 * SECOND
            self._losses.add("times", "the target rounds them" if near else ANOTHER_VALUE, name)

    def _mode_set(self, path: bytes, mode: int) -> bool:
        """Set a mode that open() was given and did not heed, as that of FAT; whether it is there then."""
        whole = self._top + b"/" + path
        try:
            self._system.chmod(whole, mode & 0o7777)
        except OSError as error:
            if error.errno not in _OWNER_REFUSED:
                raise
        return bool(self._system.lstat(whole).st_mode == mode)

    def _explained(self, error: OSError, entry: Entry) -> OSError:
        if error.errno in _BAD_NAME:
            what = "the name, or what the link says" if stat.S_ISLNK(entry.mode) else "the name"
            return OSError(error.errno, f"this file system cannot hold {what}", entry.name)
        if error.errno == errno.EEXIST:
            folded = entry.path.lower()
            other = next((os.fsdecode(path) for path in self._kinds if path.lower() == folded), "another")
            return OSError(error.errno, f"to this file system its name is that of {other}", entry.name)
        return OSError(error.errno, os.strerror(error.errno or 0), entry.name)


def remove_tree(system: Any, top: bytes) -> None:
    """Remove a directory and all below; what is not there is no error."""
    try:
        entries = list(system.scandir(top))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            remove_tree(system, entry.path)
        else:
            system.unlink(entry.path)
    system.rmdir(top)
