"""Disk images of a tree of 300 MB, against what the file systems' own tools make of it; whole processes."""

from __future__ import annotations

import os
import random
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from archives import ratio
from guestfs import guestfs
from measure import OURS, Row, medians, within
from programs import program, timed
from subjects import Bench

_SEED = 300
_IMAGE_SIZE = "1G"
_FILES_PER_DIRECTORY = 100


def measure(bench: Bench) -> list[Row]:
    """ext4, Btrfs and XFS, a bare file system of 1 GiB each."""
    tree = bench.images.directory / "tree-of-300-MB"
    files, size = plant(tree, (30 if bench.quick else 300) * 10**6)
    try:
        return list(_rows(bench, tree, f"image of {files:,} files, {size / 1e6:.0f} MB"))
    finally:
        shutil.rmtree(tree)


def _rows(bench: Bench, tree: Path, title: str) -> Iterator[Row]:
    image = bench.images.directory / "made.img"
    prototype = bench.images.directory / "prototype"
    write_prototype(tree, prototype)
    own: dict[str, tuple[str, list[str | Path]]] = {
        "ext4": ("mke2fs -d", ["mke2fs", "-q", "-F", "-t", "ext4", "-d", tree, image]),
        "btrfs": ("mkfs.btrfs --rootdir", ["mkfs.btrfs", "-q", "--rootdir", tree, image]),
        "xfs": ("mkfs.xfs -p", ["mkfs.xfs", "-q", "-p", prototype, image]),
    }
    for name, (title_of_other, command) in own.items():
        players = {
            OURS: _fresh(image, ours(tree, image, name)),
            title_of_other: _fresh(image, command),
        }
        if name == "ext4":
            players["virt-make-fs"] = guestfs(["virt-make-fs", "--type=ext4", f"--size={_IMAGE_SIZE}", tree, image])
        figures, skipped = medians(players, bench.rounds)
        image.unlink(missing_ok=True)
        yield Row(
            "image",
            f"{name} {title}",
            "s",
            f"2 x {title_of_other}",
            figures,
            within(figures, title_of_other, 2),
            skipped=skipped,
            note=ratio(figures, title_of_other),
        )


def ours(tree: Path, image: Path, name: str) -> list[str | Path]:
    """The command line of ours."""
    command = Path(sys.executable).with_name("liblinux")
    return [command, "mkimage", tree, image, "--fs", name, "--no-partition-table", "--size", _IMAGE_SIZE]


def _fresh(image: Path, command: list[str | Path]) -> Callable[[], float]:
    """A player that runs a program on a new empty file."""

    def play() -> float:
        first, *rest = command
        found = first if isinstance(first, Path) else program(first)
        image.unlink(missing_ok=True)
        with image.open("wb") as file:
            file.truncate(1 << 30)
        return timed([found, *rest])

    return play


def plant(tree: Path, size: int) -> tuple[int, int]:
    """Files whose sizes are those of a system: many small ones, a few of a megabyte; how many, and their bytes."""
    content = random.Random(_SEED)  # noqa: S311 - seeded, and no secret
    block = content.randbytes(4 << 20)
    written = count = 0
    while written < size:
        length = int(content.lognormvariate(9, 1.6)) if count % 50 else content.randrange(1 << 20)
        length = min(length, 3 << 20)
        start = content.randrange(1 << 20)
        directory = tree / f"directory-{count // _FILES_PER_DIRECTORY:03}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"file-{count:05}").write_bytes(block[start : start + length])
        written += length
        count += 1
    return count, written


def write_prototype(tree: Path, path: Path) -> None:
    """What mkfs.xfs takes: xfs_protofile, which writes it, came with xfsprogs 6.10."""
    lines = ["/stand/diag", "0 0", "d--755 0 0"]

    def add(directory: Path) -> None:
        for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
            if entry.is_dir():
                lines.append(f"{entry.name} d--755 0 0")
                add(Path(entry.path))
                lines.append("$")
            else:
                lines.append(f"{entry.name} ---644 0 0 {entry.path}")

    add(tree)
    path.write_text("\n".join([*lines, "$", ""]))
