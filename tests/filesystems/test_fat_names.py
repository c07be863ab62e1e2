"""Names on FAT, of all lengths and letters; and short ones that are made up while the clock stands still."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest
from quiet import quiet_kernel

import liblinux
from conftest import MIB, Images, run

# Around the lengths of short names, and of slots of 13.
LENGTHS = (1, 2, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 20, 26, 27, 61, 255)
ALIAS = re.compile(rb"FI([0-9A-F]{4})~[1-8]   ")
LIKE_EACH_OTHER = 400


@pytest.fixture
def fat(images: Images) -> Path:
    """An empty FAT file system."""
    path = images.empty("fat.img", 16 * MIB)
    run("mkfs.fat", "-F16", path)
    return path


def names() -> list[str]:
    """Names of all lengths, and with a character that is none of ASCII in every place of some."""
    found = [("n" + "abcdefghijklmnopqrstuvwxyz" * 10)[:length] for length in LENGTHS]
    found += ["ABCDEFGH.IJK", "ABCDEFGH", "A.B", "AB.CDE", "Mixed.Txt", "lower.txt", "UPPER.txt", "other.TXT"]
    for length in (4, 12, 13, 17):
        for at in range(length):
            for letter in ("é", "漢", "😀"):
                found.append("m" * at + letter + f"{length:x}{at:x}".rjust(length - at, "z"))
    return list(dict.fromkeys(found))


def test_names_of_all_shapes_are_found_again(fat: Path) -> None:
    wanted = names()
    with quiet_kernel() as kernel:
        disk = kernel.attach(fat)
        with kernel.mount(disk, "/mnt", type="vfat"):
            kernel.os.mkdir("/mnt/many")
            for name in wanted:
                with kernel.open(f"/mnt/many/{name}", "x", encoding="utf-8") as file:
                    file.write(name)
        # Mounted anew: nothing is remembered, each is looked for in the directory.
        with kernel.mount(disk, "/mnt", type="vfat", readonly=True):
            assert sorted(kernel.os.listdir("/mnt/many")) == sorted(wanted)
            for name in wanted:
                other = name.swapcase() if name.isascii() else name
                with kernel.open(f"/mnt/many/{other}", encoding="utf-8") as file:
                    assert file.read() == name
                assert not kernel.os.path.exists(f"/mnt/many/{name[:-1]}\N{SNOWMAN}")
    run("fsck.fat", "-n", fat)


def test_a_name_that_is_taken_is_refused(fat: Path) -> None:
    with quiet_kernel() as kernel, kernel.mount(kernel.attach(fat), "/mnt", type="vfat"):
        for taken, other in (("ABCDEFGH.IJK", "abcdefgh.ijk"), ("a-long-name-of-a-file", "A-LONG-NAME-OF-A-FILE")):
            kernel.open(f"/mnt/{taken}", "x").close()
            with pytest.raises(FileExistsError) as refused:
                kernel.open(f"/mnt/{other}", "x")
            assert refused.value.errno == errno.EEXIST


def aliases(fat: Path, seed: int) -> list[int]:
    """The numbers in short names of files whose long ones begin alike, made while the clock stands still."""
    run("mkfs.fat", "-F16", "-r", "1024", "-i", "12345678", fat)
    with (
        liblinux.Kernel(clock="virtual", seed=seed) as kernel,
        kernel.mount(kernel.attach(fat), "/mnt", type="vfat"),
    ):
        for index in range(LIKE_EACH_OTHER):
            kernel.open(f"/mnt/file-{index:05}", "x").close()
    run("fsck.fat", "-n", fat)
    content = fat.read_bytes()
    entries = (content[at : at + 11] for at in range(0, 4 * MIB, 32) if content[at + 11] == 0x20)
    return [int(found[1], 16) for entry in entries if (found := ALIAS.fullmatch(entry))]


def test_short_names_that_are_made_up_repeat(fat: Path) -> None:
    """They come from the clock, which is the virtual one."""
    first = aliases(fat, 1)
    assert len(first) == len(set(first)) == LIKE_EACH_OTHER - 9  # the first are FILE-0~1 to ~9
    assert first == aliases(fat, 1)
