"""ioctls of file systems. Sources: the uapi headers named at each; xfs_fs.h of xfsprogs."""

from __future__ import annotations

import os
import struct

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from liblinux._os import Os

__all__ = ["call"]

# linux/fs.h
FITRIM = 0xC0185879
FSTRIM_RANGE = struct.Struct("<3Q")  # start, length, shortest
BLKGETSIZE64 = 0x80081272
# fs/ext4/ext4.h: u64, blocks
EXT4_IOC_RESIZE_FS = 0x40086610
# linux/f2fs.h: u64, blocks
F2FS_IOC_RESIZE_FS = 0x4008F510
# linux/nilfs2_api.h: u64, bytes
NILFS_IOCTL_RESIZE = 0x40086E8B
# xfs_fs.h: blocks and the share of inodes, in percent; of the geometry the block size, that share, and blocks
XFS_IOC_FSGROWFSDATA = 0x4010586E
XFS_GROWFS_DATA = struct.Struct("<QI4x")
XFS_IOC_FSGEOMETRY_V1 = 0x80705864
XFS_GEOMETRY = struct.Struct("<I24xIQ72x")
# linux/btrfs.h
BTRFS_IOC_RESIZE = 0x50009403
BTRFS_IOC_SNAP_DESTROY = 0x5000940F
BTRFS_IOC_TREE_SEARCH = 0xD0009411
BTRFS_IOC_INO_LOOKUP = 0xD0009412
BTRFS_IOC_SNAP_CREATE_V2 = 0x50009417
BTRFS_IOC_SUBVOL_CREATE_V2 = 0x50009418
BTRFS_IOC_SCRUB = 0xC400941B
BTRFS_IOC_DEV_INFO = 0xD000941E
BTRFS_IOC_FS_INFO = 0x8400941F
BTRFS_VOL_ARGS = struct.Struct("<q4088s")  # descriptor, name
BTRFS_VOL_ARGS_V2 = struct.Struct("<qQQ32x4040s")  # descriptor, transaction, flags, name
BTRFS_SUBVOL_RDONLY = 1 << 1


def call(system: Os, descriptor: int, command: int, argument: bytes | bytearray) -> bytearray:
    """An ioctl with a structure; returns the structure as it is afterwards. OSError on failure."""
    memory = bytearray(argument)
    result = system.call("ioctl", descriptor, command, memory)
    if result < 0:
        raise OSError(-result, os.strerror(-result))
    return memory
