"""What a kernel and a process have in common: both act, as a process of the kernel.

The kernel object itself acts as init, process 1.
"""

from __future__ import annotations

from liblinux._io import open_file
from liblinux._living import Living
from liblinux._mmap import Mapping as MemoryMapping
from liblinux._mmap import map_file, unmap_with_view
from liblinux._os import Os
from liblinux._syscalls import syscaller
from liblinux._sysctl import Sysctl
from liblinux._typing import IO, TYPE_CHECKING, Any, BinaryIO, Literal, TextIO, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

    from liblinux import _native
    from liblinux._os_base import PathOrFd
    from liblinux._sockets.module import SocketModule
    from liblinux._sockets.select import SelectModule
    from liblinux._sockets.tls import SslModule

__all__ = ["Actor"]

_TextMode = Literal["r", "w", "a", "x", "r+", "w+", "a+", "x+", "rt", "wt", "at", "xt"]
_BinaryMode = Literal[
    "rb", "wb", "ab", "xb", "rb+", "wb+", "ab+", "xb+", "r+b", "w+b", "a+b", "x+b"
]  # fmt: skip


class Actor:
    """System calls, the `os`-shaped namespace, files and memory of one process.

    `os` has the functions of the standard library's `os`; `syscall(name or
    number, ...)` is any system call; `sysctl` the settings under /proc/sys.
    """

    os: Os
    syscall: Callable[..., int]
    sysctl: Sysctl

    def __init__(self, kernel: _native.Kernel, native: _native.Process, numbers: Mapping[str, int]) -> None:
        self._process = native
        self.os = Os(native, numbers, kernel)
        self.syscall = syscaller(native, numbers)
        self.sysctl = Sysctl(self.os)
        self._socket: SocketModule | None = None
        # That one and earlier ones, which somebody may still have; see _put_back_sockets().
        self._sockets: Living[SocketModule] = Living()
        self._select: SelectModule | None = None
        self._writers: Living[IO[Any]] = Living()
        self._mappings: Living[MemoryMapping] = Living()
        self._views: Living[memoryview] = Living()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The process number."""
        return self._process.pid

    @property
    def socket(self) -> SocketModule:
        """The `socket`-shaped namespace of this process; see :class:`SocketModule`."""
        if self._socket is None:
            from liblinux._sockets.module import SocketModule  # noqa: PLC0415 - most programs are about files

            self._socket = SocketModule(self.os)
            self._sockets.add(self._socket)
            self._raise_loopback(self._socket)
        return self._socket

    @property
    def select(self) -> SelectModule:
        """The `select`-shaped namespace of this process; see :class:`SelectModule`."""
        if self._select is None:
            from liblinux._sockets.select import SelectModule  # noqa: PLC0415 - as above

            self._select = SelectModule(self.os)
        return self._select

    @property
    def ssl(self) -> SslModule:
        """The standard library's `ssl`, for sockets of a kernel; see :class:`SslModule`."""
        from liblinux._sockets.tls import SslModule  # noqa: PLC0415 - brings in OpenSSL

        return SslModule()

    def close(self) -> None:
        """End it."""
        raise NotImplementedError

    def _raise_loopback(self, module: SocketModule) -> None:
        """Sockets are used for the first time: set the loopback device of the namespace up."""
        module._raise_loopback()

    @overload
    def open(
        self,
        file: PathOrFd,
        mode: _TextMode = ...,
        buffering: int = ...,
        encoding: str | None = ...,
        errors: str | None = ...,
        newline: str | None = ...,
        closefd: bool = ...,
        *,
        direct: bool = ...,
    ) -> TextIO: ...
    @overload
    def open(
        self,
        file: PathOrFd,
        mode: _BinaryMode,
        buffering: int = ...,
        encoding: None = ...,
        errors: None = ...,
        newline: None = ...,
        closefd: bool = ...,
        *,
        direct: bool = ...,
    ) -> BinaryIO: ...
    @overload
    def open(
        self,
        file: PathOrFd,
        mode: str,
        buffering: int = ...,
        encoding: str | None = ...,
        errors: str | None = ...,
        newline: str | None = ...,
        closefd: bool = ...,
        *,
        direct: bool = ...,
    ) -> IO[Any]: ...
    def open(
        self,
        file: PathOrFd,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,
        *,
        direct: bool = False,
    ) -> IO[Any]:
        """Open a file of the kernel as an `io` object; arguments as of the built-in open().

        Text is UTF-8 unless `encoding` says otherwise. `direct=True` reads past
        the page cache ("rb" only). A file that is still open for writing when
        the kernel is closed is flushed and closed first.
        """
        if direct and mode not in ("rb", "br"):
            raise ValueError("direct=True is for mode 'rb'")
        memory = self._direct_memory if direct else None
        opened = open_file(self.os, file, mode, buffering, encoding, errors, newline, closefd, memory)
        if opened.writable():
            self._writers.add(opened)
        return opened

    def mapping(
        self,
        file: Any,
        length: int = 0,
        offset: int = 0,
        *,
        shared: bool = True,
        writable: bool | None = None,
    ) -> MemoryMapping:
        """Map a file into memory; returns a :class:`Mapping` with `view`, `flush()` and `close()`.

        `file` is a file of :meth:`open`, a descriptor of the kernel, or None for
        anonymous memory, which the kernel's devices can write to directly.
        `length` in bytes, 0 for the rest of the file; `offset` in bytes, a
        multiple of the page size. `shared=False` keeps changes in memory.
        `writable` None: as the file is, and always when not shared.
        """
        mapping = map_file(self.os, self._process, file, length, offset, shared, writable)
        self._mappings.add(mapping)
        return mapping

    def mmap(
        self,
        file: Any,
        length: int = 0,
        offset: int = 0,
        *,
        shared: bool = True,
        writable: bool | None = None,
    ) -> memoryview:
        """The pages of a file as a `memoryview`; arguments as of :meth:`mapping`.

        It is unmapped when the last view of it is gone. Changes reach the disk
        with the kernel's write-back, or at once with
        `kernel.syscall("msync", view, len(view), 4)` or fsync of the file.
        """
        view = unmap_with_view(map_file(self.os, self._process, file, length, offset, shared, writable))
        self._views.add(view)
        return view

    def _direct_memory(self, length: int) -> memoryview:
        return self.mmap(None, length, shared=False)

    def _close_files(self) -> None:
        """Flush and close what is still open for writing, and take sockets and memory views back."""
        if self._socket is not None:
            self._socket._close_all()
        for file in self._writers:
            file.close()
        for mapping in self._mappings:
            mapping.close()
        for view in self._views:
            view.release()

    def _flush_files(self) -> None:
        for file in self._writers:
            try:
                file.flush()
            except ValueError:
                if not file.closed:  # perhaps just now, by another thread
                    raise

    def _lose_files(self, since: int) -> None:
        """The process is again what it was when so many files had been opened."""
        self.os._lose_files(since)
        for module in self._sockets:
            module._lose(since)
        for file in self._writers:
            raw: Any = getattr(file, "buffer", file)
            if getattr(raw, "raw", raw).lost:
                self._writers.discard(file)

    def _put_back_sockets(self, then: SocketModule | None) -> None:
        """The loopback device is as when this was the module; it is set up when sockets are used again."""
        for module in self._sockets:
            if module is not then:
                module._lose_loopback()
        self._socket = then

    def _all_views(self) -> set[int]:
        """The mappings that are in use, by identity."""
        return {id(mapping) for mapping in self._mappings if not mapping.closed} | {id(view) for view in self._views}

    def _read_text(self, path: str) -> str:
        """The content of a small file of the kernel's own, of /proc or /sys."""
        fd = self.os.open(path, self.os.O_RDONLY)
        try:
            parts = []
            while part := self.os.read(fd, 65536):
                parts.append(part)
        finally:
            self.os.close(fd)
        return b"".join(parts).decode("utf-8", "surrogateescape")
