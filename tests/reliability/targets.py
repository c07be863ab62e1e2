"""The images that are damaged: of twelve file systems, made by their own programs, with a small tree in each."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

_TESTS = Path(__file__).resolve().parent.parent
sys.path[:0] = [path for path in (str(_TESTS), str(_TESTS / "filesystems")) if path not in sys.path]

from formats import FORMATS, Format, program  # noqa: E402 - the line above makes them findable
from planting import write  # noqa: E402
from trees import PLAN, Holds, Tree  # noqa: E402

import liblinux  # noqa: E402
from conftest import run  # noqa: E402
from liblinux.imagefuzz import Target  # noqa: E402

__all__ = ["SOURCES", "Source"]

MIB = 1 << 20
# Left out of the tree: what is large only to be large, for every image is mounted and read a thousand times.
_LARGE = (b"data/large", b"data/holes")
_MANY = 40
_DEPTH = 8
_SECTOR_BYTES = 4096


def _is_small(path: bytes) -> bool:
    if path in _LARGE or path.count(b"/level") > _DEPTH or path.endswith(b"bottom"):
        return False
    return not path.startswith(b"many/") or int(path[-3:]) < _MANY


_PLAN: Tree = {path: entry for path, entry in PLAN.items() if _is_small(path)}


@dataclass(frozen=True)
class Source:
    """One image: `file_system` is the row of the table that it counts for, `make` makes it at a path."""

    name: str
    file_system: str
    type: str
    make: Callable[[Path], None]
    memory: str = "64M"

    def target(self, directory: Path, version: str | None = None) -> Target:
        """The image in `directory`; made when it is not there, and then kept, for no mkfs makes one twice."""
        path = directory / f"{self.name}.img"
        if not path.exists():
            directory.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_suffix(".unfinished")
            self.make(unfinished)
            unfinished.rename(path)
        return Target.of(path, type=self.type, memory=self.memory, version=version)


def _filled(file_system: str, format: Format) -> Source:
    """Made empty by its mkfs, filled through the kernel."""

    def make(path: Path) -> None:
        format.image(path)
        with liblinux.Kernel("128M", clock="virtual", seed=0) as kernel:
            kernel.mount(kernel.attach(path), "/mnt", type=format.type, options=format.options)
            write(kernel.os, "/mnt/tree", format.holds, _PLAN)

    return Source(format.name, file_system, format.type, make)


def _archived(name: str, file_system: str, type: str, holds: Holds, *command: str, image_first: bool = False) -> Source:
    """Made of a directory of the host, whose name and that of the image come last."""

    def make(path: Path) -> None:
        tree = path.with_suffix(".tree")
        shutil.rmtree(tree, ignore_errors=True)
        tree.mkdir()
        kept = holds.keep(_PLAN)
        write(os, str(tree / "tree"), None, {name: entry for name, entry in _PLAN.items() if name in kept})
        path.unlink(missing_ok=True)
        run(*command, *((path, tree) if image_first else (tree, path)))
        with path.open("r+b") as file:  # whole sectors
            file.truncate(-(-path.stat().st_size // _SECTOR_BYTES) * _SECTOR_BYTES)
        shutil.rmtree(tree)

    return Source(name, file_system, type, make)


_KNOWN = {format.name: format for format in FORMATS}


def _as_tested(name: str, options: str | None = None) -> Format:
    format = _KNOWN[name]
    return replace(format, options=options) if options else format


def _other(name: str, like: str, size: int, *mkfs: str) -> Format:
    """A format of the file-system tests, made with other options."""
    return replace(_KNOWN[like], name=name, size=size, make=program(*mkfs))


_EXT4_PLAIN = ("mkfs.ext4", "-qF", "-b1024", "-O^metadata_csum,quota")
_EXT4_INLINE = ("mkfs.ext4", "-qF", "-b4096", "-I1024", "-Oinline_data,ea_inode,^metadata_csum")
_F2FS_EXTRA = ("mkfs.f2fs", "-q", "-O", "extra_attr,compression,flexible_inline_xattr,inode_crtime")
_XFS_OLD = ("mkfs.xfs", "-q", "-m", "crc=0", "-n", "size=8192")
_SQUASHFS = ("sh", "-c", 'mksquashfs "$1" "$2" -noappend -quiet -no-progress $0')
_PLAIN_TABLES = "-noI -noId -noF -noX"
_ALL = Holds(acls=False)
_EROFS = Holds(name_bytes=254)
_ISO = Holds(name_bytes=253, link_bytes=1000, hard_links="copied", xattrs=(), acls=False, wide_devices=False)
_XORRISO = ("sh", "-c", 'xorriso -as mkisofs -quiet $0 -D -o "$2" "$1"')

SOURCES = [
    _filled("ext4", _as_tested("ext4")),
    _filled("ext4", _other("ext4-plain", "ext4", 16 * MIB, *_EXT4_PLAIN)),
    _filled("ext4", _other("ext4-plain-inline", "ext4-4k-inline", 32 * MIB, *_EXT4_INLINE)),
    _filled("XFS", _as_tested("xfs")),
    _filled("XFS", _other("xfs-v4", "xfs", 300 * MIB, *_XFS_OLD)),
    _filled("Btrfs", _as_tested("btrfs", "noatime,compress-force=zstd")),
    _filled("Btrfs", _other("btrfs-mixed", "btrfs-zstd", 114 * MIB, "mkfs.btrfs", "-q", "--mixed")),
    _filled("F2FS", _as_tested("f2fs")),
    _filled("F2FS", _other("f2fs-extra", "f2fs", 64 * MIB, *_F2FS_EXTRA)),
    _filled("FAT", _as_tested("fat16")),
    _filled("FAT", _as_tested("fat32")),
    _filled("exFAT", _as_tested("exfat")),
    *([_filled("NTFS", _KNOWN["ntfs"])] if "ntfs" in _KNOWN else []),
    _archived("squashfs-plain", "SquashFS", "squashfs", _ALL, *_SQUASHFS, _PLAIN_TABLES),
    _archived("squashfs-zstd", "SquashFS", "squashfs", _ALL, *_SQUASHFS, "-comp zstd"),
    _archived("erofs", "EROFS", "erofs", _EROFS, "mkfs.erofs", image_first=True),
    _archived("erofs-lz4", "EROFS", "erofs", _EROFS, "mkfs.erofs", "-zlz4", image_first=True),
    _archived("iso-rock-ridge", "ISO 9660", "iso9660", _ISO, *_XORRISO, "-R"),
    _archived("iso-joliet", "ISO 9660", "iso9660", _ISO, *_XORRISO, "-J -joliet-long"),
    _filled("UDF", _as_tested("udf-2048")),
    _filled("UDF", _as_tested("udf-512")),
    _filled("HFS+", _as_tested("hfsplus")),
]
