"""Arrays of struct iovec: system calls with addresses inside of what their arguments point to.

A kernel in this process follows the addresses of the caller's own buffers. An
isolated one sees only the memory that it shares with this process: buffers that
are elsewhere are copied there for the call, and back after it.
"""

from __future__ import annotations

from liblinux import _abi, _native
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from typing_extensions import Buffer

__all__ = ["Vector", "vector"]


class Vector:
    """An array over the caller's buffers, for the time of a `with` block; `vector` is the argument."""

    def __init__(self, buffers: Sequence[Buffer]) -> None:
        self.vector: int | bytes = b""
        self._views = [memoryview(buffer).cast("B") for buffer in buffers]
        if any(view.readonly for view in self._views):
            raise TypeError("a read-write bytes-like object is needed")

    def __enter__(self) -> Self:
        self.vector = b"".join(_abi.IOVEC.pack(_address(view), view.nbytes) for view in self._views)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Else an exception that is kept, with this frame in it, would keep the kernel from being closed.
        for view in self._views:
            view.release()

    def taken(self, count: int) -> int:
        """`count` bytes were read: they are where they belong."""
        return count


class SharedVector(Vector):
    """The same in memory that an isolated kernel can see."""

    def __init__(self, kernel: _native.Kernel, process: _native.Process, buffers: Sequence[Buffer]) -> None:
        super().__init__(buffers)
        self._kernel = kernel
        self._process = process

    def __enter__(self) -> Self:
        head = len(self._views) * _abi.IOVEC.size
        self._shared = [self._is_shared(view) for view in self._views]
        length = head + sum(view.nbytes for view, shared in zip(self._views, self._shared, strict=True) if not shared)
        self.vector = self._kernel.allocate(max(length, 1))
        self._memory = memoryview(_native.map_view(self._process, self.vector, max(length, 1), False))
        at = head
        for index, (view, shared) in enumerate(zip(self._views, self._shared, strict=True)):
            address = _address(view) if shared else self.vector + at
            _abi.IOVEC.pack_into(self._memory, index * _abi.IOVEC.size, address, view.nbytes)
            if not shared:
                self._memory[at : at + view.nbytes] = view
                at += view.nbytes
        self._head = head
        return self

    def _is_shared(self, view: memoryview) -> bool:
        """Whether the kernel sees it where it is: memory of `mmap`, which disks can be read into directly."""
        try:
            return bool(_native.map_view(self._process, _address(view), view.nbytes, False))
        except ValueError:
            return False

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, value, trace)
        self._memory.release()
        if isinstance(self.vector, int) and not self._kernel.closed:
            self._kernel.free(self.vector)

    def taken(self, count: int) -> int:
        """`count` bytes were read: copy them to where they belong."""
        at, left = self._head, count
        for view, shared in zip(self._views, self._shared, strict=True):
            part = min(left, view.nbytes)
            left -= part
            if not shared:
                view[:part] = self._memory[at : at + part]
                at += view.nbytes
        return count


def _address(view: memoryview) -> int:
    import ctypes  # noqa: PLC0415 - here, because it costs every start of the interpreter some milliseconds

    return ctypes.addressof(ctypes.c_char.from_buffer(view)) if view.nbytes else 0


def vector(process: _native.Process, buffers: Sequence[Buffer]) -> Vector:
    """An array of struct iovec over writable buffers, for a call of `process`."""
    kernel = process.kernel
    return SharedVector(kernel, process, buffers) if kernel.isolated else Vector(buffers)
