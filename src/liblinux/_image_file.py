"""Open files of an image: the io objects of `kernel.open`, with what fsspec expects of its own.

fsspec and those who use it ask a file for `fs`, `path` and `size`, and in a
transaction want it to appear only when it is complete. The raw file and its
buffering are the package's and the standard library's.
"""

from __future__ import annotations

import errno
import io
import os
import stat as stat_modes
from typing import TYPE_CHECKING

from liblinux._io import BUFFER_BYTES, KernelFile, check_mode, open_flags

if TYPE_CHECKING:
    from liblinux._image import ImageFileSystem

__all__ = ["ImageFile", "ImageRandom", "ImageReader", "ImageWriter", "open_image_file"]

_NAME_BYTES = 6


class ImageFile(io.BufferedIOBase):
    """What the three kinds of buffered files have in common."""

    def __init__(self, raw: KernelFile, fs: ImageFileSystem, path: str, temporary: str | None = None) -> None:
        super().__init__(raw, BUFFER_BYTES)  # type: ignore[call-arg]  # that of the io class beside this one
        self._kernel_file = raw
        # Keeps the kernel while it is open: a file may be all that is left of `fsspec.open(url).open()`.
        self.fs: ImageFileSystem | None = fs
        self.path = path
        self._temporary = temporary

    @property
    def kernel_fd(self) -> int:
        """The kernel's descriptor."""
        return self._kernel_file.fd

    @property
    def size(self) -> int:
        """Size in bytes of what has reached the kernel."""
        return self._kernel_file.status().st_size

    def close(self) -> None:
        """Flush and close it."""
        try:
            super().close()
        finally:
            if self._temporary is None:
                self.fs = None

    def commit(self) -> None:
        """Give a file of a transaction its name; one that is there already is replaced."""
        self.close()
        if self.fs is not None and self._temporary is not None:
            self.fs.os.rename(self._temporary, self.path)
        self._settle()

    def discard(self) -> None:
        """Drop a file of a transaction."""
        self.close()
        if self.fs is not None and self._temporary is not None:
            self.fs.os.unlink(self._temporary)
        self._settle()

    def _settle(self) -> None:
        self._temporary = self.fs = None


class ImageReader(ImageFile, io.BufferedReader):
    """A file opened with "rb"."""


class ImageWriter(ImageFile, io.BufferedWriter):
    """A file opened with "wb", "xb" or "ab"."""


class ImageRandom(ImageFile, io.BufferedRandom):
    """A file opened with "+"."""


def open_image_file(fs: ImageFileSystem, path: str, mode: str, *, autocommit: bool = True) -> ImageFile:
    """Open a regular file of an image; `mode` as of open(), binary.

    Raises ValueError for a wrong mode, what open(2) would, IsADirectoryError for a directory, and
    io.UnsupportedOperation, an OSError, for a file without content: a pipe of an
    untrusted image would wait for its other end for ever.
    """
    if not check_mode(mode):
        raise ValueError(f"a file of an image is opened in a binary mode, not {mode!r}")
    # A transaction replaces whole files; adding to one, or changing it, is done in place.
    temporary = f"{path}.{os.urandom(_NAME_BYTES).hex()}.part" if not autocommit and mode[0] == "w" else None
    opened = temporary or path
    fd = fs.os.open(opened, open_flags(mode) | os.O_NONBLOCK, 0o666)
    try:
        kind = fs.os.fstat(fd).st_mode
        if stat_modes.S_ISDIR(kind):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        if not stat_modes.S_ISREG(kind):
            raise io.UnsupportedOperation(f"cannot open {path!r}: it is no regular file and has no content to read")
        if mode[0] == "a":
            fs.os.lseek(fd, 0, os.SEEK_END)
        raw = KernelFile(fs.os, fd, path, mode)
    except BaseException:
        fs.os.call("close", fd)
        raise
    if "+" in mode:
        return fs._remember(ImageRandom(raw, fs, path, temporary))
    if mode[0] == "r":
        return ImageReader(raw, fs, path)
    return fs._remember(ImageWriter(raw, fs, path, temporary))
