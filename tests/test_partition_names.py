"""Partitions by number, label and UUID; labels and UUIDs compared with what blkid and sfdisk say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import liblinux
from conftest import MIB, Command, Images, run

UUID = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.fixture
def both(images: Images) -> Path:
    """A disk of two: the label of a file system of one is the name of the other's partition."""
    first = images.ext4("first", 16 * MIB, label="part-2", options=("-U", UUID))
    second = images.ext4("second", 16 * MIB, label="Root")
    with liblinux.open_image(second, "r+") as image:
        image.pipe("/second", b"2")
    return images.partitioned("gpt", [first, second])


def table(disk: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads(run("sfdisk", "--json", disk))["partitiontable"]
    return found


@pytest.mark.parametrize("kind", ["gpt", "dos"])
def test_what_a_partition_says_of_itself(images: Images, kernel: liblinux.Kernel, kind: str) -> None:
    parts = [images.ext4("first", 16 * MIB, label="one", options=("-U", UUID)), images.empty("second", 2 * MIB)]
    disk = images.partitioned(kind, parts)
    known = table(disk)
    first, second = kernel.attach(disk).partitions
    assert (first.fs_label, first.fs_uuid) == ("one", UUID)
    assert (second.fs_label, second.fs_uuid, second.type) == ("", "", None)
    if kind == "gpt":
        entries = known["partitions"]
        assert isinstance(entries, list)
        assert [part.part_uuid for part in (first, second)] == [entry["uuid"].lower() for entry in entries]
        assert (first.part_label, second.part_label) == ("part-1", "part-2")
    else:
        identifier = str(known["id"]).removeprefix("0x")
        assert (first.part_uuid, second.part_uuid) == (f"{identifier}-01", f"{identifier}-02")
        assert not first.part_label


@pytest.mark.parametrize(
    ("make", "options"),
    [
        ("mkfs.ext2", ("-q", "-L", "Name")),
        ("mkfs.xfs", ("-q", "-L", "Name")),
        ("mkfs.btrfs", ("-q", "-L", "Name")),
        ("mkfs.f2fs", ("-q", "-l", "Name")),
        ("mkfs.fat", ("-F", "32", "-n", "NAME")),
        ("mkfs.fat", ("-F", "16", "-n", "NAME")),
        ("mkfs.exfat", ()),
        ("mkfs.exfat", ("-L", "Eleven char")),
        ("mkfs.ntfs", ("-q", "-F", "-f")),
        ("mkfs.ntfs", ("-q", "-F", "-f", "-L", "A label that is longer than others")),
        ("mkfs.jfs", ("-q", "-L", "Name")),
        ("mkfs.nilfs2", ("-q", "-L", "Name")),
        ("mkswap", ("-L", "Name")),
    ],
)
def test_as_blkid_has_it(images: Images, shared_kernel: liblinux.Kernel, make: str, options: tuple[str, ...]) -> None:
    path = images.empty(size=(320 if make == "mkfs.xfs" else 160) * MIB)
    run(make, *options, path)
    lines = run("blkid", "-p", "-o", "export", path).replace("\\", "").splitlines()  # it is for shells
    known = dict(line.split("=", 1) for line in lines)
    with shared_kernel.attach(path, readonly=True) as disk:
        content = disk.content
    assert content is not None
    assert (content.label, content.uuid) == (known.get("LABEL", ""), known["UUID"])


def test_by_name(both: Path) -> None:
    parts = table(both)["partitions"]
    assert isinstance(parts, list)
    names: dict[int, list[int | str]] = {
        1: [1, "1", "LABEL=part-2", f"UUID={UUID}", UUID.upper(), "PARTLABEL=part-1", "part-1", parts[0]["uuid"]],
        2: [2, "2", "LABEL=Root", "Root", "PARTLABEL=part-2", f"PARTUUID={parts[1]['uuid']}", 'LABEL="Root"'],
    }
    for number, wanted in names.items():
        for name in wanted:
            with liblinux.open_image(both, partition=name) as image:
                assert image.exists("/second") is (number == 2), name


def test_no_partition_of_that_name(both: Path) -> None:
    with pytest.raises(liblinux.MountError, match="no partition LABEL=root") as caught:
        liblinux.open_image(both, partition="LABEL=root")  # labels have their case
    assert "'part-1'" in str(caught.value)
    with pytest.raises(liblinux.MountError, match="several partitions are called 'part-2': 1, 2"):
        liblinux.open_image(both, partition="part-2")


def test_a_disk_without_partitions(images: Images) -> None:
    path = images.ext4(label="alone", options=("-U", UUID))
    for name in ("alone", "LABEL=alone", UUID, 0):
        with liblinux.open_image(path, partition=name) as image:
            assert image.exists("/hello.txt")
    for wrong in ("PARTLABEL=alone", "else", 1):
        with pytest.raises(liblinux.MountError, match="no partition table"):
            liblinux.open_image(path, partition=wrong)


def test_a_damaged_table(both: Path, kernel: liblinux.Kernel) -> None:
    """The kernel finds the partitions by the copy at the end of the disk; UUIDs are then not to be had."""
    with both.open("r+b") as file:
        file.seek(512 + 72)
        file.write(b"\xff" * 8)
    found = kernel.attach(both).partitions
    assert [part.number for part in found] in ([], [1, 2])
    assert not any(part.part_uuid for part in found)


def test_command(both: Path, command: Command) -> None:
    result = command("cat", "--partition", "PARTLABEL=part-2", f"{both}:/second")
    assert (result.exit_code, result.stdout) == (0, "2")
    result = command("cat", "-p", "home", f"{both}:/second")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "no partition home" in result.stderr
    assert "partition 2: ext4 'part-2'" in result.stderr
