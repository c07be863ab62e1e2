"""The images that are read and written, made by e2fsprogs on a tmpfs."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from programs import program, run

__all__ = ["Images", "workplace"]

SMALL_FILE_BYTES = 4096
FILES_PER_DIRECTORY = 200
_SEED = 20_000


@dataclass(frozen=True)
class Images:
    """What there is: `full` holds /big, /small and /tree; `empty` is an ext4 to be copied and written."""

    directory: Path
    full: Path
    empty: Path
    big_bytes: int
    tree_files: int
    written_files: int

    def fresh(self) -> Path:
        """A new copy of the empty image."""
        copy = self.directory / "fresh.img"
        copy.unlink(missing_ok=True)
        shutil.copyfile(self.empty, copy)
        return copy

    @property
    def sources(self) -> Path:
        """A directory of the host with the files that are written into images."""
        return self.directory / "sources"


def written_name(index: int) -> str:
    """The name of a file that is written."""
    return f"file-{index:05}"


@contextmanager
def workplace(*, quick: bool) -> Iterator[Images]:
    """Make all images in a directory on a tmpfs, and remove it afterwards."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - a tmpfs is what is wanted
    with tempfile.TemporaryDirectory(prefix="liblinux-bench-", dir=base) as name:
        directory = Path(name)
        images = Images(
            directory,
            full=directory / "full.img",
            empty=directory / "empty.img",
            big_bytes=(32 if quick else 256) << 20,
            tree_files=2_000 if quick else 20_000,
            written_files=200 if quick else 2_000,
        )
        _make(images)
        yield images


def _make(images: Images) -> None:
    content = random.Random(_SEED)  # noqa: S311 - seeded, and no secret
    tree = images.directory / "content"
    tree.mkdir()
    (tree / "small").write_bytes(content.randbytes(SMALL_FILE_BYTES))
    block = content.randbytes(1 << 20)
    with (tree / "big").open("wb") as file:
        for _ in range(images.big_bytes >> 20):
            file.write(block)
    for index in range(images.tree_files):
        directory = tree / "tree" / f"directory-{index // FILES_PER_DIRECTORY:03}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"file-{index:05}").write_bytes(block[index : index + index % 2000])
    images.sources.mkdir()
    for index in range(images.written_files):
        (images.sources / written_name(index)).write_bytes(block[index : index + SMALL_FILE_BYTES])
    format_ = [program("mke2fs"), "-q", "-F", "-t", "ext4"]
    run([*format_, "-d", tree, images.full, "1G"])
    run([*format_, images.empty, "256M"])
    shutil.rmtree(tree)
