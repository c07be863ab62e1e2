"""`liblinux info`: compared with what the file systems' own tools say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from conftest import MIB, Command, Images, run
from md_arrays import blank, make_1
from test_luks import SECRET, VARIANTS, fill, luks
from test_lvm import group as group  # noqa: PLC0414 - a fixture
from test_lvm import place


def info(command: Command, image: Path, *options: object) -> dict[str, Any]:
    result = command("info", "--json", *options, image)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_ext4(images: Images, command: Command) -> None:
    path = images.ext4(label="Root", options=("-O", "inline_data,quota,encrypt"))
    before = path.read_bytes()
    found = info(command, path)
    (disk,) = found["devices"]
    said = dict(re.findall(r"^([^:\n]+): +(.*)$", run("dumpe2fs", "-h", path), re.MULTILINE))
    assert sorted(disk["filesystem"]["features"]) == sorted(said["Filesystem features"].split())
    assert disk["filesystem"]["block_size"] == int(said["Block size"])
    assert disk["filesystem"]["files"] == int(said["Inode count"])
    assert disk["filesystem"]["files_free"] == int(said["Free inodes"])
    assert disk["filesystem"]["free"] == int(said["Free blocks"]) * int(said["Block size"])
    assert (disk["label"], disk["uuid"], disk["type"]) == ("Root", said["Filesystem UUID"], "ext4")
    assert (found["format"], found["size"], found["file_size"], found["table"]) == ("raw", 32 * MIB, 32 * MIB, "")
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("make", "size", "type", "features"),
    [
        (("mkfs.xfs", "-q", "-L", "Name"), 320, "xfs", {"crc", "ftype", "finobt", "reflink"}),
        (("mkfs.btrfs", "-q", "-L", "Name"), 128, "btrfs", {"extended_iref", "no_holes", "skinny_metadata"}),
        (("mkfs.f2fs", "-q", "-l", "Name", "-O", "extra_attr,inode_checksum"), 64, "f2fs",
         {"extra_attr", "inode_checksum"}),
        (("mkfs.ntfs", "-q", "-F", "-f", "-L", "Name"), 32, "ntfs3", set()),
        (("mkfs.fat", "-n", "NAME"), 32, "vfat", set()),
    ],
)  # fmt: skip
def test_other_file_systems(
    images: Images, command: Command, make: tuple[str, ...], size: int, type: str, features: set[str]
) -> None:
    path = images.empty(size=size * MIB)
    run(*make, path)
    (disk,) = info(command, path)["devices"]
    assert (disk["type"], disk["label"].lower()) == (type, "name")
    assert features <= set(disk["filesystem"]["features"])
    assert 0 < disk["filesystem"]["free"] <= disk["filesystem"]["size"] <= size * MIB


def test_a_journal_is_not_replayed_in_the_image(images: Images, command: Command) -> None:
    import liblinux

    path = images.ext4()
    with liblinux.Kernel() as kernel:
        memory = bytearray(path.read_bytes())
        kernel.mount(kernel.attach(memory), "/mnt")
        kernel.os.mkdir("/mnt/new")
        kernel.os.sync()
        path.write_bytes(memory)
    before = path.read_bytes()
    (disk,) = info(command, path)["devices"]
    assert "needs_recovery" in disk["filesystem"]["features"]
    assert path.read_bytes() == before


def test_partitions_in_a_container(images: Images, command: Command) -> None:
    whole = images.partitioned("gpt", [images.ext4("a", 8 * MIB, label="one"), images.empty("b", 2 * MIB)])
    path = images.directory / "image"
    run("qemu-img", "convert", "-O", "qcow2", "-c", whole, path)
    found = info(command, path)
    assert (found["format"], found["table"], found["container"]["version"]) == ("qcow2", "gpt", 3)
    assert found["file_size"] == path.stat().st_size < found["size"] == whole.stat().st_size
    _, first, second = found["devices"]
    assert (first["name"], first["label"], first["part_label"], first["on"]) == ("1", "one", "part-1", ["disk"])
    assert (second["number"], second["type"], second["start"]) == (2, None, 9 * MIB)
    lines = command("info", path).stdout.splitlines()
    assert lines[0].startswith(f"{path}: qcow2 (version 3, cluster size 65536")
    assert lines[2].split() == ["NAME", "KIND", "TYPE", "LABEL", "SIZE", "FREE", "UUID"]
    assert lines[3].split()[:5] == ["1", "partition", first["type"], "one", "8.0M"]
    assert lines[4].split() == ["2", "partition", "-", "part-2", "2.0M", "-", "-"]


def test_volumes(images: Images, command: Command, group: list[Path]) -> None:
    place(group, "linear", images.ext4(size=12 * MIB, label="found").read_bytes())
    options = [part for path in group[1:] for part in ("--with", path)]
    devices = {device["name"]: device for device in info(command, group[0], *options)["devices"]}
    assert devices["vg-one/linear"]["label"] == "found"
    assert devices["vg-one/linear"]["on"] == ["disk", "disk2"]
    assert devices["vg-one/raid6"]["types"] == ["raid6"]
    assert "does not take its table" in devices["vg-one/thin"]["problem"]
    alone = command("info", group[0])
    assert alone.exit_code == 0
    assert "is missing" in alone.stdout


def test_locked_and_opened(images: Images, command: Command) -> None:
    path = luks(images.empty("luks", 40 * MIB), *VARIANTS["LUKS1"])
    fill(path, images.ext4(size=16 * MIB, label="secret"))
    (disk,) = info(command, path)["devices"]
    assert disk["type"] == "crypto_LUKS"
    key = images.directory / "key"
    key.write_text(SECRET)
    _, opened = info(command, path, "--passphrase-file", key)["devices"]
    assert (opened["kind"], opened["label"], opened["volume_uuid"]) == ("luks", "secret", disk["uuid"])


def test_an_array(tmp_path: Path, command: Command) -> None:
    disks = blank(tmp_path, "raid5")
    make_1(disks, "raid5", "1.2")
    *_, array = info(command, disks[0], "--with", disks[1], "--with", disks[2])["devices"]
    assert (array["level"], array["metadata"], array["disks"], array["type"]) == ("raid5", "1.2", 3, None)
    (_, broken) = info(command, disks[0])["devices"]
    assert "1 of 3 disks are here" in broken["problem"]


def test_keys_are_documented(images: Images, command: Command, group: list[Path]) -> None:
    place(group, "linear", images.ext4(size=12 * MIB).read_bytes())
    found = [info(command, images.partitioned("gpt", [images.ext4("a", 8 * MIB)])), info(command, group[0])]
    keys = {key for each in found for thing in (each, *each["devices"]) for key in thing}
    keys |= found[0]["devices"][1]["filesystem"].keys()
    text = (Path(__file__).resolve().parents[2] / "docs" / "COMMANDS.md").read_text()
    section = text[text.index("## What `info --json` prints") : text.index("## What `--json` prints")]
    assert keys <= set(re.findall(r"`([a-z_]+)`", section))


def test_what_it_is_not(images: Images, command: Command) -> None:
    found = info(command, images.empty())
    assert "no file system, no volume" in found["nothing_known"]
    assert "are zeros" in found["nothing_known"]
    text = images.directory / "text"
    text.write_text("hello\n" * 1024)
    assert "it begins with 68 65 6c 6c 6f" in command("info", text).stdout


def test_damaged(images: Images, command: Command) -> None:
    path = images.ext4()
    with path.open("r+b") as file:
        file.seek(1024 + 4)
        file.write(bytes(20))
    (disk,) = info(command, path)["devices"]
    assert disk["problem"].startswith("cannot be mounted: ")
    assert command("info", images.directory / "none").exit_code == 1


def test_labels_do_not_steer_the_terminal(images: Images, command: Command) -> None:
    parts = [images.ext4("a", 8 * MIB, label="\x1b[31m"), images.ext4("b", 8 * MIB, label="\x1b")]
    path = images.partitioned("gpt", parts)
    result = command("cat", f"{path}:/hello.txt")
    assert result.exit_code == 1
    assert "\x1b" not in result.stderr
    assert info(command, path)["devices"][1]["label"] == "\x1b[31m"


def test_untrusted(images: Images, command: Command) -> None:
    path = images.ext4(label="Root")
    assert info(command, path, "--untrusted")["devices"] == info(command, path)["devices"]
