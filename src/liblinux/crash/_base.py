"""The image that a recording begins with: kept once, seen by many.

Every user of it has a private copy-on-write mapping, so that a sparse image of
hundreds of megabytes costs what is touched of it, also in worker processes.
"""

from __future__ import annotations

import mmap
import os
import weakref
from collections.abc import Iterator
from typing import TYPE_CHECKING

from liblinux._backing import check_size, lock_image, open_image_file

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["BaseImage"]

_COPY_BYTES = 1 << 20


class BaseImage:
    """An image that is not written to.

    `source` is the path of an image file, which is locked against writers as
    long as this object lives, or a bytes-like object, which is copied.

    Raises what opening raises, BlockingIOError when the image is being written
    by somebody else, ValueError when it is empty or no whole number of sectors.
    """

    def __init__(self, source: str | os.PathLike[str] | Buffer, sector_size: int = 512) -> None:
        if isinstance(source, str | os.PathLike):
            path = os.fspath(source)
            self.descriptor = open_image_file(path, writable=False)
            self._closer = weakref.finalize(self, os.close, self.descriptor)
            lock_image(self.descriptor, path, exclusive=False)
            name = path
        else:
            self.descriptor = os.memfd_create("liblinux-crash-base")
            self._closer = weakref.finalize(self, os.close, self.descriptor)
            name = f"the {type(source).__name__} object"
            _fill(self.descriptor, memoryview(source).cast("B"))
        self.size = os.lseek(self.descriptor, 0, os.SEEK_END)
        check_size(self.size, sector_size, name)

    def map(self) -> mmap.mmap:
        """A private mapping of all of it: writes to it are seen by nobody else."""
        return mmap.mmap(self.descriptor, self.size, access=mmap.ACCESS_COPY)

    def data_ranges(self) -> Iterator[tuple[int, int]]:
        """Where it is no hole: (start, end) in bytes, ascending."""
        end = 0
        while end < self.size:
            try:
                start = os.lseek(self.descriptor, end, os.SEEK_DATA)
            except OSError:  # a hole up to the end
                return
            end = os.lseek(self.descriptor, start, os.SEEK_HOLE)
            yield start, end


def _fill(descriptor: int, data: memoryview) -> None:
    os.ftruncate(descriptor, len(data))
    for start in range(0, len(data), _COPY_BYTES):
        piece = bytes(data[start : start + _COPY_BYTES])
        if piece.count(0) < len(piece):
            os.pwrite(descriptor, piece, start)
