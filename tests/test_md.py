"""md arrays: made by the kernel's own md, assembled from their superblocks, read with disks missing."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import liblinux
from conftest import MIB, Command, Images, e2fsck, run
from liblinux.volumes import Storage
from md_arrays import IDENTIFIER, LEVELS, blank, make_1, make_90

CONTENT = bytes(range(256)) * 256


@pytest.fixture
def plain(images: Images) -> bytes:
    return images.ext4(size=20 * MIB, label="striped", options=("-b", "4096")).read_bytes()


def fill(disks: list[Path], content: bytes) -> None:
    """Write the content of the only array."""
    with liblinux.Kernel() as kernel:
        storage = Storage(kernel, [kernel.attach(disk) for disk in disks], readonly=False, in_place=True)
        (array,) = [device for device in storage.devices if device.kind == "md"]
        assert array.error is None
        with kernel.open(array.path, "r+b") as file:
            file.write(content)


def examine(disk: Path) -> dict[str, str]:
    """What mdadm says of a superblock."""
    lines = run("mdadm", "--examine", disk).splitlines()
    return {key.strip(): value.strip() for key, colon, value in (line.partition(" : ") for line in lines) if colon}


@pytest.mark.parametrize("level", LEVELS)
def test_levels(tmp_path: Path, plain: bytes, level: str) -> None:
    """All disks, in any order; and without as many as may be missing."""
    disks = blank(tmp_path, level)
    make_90(disks, level, plain)
    before = [disk.read_bytes() for disk in disks]
    with liblinux.open_image(disks[-1], members=disks[:-1]) as image:
        assert image.cat("/sub/data.bin") == CONTENT
    missing = LEVELS[level].missing
    for here in list(itertools.combinations(disks, len(disks) - missing))[:3] if missing else []:
        with liblinux.open_image(here[0], members=here[1:]) as image:
            assert image.cat("/sub/data.bin") == CONTENT, here
    assert [disk.read_bytes() for disk in disks] == before


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
@pytest.mark.parametrize("level", ["raid1", "raid5"])
def test_versions(tmp_path: Path, plain: bytes, version: str, level: str) -> None:
    disks = blank(tmp_path, level)
    make_1(disks, level, version)
    known = examine(disks[0])
    assert (known["Version"], known["Raid Level"]) == (version, level)
    assert "correct" in known["Checksum"]
    fill(disks, plain)
    for arguments in ({}, {"volume": "host:array"}, {"volume": str(IDENTIFIER)}, {"volume": "md0"}, {"partition": 0}):
        with liblinux.open_image(disks[0], members=disks[1:], **arguments) as image:
            assert image.cat("/sub/data.bin") == CONTENT
    with liblinux.open_image(disks[1], members=disks[2:], volume="striped", untrusted=True) as image:
        assert image.exists("/hello.txt")


def test_what_is_said_of_an_array(tmp_path: Path, plain: bytes) -> None:
    """By it and by mdadm the same."""
    old, new = blank(tmp_path, "raid5"), blank(tmp_path, "raid1")
    make_90(old, "raid5", plain)
    make_1(new, "raid1", "1.2")
    for disks in (old, new):
        known = examine(disks[0])
        uuid = known.get("Array UUID", known.get("UUID", "")).partition(" ")[0].replace(":", "")
        with liblinux.Kernel() as kernel:
            storage = Storage(
                kernel, [kernel.attach(disk, overlay=True) for disk in disks], readonly=False, in_place=False
            )
            (array,) = [device for device in storage.devices if device.kind == "md"]
            assert array.uuid.replace("-", "") == uuid
            assert array.details["level"] == known["Raid Level"]
            assert array.details["disks"] == int(known["Raid Devices"])


def test_writing(tmp_path: Path, plain: bytes) -> None:
    """The array is left clean: mdadm says so, and the other disk alone has what was written."""
    disks = blank(tmp_path, "raid1")
    make_90(disks, "raid1", plain)
    with liblinux.open_image(disks[0], "r+", members=disks[1:]) as image:
        image.pipe("/new", b"on both")
    for disk in disks:
        assert examine(disk)["State"] == "clean"
        copy = tmp_path / "copy"
        copy.write_bytes(disk.read_bytes()[: len(plain)])
        e2fsck(copy)
        assert run("debugfs", "-R", "cat /new", copy) == "on both"


def test_partitions_of_an_array(tmp_path: Path, images: Images) -> None:
    whole = images.partitioned("gpt", [images.ext4("one", 4 * MIB), images.ext4("two", 8 * MIB, label="second")])
    disks = blank(tmp_path, "raid0")
    make_90(disks, "raid0", whole.read_bytes())
    with liblinux.open_image(disks[0], members=disks[1:], partition="LABEL=second") as image:
        assert image.exists("/hello.txt")
    with pytest.raises(liblinux.VolumeError, match="several file systems") as caught:
        liblinux.open_image(disks[0], members=disks[1:])
    assert "partition md0p2: ext" in str(caught.value)


def test_missing_disks(tmp_path: Path, plain: bytes, command: Command) -> None:
    disks = blank(tmp_path, "raid5")
    make_90(disks, "raid5", plain)
    result = command("cat", f"{disks[0]}:/hello.txt")
    assert result.exit_code == 1
    assert "raid5, 1 of 3 disks are here" in result.stderr
    assert "--with IMAGE" in result.stderr
    result = command("cat", "--with", disks[1], f"{disks[0]}:/hello.txt")
    assert (result.exit_code, result.stdout) == (0, "hello from the image\n")


def test_damaged_superblocks(tmp_path: Path, plain: bytes) -> None:
    """The kernel refuses them by their checksum, or the rest is enough."""
    disks = blank(tmp_path, "raid1")
    make_1(disks, "raid1", "1.2")
    fill(disks, plain)
    with disks[0].open("r+b") as file:
        file.seek(4096 + 100)
        file.write(b"\x55" * 20)
    with pytest.raises(liblinux.VolumeError, match="does not run"):
        liblinux.open_image(disks[0])
