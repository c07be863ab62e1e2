"""`kernel.mmap`: pages of the kernel as memory of this process.

A mapping is made by mmap(2) of the kernel, in the window of addresses that the
kernel's memory unit serves: a page is filled when it is first touched, shared
pages are those of the page cache, and written back like any others.
"""

from __future__ import annotations

import mmap as host_mmap
import weakref
from io import IOBase

from liblinux import _abi, _native
from liblinux._io import KernelFile
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any, Self

    from liblinux._os import Os

__all__ = ["Mapping", "map_file"]

PAGE_BYTES = host_mmap.PAGESIZE


class Mapping:
    """A range of mapped memory; made by :meth:`Kernel.mapping`.

    `view` is the memory itself. Closing it makes the view unusable and unmaps;
    so does the end of a `with` block. Touching a page behind the end of the file,
    as one that truncate() took away, ends the program with SIGSEGV (elsewhere in
    Linux it would be SIGBUS); given to a system call it is EFAULT. Of an isolated
    kernel it ends that kernel instead: the page is empty, and calls raise KernelDied.
    """

    def __init__(self, system: Os, process: _native.Process, address: int, length: int, writable: bool) -> None:
        self._os = system
        self._process = process
        self._length = length
        self._writable = writable
        self.address = address
        self.view = memoryview(_native.map_view(process, address, length, not writable))

    def __repr__(self) -> str:
        return f"<liblinux.Mapping of {self._length} bytes at {self.address:#x}>"

    def __len__(self) -> int:
        return self._length

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether it is unmapped."""
        return self.address == 0

    def flush(self, offset: int = 0, size: int | None = None) -> None:
        """Write changed pages to the file, and wait until they are on its disk. Source: msync(2)."""
        self._check_open()
        size = self._length - offset if size is None else size
        if offset % PAGE_BYTES or offset < 0 or size < 0 or offset + size > self._length:
            raise ValueError("flush: offset must be at a page and the range inside the mapping")
        self._os._call("msync", self.address + offset, size, _abi.MS_SYNC)

    def protect(self, *, write: bool) -> None:
        """Allow or forbid writing. Source: mprotect(2)."""
        self._check_open()
        protection = _abi.PROT_READ | (_abi.PROT_WRITE if write else 0)
        self._os._call("mprotect", self.address, self._length, protection)

    def advise(self, advice: int) -> None:
        """Announce how the memory will be used; MADV_* of the `mmap` module."""
        self._check_open()
        self._os._call("madvise", self.address, self._length, advice)

    def resize(self, length: int) -> None:
        """Make it longer or shorter, in bytes; it may move, so `view` is a new one. Source: mremap(2)."""
        self._check_open()
        if length <= 0:
            raise ValueError("resize: a mapping has at least one byte")
        self.view.release()
        self.address = self._os._call("mremap", self.address, self._length, length, _abi.MREMAP_MAYMOVE, 0)
        self._length = length
        self.view = memoryview(_native.map_view(self._process, self.address, length, not self._writable))

    def close(self) -> None:
        """Unmap; BufferError while other objects still use the memory. Closing twice does nothing."""
        if self.closed:
            return
        self.view.release()
        address, self.address = self.address, 0
        if not self._os.closed:
            self._unmapper(address)()

    def _unmapper(self, address: int) -> Callable[[], object]:
        """What unmaps it, without a reference to it."""
        call, length = self._os.call, self._length
        return lambda: call("munmap", address, length)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("mapping closed or invalid")


def map_file(
    system: Os,
    process: _native.Process,
    file: Any,
    length: int,
    offset: int,
    shared: bool,
    writable: bool | None,
) -> Mapping:
    """Make a mapping; see :meth:`Kernel.mapping`."""
    if length < 0 or offset < 0 or offset % PAGE_BYTES:
        raise ValueError(f"mmap: length must not be negative, and offset a multiple of {PAGE_BYTES}")
    if file is None:
        if not length:
            raise ValueError("mmap: anonymous memory needs a length")
        flags = _abi.MAP_ANONYMOUS | (_abi.MAP_SHARED if shared else _abi.MAP_PRIVATE)
        return _map(system, process, -1, length, 0, flags, writable=writable is not False)
    raw, fd = _descriptor(file)
    if writable is None:
        writable = raw is None or raw.writable() if shared else True
    length = length or system.fstat(fd).st_size - offset
    if length <= 0:
        raise ValueError("cannot mmap an empty file, or behind the end of one")
    flags = _abi.MAP_SHARED if shared else _abi.MAP_PRIVATE
    return _map(system, process, fd, length, offset, flags, writable=writable)


def _map(
    system: Os, process: _native.Process, fd: int, length: int, offset: int, flags: int, *, writable: bool
) -> Mapping:
    protection = _abi.PROT_READ | (_abi.PROT_WRITE if writable else 0)
    address = system._call("mmap", None, length, protection, flags, fd, offset)
    return Mapping(system, process, address, length, writable)


def _descriptor(file: Any) -> tuple[KernelFile | None, int]:
    """The raw file and the kernel's descriptor behind what kernel.open() or kernel.os.open() gave."""
    if isinstance(file, int):
        return None, file
    if not isinstance(file, KernelFile | IOBase):
        raise TypeError(f"mmap needs a file of this kernel, one of its descriptors, or None, not {type(file).__name__}")
    if not isinstance(file, KernelFile):
        file.flush()  # what is still in Python's buffer belongs into the pages
        raw = getattr(file, "buffer", file)
        file = getattr(raw, "raw", raw)
    if not isinstance(file, KernelFile):
        raise TypeError("mmap needs a file of this kernel, one of its descriptors, or None")
    return file, file.fd


def unmap_with_view(mapping: Mapping) -> memoryview:
    """The bare view of a mapping, which is unmapped when the last view of it is gone."""
    system, release = mapping._os, mapping._unmapper(mapping.address)

    def unmap() -> None:
        # A kernel that died has nothing to unmap, and says so to whoever calls it next.
        if not system.closed and system._kernel.dead is None:
            release()

    weakref.finalize(mapping.view.obj, unmap).atexit = False
    return mapping.view
