"""Images of every file system: what is in them, that they are sound, and that their bytes are the same each time."""

from __future__ import annotations

import filecmp
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conftest import Images, run
from liblinux import make_image
from liblinux._image_root import ImageRoot
from liblinux.making import _programs

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "filesystems"))

from formats import FORMATS, NTFS_CAN_GROW
from planting import differences, read, write
from trees import Entry, Holds

# Their names here, and in the tests of file systems, whose checkers and limits are used.
NAMES = {
    "ext2": "ext2",
    "ext3": "ext3",
    "ext4": "ext4",
    "xfs": "xfs",
    "btrfs": "btrfs",
    "f2fs": "f2fs",
    "vfat": "fat32",
    "exfat": "exfat",
    "ntfs3": "ntfs",
    "udf": "udf-2048",
    "minix": "minix3",
    "nilfs2": "nilfs2",
    "jfs": "jfs",
}
KNOWN = {format.name: format for format in FORMATS}
EPOCH = 1_700_000_000
# NTFS of 6.1 cannot let its table of files grow, see tests/filesystems/formats.py.
NTFS_ROOM = {} if NTFS_CAN_GROW else {"mkfs_options": ("-c", "2097152"), "size": "512M"}


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image with all of the plan."""
    path = Images(tmp_path_factory.mktemp("source")).empty("source.img", 300 << 20)
    run("mkfs.xfs", "-q", path)
    with ImageRoot(path, writable=True) as image:
        write(image.os, "/tree", Holds(link_bytes=1023))
    return path


def without_access(tree: dict[bytes, Entry]) -> dict[bytes, Entry]:
    """The time of access becomes that of modification."""
    return {
        path: replace(entry, accessed=None) for path, entry in tree.items() if path not in (b"lost+found", b".nilfs")
    }


def refused(tree: dict[bytes, Entry], holds: Holds) -> set[bytes]:
    """Whose names, or links, cannot be held: that is an error and no loss, and is tested elsewhere."""
    named = {path: replace(entry, mode=0o100644, device=0, same_as=None) for path, entry in tree.items()}
    links = {path: entry for path, entry in tree.items() if entry.target and holds.symlinks}
    return (tree.keys() - holds.keep(named).keys()) | (links.keys() - holds.keep(links).keys())


@pytest.mark.parametrize("name", NAMES)
def test_all_of_a_tree(everything: Path, tmp_path: Path, name: str) -> None:
    """What a file system can hold is there, what it cannot hold is named, and its checker is content."""
    known = KNOWN[NAMES[name]]
    with ImageRoot(everything) as image:
        there = read(image.os, "/tree")
    holds = replace(known.holds, link_bytes=min(known.holds.link_bytes, 1023))
    # Where there are no hard links there are copies.
    holds = replace(holds, hard_links="copied" if holds.hard_links == "refused" else holds.hard_links)
    unnamed = refused(there, holds)
    excluded = ["/" + os.fsdecode(path).replace("[", "[[]") for path in unnamed]
    options: dict[str, Any] = NTFS_ROOM if name == "ntfs3" else {}
    image_path = tmp_path / "made.img"
    with ImageRoot(everything) as image:
        losses = make_image("/tree", image_path, name, source_os=image.os, table=None, exclude=excluded, **options)
    known.check(image_path)
    kept = {path: entry for path, entry in there.items() if path not in unnamed}
    with ImageRoot(image_path, type=known.type, options=known.options) as image:
        found = read(image.os, "/", holds)
    wanted = holds.find(kept)
    assert differences(without_access(found), without_access(wanted)) == []
    if without_access(wanted) != without_access(kept):
        assert losses


@pytest.mark.parametrize("name", [*NAMES, "squashfs", "erofs", "iso9660"])
def test_the_same_bytes_each_time(tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    for number in range(30):
        (source / "sub" / f"file-{number}").write_bytes(os.urandom(number * 700))
    options: dict[str, Any] = NTFS_ROOM if name == "ntfs3" else {}
    first, second = tmp_path / "first.img", tmp_path / "second.img"
    arguments: dict[str, Any] = {"owner": (0, 0), "epoch": EPOCH, **options}
    make_image(str(source), first, name, **arguments)
    (source / "sub" / "file-3").touch()  # a time after the epoch counts as the epoch
    # In another process: memory lies elsewhere, and the parent of mkfs has another number.
    program = f"from liblinux import make_image; make_image({str(source)!r}, {str(second)!r}, {name!r}, **{arguments})"
    run(sys.executable, "-c", program)
    same = filecmp.cmp(first, second, shallow=False)
    assert same == (name not in ("btrfs", "jfs", "nilfs2") or _programs._can_be_alone())
