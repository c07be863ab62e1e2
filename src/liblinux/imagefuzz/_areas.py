"""Where an image has its metadata, found without knowing its format.

The image is mounted once as it is, and every read of the kernel is noted. What
it reads to mount is the super block and its company; what it reads to list the
tree are inodes, directories and attributes; what it reads for the content of
files is data, and the maps of it.
"""

from __future__ import annotations

import contextlib
import io
import stat
from dataclasses import dataclass
from typing import Any

import liblinux
from liblinux.imagefuzz._target import Target, attributes_of

__all__ = ["BLOCK_BYTES", "Areas", "find_areas"]

BLOCK_BYTES = 4096
_FILE_BYTES = 1 << 20


@dataclass(frozen=True)
class Areas:
    """Numbers of blocks of BLOCK_BYTES: read to mount, to list, for content; none twice."""

    mount: tuple[int, ...]
    listing: tuple[int, ...]
    content: tuple[int, ...]


class _Recorder(io.RawIOBase):
    """A read-only file over an image that notes which blocks are read."""

    def __init__(self, image: Any) -> None:
        self._image = image
        self._position = 0
        self.blocks: dict[int, None] = {}  # a set that keeps the order

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._image)}[whence]
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any, /) -> int:
        part = self._image[self._position : self._position + len(buffer)]
        if part:
            first, last = self._position // BLOCK_BYTES, (self._position + len(part) - 1) // BLOCK_BYTES
            self.blocks.update(dict.fromkeys(range(first, last + 1)))
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)


def find_areas(image: Any, target: Target) -> Areas:
    """The areas of an image (a buffer) that can be mounted; raises MountError for one that cannot."""
    recorder = _Recorder(image)
    phases: list[set[int]] = []
    with target.kernel() as kernel:
        disk = kernel.attach(recorder, overlay=True)
        recorder.blocks.clear()  # the search for partitions
        kernel.mount(disk, "/mnt", partition=0, type=target.type, options=target.options)
        phases.append(set(recorder.blocks))
        entries = kernel.os.scantree("/mnt")
        for entry in entries:
            with contextlib.suppress(OSError):
                attributes_of(kernel, entry.path)
        phases.append(set(recorder.blocks) - phases[0])
        for entry in entries:
            if stat.S_ISREG(entry.stat(follow_symlinks=False).st_mode):
                _read(kernel, entry.path)
        phases.append(set(recorder.blocks) - phases[0] - phases[1])
    # Zeros have nothing in them that could be wrong, but where everything begins.
    full = [tuple(sorted(block for block in blocks if block < 2 or any(_block(image, block)))) for blocks in phases]
    return Areas(*full)


def _block(image: Any, block: int) -> bytes:
    return bytes(image[block * BLOCK_BYTES : (block + 1) * BLOCK_BYTES])


def _read(kernel: liblinux.Kernel, path: str) -> None:
    with kernel.open(path, "rb") as file:
        file.read(_FILE_BYTES)
