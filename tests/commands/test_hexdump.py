"""`liblinux hexdump`: the bytes, and that extents are where they are said to be."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from conftest import MIB, Command, Images, run
from liblinux._image_root import ImageRoot
from looking import HOLE_BYTES, rich_image, write

CONTENT = random.Random(1).randbytes(3 * MIB + 100)

MAKERS = {
    "ext4": (["mkfs.ext4", "-q", "-F"], 32),
    "xfs": (["mkfs.xfs", "-q"], 320),
    "btrfs": (["mkfs.btrfs", "-q"], 128),
    "f2fs": (["mkfs.f2fs", "-q"], 64),
    "vfat": (["mkfs.fat"], 32),
    "exfat": (["mkfs.exfat"], 32),
}


def listed(command: Command, target: str) -> list[dict[str, Any]]:
    found = json.loads(command("hexdump", "--extents", "--json", target).stdout)
    assert isinstance(found, list)
    return found


def lying(image: Path, extents: list[dict[str, Any]], size: int) -> bytes:
    """What the image has where the extents are said to be."""
    content = bytearray(size)
    with image.open("rb") as file:
        for extent in extents:
            file.seek(extent["offset"])
            data = file.read(extent["length"])
            content[extent["logical"] : extent["logical"] + extent["length"]] = data
    return bytes(content[:size])


@pytest.mark.parametrize("type", MAKERS)
def test_extents_are_where_they_are_said_to_be(type: str, images: Images, command: Command) -> None:
    program, size = MAKERS[type]
    bare = images.empty("bare.img", size * MIB)
    run(*program, bare)
    with ImageRoot(bare, writable=True) as image:
        write(image, "/first", b"something before it" * 1000)
        write(image, "/file", CONTENT)
    disk = images.partitioned("gpt", [bare])
    for path in (bare, disk):
        extents = listed(command, f"{path}:/file")
        assert lying(path, extents, len(CONTENT)) == CONTENT


def test_holes_and_inline_data(images: Images, command: Command) -> None:
    rich = rich_image(images)
    sparse = listed(command, f"{rich}:/odd/sparse")
    assert [(extent["logical"], extent["length"]) for extent in sparse] == [(0, 4096), (HOLE_BYTES, 4096)]
    (inline,) = listed(command, f"{rich}:/etc/small")
    assert "inline" in inline["flags"]
    table = command("hexdump", "--extents", f"{rich}:/odd/sparse").stdout.splitlines()
    assert len(table) == 3 and table[2].split()[0] == str(HOLE_BYTES)


def test_a_file_system_that_does_not_say(images: Images, command: Command) -> None:
    source = images.directory / "source"
    source.mkdir()
    (source / "file").write_bytes(CONTENT)
    path = images.directory / "squash.img"
    run("mksquashfs", source, path, "-quiet", "-no-progress")
    result = command("hexdump", "--extents", f"{path}:/file")
    assert (result.exit_code, result.stderr) == (
        1,
        "liblinux: /file: squashfs does not say where files are (neither FIEMAP nor FIBMAP)\n",
    )


def test_bytes_as_hexdump_has_them(images: Images, command: Command) -> None:
    image = images.ext4()
    assert command("hexdump", f"{image}:/hello.txt").stdout == (
        "00000000  68 65 6c 6c 6f 20 66 72  6f 6d 20 74 68 65 20 69  |hello from the i|\n"
        "00000010  6d 61 67 65 0a                                    |mage.|\n"
        "00000015\n"
    )
    part = command("hexdump", "-s", "0x41", "-n", "2", f"{image}:/sub/data.bin").stdout
    assert part.splitlines()[0].startswith("00000041  41 42  ")
    assert len(command("hexdump", f"{image}:/sub/data.bin").stdout.splitlines()) == 4097


def test_equal_lines(images: Images, command: Command) -> None:
    image = images.ext4()
    with ImageRoot(image, writable=True) as opened:
        write(opened, "/zeros", bytes(100))
    assert command("hexdump", f"{image}:/zeros").stdout.splitlines()[1] == "*"
    assert len(command("hexdump", "-v", f"{image}:/zeros").stdout.splitlines()) == 8


def test_image_offsets(images: Images, command: Command) -> None:
    image = images.ext4()
    shown = command("hexdump", "--image-offsets", "-n", "16", f"{image}:/hello.txt").stdout
    offset = int(shown.split()[0], 16)
    assert image.read_bytes()[offset : offset + 5] == b"hello"


@pytest.mark.parametrize("options", [["-s", "x"], ["-n", "-1"], ["--json"]])
def test_wrong_usage(options: list[str], images: Images, command: Command) -> None:
    assert command("hexdump", *options, f"{images.ext4()}:/hello.txt").exit_code == 2
