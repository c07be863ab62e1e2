"""fsck, resize, trim and snapshot: what they do to images, and that nothing is lost."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import liblinux
from conftest import ENVIRONMENT, MIB, Command, Images, e2fsck, run
from liblinux.commands._image import ImageOptions
from liblinux.upkeep import _checkers as checkers
from liblinux.upkeep._device import Device

Copy = Callable[[Path, str], Path]
# The smallest that they make; 64 MiB do for all others.
SIZES = {"mkfs.xfs": 300 * MIB, "mkfs.btrfs": 110 * MIB}
CONTENT = bytes(range(256)) * 4096


def made(images: Images, name: str, size: int, *mkfs: str) -> Path:
    image = images.empty(name, size)
    run(*mkfs, image)
    return image


def fill(image: Path, partition: int | None = None) -> None:
    with liblinux.open_image(image, "r+", partition=partition) as inside:
        inside.os.mkdir("/directory")
        inside.pipe("/directory/file", CONTENT)


def check_content(image: Path, partition: int | None = None) -> int:
    """The content is there; returns the size of the file system."""
    with liblinux.open_image(image, partition=partition) as inside:
        assert inside.cat("/directory/file") == CONTENT
        space = inside.os.statvfs("/")
        return space.f_blocks * space.f_frsize


def digest(image: Path) -> bytes:
    with image.open("rb") as file:
        return hashlib.file_digest(file, "sha1").digest()


def damage(image: Path, offset: int, length: int) -> None:
    with image.open("r+b") as file:
        file.seek(offset)
        file.write(b"\x5a" * length)


# ---- fsck ------------------------------------------------------------------


@pytest.mark.parametrize(
    "mkfs",
    [
        ("mkfs.ext4", "-q"),
        ("mkfs.xfs", "-q"),
        ("mkfs.btrfs", "-q"),
        ("mkfs.f2fs", "-q"),
        ("mkfs.fat", "-F", "32"),
        ("mkfs.exfat",),
        ("mkfs.ntfs", "-q", "-F"),
        ("mkfs.jfs", "-q"),
        ("mkfs.minix",),
    ],
    ids=lambda mkfs: mkfs[0].partition(".")[2],
)
def test_all_is_well(images: Images, command: Command, mkfs: tuple[str, ...]) -> None:
    image = made(images, "disk.img", SIZES.get(mkfs[0], 64 * MIB), *mkfs)
    before = digest(image)
    result = command("fsck", "--json", image)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["state"] == "clean"
    assert digest(image) == before


@pytest.mark.parametrize(
    ("mkfs", "offset", "length"),
    [(("mkfs.ext4", "-q"), 8192, 4000), (("mkfs.xfs", "-q"), 1024, 100), (("mkfs.fat", "-F", "32"), 20000, 4)],
    ids=["ext4", "xfs", "fat"],
)
def test_damage_is_found_and_repaired(
    images: Images, command: Command, mkfs: tuple[str, ...], offset: int, length: int
) -> None:
    image = made(images, "disk.img", SIZES.get(mkfs[0], 64 * MIB), *mkfs)
    damage(image, offset, length)
    before = digest(image)
    found = command("fsck", image)
    assert (found.exit_code, digest(image)) == (1, before)
    assert "damaged" in found.stdout
    repaired = command("fsck", "--repair", image)
    assert repaired.exit_code == 0
    assert "repaired" in repaired.stdout
    assert command("fsck", image).exit_code == 0


def test_a_partition_is_repaired_and_its_neighbours_stay(images: Images, command: Command) -> None:
    first, second = images.ext4("first.img"), images.ext4("second.img")
    image = images.partitioned("gpt", [first, second])
    damage(image, MIB + first.stat().st_size + 8192, 4000)
    damaged = image.read_bytes()
    assert command("fsck", "--partition", "2", image).exit_code == 1
    assert image.read_bytes() == damaged
    assert command("fsck", "--partition", "1", image).exit_code == 0
    assert command("fsck", "--partition", "2", "--repair", image).exit_code == 0
    assert command("fsck", "--partition", "2", image).exit_code == 0
    assert image.read_bytes()[: MIB + first.stat().st_size] == damaged[: MIB + first.stat().st_size]


def test_a_journal_is_replayed_before(images: Images, command: Command, copy: Copy) -> None:
    """e2fsck -n looks past the journal and sees errors that are none."""
    image = images.ext4()
    kernel = liblinux.Kernel()
    kernel.mount(kernel.attach(image), "/mnt")
    kernel.os.mkdir("/mnt/new")
    kernel.os.unlink("/mnt/hello.txt")
    kernel.os.sync()
    crashed = copy(image, "crashed.img")
    kernel.close()
    before = crashed.read_bytes()
    theirs = subprocess.run(["e2fsck", "-fn", crashed], env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert theirs.returncode != 0 or "skipping journal recovery" in theirs.stdout + theirs.stderr
    result = command("fsck", crashed)
    assert (result.exit_code, result.stdout) == (0, f"{crashed}: clean: no errors\n")
    assert crashed.read_bytes() == before


def test_no_checker(images: Images, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    nilfs = made(images, "nilfs.img", 200 * MIB, "mkfs.nilfs2")
    result = command("fsck", nilfs)
    assert result.exit_code == 1
    assert "no free checker for nilfs2" in result.stderr
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(checkers, "_MORE_PATH", "")
    result = command("fsck", images.empty("ext4.img"), "--fs-type", "ext4")
    assert result.exit_code == 1
    assert "apt install e2fsprogs" in result.stderr
    assert command("fsck", "-n", "--repair", nilfs).exit_code == 2


def test_scrub(images: Images, command: Command) -> None:
    image = made(images, "btrfs.img", 256 * MIB, "mkfs.btrfs", "-q", "-m", "dup", "-d", "dup")
    fill(image)
    assert command("fsck", "--scrub", image).exit_code == 0
    at = image.read_bytes().find(CONTENT[:65536])
    assert at > 0
    damage(image, at, 4096)
    before = digest(image)
    found = command("fsck", "--scrub", "--json", image)
    assert found.exit_code == 1
    assert json.loads(found.stdout)["errors"] > 0
    assert digest(image) == before
    repaired = command("fsck", "--scrub", "--repair", image)
    assert repaired.exit_code == 0, repaired.output
    assert command("fsck", "--scrub", image).exit_code == 0
    assert "no check of its own" in command("fsck", "--scrub", images.ext4()).stderr


# ---- resize ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("mkfs", "size", "steps"),
    [
        (("mkfs.ext4", "-q"), 64, (150, 40)),
        (("mkfs.xfs", "-q"), 300, (400,)),
        (("mkfs.btrfs", "-q"), 270, (350, 280)),
        (("mkfs.f2fs", "-q"), 110, (200,)),
        (("mkfs.jfs", "-q"), 48, (100,)),
        (("mkfs.nilfs2",), 150, (250, 200)),
        (("mkfs.ntfs", "-q", "-F"), 32, (80, 50)),
    ],
    ids=lambda value: value[0].partition(".")[2] if isinstance(value, tuple) and isinstance(value[0], str) else "",
)
def test_larger_and_smaller(
    images: Images, command: Command, mkfs: tuple[str, ...], size: int, steps: tuple[int, ...]
) -> None:
    image = made(images, "disk.img", size * MIB, *mkfs)
    if "ntfs" not in mkfs[0]:
        fill(image)  # ntfs3 of Linux 6.1 cannot: README
    for step in steps:
        result = command("resize", image, f"{step}M")
        assert result.exit_code == 0, result.output
        assert image.stat().st_size == step * MIB
        if "ntfs" not in mkfs[0]:
            assert 0.7 * step * MIB < check_content(image) <= step * MIB
        if "nilfs2" not in mkfs[0]:
            assert command("fsck", image).exit_code == 0


@pytest.mark.parametrize("table", ["gpt", "dos"])
def test_the_last_partition(images: Images, command: Command, table: str) -> None:
    first, second = images.ext4("first.img"), images.ext4("second.img")
    image = images.partitioned(table, [first, second])
    damage(image, 0, 440)  # a program that boots
    fill(image, 2)
    start = image.read_bytes()[: MIB + first.stat().st_size]
    before = json.loads(run("sfdisk", "--json", image))["partitiontable"]
    for size in ("80M", "-20M", "+7M"):
        result = command("resize", "--partition", "2", image, size)
        assert result.exit_code == 0, result.output
        check_content(image, 2)
        assert command("fsck", "--partition", "2", image).exit_code == 0
        assert "error" not in run("sfdisk", "--verify", image).lower().replace("no errors", "")
    after = json.loads(run("sfdisk", "--json", image))["partitiontable"]
    assert after["partitions"][0] == before["partitions"][0]
    assert {**after["partitions"][1], "size": 0} == {**before["partitions"][1], "size": 0}
    assert after["partitions"][1]["size"] == 67 * MIB // 512
    assert after["id"] == before["id"]
    assert image.stat().st_size < 105 * MIB
    boot, rest = 440, MIB
    assert image.read_bytes()[:boot] == start[:boot]
    assert image.read_bytes()[rest : len(start)] == start[rest:]


def test_a_partition_between_others(images: Images, command: Command) -> None:
    image = images.partitioned("gpt", [images.ext4("first.img"), images.ext4("second.img")])
    before = image.read_bytes()
    result = command("resize", "--partition", "1", image, "+1M")
    assert result.exit_code == 1
    assert "there the next one begins" in result.stderr
    assert image.read_bytes() == before
    assert command("resize", "--partition", "1", image, "-12M").exit_code == 0
    assert command("fsck", "--partition", "1", image).exit_code == 0
    assert command("resize", "--partition", "1", image, "max").exit_code == 0
    assert command("fsck", "--partition", "1", image).exit_code == 0
    assert image.stat().st_size == len(before)


def test_a_resize_that_fails_changes_nothing(images: Images, command: Command) -> None:
    image = images.partitioned("gpt", [images.ext4("first.img"), images.ext4("second.img")])
    fill(image, 2)
    table, size = run("sfdisk", "--dump", image), image.stat().st_size
    with liblinux.open_image(image, partition=1):  # so that it cannot be written
        result = command("resize", "--partition", "2", image, "+40M")
    assert result.exit_code == 1
    assert (run("sfdisk", "--dump", image), image.stat().st_size) == (table, size)
    result = command("resize", "--partition", "2", image, "512K")  # less than what is in it
    assert result.exit_code == 1
    assert (run("sfdisk", "--dump", image), image.stat().st_size) == (table, size)
    check_content(image, 2)
    assert command("fsck", "--partition", "2", image).exit_code == 0


def test_what_cannot_be_written_back_is_kept(images: Images) -> None:
    image = images.partitioned("gpt", [images.ext4("first.img")])
    with Device(ImageOptions(), str(image), writable=True) as device:
        with (
            contextlib.ExitStack() as faults,
            pytest.raises(liblinux.LiblinuxError) as caught,
            device.as_file(write_back=True) as path,
        ):
            kept = Path(path)
            damage(kept, 5 * MIB, MIB)
            faults.enter_context(device.kernel.inject(seed=1, write_error=1.0))
        assert device.committed
    assert str(kept) in str(caught.value)
    assert kept.read_bytes()[5 * MIB : 6 * MIB] == b"\x5a" * MIB
    with Device(ImageOptions(), str(image)) as device, device.as_file() as path:
        left = Path(path)
        assert left.exists()
    assert not left.exists()


def test_what_cannot_be_resized(images: Images, command: Command) -> None:
    fat = made(images, "fat.img", 64 * MIB, "mkfs.fat")
    assert "nothing that resizes vfat" in command("resize", fat, "100M").stderr
    xfs = made(images, "xfs.img", 300 * MIB, "mkfs.xfs", "-q")
    assert "cannot be made smaller" in command("resize", xfs, "-10M").stderr
    assert command("resize", xfs, "large").exit_code == 2
    btrfs = made(images, "btrfs.img", 300 * MIB, "mkfs.btrfs", "-q")
    assert "256 MiB" in command("resize", btrfs, "100M").stderr
    assert [path.stat().st_size for path in (fat, xfs, btrfs)] == [64 * MIB, 300 * MIB, 300 * MIB]


# ---- trim ------------------------------------------------------------------


def test_trim(images: Images, command: Command) -> None:
    image = images.ext4(size=64 * MIB)
    with liblinux.open_image(image, "r+") as inside:
        inside.pipe("/large", os.urandom(20 * MIB))
    with liblinux.open_image(image, "r+") as inside:
        inside.os.unlink("/large")
    before = image.stat().st_blocks * 512
    result = json.loads(command("trim", "--json", image).stdout)
    after = image.stat().st_blocks * 512
    assert (result["allocated_before"], result["allocated"]) == (before, after)
    assert before - after >= 20 * MIB
    assert result["trimmed"] >= 20 * MIB
    e2fsck(image)
    minix = made(images, "minix.img", 16 * MIB, "mkfs.minix")
    assert "does not tell what it does not use" in command("trim", minix).stderr


# ---- snapshot --------------------------------------------------------------


def test_snapshots(images: Images, command: Command) -> None:
    image = made(images, "btrfs.img", 256 * MIB, "mkfs.btrfs", "-q")
    fill(image)
    assert command("snapshot", "create", f"{image}:/sub").exit_code == 0
    with liblinux.open_image(image, "r+") as inside:
        inside.pipe("/sub/file", b"first")
        inside.os.mkdir("/keep")
    assert command("snapshot", "create", "--readonly", f"{image}:/sub", f"{image}:/keep/first").exit_code == 0
    with liblinux.open_image(image, "r+") as inside:
        inside.pipe("/sub/file", b"second")
        with pytest.raises(OSError):
            inside.pipe("/keep/first/file", b"never")
        assert inside.cat("/keep/first/file") == b"first"
    listed = json.loads(command("snapshot", "list", "--json", image).stdout)
    assert [(each["path"], each["readonly"]) for each in listed] == [("sub", False), ("keep/first", True)]
    assert listed[1]["parent_uuid"] == listed[0]["uuid"]
    theirs = run("btrfs", "inspect-internal", "dump-tree", "-t", "root", image)
    assert all(f"({each['id']} ROOT_ITEM" in theirs for each in listed)
    shown = command("snapshot", "list", image).stdout.splitlines()
    assert shown[1].endswith(" ro keep/first  of sub")
    assert command("snapshot", "delete", f"{image}:/keep/first").exit_code == 0
    assert len(json.loads(command("snapshot", "list", "--json", image).stdout)) == 1
    check_content(image)
    assert command("fsck", image).exit_code == 0


def test_snapshots_that_cannot_be(images: Images, command: Command) -> None:
    ext4 = images.ext4()
    for arguments in (("create", f"{ext4}:/", f"{ext4}:/x"), ("list", ext4), ("delete", f"{ext4}:/sub")):
        result = command("snapshot", *arguments)
        assert result.exit_code == 1
        assert "ext4 has no snapshots, Btrfs has" in result.stderr
    image = made(images, "btrfs.img", 256 * MIB, "mkfs.btrfs", "-q")
    fill(image)
    assert "no subvolume" in command("snapshot", "create", f"{image}:/directory", f"{image}:/x").stderr
    assert "no subvolume" in command("snapshot", "delete", f"{image}:/directory").stderr
    assert command("snapshot", "create", f"{image}:/directory").exit_code == 1
    assert command("snapshot", "create", "--readonly", f"{image}:/x").exit_code == 2
    check_content(image)


def test_the_document_names_all_keys(images: Images, command: Command) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "COMMANDS.md").read_text()
    start = text.index("## What `fsck`")
    documented = set(re.findall(r"`([a-z_]+)`", text[start : text.index("\n## ", start)]))
    image = made(images, "btrfs.img", 270 * MIB, "mkfs.btrfs", "-q")
    command("snapshot", "create", f"{image}:/sub")
    keys: set[str] = set()
    for arguments in (("fsck",), ("fsck", "--scrub"), ("resize", "+10M"), ("trim",)):
        result = command(arguments[0], "--json", image, *arguments[1:])
        assert result.exit_code == 0, result.output
        keys |= json.loads(result.stdout).keys()
    keys |= json.loads(command("snapshot", "list", "--json", image).stdout)[0].keys()
    assert documented - keys <= {"fsck", "resize", "trim", "snapshot"}
    assert keys <= documented
