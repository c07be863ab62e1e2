"""Numbers and layouts of Linux's x86-64 system-call interface.

Only what Python's own `os` module does not carry. Sources: the uapi headers
`linux/fcntl.h`, `linux/mount.h`, `linux/mman.h`, `linux/sched.h` and
`asm/statfs.h` of the kernel tree; they never change.
"""

from __future__ import annotations

import struct
from types import MappingProxyType

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_REMOVEDIR = 0x200
AT_EACCESS = 0x200
AT_SYMLINK_FOLLOW = 0x400
AT_EMPTY_PATH = 0x1000

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_SYNCHRONOUS = 16
MS_REMOUNT = 32
MS_MANDLOCK = 64
MS_DIRSYNC = 128
MS_NOSYMFOLLOW = 256
MS_NOATIME = 1 << 10
MS_NODIRATIME = 1 << 11
MS_BIND = 1 << 12
MS_MOVE = 1 << 13
MS_REC = 1 << 14
MS_SILENT = 1 << 15
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MS_RELATIME = 1 << 21
MS_STRICTATIME = 1 << 24
MS_LAZYTIME = 1 << 25

MNT_FORCE = 1
MNT_DETACH = 2

MAP_SHARED = 1
MAP_PRIVATE = 2
MAP_ANONYMOUS = 0x20
MAP_POPULATE = 0x8000
PROT_READ = 1
PROT_WRITE = 2
MREMAP_MAYMOVE = 1
MS_SYNC = 4  # of msync(2), not of mount(2)

PR_SET_DUMPABLE = 4

WALL = 0x40000000

DT_UNKNOWN = 0
DT_DIR = 4
DT_REG = 8
DT_LNK = 10

CLONE_FILES = 0x400
# Namespace names as they stand in /proc/self/ns, with their clone(2) flags.
NAMESPACES = MappingProxyType(
    {
        "mnt": 0x00020000,
        "cgroup": 0x02000000,
        "uts": 0x04000000,
        "ipc": 0x08000000,
        "user": 0x10000000,
        "pid": 0x20000000,
        "net": 0x40000000,
    }
)

TIMESPECS = struct.Struct("=4q")  # utimensat: access and modification time
STATFS = struct.Struct("=7q2i3q4q")
UTSNAME = struct.Struct("65s65s65s65s65s65s")
TMS = struct.Struct("=4q")
TICKS_PER_SECOND = 100
IOVEC = struct.Struct("=QQ")

# signal(7); the module `signal` is slow to import.
SIGPIPE = 13
