"""A disk that Python serves."""

from __future__ import annotations

from liblinux import _native


class Source:
    """A disk in Python that keeps a record of what it was asked."""

    def __init__(self, size: int) -> None:
        self.data = bytearray(size)
        self.calls: list[str] = []
        self.failure: BaseException | None = None
        self.kernel: _native.Kernel | None = None

    def _asked(self, what: str) -> None:
        self.calls.append(what)
        if self.failure is not None:
            raise self.failure

    def pread(self, offset: int, buffer: memoryview) -> None:
        self._asked("pread")
        buffer[:] = self.data[offset : offset + len(buffer)]

    def pwrite(self, offset: int, data: memoryview, stable: bool) -> None:
        self._asked("pwrite stable" if stable else "pwrite")
        self.data[offset : offset + len(data)] = data

    def flush(self) -> None:
        self._asked("flush")

    def discard(self, offset: int, length: int) -> None:
        self._asked("discard")
        self.data[offset : offset + length] = bytes(length)
