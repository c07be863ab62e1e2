"""Where the content of a file is in the image: FIEMAP, and FIBMAP for file systems that have only that.

Source: Documentation/filesystems/fiemap.rst of the kernel tree. What FIEMAP calls
physical counts from the start of the file system's own device; on Btrfs it is an
address of its own, which the chunk tree translates.
"""

from __future__ import annotations

import errno
import os
import struct

from liblinux._os_base import blame
from liblinux._typing import TYPE_CHECKING, Value
from liblinux.commands._chunks import Chunks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from liblinux._image_root import ImageRoot

__all__ = ["Extent", "extents"]

_FS_IOC_FIEMAP = 0xC020660B
_FIBMAP, _FIGETBSZ = 1, 2
_HEADER = struct.Struct("=QQIIII")
_EXTENT = struct.Struct("=5Q4I")
_FLAG_SYNC = 1
_AT_ONCE = 256
_WHOLE = (1 << 64) - 1
_LAST = 0x1
# A block of a file that lies nowhere has these.
_NOWHERE = 0x2 | 0x4
_FLAGS = {
    0x1: "last",
    0x2: "unknown",
    0x4: "delayed",
    0x8: "encoded",
    0x80: "encrypted",
    0x100: "unaligned",
    0x200: "inline",
    0x400: "tail",
    0x800: "unwritten",
    0x1000: "merged",
    0x2000: "shared",
}
_UNSUPPORTED = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EINVAL)


class Extent(Value):
    """A stretch of a file, all numbers in bytes.

    `logical` is its place in the file; `physical` the one on the file system's
    device; `offset` the one in the image, None when it has none or it cannot be
    told. `flags` are those of FIEMAP, "unwritten" or "inline" for example.
    """

    logical: int
    physical: int
    length: int
    offset: int | None
    flags: tuple[str, ...]

    def record(self) -> dict[str, Any]:
        """For --json."""
        return {name: getattr(self, name) for name in self.__match_args__}


def extents(image: ImageRoot, descriptor: int, path: str) -> list[Extent]:
    """The extents of an open file, in their order; `path` is for errors.

    Raises OSError (EOPNOTSUPP) for a file system that does not say.
    """
    try:
        place = _placing(image, descriptor)
        found = _mapped(image, descriptor)
    except OSError as error:
        blame(error, path)
    return [
        Extent(
            logical,
            physical,
            length,
            None if flags & _NOWHERE else place(physical, length),
            tuple(name for bit, name in _FLAGS.items() if flags & bit),
        )
        for logical, physical, length, flags in found
    ]


def _mapped(image: ImageRoot, descriptor: int) -> list[tuple[int, int, int, int]]:
    try:
        return list(_fiemap(image, descriptor))
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        return list(_fibmap(image, descriptor))


def _placing(image: ImageRoot, descriptor: int) -> Callable[[int, int], int | None]:
    """The function that makes a place in the image of one on the file system's device."""
    start = _start(image)
    if start is None:
        return lambda physical, length: None
    begin = start  # what is known of it here holds inside of the functions too
    if image.mount.type != "btrfs":
        return lambda physical, length: begin + physical
    chunks = Chunks(image, descriptor)

    def place(physical: int, length: int) -> int | None:
        found = chunks.place(physical, length) if physical else None  # inline data is in the tree
        return None if found is None else begin + found

    return place


def _start(image: ImageRoot) -> int | None:
    """Where the mounted device begins in the image; None for one that the device mapper has made."""
    if image.mount.source == image.disk.path:
        return 0
    return next((part.start for part in image.disk.partitions if part.path == image.mount.source), None)


def _ioctl(image: ImageRoot, descriptor: int, request: int, buffer: bytearray) -> None:
    result = image.os.call("ioctl", descriptor, request, buffer)
    if result < 0:
        raise OSError(-result, os.strerror(-result))


def _fiemap(image: ImageRoot, descriptor: int) -> Iterator[tuple[int, int, int, int]]:
    """Logical and physical place, length and flags of each extent."""
    start = 0
    while True:
        buffer = bytearray(_HEADER.size + _AT_ONCE * _EXTENT.size)
        _HEADER.pack_into(buffer, 0, start, _WHOLE - start, _FLAG_SYNC, 0, _AT_ONCE, 0)
        _ioctl(image, descriptor, _FS_IOC_FIEMAP, buffer)
        count = _HEADER.unpack_from(buffer)[3]
        for index in range(count):
            logical, physical, length, _, _, flags, *_ = _EXTENT.unpack_from(
                buffer, _HEADER.size + index * _EXTENT.size
            )
            yield logical, physical, length, flags
            if flags & _LAST or logical + length <= start:  # the latter only on a damaged image: no end otherwise
                return
            start = logical + length
        if not count:
            return


def _fibmap(image: ImageRoot, descriptor: int) -> Iterator[tuple[int, int, int, int]]:
    """The same block by block, neighbours put together."""
    size = image.os.fstat(descriptor).st_size
    buffer = bytearray(4)
    try:
        _ioctl(image, descriptor, _FIGETBSZ, buffer)
        block = int.from_bytes(buffer, "little")
        logical = physical = length = 0
        for index in range(-(-size // block)):
            buffer[:] = index.to_bytes(4, "little")
            _ioctl(image, descriptor, _FIBMAP, buffer)
            at = int.from_bytes(buffer, "little") * block
            if length and at == physical + length:
                length += block
                continue
            if length:
                yield logical, physical, length, 0
            logical, physical, length = index * block, at, block if at else 0
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            text = f"{image.mount.type} does not say where files are (neither FIEMAP nor FIBMAP)"
            raise OSError(errno.EOPNOTSUPP, text) from None
        raise
    if length:
        yield logical, physical, length, _LAST
