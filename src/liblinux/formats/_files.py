"""Files that a container is made of, and which files of the host it may name.

An image can name others: the backing file of a qcow2, the extents of a VMDK. Who
made the image chose those names, and might choose any file of the host. So only
regular files are opened, by names that lead, with all links followed, into the
directory of the image that names them or below it, or into a directory that the
caller allows.
"""

from __future__ import annotations

import errno
import io
import os
from typing import TYPE_CHECKING, Protocol

from liblinux._backing import FileAdapter, is_file_object, lock_image, open_image_file
from liblinux._errors import FormatError
from liblinux.formats._errors import damaged

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

__all__ = ["Bytes", "Files", "HostFile", "Source", "open_bytes"]


class Source(Protocol):
    """Bytes at places: a file of the host, a buffer, or a file object."""

    name: str
    size: int

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes; fewer only at the end."""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer`; returns how many bytes there were."""

    def close(self) -> None:
        """Give it back."""


class HostFile:
    """A file of the host, open for reading and locked as an image that is read."""

    def __init__(self, path: str | bytes) -> None:
        self.name = os.fsdecode(path)
        self._descriptor = open_image_file(path, writable=False)
        try:
            lock_image(self._descriptor, path, exclusive=False)
            self.size = os.lseek(self._descriptor, 0, os.SEEK_END)
        except BaseException:
            os.close(self._descriptor)
            raise

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes at `offset`; room is made for no more than there is."""
        length = min(length, self.size - offset)
        return os.pread(self._descriptor, length, offset) if length > 0 else b""

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`; pread(2) of a regular file comes short only at its end."""
        return os.preadv(self._descriptor, [buffer], offset)

    def close(self) -> None:
        """Close it, which ends the lock."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


class Bytes:
    """A bytes-like object."""

    def __init__(self, view: memoryview, name: str = "the bytes") -> None:
        self.name = name
        self._view = view.cast("B")
        self.size = self._view.nbytes

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes at `offset`."""
        return bytes(self._view[offset : offset + length])

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`."""
        piece = self._view[offset : offset + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Nothing: it belongs to the caller."""


class _FileObject:
    """A file object of Python, which stays the caller's."""

    def __init__(self, source: Any) -> None:
        self.name = str(getattr(source, "name", "") or getattr(source, "path", "") or f"a {type(source).__name__}")
        self._adapter = FileAdapter(source)
        self.size = self._adapter.size()

    def read(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes at `offset`."""
        data = bytearray(max(min(length, self.size - offset), 0))
        if data:
            self._adapter.pread(offset, memoryview(data))
        return bytes(data)

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`."""
        piece = buffer[: max(self.size - offset, 0)]
        if piece:
            self._adapter.pread(offset, piece)
        return len(piece)

    def close(self) -> None:
        """Nothing: it belongs to the caller."""


def open_bytes(source: Any) -> Source | None:
    """`source` as bytes at places; None if it is none of these, as a device object is."""
    if isinstance(source, str | os.PathLike):
        return HostFile(os.fspath(source))
    try:
        return Bytes(memoryview(source), f"the {type(source).__name__} object")
    except TypeError:
        readable = is_file_object(source) and not isinstance(source, io.TextIOBase)
        return _FileObject(source) if readable else None


class Files:
    """The files of one container: opens what it names, and closes all at the end."""

    def __init__(self, path: str | None, allowed: Iterable[str | os.PathLike[str]] = ()) -> None:
        """`path` of the image, None when it is no file of the host; `allowed`, more directories."""
        own = [] if path is None else [os.path.dirname(os.path.realpath(path))]
        self._allowed = [*own, *(os.path.realpath(directory) for directory in allowed)]
        self._open: list[Source] = []

    def add(self, source: Source) -> Source:
        """Note a file that is open already."""
        self._open.append(source)
        return source

    def open(self, name: str, beside: str) -> HostFile:
        """Open the file that `beside` names. FormatError for one that may not be, FileNotFoundError."""
        name = name.removeprefix("file:")
        if not name or "\0" in name or name.startswith("json:") or "://" in name:
            raise damaged(beside, f"the image is made of {name!r} too, which is no name of a file here")
        path = os.path.join(os.path.dirname(beside), name)
        real = os.path.realpath(path)
        if not any(os.path.commonpath([directory, real]) == directory for directory in self._allowed):
            raise FormatError(
                errno.EACCES,
                f"the image is made of {name!r} too, which is outside of its directory, so it is not opened",
                beside,
                advice=f"if you trust the image, allow it: backing={os.path.dirname(real)!r}, or --backing",
            )
        try:
            file = HostFile(real)
        except FileNotFoundError:
            raise FormatError(errno.ENOENT, f"the image is made of {name!r} too, which is not there", beside) from None
        self._open.append(file)
        return file

    def close(self) -> None:
        """Close all."""
        for file in self._open:
            file.close()
        self._open.clear()
