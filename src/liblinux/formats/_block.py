"""A device object over a map of clusters: what the kernel asks for, piece by piece.

A format says where the bytes from some offset on are, and for how long that holds
(:class:`Piece`). Tables and unpacked clusters are kept in small caches by the
format; everything else is the kernel's page cache, so it is not kept twice.
"""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

from liblinux.formats._errors import damaged

if TYPE_CHECKING:
    from liblinux.formats._files import Files, Source

__all__ = ["BlockImage", "Piece", "RawFile"]


class Piece(NamedTuple):
    """Bytes of the disk: zeros, or bytes of a file, or of memory, from `start` on."""

    length: int
    source: Source | BlockImage | bytes | None = None
    start: int = 0


class BlockImage(ABC):
    """A disk that can only be read. Attributes: `format`, its name; `size` in bytes; `files` to close."""

    format: str
    size: int

    def __init__(self, source: Source, files: Files) -> None:
        self.source = source
        self.files = files
        # The first one: what the kernel makes of it has no words.
        self.failure: OSError | None = None

    @abstractmethod
    def locate(self, offset: int, length: int) -> Piece:
        """Where the byte at `offset` is, and up to `length` that follow it."""

    def describe(self) -> dict[str, object]:
        """What there is to say of the container, for `liblinux info`."""
        return {}

    def read_into(self, offset: int, buffer: memoryview) -> int:
        """Fill `buffer` from `offset`; what is behind the end is not there."""
        wanted = max(min(len(buffer), self.size - offset), 0)
        done = 0
        while done < wanted:
            piece = self.locate(offset + done, wanted - done)
            part = buffer[done : done + min(piece.length, wanted - done)]
            self._fill(part, piece)
            done += len(part)
        return wanted

    def _fill(self, part: memoryview, piece: Piece) -> None:
        source = piece.source
        if source is None:
            part[:] = bytes(len(part))
        elif isinstance(source, bytes):
            part[:] = source[piece.start : piece.start + len(part)]
        elif isinstance(source, BlockImage) or piece.start < source.size:
            # A backing file may be shorter than what is over it. A file may end within its last cluster, with zeros.
            got = source.read_into(piece.start, part)
            part[got:] = bytes(len(part) - got)
        else:
            raise damaged(source.name, f"it ends at byte {source.size}, and should have {piece.start + len(part)}")

    # ---- what Kernel.attach() wants of a device object -----------------------

    def pread(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` from `offset`."""
        try:
            if self.read_into(offset, buffer) < len(buffer):
                raise OSError(errno.EIO, "read behind the end of the disk")
        except OSError as error:
            self.failure = self.failure or error
            raise

    def pwrite(self, offset: int, data: memoryview, stable: bool) -> None:
        """Containers are not written."""
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def flush(self) -> object:
        """Nothing was written."""
        return None

    def discard(self, offset: int, length: int) -> None:
        """Nothing is given back."""
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))


class RawFile(BlockImage):
    """A file that is the disk: below a container that names it."""

    format = "raw"

    def __init__(self, source: Source, files: Files) -> None:
        super().__init__(source, files)
        self.size = source.size

    def locate(self, offset: int, length: int) -> Piece:
        """At the same place."""
        return Piece(length, self.source, offset)
