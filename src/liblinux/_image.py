"""`liblinux.open_image`: a disk image as a file system of fsspec.

An image has a kernel of its own. Everything is done by a process of that kernel
whose root directory is the image's (chroot(2)), so a link of the image leads to a
place in the image, wherever it says that it leads: an absolute one too, and one
with any number of "..". Device nodes are not opened (nodev), pipes are not waited
for. What fsspec has no words for is in `image.os`, in the same process.

Symbolic links are what they are in listings (type "link"), and are followed where
a content is asked for: open, cat, get, size, exists, isfile, isdir.
"""

from __future__ import annotations

import errno
import os
import stat as stat_modes
import struct
from datetime import UTC, datetime, timedelta
from glob import has_magic
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import fsspec
from fsspec.utils import stringify_path

from liblinux import _abi
from liblinux._image_file import ImageFile, open_image_file
from liblinux._image_root import MOUNTED, UNTRUSTED_CPU_SECONDS, ImageRoot
from liblinux._os_base import encode
from liblinux._remote import open_remote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from liblinux._os import Os
    from liblinux.volumes import Passphrase

__all__ = ["ImageFileSystem", "open_image"]

COPY_BYTES = 1 << 26
READ_BYTES = 1 << 22

_MODES = {"r": False, "rb": False, "r+": True, "r+b": True, "rw": True}
_KINDS = {stat_modes.S_IFREG: "file", stat_modes.S_IFDIR: "directory", stat_modes.S_IFLNK: "link"}
# struct statx: what is known, and the time of birth.
_STATX_BYTES = 256
_STATX_BTIME = 0x800
_STATX_MASK = struct.Struct("=I")
_STATX_BIRTH = struct.Struct("=80xqI")
_NO_COPY_IN_KERNEL = (errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS)

_File = TypeVar("_File", bound=ImageFile)


class _Given:
    """A source that is not a path. fsspec hashes the text of all arguments, and that of a disk of bytes is long."""

    def __init__(self, source: object) -> None:
        self.source = source


def open_image(
    source: Any,
    mode: Literal["r", "r+", "rw"] = "r",
    partition: int | str | None = None,
    untrusted: bool = False,
    *,
    volume: str | None = None,
    passphrase: Passphrase = None,
    members: Sequence[Any] = (),
    format: str | None = None,
    backing: Iterable[str | os.PathLike[str]] = (),
    type: str | None = None,
    options: str = "",
    sector_size: int = 512,
    version: str | None = None,
    memory: int | str = "64M",
    overlay: bool | None = None,
    cpu_seconds: int = UNTRUSTED_CPU_SECONDS,
    auto_mkdir: bool = False,
) -> ImageFileSystem:
    """Open a disk image as a file system of fsspec; use it in a `with` statement, or close() it.

    `source` is whatever :meth:`Kernel.attach` takes: a path, a bytes-like object,
    a file object, a device object; or a URL of another file system of fsspec. What
    is in a qcow2, VMDK, VDI, gzip, bzip2, xz or zstd file is told by its content, or
    said by `format` ("raw": the bytes of the disk); it is only read. Other files that
    such an image is made of must be in its own directory or below, or in one of the
    directories `backing`. With mode "r" nothing is written to it, and
    writing is refused (EROFS); a journal that was not replayed is replayed in
    memory. "r+" (or "rw") reads and writes. `partition`, `type` and `options` are
    those of :meth:`Kernel.mount`, `sector_size` of :meth:`Kernel.attach`, `version`
    and `memory` of :class:`Kernel`.

    `volume` is a logical volume ("vg/lv"), an md array ("md0", its name or UUID), or
    the UUID or label of anything on them. LVM and md are assembled by themselves;
    other images that have a part of them are `members`. `passphrase` opens LUKS
    volumes: text, bytes, or a function that is asked when it is needed and told for
    what.

    `untrusted=True` reads it in an isolated kernel, which the host ends after
    `cpu_seconds` of processor time. `overlay` says whether what the kernel writes
    stays in memory; by default in mode "r". False there leaves a journal as it is,
    which most file systems then refuse to mount; True with "r+" gives an image
    that can be changed and is as before afterwards. `auto_mkdir=True` makes the
    directories above a file that is written.

    Raises ValueError for another mode, FormatError and VolumeError, and what
    Kernel(), attach() and mount() raise: MountError among others. Its methods raise OSError as the kernel does,
    KernelPanic or KernelDied when the image was too much for it, KernelClosed
    after close().
    """
    return ImageFileSystem(
        source if isinstance(source, str | os.PathLike) else _Given(source),
        mode,
        partition,
        untrusted,
        volume=volume,
        passphrase=passphrase,
        members=members,
        format=format,
        backing=backing,
        type=type,
        options=options,
        sector_size=sector_size,
        version=version,
        memory=memory,
        overlay=overlay,
        cpu_seconds=cpu_seconds,
        auto_mkdir=auto_mkdir,
    )


class ImageFileSystem(fsspec.AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """The file system of :func:`open_image`, and of fsspec's protocol "liblinux".

    Attributes: `kernel`, the :class:`Kernel` that reads the image; `root`, where
    it is mounted there; `disk`, the :class:`Disk`; `os`, the functions of `os` with
    the image as "/".
    """

    protocol = "liblinux"
    root_marker = "/"
    cachable = False  # it is closed by one, and would be closed for all

    def __init__(
        self,
        fo: Any = None,
        mode: str = "r",
        partition: int | str | None = None,
        untrusted: bool = False,
        *,
        image: Any = None,
        volume: str | None = None,
        passphrase: Passphrase = None,
        members: Sequence[Any] = (),
        format: str | None = None,
        backing: Iterable[str | os.PathLike[str]] = (),
        type: str | None = None,
        options: str = "",
        sector_size: int = 512,
        version: str | None = None,
        memory: int | str = "64M",
        overlay: bool | None = None,
        cpu_seconds: int = UNTRUSTED_CPU_SECONDS,
        auto_mkdir: bool = False,
        target_protocol: str | None = None,
        target_options: dict[str, Any] | None = None,
        **storage_options: Any,
    ) -> None:
        """Arguments are those of :func:`open_image`; `fo` or `image` is the source, a path or URL.

        `target_protocol` and `target_options` say where fsspec finds it, as in a
        chained URL: "liblinux://etc/hostname::https://example.com/disk.img".
        """
        source = image if fo is None else fo
        if source is None:
            raise ValueError("which image? Give image=, or chain its URL: liblinux://etc/hostname::file://disk.img")
        if mode not in _MODES:
            raise ValueError(f"mode must be 'r' or 'r+', not {mode!r}")
        super().__init__(**storage_options)
        writable = _MODES[mode]
        self.mode = mode
        self.auto_mkdir = auto_mkdir
        self.root = MOUNTED
        overlay = not writable if overlay is None else overlay
        self._remote = None
        if target_protocol is not None and not (target_protocol in ("file", "local") and not target_options):
            self._remote = open_remote(
                os.fspath(source), target_protocol, target_options, writable=writable and not overlay
            )
        try:
            self._opened = ImageRoot(
                self._find_source(source),
                writable=writable,
                partition=partition,
                volume=volume,
                passphrase=passphrase,
                members=members,
                format=format,
                backing=backing,
                untrusted=untrusted,
                type=type,
                options=options,
                sector_size=sector_size,
                version=version,
                memory=memory,
                overlay=overlay,
                cpu_seconds=cpu_seconds,
            )
        except BaseException:
            self._close_remote()
            raise
        self.kernel = self._opened.kernel
        self.disk = self._opened.disk
        self.os: Os = self._opened.os
        self._process = self._opened.process

    def _find_source(self, source: Any) -> Any:
        if self._remote is not None:
            return self._remote
        return source.source if isinstance(source, _Given) else source

    # ---- opening and closing -------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        kernel = getattr(self, "kernel", None)
        # Nobody can close what fsspec.open() made on the way to a file. In a forked child it is the parent's.
        if kernel is not None and not kernel.closed and kernel._host_process == os.getpid():
            self.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self.kernel.closed

    def close(self) -> None:
        """Flush open files, write back, unmount and end the kernel. Twice does nothing.

        Raises the first OSError of writing back, when all the rest is done.
        """
        try:
            self._opened.close()
        finally:
            if self.kernel.closed:
                self._close_remote()

    def _close_remote(self) -> None:
        remote, self._remote = self._remote, None
        if remote is not None:
            remote.close()

    def _remember(self, file: _File) -> _File:
        """Note a file that is written, so that close() flushes it; returns it."""
        self._process._writers.add(file)  # type: ignore[arg-type]  # an io object by its other base
        return file

    # ---- names ---------------------------------------------------------------

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        # A URL may start at the host's place, "liblinux://etc/hostname": all paths are from the root of the image.
        return "/" + super()._strip_protocol(stringify_path(path)).lstrip("/")

    # ---- looking -------------------------------------------------------------

    def ls(self, path: str, detail: bool = True, **kwargs: Any) -> list[Any]:
        """The entries of a directory, or the one file: their names, or what info() says of each."""
        top = self._strip_protocol(path)
        below = top.rstrip("/") + "/"
        try:
            with self.os.scandir(top) as entries:
                names = [(below + entry.name, entry) for entry in entries]
        except NotADirectoryError:
            return [self.info(top)] if detail else [top]
        if not detail:
            return [name for name, _ in names]
        return [self._describe(name, entry.stat(follow_symlinks=False)) for name, entry in names]

    def info(self, path: str, **kwargs: Any) -> dict[str, Any]:
        """What is known of a file, of a link itself.

        Keys: name, size in bytes, type ("file", "directory", "link" or "other"),
        mode, uid, gid, ino, nlink, mtime in seconds, mtime_ns; of a link target, of
        a device rdev.
        """
        name = self._strip_protocol(path)
        return self._describe(name, self.os.lstat(name))

    def _describe(self, name: str, status: os.stat_result) -> dict[str, Any]:
        kind = _KINDS.get(stat_modes.S_IFMT(status.st_mode), "other")
        found = {
            "name": name,
            "size": status.st_size,
            "type": kind,
            "mode": status.st_mode,
            "uid": status.st_uid,
            "gid": status.st_gid,
            "ino": status.st_ino,
            "nlink": status.st_nlink,
            "mtime": status.st_mtime,
            "mtime_ns": status.st_mtime_ns,
        }
        if kind == "link":
            found["target"] = self.os.readlink(name)
        elif kind == "other":
            found["rdev"] = status.st_rdev
        return found

    def find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **kwargs: Any
    ) -> Any:
        """All files below `path`, links and devices too, in the order of their names; directories if asked for.

        Directories that cannot be read are left out, as elsewhere in fsspec.
        """
        if maxdepth is not None:
            return super().find(path, maxdepth=maxdepth, withdirs=withdirs, detail=detail, **kwargs)
        top = self._strip_protocol(path)
        found = self._find_all(top, withdirs=withdirs, detail=detail)
        names = sorted(found)
        return {name: found[name] for name in names} if detail else names

    def _find_all(self, top: str, *, withdirs: bool, detail: bool) -> dict[str, Any]:
        """One call into the kernel instead of two for each entry."""
        below = top.rstrip("/") + "/"
        try:
            tree = self.os.scantree(below, onerror=_ignore)
        except NotADirectoryError:
            return {top: self.info(top)}
        except FileNotFoundError:
            # A link that leads nowhere is there all the same.
            return {top: self.info(top)} if self.lexists(top) else {}
        found: dict[str, Any] = {}
        if withdirs:
            found[top] = self.info(top) if detail else None
        for mode, entry in zip(tree.column("st_mode"), tree, strict=True):
            if withdirs or not stat_modes.S_ISDIR(mode):
                name = below + entry.name
                found[name] = self._describe(name, entry.stat(follow_symlinks=False)) if detail else None
        return found

    def exists(self, path: str, **kwargs: Any) -> bool:
        """Whether there is a file, or one that a link leads to."""
        return self._mode(path) is not None

    def lexists(self, path: str, **kwargs: Any) -> bool:
        """Whether there is anything of that name, if only a link that leads nowhere."""
        return self._mode(path, follow_symlinks=False) is not None

    def isdir(self, path: str) -> bool:
        """Whether it is a directory, or a link to one."""
        mode = self._mode(path)
        return mode is not None and stat_modes.S_ISDIR(mode)

    def isfile(self, path: str) -> bool:
        """Whether it is a regular file, or a link to one."""
        mode = self._mode(path)
        return mode is not None and stat_modes.S_ISREG(mode)

    def _mode(self, path: str, *, follow_symlinks: bool = True) -> int | None:
        try:
            return self.os.stat(self._strip_protocol(path), follow_symlinks=follow_symlinks).st_mode
        except OSError:  # the only exceptions that are about the path: a dead kernel says so
            return None

    def size(self, path: str) -> int:
        """Size in bytes of the file, or of the one that a link leads to."""
        return self.os.stat(self._strip_protocol(path)).st_size

    def modified(self, path: str) -> datetime:
        """When the content was last changed, in UTC; `info` has the nanoseconds."""
        return _moment(self.os.stat(self._strip_protocol(path)).st_mtime_ns)

    def created(self, path: str) -> datetime:
        """When the file was made, in UTC; NotImplementedError where its file system does not note that."""
        name = self._strip_protocol(path)
        status = bytearray(_STATX_BYTES)
        self.os._on(name, "statx", _abi.AT_FDCWD, encode(name), 0, _STATX_BTIME, status)
        if not _STATX_MASK.unpack_from(status)[0] & _STATX_BTIME:
            raise NotImplementedError(f"{name}: this file system does not note when a file was made")
        seconds, nanoseconds = _STATX_BIRTH.unpack_from(status)
        return _moment(seconds * 10**9 + nanoseconds)

    # ---- contents ------------------------------------------------------------

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: object = None,
        **kwargs: Any,
    ) -> ImageFile:
        if self.auto_mkdir and mode[0] in "wxa":
            self.os.makedirs(self._parent(path), exist_ok=True)
        return open_image_file(self, path, mode, autocommit=autocommit)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **kwargs: Any) -> bytes:
        """The bytes of a file, or those from `start` to `end`, which count from its end if negative."""
        with open_image_file(self, self._strip_protocol(path), "rb") as file:
            if start is None and end is None:
                return file.read()
            start, end, _ = slice(start, end).indices(file.size)
            file.seek(start)
            return file.read(max(end - start, 0))

    def pipe_file(self, path: str, value: Any, mode: str = "overwrite", **kwargs: Any) -> None:
        """Write a file as a whole; with mode="create" FileExistsError if it is there."""
        with self.open(path, "xb" if mode == "create" else "wb", **kwargs) as file:
            file.write(value)

    def touch(self, path: str, truncate: bool = True, **kwargs: Any) -> None:
        """Make an empty file, or empty it; with truncate=False only set its time to now."""
        name = self._strip_protocol(path)
        if truncate or not self.exists(name):
            self.open(name, "wb").close()
        else:
            self.os.utime(name)

    def get(self, rpath: Any, lpath: Any, recursive: bool = False, **kwargs: Any) -> None:
        """Copy files to the host; a tree if recursive, without what has no content.

        Of a tree these are left out, as copy() does: links that lead nowhere or to
        directories, devices, pipes and sockets. Links to files become files.
        """
        super().get(rpath, lpath, recursive=recursive, **({"of_tree": True} if recursive else {}), **kwargs)

    def get_file(self, rpath: str, lpath: Any, *args: Any, of_tree: bool = False, **kwargs: Any) -> None:
        """Copy one file to the host."""
        if of_tree and not self._has_content(rpath):
            return
        super().get_file(rpath, lpath, *args, **kwargs)

    def _has_content(self, path: str) -> bool:
        return self.isfile(path) or (self.isdir(path) and not self._is_link(path))

    def _is_link(self, path: str) -> bool:
        mode = self._mode(path, follow_symlinks=False)
        return mode is not None and stat_modes.S_ISLNK(mode)

    def copy(self, path1: Any, path2: Any, recursive: bool = False, **kwargs: Any) -> None:
        """Copy files inside the image; of a tree what get() would copy."""
        super().copy(path1, path2, recursive=recursive, **({"of_tree": True} if recursive else {}), **kwargs)

    def cp_file(self, path1: str, path2: str, *, of_tree: bool = False, **kwargs: Any) -> None:
        """Copy the content of one file inside the kernel, sharing blocks where it can; of a directory only itself."""
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        if of_tree and not self._has_content(source):
            return
        if self.isdir(source):
            self.os.makedirs(target, exist_ok=True)
            return
        with open_image_file(self, source, "rb") as reader:
            if self._same(source, target):
                raise OSError(errno.EINVAL, "source and target are the same file", source, None, target)
            self.os.makedirs(self._parent(target), exist_ok=True)
            with open_image_file(self, target, "wb") as writer:
                self._copy(reader, writer)

    def _same(self, source: str, target: str) -> bool:
        try:
            return self.os.path.samefile(source, target)
        except (FileNotFoundError, NotADirectoryError):  # no target yet
            return False

    def _copy(self, reader: ImageFile, writer: ImageFile) -> None:
        source, target = reader.kernel_fd, writer.kernel_fd
        try:
            while self.os.copy_file_range(source, target, COPY_BYTES):
                pass
        except OSError as error:
            if error.errno not in _NO_COPY_IN_KERNEL:
                raise
            # The positions are where the kernel has come to.
            while data := self.os.read(source, READ_BYTES):
                rest = memoryview(data)
                while rest:
                    rest = rest[self.os.write(target, rest) :]

    # ---- names and directories -----------------------------------------------

    def mkdir(self, path: str, create_parents: bool = True, **kwargs: Any) -> None:
        """Make a directory, and those above it; FileExistsError if it is there."""
        name = self._strip_protocol(path)
        if create_parents:
            self.os.makedirs(name)
        else:
            self.os.mkdir(name)

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Make a directory and those above it."""
        self.os.makedirs(self._strip_protocol(path), exist_ok=exist_ok)

    def rmdir(self, path: str) -> None:
        """Remove an empty directory."""
        self.os.rmdir(self._strip_protocol(path))

    def rm_file(self, path: str) -> None:
        """Remove a file or a link."""
        self.os.unlink(self._strip_protocol(path))

    _rm = rm_file

    def rm(self, path: str | list[str], recursive: bool = False, maxdepth: int | None = None) -> None:
        """Remove files, links, and if recursive directories with all that is in them; patterns are matched.

        IsADirectoryError for a directory without `recursive`.
        """
        for name in self._named(path):
            if name == "/":
                raise OSError(errno.EBUSY, "the root of an image cannot be removed; remove '/*'", name)
            mode = self.os.lstat(name).st_mode
            if not recursive or not stat_modes.S_ISDIR(mode):
                self.rm_file(name)
            elif maxdepth is not None:
                super().rm([name], recursive=True, maxdepth=maxdepth)
            else:
                self._remove_tree(name)

    def _named(self, path: str | list[str]) -> list[str]:
        """The paths that are meant, without those below another; a name that is there is no pattern."""
        found: set[str] = set()
        for name in [path] if isinstance(path, str | os.PathLike) else path:
            literal = self._strip_protocol(name)
            found.update([literal] if self.lexists(literal) else self.expand_path(literal))
        return sorted(name for name in found if not any(above in found for above in _above(name)))

    def _remove_tree(self, top: str) -> None:
        tree: Sequence[Any] = self.os.scantree(top)
        for entry in reversed(tree):  # a directory comes before its content
            if entry.is_dir(follow_symlinks=False):
                self.os.rmdir(entry.path)
            else:
                self.os.unlink(entry.path)
        self.os.rmdir(top)

    def mv(self, path1: Any, path2: Any, recursive: bool = False, maxdepth: int | None = None, **kwargs: Any) -> None:
        """Rename files and directories, with all that belongs to them; a file at the target is replaced.

        They go into `path2` if that is a directory or ends in a slash. What a
        pattern or a list names goes into `path2` always, which is made; two lists
        are pairs. `recursive` makes no difference: a directory is moved as one.
        """
        if maxdepth is not None:
            # fsspec copies so far and removes the rest.
            raise ValueError("mv() moves whole trees: leave out maxdepth")
        if isinstance(path1, list) and isinstance(path2, list):
            for source, target in zip(path1, path2, strict=True):
                self.os.rename(self._strip_protocol(source), self._strip_protocol(target))
            return
        source, target = self._strip_protocol(path1), self._strip_protocol(path2)
        if isinstance(source, str) and (self.lexists(source) or not has_magic(source)):
            into = path2.endswith("/") or self.isdir(target)
            if source != target:
                self.os.rename(source, _below(target, source) if into else target)
            return
        names = self._named(source)
        self.os.makedirs(target, exist_ok=True)
        for name in names:
            self.os.rename(name, _below(target, name))


def _above(path: str) -> Iterator[str]:
    """The directories that a path is below of, but the root."""
    while path := path.rpartition("/")[0]:
        yield path


def _below(directory: str, path: str) -> str:
    """The same name in another directory."""
    return f"{directory.rstrip('/')}/{path.rpartition('/')[2]}"


def _ignore(error: OSError) -> None:
    pass


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=nanoseconds // 1000)


fsspec.register_implementation("liblinux", ImageFileSystem, clobber=True)
