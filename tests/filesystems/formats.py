"""The file systems that can be written: how each is made and checked, and what it holds."""

from __future__ import annotations

import re
import stat
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import hfsplus
from trees import DAY, MIB, SECOND, Holds, open_mode

from conftest import run
from liblinux._library import find_image

# Of the kernel under test: what Linux has learnt since 6.1 is told apart by it.
_RELEASE = re.search(r"liblinux-(\d+)\.(\d+)", Path(find_image()).name)
assert _RELEASE is not None
SERIES = (int(_RELEASE[1]), int(_RELEASE[2]))
TMPFS_HAS_USER_XATTRS = SERIES >= (6, 6)
# ntfs3 of 6.1.132 and later never sets sbi->zone_max (its commit f9c572d02fcc lost the line), so its table of
# files cannot grow: "no free space to extend mft". Large clusters make room in it when a volume is made.
NTFS_CAN_GROW = SERIES >= (6, 12)
_NTFS_ROOM = () if NTFS_CAN_GROW else ("-c2097152",)
# UDF of 6.1 logs this when a file shrinks; content and checks are right.
_UDF_REMARKS = "No anchor found" if SERIES >= (6, 12) else "No anchor found|Extent after EOF in inode"

_YEAR_2038 = (1 << 31) - 1
_YEAR_2106 = (1 << 32) - 1


@dataclass(frozen=True)
class Format:
    """A file system on a disk: `make` and `check` are given the image."""

    name: str
    type: str  # as the kernel calls it
    size: int
    make: Callable[[Path], object]
    check: Callable[[Path], object]
    holds: Holds
    options: str = "noatime"
    sector_size: int = 512
    remarks: str = "nothing else"  # what the kernel may say of a healthy one

    def __str__(self) -> str:
        return self.name

    def image(self, path: Path) -> Path:
        """A fresh image of it."""
        with path.open("wb") as file:
            file.truncate(self.size)
        self.make(path)
        return path


def program(*command: str) -> Callable[[Path], str]:
    """Runs a program over the image; anything but exit code 0 is a failure."""

    def call(path: Path) -> str:
        return run(*command, path)

    return call


def check_f2fs(path: Path) -> None:
    """fsck.f2fs finds nothing; its exit code is 0 either way, so its report is read."""
    report = run("fsck.f2fs", "--dry-run", path)
    assert "[Ok..]" in report and "[Fail]" not in report and "[ASSERT]" not in report, report


def check_ntfs(path: Path) -> None:
    """ntfsfix finds the volume clean; ntfsresize compares every cluster with the bitmap."""
    output = run("ntfsfix", "--no-action", path)
    assert "was processed successfully" in output, output
    output = run("ntfsresize", "--info", "--force", "--no-progress-bar", path)
    assert "Cluster accounting failed" not in output and "Checking filesystem consistency" in output, output


def _hfs_mode(mode: int) -> int:
    """HFS knows no modes; its driver takes execution from files and nothing from directories."""
    return open_mode(mode) if stat.S_ISDIR(mode) else open_mode(mode) & ~0o111


def check_nilfs2(path: Path) -> None:
    """There is no checker, and nilfs-tune wants a device: the newer super block is sound and says "valid"."""
    image = path.read_bytes()
    copies = [image[1024:2048], image[-4096:-3072]]
    newer = max(copies, key=lambda copy: struct.unpack_from("<Q", copy, 56))  # by the last checkpoint
    (length,) = struct.unpack_from("<H", newer, 8)
    seed, stored = struct.unpack_from("<II", newer, 12)
    covered = newer[:16] + bytes(4) + newer[20:length]
    assert zlib.crc32(covered, seed ^ 0xFFFFFFFF) ^ 0xFFFFFFFF == stored
    (state,) = struct.unpack_from("<H", newer, 116)
    assert state == 1, state


def check_hfs(path: Path) -> None:
    """Another implementation, that of hfsutils, lists the whole tree. (There is no free checker.)"""
    home = path.with_suffix(".home")  # hmount remembers its volume there
    home.mkdir()
    run("env", f"HOME={home}", "hmount", path)
    listing = run("env", f"HOME={home}", "hls", "-1aR").splitlines()
    assert listing.count("bottom") == 1
    assert sum(line.startswith("entry-") for line in listing) == 150


_EXT = Holds(link_bytes=1023)
_EXT2 = Holds(link_bytes=1023, modified_step=SECOND, accessed_step=SECOND, latest=_YEAR_2038)
_FAT = Holds(
    raw_names="refused",
    folds_case=True,
    mode_of=open_mode,
    owner_bits=(0, 0),
    modified_step=2 * SECOND,
    accessed_step=DAY,
    symlinks=False,
    hard_links="refused",
    nodes=False,
    xattrs=(),
    acls=False,
    holes=False,
)
_MINIX = Holds(
    name_bytes=30,
    owner_bits=(16, 16),
    modified_step=SECOND,
    accessed_step=0,
    latest=_YEAR_2106,
    link_bytes=1023,
    wide_devices=False,
    holes=False,  # it has them, but stat() does not tell
    xattrs=(),
    acls=False,
)
_HFS = Holds(
    name_bytes=31,
    folds_case=True,
    mode_of=_hfs_mode,
    owner_bits=(0, 0),
    modified_step=SECOND,
    accessed_step=0,
    latest=_YEAR_2106,
    symlinks=False,
    hard_links="refused",
    nodes=False,
    xattrs=(),
    acls=False,
    holes=False,
)
# Linux 6.12 can lose the beginning of a file that grows out of its inode into a block that was an inode
# before: udf_expand_file_adinicb() does not clean the aliases of the block. So nothing is put into inodes.
_UDF_OPTIONS = "noatime,noadinicb"
_UDF = Holds(
    name_bytes=254,
    raw_names="replaced",
    modified_step=1000,
    accessed_step=1000,
    link_bytes=2000,
    wide_devices=False,
    xattrs=(),
    acls=False,
)

# Linux 6.12 writes the numbers of device nodes, and reads them under another name: ntfs_get_wsl_perm()
# asks for sizeof("$$LXDEV") - 1 bytes of "$LXDEV". What is written behind a hole fills it.
_NTFS = Holds(
    raw_names="refused",
    modified_step=100,
    accessed_step=100,
    device_numbers=False,
    xattr_bytes=16_000,
    holes=False,
)
_EXT4K = Holds(link_bytes=4095, xattr_bytes=600)

_e2fsck = program("e2fsck", "-fn")
_fsck_fat = program("fsck.fat", "-n")
_fsck_minix = program("fsck.minix", "-f")

# Linux 6.12 loses its way in a list of attributes when a shorter name follows a longer one: the buffer of
# hfsplus_listxattr() is not cleared in between. So they are asked for by name. No checker is free for HFS+.
_HFSPLUS = Holds(
    raw_names="replaced",
    wide_characters=False,
    links_like_names=False,
    folds_case=True,
    modified_step=SECOND,
    accessed_step=SECOND,
    latest=_YEAR_2106,
    xattrs_listed=False,
    acls=False,
    holes=False,
)

FORMATS = [
    Format(
        "ext2", "ext2", 32 * MIB, program("mkfs.ext2", "-qF"), _e2fsck, _EXT2, remarks="supports timestamps until 2038"
    ),
    Format("ext3", "ext3", 32 * MIB, program("mkfs.ext3", "-qF"), _e2fsck, _EXT),
    Format("ext4", "ext4", 32 * MIB, program("mkfs.ext4", "-qF"), _e2fsck, _EXT),
    Format(
        "ext4-4k-inline",
        "ext4",
        64 * MIB,
        program("mkfs.ext4", "-qF", "-b4096", "-I1024", "-Oinline_data,ea_inode,metadata_csum_seed"),
        _e2fsck,
        Holds(xattr_bytes=16_000),
    ),
    Format(
        "xfs",
        "xfs",
        300 * MIB,
        program("mkfs.xfs", "-q"),
        program("xfs_repair", "-n", "-f"),
        Holds(link_bytes=1023, xattr_bytes=16_000),
    ),
    Format(
        "btrfs",
        "btrfs",
        114 * MIB,
        program("mkfs.btrfs", "-q"),
        program("btrfs", "check", "--readonly", "--check-data-csum"),
        Holds(xattr_bytes=16_000),
    ),
    Format(
        "btrfs-zstd",
        "btrfs",
        114 * MIB,
        program("mkfs.btrfs", "-q", "--csum", "xxhash", "--mixed"),
        program("btrfs", "check", "--readonly", "--check-data-csum"),
        Holds(link_bytes=3900),
        options="noatime,compress-force=zstd",
    ),
    Format("f2fs", "f2fs", 64 * MIB, program("mkfs.f2fs", "-q"), check_f2fs, Holds()),
    Format(
        "jfs", "jfs", 16 * MIB, program("mkfs.jfs", "-q"), program("fsck.jfs", "-n", "-f"), Holds(xattr_bytes=16_000)
    ),
    Format(
        "nilfs2",
        "nilfs2",
        128 * MIB,
        program("mkfs.nilfs2", "-q", "-B64"),
        check_nilfs2,
        Holds(accessed_step=0, xattrs=(), acls=False),
    ),
    Format(
        "minix1",
        "minix",
        24 * MIB,
        program("mkfs.minix", "-1"),
        _fsck_minix,
        replace(_MINIX, owner_bits=(16, 8)),
    ),
    Format("minix2", "minix", 24 * MIB, program("mkfs.minix", "-2"), _fsck_minix, _MINIX),
    Format(
        "minix3",
        "minix",
        24 * MIB,
        program("mkfs.minix", "-3"),
        _fsck_minix,
        replace(_MINIX, name_bytes=60),
    ),
    Format("fat12", "vfat", 16 * MIB, program("mkfs.fat", "-F12"), _fsck_fat, _FAT),
    Format("fat16", "vfat", 24 * MIB, program("mkfs.fat", "-F16"), _fsck_fat, _FAT),
    Format("fat32", "vfat", 64 * MIB, program("mkfs.fat", "-F32", "-s1"), _fsck_fat, _FAT),
    Format(
        "exfat",
        "exfat",
        32 * MIB,
        program("mkfs.exfat"),
        program("fsck.exfat", "-n"),
        replace(_FAT, modified_step=10_000_000, accessed_step=2 * SECOND),
    ),
    Format(
        "ntfs",
        "ntfs3",
        32 * MIB if NTFS_CAN_GROW else 512 * MIB,
        program("mkfs.ntfs", "-FQq", *_NTFS_ROOM),
        check_ntfs,
        _NTFS,
        options="noatime,acl",
    ),
    Format(
        "udf-512",
        "udf",
        24 * MIB,
        program("mkudffs", "-b512"),
        program("udfinfo"),
        replace(_UDF, link_bytes=400),
        options=_UDF_OPTIONS,
        remarks=_UDF_REMARKS,
    ),
    Format(
        "udf-2048",
        "udf",
        24 * MIB,
        program("mkudffs", "-b2048"),
        program("udfinfo"),
        _UDF,
        options=_UDF_OPTIONS,
        remarks=_UDF_REMARKS,
    ),
    Format("hfs", "hfs", 24 * MIB, program("hformat", "-l", "Test"), check_hfs, _HFS),
    Format(
        "hfsplus",
        "hfsplus",
        24 * MIB,
        hfsplus.make,
        hfsplus.check,
        _HFSPLUS,
    ),
    # Disks whose sectors have 4096 bytes. (exfatprogs 1.2 and minix cannot make such images.)
    Format(
        "ext4-4k-sectors", "ext4", 64 * MIB, program("mkfs.ext4", "-qF", "-b4096"), _e2fsck, _EXT4K, sector_size=4096
    ),
    Format(
        "xfs-4k-sectors",
        "xfs",
        300 * MIB,
        program("mkfs.xfs", "-q", "-ssize=4096"),
        program("xfs_repair", "-n", "-f"),
        Holds(link_bytes=1023, xattr_bytes=16_000),
        sector_size=4096,
    ),
    Format(
        "btrfs-4k-sectors",
        "btrfs",
        114 * MIB,
        program("mkfs.btrfs", "-q"),
        program("btrfs", "check", "--readonly", "--check-data-csum"),
        Holds(xattr_bytes=16_000),
        sector_size=4096,
    ),
    Format(
        "f2fs-4k-sectors", "f2fs", 64 * MIB, program("mkfs.f2fs", "-q", "-w4096"), check_f2fs, Holds(), sector_size=4096
    ),
    Format(
        "jfs-4k-sectors",
        "jfs",
        16 * MIB,
        program("mkfs.jfs", "-q"),
        program("fsck.jfs", "-n", "-f"),
        Holds(xattr_bytes=16_000),
        sector_size=4096,
    ),
    Format(
        "nilfs2-4k-sectors",
        "nilfs2",
        128 * MIB,
        program("mkfs.nilfs2", "-q", "-B64", "-b4096"),
        check_nilfs2,
        Holds(accessed_step=0, xattrs=(), acls=False),
        sector_size=4096,
    ),
    Format(
        "fat32-4k-sectors",
        "vfat",
        300 * MIB,
        program("mkfs.fat", "-F32", "-S4096", "-s1"),
        _fsck_fat,
        _FAT,
        sector_size=4096,
    ),
    Format(
        "ntfs-4k-sectors",
        "ntfs3",
        64 * MIB if NTFS_CAN_GROW else 512 * MIB,
        program("mkfs.ntfs", "-FQq", "-s4096", *_NTFS_ROOM),
        check_ntfs,
        _NTFS,
        options="noatime,acl",
        sector_size=4096,
    ),
    Format(
        "udf-4k-sectors",
        "udf",
        64 * MIB,
        program("mkudffs", "-b4096"),
        program("udfinfo"),
        _UDF,
        options=_UDF_OPTIONS,
        sector_size=4096,
    ),
]
