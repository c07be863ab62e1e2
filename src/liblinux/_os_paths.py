"""`kernel.os`: files by their paths. Names, arguments and results are those of `os`."""

from __future__ import annotations

import os
import stat as stat_modes

from liblinux import _abi
from liblinux._os_base import (
    Calls,
    PathOrFd,
    StrOrBytesPath,
    blame,
    decode,
    dir_descriptor,
    encode,
    like,
    packed,
)
from liblinux._os_descriptors import stat_result, statvfs_result
from liblinux._typing import Any, AnyStr, overload

__all__ = ["Paths"]


class Paths(Calls):
    """Functions over paths; where `os` takes a descriptor in place of a path, so do these."""

    def stat(self, path: PathOrFd, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
        """Status of a file, with nanoseconds. Source: statx(2)."""
        target = path if isinstance(path, int) else encode(path)
        try:
            raw = self._native.stat(target, dir_fd=dir_descriptor(dir_fd), follow_symlinks=follow_symlinks)
        except OSError as error:
            blame(error, path)
        return stat_result(raw)

    def lstat(self, path: StrOrBytesPath, *, dir_fd: int | None = None) -> os.stat_result:
        """Status of a file or of the symbolic link itself."""
        return self.stat(path, dir_fd=dir_fd, follow_symlinks=False)

    def access(
        self,
        path: StrOrBytesPath,
        mode: int,
        *,
        dir_fd: int | None = None,
        effective_ids: bool = False,
        follow_symlinks: bool = True,
    ) -> bool:
        """Whether the calling process may use a file so."""
        flags = _abi.AT_EACCESS * effective_ids | _abi.AT_SYMLINK_NOFOLLOW * (not follow_symlinks)
        return self.call("faccessat2", dir_descriptor(dir_fd), encode(path), mode, flags) == 0

    def mkdir(self, path: StrOrBytesPath, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        """Create a directory."""
        self._on(path, "mkdirat", dir_descriptor(dir_fd), encode(path), mode)

    def rmdir(self, path: StrOrBytesPath, *, dir_fd: int | None = None) -> None:
        """Remove an empty directory."""
        self._on(path, "unlinkat", dir_descriptor(dir_fd), encode(path), _abi.AT_REMOVEDIR)

    def unlink(self, path: StrOrBytesPath, *, dir_fd: int | None = None) -> None:
        """Remove a name of a file."""
        self._on(path, "unlinkat", dir_descriptor(dir_fd), encode(path), 0)

    remove = unlink

    def rename(
        self,
        src: StrOrBytesPath,
        dst: StrOrBytesPath,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
    ) -> None:
        """Rename a file or directory; an existing file at `dst` is replaced."""
        self._on_two(
            src,
            dst,
            "renameat",
            dir_descriptor(src_dir_fd),
            encode(src),
            dir_descriptor(dst_dir_fd),
            encode(dst),
        )

    replace = rename

    def link(
        self,
        src: StrOrBytesPath,
        dst: StrOrBytesPath,
        *,
        src_dir_fd: int | None = None,
        dst_dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> None:
        """Create a hard link.

        As in `os` on Linux, a symbolic link is followed only if a dir_fd is
        given: link(2) does not, and the default has to be the same here.
        """
        by_descriptor = src_dir_fd is not None or dst_dir_fd is not None
        flags = _abi.AT_SYMLINK_FOLLOW if follow_symlinks and by_descriptor else 0
        self._on_two(
            src,
            dst,
            "linkat",
            dir_descriptor(src_dir_fd),
            encode(src),
            dir_descriptor(dst_dir_fd),
            encode(dst),
            flags,
        )

    def symlink(
        self,
        src: StrOrBytesPath,
        dst: StrOrBytesPath,
        target_is_directory: bool = False,
        *,
        dir_fd: int | None = None,
    ) -> None:
        """Create a symbolic link at `dst` that says `src`."""
        self._on_two(src, dst, "symlinkat", encode(src), dir_descriptor(dir_fd), encode(dst))

    @overload
    def readlink(self, path: AnyStr, *, dir_fd: int | None = ...) -> AnyStr: ...
    @overload
    def readlink(self, path: os.PathLike[AnyStr], *, dir_fd: int | None = ...) -> AnyStr: ...
    def readlink(self, path: Any, *, dir_fd: int | None = None) -> str | bytes:
        """What a symbolic link says."""
        buffer = bytearray(4096)  # PATH_MAX, and the longest that a link can be
        length = self._on(path, "readlinkat", dir_descriptor(dir_fd), encode(path), buffer, len(buffer))
        return like(path, bytes(buffer[:length]))

    def truncate(self, path: PathOrFd, length: int) -> None:
        """Set the size of a file, in bytes."""
        if isinstance(path, int):
            self._call("ftruncate", path, length)
        else:
            self._on(path, "truncate", encode(path), length)

    def chmod(self, path: PathOrFd, mode: int, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> None:
        """Change permissions; those of a symbolic link itself since Linux 6.6."""
        if isinstance(path, int):
            self._call("fchmod", path, mode)
        elif follow_symlinks:
            self._on(path, "fchmodat", dir_descriptor(dir_fd), encode(path), mode)
        elif "fchmodat2" in self._numbers:
            self._on(path, "fchmodat2", dir_descriptor(dir_fd), encode(path), mode, _abi.AT_SYMLINK_NOFOLLOW)
        else:
            raise NotImplementedError("chmod: follow_symlinks=False needs Linux 6.6 or newer")

    def lchmod(self, path: StrOrBytesPath, mode: int) -> None:
        """Change the permissions of a symbolic link itself, where the file system has them."""
        self.chmod(path, mode, follow_symlinks=False)

    def chown(
        self,
        path: PathOrFd,
        uid: int,
        gid: int,
        *,
        dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> None:
        """Change owner and group; -1 leaves one as it is."""
        if isinstance(path, int):
            self._call("fchown", path, uid, gid)
        else:
            flags = 0 if follow_symlinks else _abi.AT_SYMLINK_NOFOLLOW
            self._on(path, "fchownat", dir_descriptor(dir_fd), encode(path), uid, gid, flags)

    def lchown(self, path: StrOrBytesPath, uid: int, gid: int) -> None:
        """Change the owner of a file or of the symbolic link itself."""
        self.chown(path, uid, gid, follow_symlinks=False)

    def utime(
        self,
        path: PathOrFd,
        times: tuple[float, float] | None = None,
        *,
        ns: tuple[int, int] | None = None,
        dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> None:
        """Set access and modification time: seconds in `times`, nanoseconds in `ns`, or now."""
        if times is not None and ns is not None:
            raise ValueError("utime: you may specify either 'times' or 'ns' but not both")
        for given in (times, ns):
            if given is not None and not (isinstance(given, tuple) and len(given) == 2):
                raise TypeError("utime: 'times' and 'ns' must be either a tuple of two numbers or None")
        if times is not None:
            ns = (_nanoseconds(times[0]), _nanoseconds(times[1]))
        spec = None if ns is None else packed(_abi.TIMESPECS, *divmod(ns[0], 10**9), *divmod(ns[1], 10**9))
        if isinstance(path, int):
            self._call("utimensat", path, None, spec, 0)
        else:
            flags = 0 if follow_symlinks else _abi.AT_SYMLINK_NOFOLLOW
            self._on(path, "utimensat", dir_descriptor(dir_fd), encode(path), spec, flags)

    def mknod(self, path: StrOrBytesPath, mode: int = 0o600, device: int = 0, *, dir_fd: int | None = None) -> None:
        """Create a device node, FIFO, socket or regular file."""
        self._on(path, "mknodat", dir_descriptor(dir_fd), encode(path), mode, device)

    def mkfifo(self, path: StrOrBytesPath, mode: int = 0o666, *, dir_fd: int | None = None) -> None:
        """Create a FIFO."""
        self.mknod(path, stat_modes.S_IFIFO | mode, dir_fd=dir_fd)

    def statvfs(self, path: PathOrFd) -> os.statvfs_result:
        """Size and limits of the file system that a path is on."""
        buffer = bytearray(_abi.STATFS.size)
        if isinstance(path, int):
            self._call("fstatfs", path, buffer)
        else:
            self._on(path, "statfs", encode(path), buffer)
        return statvfs_result(buffer)

    def chdir(self, path: PathOrFd) -> None:
        """Change the working directory of the process."""
        if isinstance(path, int):
            self._call("fchdir", path)
        else:
            self._on(path, "chdir", encode(path))

    def chroot(self, path: StrOrBytesPath) -> None:
        """Change the root directory of the process."""
        self._on(path, "chroot", encode(path))

    def getcwd(self) -> str:
        """The working directory."""
        return decode(self.getcwdb())

    def getcwdb(self) -> bytes:
        """The working directory, as bytes."""
        buffer = bytearray(4096)
        length = self._call("getcwd", buffer, len(buffer))
        return bytes(buffer[: length - 1])


def _nanoseconds(seconds: float) -> int:
    """Whole nanoseconds; integers stay exact."""
    return seconds * 10**9 if isinstance(seconds, int) else round(seconds * 1e9)
