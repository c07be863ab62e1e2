"""`liblinux cat`, and what all commands on images have in common: targets, errors, exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import Command, Images
from liblinux.commands._target import Target, parse_target


@pytest.mark.parametrize(
    ("text", "image", "path"),
    [
        ("disk.img:/etc/hostname", "disk.img", "/etc/hostname"),
        ("disk.img:", "disk.img", "/"),
        ("a:b.img:/c:/d", "a:b.img", "/c:/d"),
        ("https://host:8080/disk.img:/etc", "https://host:8080/disk.img", "/etc"),
        ("/var/disk.img:/", "/var/disk.img", "/"),
    ],
)
def test_target(text: str, image: str, path: str) -> None:
    assert parse_target(text) == Target(image, path)


@pytest.mark.parametrize("text", ["disk.img", "", ":/etc", "disk.img:etc", "https://host/disk.img"])
def test_no_target(text: str) -> None:
    assert parse_target(text) is None


def test_a_file_that_is_there_is_no_target(tmp_path: Path) -> None:
    (tmp_path / "odd:").mkdir()
    odd = tmp_path / "odd:" / "name"
    odd.touch()
    assert parse_target(str(odd)) is None


def test_cat(images: Images, command: Command) -> None:
    image = images.ext4()
    before = image.read_bytes()
    result = command("cat", f"{image}:/hello.txt", f"{image}:/sub/data.bin")
    assert result.exit_code == 0
    assert result.stdout_bytes == b"hello from the image\n" + bytes(range(256)) * 256
    assert image.read_bytes() == before


def test_a_failure_is_one_line(images: Images, command: Command) -> None:
    result = command("cat", f"{images.ext4()}:/nothing")
    assert (result.exit_code, result.stdout, result.stderr) == (
        1,
        "",
        "liblinux: /nothing: No such file or directory\n",
    )


def test_wrong_usage(images: Images, command: Command) -> None:
    image = images.ext4()
    result = command("cat", image)
    assert result.exit_code == 2
    assert f"{image}:/" in result.stderr
