"""The ground of the `os`-shaped namespace: how its functions call the kernel.

Two rules hold in all of it. Paths travel as bytes in UTF-8 with surrogateescape,
whatever the host's locale, since the file systems inside know no locale. Errors
carry the path they are about, as those of the standard library do.
"""

from __future__ import annotations

import os
import struct

from liblinux import _abi
from liblinux._typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typing_extensions import Buffer

    from liblinux import _native

__all__ = ["Calls", "PathOrFd", "StrOrBytesPath", "blame", "decode", "dir_descriptor", "encode", "like", "packed"]

StrOrBytesPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]
PathOrFd = int | StrOrBytesPath


def encode(path: StrOrBytesPath) -> bytes:
    """The bytes of a path; TypeError and ValueError as the standard library raises them."""
    raw = os.fspath(path)
    if isinstance(raw, str):
        raw = raw.encode("utf-8", "surrogateescape")
    if b"\0" in raw:
        raise ValueError("embedded null byte")
    return raw


def packed(form: struct.Struct, *values: int) -> bytearray:
    """Numbers as a structure of the kernel; TypeError and OverflowError as the standard library raises them."""
    try:
        return bytearray(form.pack(*values))
    except struct.error:
        for value in values:
            if not hasattr(value, "__index__"):
                raise TypeError(f"an integer is required, not {type(value).__name__}") from None
        raise OverflowError(f"one of {values} does not fit into its field of a structure") from None


def decode(raw: bytes) -> str:
    """A name from the kernel as str; any bytes survive the way back."""
    return raw.decode("utf-8", "surrogateescape")


def like(path: object, raw: bytes) -> str | bytes:
    """`raw` in the type of `path`: bytes for bytes, else str."""
    if isinstance(path, os.PathLike):
        path = os.fspath(path)
    return raw if isinstance(path, bytes) else decode(raw)


# The arguments of system calls, where they are not all `int`: "l" a long, "p" a pointer. A buffer where a number
# belongs would be an address for the kernel, and a number beyond 32 bits would be cut to some other one.
_PROTOTYPES = {
    "bind": "ipi",
    "chdir": "p",
    "chroot": "p",
    "copy_file_range": "ipipl",
    "fadvise64": "ill",
    "fallocate": "iill",
    "fchmodat": "ip",
    "fchmodat2": "ip",
    "fchownat": "ip",
    "fcntl": "iil",
    "fgetxattr": "ippl",
    "flistxattr": "ipl",
    "fremovexattr": "ip",
    "fsetxattr": "ippl",
    "fstatfs": "ip",
    "ftruncate": "il",
    "getcwd": "pl",
    "epoll_ctl": "iiip",
    "epoll_pwait2": "ipippl",
    "getgroups": "ip",
    "getpeername": "ipp",
    "getrandom": "pl",
    "getsockname": "ipp",
    "getsockopt": "iiipp",
    "getresgid": "ppp",
    "getresuid": "ppp",
    "getxattr": "pppl",
    "ioctl": "ilp",
    "lgetxattr": "pppl",
    "linkat": "ipip",
    "listxattr": "ppl",
    "llistxattr": "ppl",
    "lremovexattr": "pp",
    "lseek": "il",
    "lsetxattr": "pppl",
    "madvise": "ll",
    "memfd_create": "p",
    "mkdirat": "ip",
    "mknodat": "ip",
    "mmap": "pliiil",
    "mprotect": "ll",
    "mremap": "llll",
    "msync": "ll",
    "pipe2": "p",
    "ppoll": "plppl",
    "prctl": "illll",
    "preadv2": "iplll",
    "pwritev2": "iplll",
    "recvfrom": "iplipp",
    "readlink": "pp",
    "readlinkat": "ipp",
    "readv": "ipl",
    "removexattr": "pp",
    "renameat": "ipip",
    "sendfile": "iipl",
    "sendto": "iplipi",
    "setgroups": "lp",
    "sethostname": "pl",
    "setsockopt": "iiipi",
    "setxattr": "pppl",
    "socketpair": "iiip",
    "splice": "ipipl",
    "statfs": "pp",
    "statx": "ipiip",
    "symlinkat": "pip",
    "sysinfo": "p",
    "times": "p",
    "truncate": "pl",
    "umount2": "p",
    "uname": "p",
    "unlinkat": "ip",
    "unshare": "l",
    "utimensat": "ipp",
}


def _shape(name: str) -> int:
    """The prototype as the native layer wants it: two bits for each argument, see native.h."""
    return sum("pil".index(kind) << 2 * at for at, kind in enumerate(_PROTOTYPES.get(name, "").ljust(6, "i")))


class _Shapes(dict[str, int]):
    """The shapes of all names, made when they are asked for."""

    def __missing__(self, name: str) -> int:
        shape = self[name] = _shape(name)
        return shape


_SHAPES = _Shapes()


class Calls:
    """System calls of one process of the kernel, by name."""

    def __init__(self, native: _native.Process, numbers: Mapping[str, int]) -> None:
        self._native = native
        self._numbers = numbers
        self._raw_call: Callable[..., int] = native.call
        self._shaped_call: Callable[..., int] = native.shaped

    def call(self, name: str, *args: int | str | Buffer | None) -> int:
        """A system call by name, with the kernel's raw answer: -errno instead of an exception."""
        return self._raw_call(self._numbers[name], *args)

    def _call(self, name: str, *args: int | str | Buffer | None) -> int:
        """A system call that is not about a path."""
        return self._shaped_call(self._numbers[name], _SHAPES[name], *args)

    def _on(self, path: object, name: str, *args: int | str | Buffer | None) -> int:
        """A system call about `path`, which its exception names."""
        try:
            return self._shaped_call(self._numbers[name], _SHAPES[name], *args)
        except OSError as error:
            blame(error, path)

    def _on_two(self, path: object, path2: object, name: str, *args: int | str | Buffer | None) -> int:
        """A system call about two paths."""
        try:
            return self._shaped_call(self._numbers[name], _SHAPES[name], *args)
        except OSError as error:
            error.filename2 = path2
            blame(error, path)


def blame(error: OSError, path: object) -> NoReturn:
    """Let an exception of the native layer name its path, and raise it again."""
    if error.filename is None and error.errno is not None:
        error.filename = path
    raise error


def dir_descriptor(dir_fd: int | None) -> int:
    """The first argument of the *at family of system calls."""
    return _abi.AT_FDCWD if dir_fd is None else dir_fd
