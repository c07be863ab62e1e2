"""The protocol of /dev/fuse: numbers and layouts. Source: include/uapi/linux/fuse.h, version 7.39.

Names are those of that header without their prefix. All is little-endian, as the
machine is.
"""

from __future__ import annotations

import struct
from enum import IntEnum, IntFlag

MAJOR = 7
MINOR = 39  # what we know of; the kernel answers in the words of that version
OLDEST_MINOR = 23  # Linux 3.15: before, answers were shorter
ROOT_ID = 1


class Op(IntEnum):
    """What is asked for."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    READLINK = 5
    SYMLINK = 6
    MKNOD = 8
    MKDIR = 9
    UNLINK = 10
    RMDIR = 11
    RENAME = 12
    LINK = 13
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    SETXATTR = 21
    GETXATTR = 22
    LISTXATTR = 23
    REMOVEXATTR = 24
    INIT = 26
    OPENDIR = 27
    READDIR = 28
    RELEASEDIR = 29
    FSYNCDIR = 30
    CREATE = 35
    INTERRUPT = 36
    DESTROY = 38
    IOCTL = 39
    BATCH_FORGET = 42
    FALLOCATE = 43
    READDIRPLUS = 44
    RENAME2 = 45
    LSEEK = 46
    COPY_FILE_RANGE = 47
    SYNCFS = 50
    TMPFILE = 51
    STATX = 52


class Init(IntFlag):
    """What kernel and server agree upon in the beginning."""

    ASYNC_READ = 1 << 0
    ATOMIC_O_TRUNC = 1 << 3
    BIG_WRITES = 1 << 5
    DONT_MASK = 1 << 6
    HAS_IOCTL_DIR = 1 << 11
    DO_READDIRPLUS = 1 << 13
    ASYNC_DIO = 1 << 15
    NO_OPEN_SUPPORT = 1 << 17
    PARALLEL_DIROPS = 1 << 18
    POSIX_ACL = 1 << 20
    MAX_PAGES = 1 << 22
    CACHE_SYMLINKS = 1 << 23
    NO_OPENDIR_SUPPORT = 1 << 24


class Open(IntFlag):
    """How the host's kernel treats an open file."""

    KEEP_CACHE = 1 << 1
    CACHE_DIR = 1 << 3
    NOFLUSH = 1 << 5


class Set(IntFlag):
    """What SETATTR changes."""

    MODE = 1 << 0
    UID = 1 << 1
    GID = 1 << 2
    SIZE = 1 << 3
    ATIME = 1 << 4
    MTIME = 1 << 5
    FH = 1 << 6
    ATIME_NOW = 1 << 7
    MTIME_NOW = 1 << 8


GETATTR_FH = 1
FSYNC_FDATASYNC = 1

# len, opcode, unique, node, uid, gid, pid, (extensions)
REQUEST = struct.Struct("<2I2Q3I4x")
# len, -errno, unique
ANSWER = struct.Struct("<IiQ")

# major, minor, max_readahead, flags
INIT_IN = struct.Struct("<4I")
# major, minor, max_readahead, flags, max_background, congestion_threshold, max_write, time_gran, max_pages
INIT_OUT = struct.Struct("<4I2H2IH34x")

# ino, size, blocks, three times in seconds, their nanoseconds, mode, nlink, uid, gid, rdev, blksize, flags
ATTR = struct.Struct("<3Q3q10I")
# node, generation, seconds that the name and the attributes are valid, their nanoseconds; then ATTR
ENTRY_OUT = struct.Struct("<4Q2I")
# seconds that the attributes are valid, nanoseconds; then ATTR
ATTR_OUT = struct.Struct("<QI4x")
# ino, offset of the next, length of the name, type; then the name, padded to eight bytes
DIRENT = struct.Struct("<2Q2I")
ENTRY_BYTES = ENTRY_OUT.size + ATTR.size

GETATTR_IN = struct.Struct("<I4xQ")  # flags, fh
# valid, fh, size, atime, mtime in seconds, their nanoseconds, mode, uid, gid
SETATTR_IN = struct.Struct("<I4xQQ8x2q8x2I4xI4x2I4x")
# flags, fh, flags of statx, mask; the answer: seconds valid, nanoseconds, flags
STATX_IN = struct.Struct("<I4xQ2I")
STATX_OUT = struct.Struct("<Q2I16x")
# mask, blksize, attributes, nlink, uid, gid, mode, ino, size, blocks, attributes_mask
STATX = struct.Struct("<2IQ3IH2x4Q")
STATX_TIME = struct.Struct("<qI4x")
STATX_DEVICES = struct.Struct("<4I112x")  # of a device node, of the file system
STATX_BASIC_STATS = 0x7FF
STATX_BTIME = 0x800

MKNOD_IN = struct.Struct("<3I4x")  # mode, rdev, umask
MKDIR_IN = struct.Struct("<2I")  # mode, umask
RENAME_IN = struct.Struct("<Q")  # new directory
RENAME2_IN = struct.Struct("<QI4x")  # the same, flags
LINK_IN = struct.Struct("<Q")  # the node
OPEN_IN = struct.Struct("<2I")  # flags, open_flags
CREATE_IN = struct.Struct("<4I")  # flags, mode, umask, open_flags
OPEN_OUT = struct.Struct("<QI4x")  # fh, flags
READ_IN = struct.Struct("<2QI20x")  # fh, offset, size; WRITE and READDIR have the same
WRITE_OUT = struct.Struct("<I4x")  # size
RELEASE_IN = struct.Struct("<Q16x")  # fh
FSYNC_IN = struct.Struct("<QI4x")  # fh, flags
SETXATTR_IN = struct.Struct("<2I")  # size, flags
GETXATTR_IN = struct.Struct("<I4x")  # size
GETXATTR_OUT = struct.Struct("<I4x")  # size
FORGET_IN = struct.Struct("<Q")  # how often
BATCH_FORGET_IN = struct.Struct("<I4x")  # count
FORGET_ONE = struct.Struct("<2Q")  # node, how often
FALLOCATE_IN = struct.Struct("<3QI4x")  # fh, offset, length, mode
LSEEK_IN = struct.Struct("<2QI4x")  # fh, offset, whence
LSEEK_OUT = struct.Struct("<Q")
COPY_FILE_RANGE_IN = struct.Struct("<7Q")  # fh, offset, node, fh, offset, length, flags
IOCTL_IN = struct.Struct("<Q2IQ2I")  # fh, flags, command, argument, bytes in, bytes out
IOCTL_OUT = struct.Struct("<i3I")  # result
# blocks, bfree, bavail, files, ffree, bsize, namelen, frsize
STATFS_OUT = struct.Struct("<5Q3I28x")
