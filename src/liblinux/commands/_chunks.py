"""The chunk tree of Btrfs: where on the device an address of the file system is.

Source: include/uapi/linux/btrfs.h and btrfs_tree.h of the kernel tree.
"""

from __future__ import annotations

import os
import struct

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from liblinux._image_root import ImageRoot

__all__ = ["Chunks"]

_TREE_SEARCH = 0xD0009411
_ARGUMENT_BYTES = 4096
_KEY = struct.Struct("=7Q4I")
_KEY_BYTES = 104
_HEADER = struct.Struct("=3Q2I")
_CHUNK_TREE, _CHUNK_OBJECT, _CHUNK_ITEM = 3, 256, 228
_CHUNK = struct.Struct("<4Q3I2H")
_STRIPE = struct.Struct("<QQ16s")
_COUNT_AT = 64  # of the items, in the key
# RAID 0, 10, 5 and 6: a stretch of addresses is no stretch of one device.
_STRIPED = 1 << 3 | 1 << 6 | 1 << 7 | 1 << 8
_MAX = (1 << 64) - 1


class Chunks:
    """The chunks of the file system that an open file is on."""

    def __init__(self, image: ImageRoot, descriptor: int) -> None:
        self._chunks = list(_search(image, descriptor))

    def place(self, address: int, length: int) -> int | None:
        """Bytes from the start of the device, None when that is no one stretch of one device."""
        for start, size, device_offset in self._chunks:
            if start <= address and address + length <= start + size:
                return None if device_offset is None else device_offset + address - start
        return None


def _search(image: ImageRoot, descriptor: int) -> Iterator[tuple[int, int, int | None]]:
    """Address and length of each chunk, and where its first copy is."""
    start = 0
    while True:
        buffer = bytearray(_ARGUMENT_BYTES)
        kinds = (_CHUNK_ITEM, _CHUNK_ITEM)
        _KEY.pack_into(buffer, 0, _CHUNK_TREE, _CHUNK_OBJECT, _CHUNK_OBJECT, start, _MAX, 0, _MAX, *kinds, 16, 0)
        result = image.os.call("ioctl", descriptor, _TREE_SEARCH, buffer)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        count = int.from_bytes(buffer[_COUNT_AT : _COUNT_AT + 4], "little")
        at = _KEY_BYTES
        for _ in range(count):
            _, _, address, _, length = _HEADER.unpack_from(buffer, at)
            at += _HEADER.size
            yield _chunk(buffer, at, address)
            at += length
            start = address + 1
        if not count:
            return


def _chunk(buffer: bytearray, at: int, address: int) -> tuple[int, int, int | None]:
    size, _, _, kind, _, _, _, stripes, _ = _CHUNK.unpack_from(buffer, at)
    places = [_STRIPE.unpack_from(buffer, at + _CHUNK.size + index * _STRIPE.size) for index in range(stripes)]
    one_device = len({device for device, _, _ in places}) == 1
    return address, size, places[0][1] if one_device and not kind & _STRIPED else None
