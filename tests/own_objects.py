"""A file-like object that is a disk of tests."""

from __future__ import annotations

__all__ = ["OwnObject"]


class OwnObject:
    """The least that is file-like, and it counts."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.position = 0
        self.flushes = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = offset + (0, self.position, len(self.data))[whence]
        return self.position

    def tell(self) -> int:
        return self.position

    def read(self, size: int) -> bytes:
        data = self.data[self.position : self.position + size]
        self.position += len(data)
        return bytes(data)

    def write(self, data: memoryview) -> int:
        # Less than asked for, as raw files may.
        part = bytes(data[:3000])
        self.data[self.position : self.position + len(part)] = part
        self.position += len(part)
        return len(part)

    def flush(self) -> None:
        self.flushes += 1
