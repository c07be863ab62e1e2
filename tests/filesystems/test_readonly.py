"""File systems that are only read: what the program that makes them put in is what the kernel finds."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from formats import SERIES
from planting import differences, read, write
from quiet import quiet_kernel
from trees import PLAN, SECOND, Holds

from conftest import run

_YEAR_2106 = (1 << 32) - 1


@dataclass(frozen=True)
class Archive:
    """A file system made of a directory of the host: `make` is given the directory and the image."""

    name: str
    type: str
    make: Callable[[Path, Path], object]
    holds: Holds
    leave_out: tuple[bytes, ...] = ()  # what its program has an opinion of its own about

    def __str__(self) -> str:
        return self.name


def program(*command: str, image_first: bool = False) -> Callable[[Path, Path], str]:
    """Runs a program over directory and image, in the order that it wants them."""

    def make(tree: Path, image: Path) -> str:
        return run(*command, *((image, tree) if image_first else (tree, image)))

    return make


def squashfs(compressor: str) -> Archive:
    options = ("-comp", compressor, "-noappend", "-quiet", "-no-progress")
    return Archive(
        f"squashfs-{compressor}",
        "squashfs",
        lambda tree, image: run("mksquashfs", tree, image, *options),
        Holds(modified_step=SECOND, accessed_step=0, latest=_YEAR_2106, acls=False),
    )


def erofs(name: str, *options: str) -> Archive:
    make = program("mkfs.erofs", *options, image_first=True)
    # mkfs.erofs 1.5 leaves out names of 255 bytes; what is compressed takes no space for holes.
    return Archive(name, "erofs", make, Holds(name_bytes=254, accessed_step=0, holes=bool(options)))


def romfs_mode(mode: int) -> int:
    """romfs keeps the type, and whether a file may be executed."""
    if stat.S_ISLNK(mode):
        return stat.S_IFLNK | 0o777
    if stat.S_ISDIR(mode):
        return stat.S_IFDIR | 0o755
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        return stat.S_IFMT(mode) | 0o600
    executable = 0o111 if stat.S_ISREG(mode) and mode & 0o111 else 0
    return stat.S_IFMT(mode) | 0o644 | executable


ARCHIVES = [
    *(squashfs(compressor) for compressor in ("gzip", "lzo", "lz4", "xz", "zstd")),
    erofs("erofs"),
    erofs("erofs-lz4", "-zlz4"),
    erofs("erofs-lz4hc", "-zlz4hc,12"),
    Archive(
        "iso9660-rock-ridge",
        "iso9660",
        lambda tree, image: run("xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-D", "-o", image, tree),
        Holds(
            name_bytes=253,
            modified_step=SECOND,
            accessed_step=0,
            link_bytes=1000,
            hard_links="copied",
            xattrs=(),
            acls=False,
            holes=False,
            wide_devices=False,
        ),
        # xorriso drops the ACL and makes a mode of it, without the mask; times of Linux 6.1 have 32 bits.
        leave_out=(b"set/acl",) if SERIES >= (6, 12) else (b"set/acl", b"set/far-time"),
    ),
    Archive(
        "romfs",
        "romfs",
        lambda tree, image: run("genromfs", "-d", tree, "-f", image),
        Holds(
            name_bytes=127,
            mode_of=romfs_mode,
            owner_bits=(0, 0),
            modified_step=0,
            accessed_step=0,
            hard_links="copied",
            wide_devices=False,
            xattrs=(),
            acls=False,
            holes=False,
        ),
    ),
    Archive(
        "cramfs",
        "cramfs",
        program("mkfs.cramfs"),
        Holds(
            name_bytes=252,
            owner_bits=(16, 8),
            modified_step=0,
            accessed_step=0,
            hard_links="copied",
            wide_devices=False,
            xattrs=(),
            acls=False,
            holes=False,
        ),
        leave_out=(b"set/high-owner",),  # mkfs.cramfs cuts bits off
    ),
]


@pytest.mark.parametrize("archive", ARCHIVES, ids=str)
def test_the_kernel_finds_what_was_put_in(archive: Archive, tmp_path: Path) -> None:
    host_tree = tmp_path / "host"
    host_tree.mkdir()
    # As far as the file system and our rights on the host allow, and the program can cope with.
    kept = archive.holds.keep(PLAN)
    fitting = {path: entry for path, entry in PLAN.items() if path in kept}
    for path in archive.leave_out:
        del fitting[path]
    write(os, str(host_tree / "tree"), None, fitting)
    wanted = archive.holds.find(read(os, str(host_tree / "tree")))
    image = tmp_path / "disk.img"
    archive.make(host_tree, image)
    with image.open("r+b") as file:  # whole sectors
        file.truncate(-(-image.stat().st_size // 4096) * 4096)
    with quiet_kernel() as kernel:
        mount = kernel.mount(kernel.attach(image, readonly=True), "/mnt")
        assert (mount.type, mount.readonly) == (archive.type, True)
        found = read(kernel.os, "/mnt/tree", archive.holds)
    different = differences(found, wanted)
    assert not different, "\n".join(different)
