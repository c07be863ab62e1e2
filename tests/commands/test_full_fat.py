"""A root directory of FAT that is full while the file system is not, and many sources at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conftest import MIB, Command, Images, run
from liblinux._image_root import ImageRoot

FILES = 300  # of two entries each, where a root directory has 512


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """More than a FAT16 takes in its root directory, with names that are not 8.3 in capitals."""
    directory = tmp_path / "files"
    directory.mkdir()
    paths = [directory / f"file-{index:05}" for index in range(FILES)]
    for path in paths:
        path.write_text(path.name)
    return paths


@pytest.fixture
def fat(images: Images) -> Path:
    """An empty FAT16."""
    path = images.empty("fat.img", 16 * MIB)
    run("mkfs.fat", "-F16", path)
    return path


def test_mkimage_makes_a_root_directory_that_is_large_enough(
    files: list[Path], tmp_path: Path, command: Command
) -> None:
    image = tmp_path / "new.img"
    result = command("mkimage", files[0].parent, image, "--fs", "vfat", "--no-partition-table")
    assert result.exit_code == 0, result.stderr
    with ImageRoot(image) as root:
        assert sorted(root.os.listdir("/")) == [path.name for path in files]
    run("fsck.fat", "-n", image)
    assert int.from_bytes(image.read_bytes()[17:19], "little") == 1024


@pytest.mark.parametrize("way", ["one by one", "tree", "archive"])
def test_what_is_said_when_the_root_directory_is_full(
    way: str, files: list[Path], fat: Path, tmp_path: Path, command: Command
) -> None:
    directory = files[0].parent
    if way == "one by one":
        result = command("cp", *files, f"{fat}:/")
    elif way == "tree":
        result = command("cp", "-r", f"{directory}/.", f"{fat}:/")
    else:
        run("tar", "-C", directory, "-cf", tmp_path / "files.tar", ".")
        command("cp", files[5], f"{fat}:/")
        result = command("untar", f"{fat}:/", "--file", tmp_path / "files.tar")
    assert result.exit_code == 1
    assert "the root directory of this FAT is full: it has room for 512 entries" in result.stderr
    assert "mkfs.fat" in result.stderr
    if way == "archive":  # all of it, or nothing
        with ImageRoot(fat) as root:
            assert root.os.listdir("/") == [files[5].name]
    run("fsck.fat", "-n", fat)


def test_what_many_sources_have_lost_is_told_once(files: list[Path], fat: Path, command: Command) -> None:
    result = command("cp", *files[:20], f"{fat}:/")
    assert result.exit_code == 0
    warnings = result.stderr.splitlines()
    assert [line.split(":")[1:3] for line in warnings] == [[" warning", " lost"]] * len(warnings)
    assert len({line.split(" of ")[0] for line in warnings}) == len(warnings)
    assert any(
        f"times of 20 entries (the target keeps another value), first of {files[0]}" in line for line in warnings
    )


def test_a_directory_grows(files: list[Path], fat: Path, command: Command) -> None:
    """Only the root directory does not."""
    assert command("cp", "-r", files[0].parent, f"{fat}:/").exit_code == 0
    with ImageRoot(fat) as root:
        assert sorted(root.os.listdir("/files")) == sorted(os.listdir(files[0].parent))
