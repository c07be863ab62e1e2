"""Directories of FAT, which can be full when the file system is not.

Source: fs/fat/dir.c (fat_add_entries(): the root directory of FAT12 and FAT16 does not grow,
and no directory beyond FAT_MAX_DIR_SIZE), and Microsoft's "FAT: General Overview of On-Disk Format".
"""

from __future__ import annotations

from liblinux import _abi
from liblinux._os import Os
from liblinux._os_base import decode, encode
from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

__all__ = ["entries_of_name", "why_directory_is_full"]

_MSDOS_SUPER_MAGIC = 0x4D44
_ENTRY_BYTES = 32
_CHARACTERS_OF_AN_ENTRY = 13
_ROOT_INODE = 1
_MOST_BYTES = 65536 * _ENTRY_BYTES


def entries_of_name(name: bytes) -> int:
    """How many entries of a directory a name takes at most: the short one, and the long one in pieces."""
    characters = len(name.decode("utf-8", "replace").encode("utf-16-le")) // 2
    return 1 + -(-characters // _CHARACTERS_OF_AN_ENTRY)


def why_directory_is_full(system: Any, path: str | bytes) -> str | None:
    """What to say of ENOSPC while blocks are free; None when it is not for a directory of FAT.

    `system` is an os, of the host or of a kernel, and `path` the directory in which something could not be made.
    """
    if not isinstance(system, Os):
        return None
    buffer = bytearray(_abi.STATFS.size)
    system._call("statfs", encode(path), buffer)
    status = system.stat(path)
    fixed = status.st_ino == _ROOT_INODE
    if _abi.STATFS.unpack(buffer)[0] != _MSDOS_SUPER_MAGIC or not system.statvfs(path).f_bfree:
        return None
    if not fixed and status.st_size < _MOST_BYTES:
        return None
    what = "the root directory of this FAT" if fixed else f"the directory {decode(encode(path))}"
    return (
        f"{what} is full: it has room for {status.st_size // _ENTRY_BYTES:,} entries, of which a name that is not "
        f"8.3 in capitals takes two and more; {_advice(fixed=fixed)}"
    )


def _advice(*, fixed: bool) -> str:
    if fixed:
        return "put the files into a directory, or give mkfs.fat more (-r 2048), or a FAT32 (-F 32)"
    return "no directory of FAT takes more, so put them into several"
