"""What statx(2) says beyond os.stat(): the time of birth, and attributes of the file."""

from __future__ import annotations

import errno
import os
import struct

from liblinux import _abi
from liblinux._os_base import encode
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liblinux._image_root import ImageRoot

__all__ = ["attributes", "birth_time", "flag_letters"]

_BTIME = 0x800
_STATX_BYTES = 256
_MASK, _ATTRIBUTES, _ATTRIBUTES_MASK = struct.Struct("=I"), struct.Struct("=Q"), struct.Struct("=Q")
_ATTRIBUTES_AT, _ATTRIBUTES_MASK_AT, _BTIME_AT = 8, 56, 80
_TIMESTAMP = struct.Struct("=qI")

_FS_IOC_GETFLAGS = 0x80086601
# Bit of FS_IOC_GETFLAGS: the letter of lsattr(1), and what it means. Source: include/uapi/linux/fs.h, ext4.h.
_FLAGS = {
    0x00000001: ("s", "secure deletion"),
    0x00000002: ("u", "undelete"),
    0x00000004: ("c", "compressed"),
    0x00000008: ("S", "synchronous"),
    0x00000010: ("i", "immutable"),
    0x00000020: ("a", "append only"),
    0x00000040: ("d", "no dump"),
    0x00000080: ("A", "no access time"),
    0x00000400: ("m", "do not compress"),
    0x00000800: ("E", "encrypted"),
    0x00001000: ("I", "indexed directory"),
    0x00004000: ("j", "journalled data"),
    0x00008000: ("t", "no tail merging"),
    0x00010000: ("D", "synchronous directory"),
    0x00020000: ("T", "top of hierarchy"),
    0x00080000: ("e", "extents"),
    0x00100000: ("V", "verity"),
    0x00800000: ("C", "no copy on write"),
    0x02000000: ("x", "direct access"),
    0x10000000: ("N", "inline data"),
    0x20000000: ("P", "project hierarchy"),
    0x40000000: ("F", "case-insensitive"),
}
_LETTERS = {meaning: letter for letter, meaning in _FLAGS.values()}
# Those that statx() tells, by the same bits; it can be asked about links and devices too.
_STATX_FLAGS = (0x00000004, 0x00000010, 0x00000020, 0x00000040, 0x00000800, 0x00100000)


def _statx(image: ImageRoot, path: str, mask: int) -> bytearray:
    buffer = bytearray(_STATX_BYTES)
    result = image.os.call("statx", _abi.AT_FDCWD, encode(path), _abi.AT_SYMLINK_NOFOLLOW, mask, buffer)
    if result < 0:
        raise OSError(-result, os.strerror(-result), path)
    return buffer


def birth_time(image: ImageRoot, path: str) -> int | None:
    """When the file was made, in nanoseconds since 1970; None where the file system does not keep it."""
    found = _statx(image, path, _BTIME)
    if not _MASK.unpack_from(found)[0] & _BTIME:
        return None
    seconds, nanoseconds = _TIMESTAMP.unpack_from(found, _BTIME_AT)
    return int(seconds * 10**9 + nanoseconds)


def attributes(image: ImageRoot, path: str, descriptor: int | None) -> list[str]:
    """The meanings of the flags that chattr(1) sets and lsattr(1) shows.

    All of them can be had of an open file, some of any.
    """
    bits = None if descriptor is None else _flags(image, descriptor)
    if bits is None:
        found = _statx(image, path, 0)
        known = _ATTRIBUTES_MASK.unpack_from(found, _ATTRIBUTES_MASK_AT)[0]
        bits = _ATTRIBUTES.unpack_from(found, _ATTRIBUTES_AT)[0] & known
        bits &= sum(_STATX_FLAGS)
    return [meaning for bit, (_, meaning) in _FLAGS.items() if bits & bit]


def flag_letters(meanings: list[str]) -> str:
    """The same in the letters of lsattr(1)."""
    return "".join(_LETTERS[meaning] for meaning in meanings)


def _flags(image: ImageRoot, descriptor: int) -> int | None:
    buffer = bytearray(8)
    result = image.os.call("ioctl", descriptor, _FS_IOC_GETFLAGS, buffer)
    if result in (-errno.ENOTTY, -errno.EOPNOTSUPP, -errno.EINVAL):
        return None  # the file system has no such flags
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return int.from_bytes(buffer[:4], "little")
