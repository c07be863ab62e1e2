"""Features of file systems by name.

Btrfs and F2FS: the kernel lists the names in /sys. XFS: the kernel says bits, by an
ioctl, named here as mkfs.xfs(8) names them. ext2 to ext4: the kernel says nothing,
so the bits are read from the super block, and named as mke2fs(8) names them.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from liblinux._kernel import Kernel

__all__ = ["features_of_device", "features_of_mount"]

_EXT_BITS = struct.Struct("<III")
_EXT_OFFSET = 1024 + 92
_EXT_TYPES = ("ext2", "ext3", "ext4")
_EXT_COMPAT = {
    0x0001: "dir_prealloc",
    0x0004: "has_journal",
    0x0008: "ext_attr",
    0x0010: "resize_inode",
    0x0020: "dir_index",
    0x0200: "sparse_super2",
    0x0400: "fast_commit",
    0x0800: "stable_inodes",
    0x1000: "orphan_file",
}
_EXT_INCOMPAT = {
    0x0001: "compression",
    0x0002: "filetype",
    0x0004: "needs_recovery",
    0x0008: "journal_dev",
    0x0010: "meta_bg",
    0x0040: "extent",
    0x0080: "64bit",
    0x0100: "mmp",
    0x0200: "flex_bg",
    0x0400: "ea_inode",
    0x1000: "dirdata",
    0x2000: "metadata_csum_seed",
    0x4000: "large_dir",
    0x8000: "inline_data",
    0x10000: "encrypt",
    0x20000: "casefold",
}
_EXT_RO_COMPAT = {
    0x0001: "sparse_super",
    0x0002: "large_file",
    0x0008: "huge_file",
    0x0010: "uninit_bg",
    0x0020: "dir_nlink",
    0x0040: "extra_isize",
    0x0100: "quota",
    0x0200: "bigalloc",
    0x0400: "metadata_csum",
    0x1000: "read-only",
    0x2000: "project",
    0x4000: "shared_blocks",
    0x8000: "verity",
    0x10000: "orphan_present",
}
_XFS_GEOMETRY_BYTES = 256
_XFS_GEOMETRY = 2 << 30 | _XFS_GEOMETRY_BYTES << 16 | ord("X") << 8 | 126
_XFS_FLAGS_OFFSET = 92
_XFS = {
    1 << 2: "quota",
    1 << 12: "ascii-ci",
    1 << 14: "lazy-count",
    1 << 15: "crc",
    1 << 16: "ftype",
    1 << 17: "finobt",
    1 << 18: "sparse",
    1 << 19: "rmapbt",
    1 << 20: "reflink",
    1 << 21: "bigtime",
    1 << 22: "inobtcount",
    1 << 23: "nrext64",
    1 << 24: "exchange",
    1 << 25: "parent",
}


def features_of_device(kernel: Kernel, type: str | None, device: str) -> list[str]:
    """Those in the super block, before mounting changes them: a journal that must be replayed is one."""
    return _ext_features(_read(kernel, device, _EXT_OFFSET, _EXT_BITS.size)) if type in _EXT_TYPES else []


def features_of_mount(kernel: Kernel, type: str, device: str, root: str, uuid: str) -> list[str]:
    """What the kernel says of a file system that is mounted on `root`; empty for types of which it says nothing."""
    name = os.path.basename(device)
    if type == "xfs":
        return _xfs_features(kernel, root)
    if type == "btrfs":
        path = f"/sys/fs/btrfs/{uuid}/features"
        return sorted(kernel.os.listdir(path)) if kernel.os.path.isdir(path) else []
    if type == "f2fs":
        text = kernel._read_text(f"/sys/fs/f2fs/{name}/features")
        return [feature for feature in text.replace(",", " ").split() if feature != "pin_file"]
    return []


def _read(kernel: Kernel, path: str, offset: int, length: int) -> bytes:
    descriptor = kernel.os.open(path, os.O_RDONLY)
    try:
        return kernel.os.pread(descriptor, length, offset)
    finally:
        kernel.os.close(descriptor)


def _ext_features(raw: bytes) -> list[str]:
    compat, incompat, ro_compat = _EXT_BITS.unpack(raw)
    return [
        *_names(compat, _EXT_COMPAT, "FEATURE_C"),
        *_names(incompat, _EXT_INCOMPAT, "FEATURE_I"),
        *_names(ro_compat, _EXT_RO_COMPAT, "FEATURE_R"),
    ]


def _xfs_features(kernel: Kernel, root: str) -> list[str]:
    geometry = bytearray(_XFS_GEOMETRY_BYTES)
    descriptor = kernel.os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        kernel.syscall("ioctl", descriptor, _XFS_GEOMETRY, geometry)
    finally:
        kernel.os.close(descriptor)
    (flags,) = struct.unpack_from("<I", geometry, _XFS_FLAGS_OFFSET)
    # The other bits are of formats that all have had for twenty years.
    return [name for bit, name in _XFS.items() if flags & bit]


def _names(bits: int, known: Mapping[int, str], unknown: str) -> list[str]:
    """The names of bits; an unknown one by its number, as dumpe2fs(8) has it."""
    return [known.get(1 << n, f"{unknown}{n}") for n in range(32) if bits >> n & 1]
