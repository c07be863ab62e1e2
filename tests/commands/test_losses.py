"""What formats have no place for is said, and what they show a second time is not taken for something of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conftest import MIB, Command, Images, run
from liblinux._image_root import ImageRoot

WHEN = 1_234_567_890_123_456_789


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file with two names, a time to the nanosecond, an attribute and an ACL."""
    directory = tmp_path / "source"
    directory.mkdir()
    (directory / "one").write_text("one")
    (directory / "two").hardlink_to(directory / "one")
    run("setfattr", "-n", "user.key", "-v", "value", directory / "one")
    run("setfacl", "-m", "u:1234:r", directory / "one")
    for path in (directory / "one", directory):
        os.utime(path, ns=(WHEN, WHEN))
    return directory


LOST = {
    "squashfs": ("access control lists", "times"),
    "iso9660": ("access control lists", "extended attribute user.key", "hard links", "times"),
    "erofs": (),
}


@pytest.mark.parametrize("filesystem", LOST)
def test_what_a_packed_file_system_has_no_place_for(
    filesystem: str, source: Path, tmp_path: Path, command: Command
) -> None:
    image = tmp_path / "packed.img"
    strict = command("mkimage", "--strict", source, image, "--fs", filesystem)
    assert (strict.exit_code, image.exists()) == ((1, False) if LOST[filesystem] else (0, True)), strict.stderr
    image.unlink(missing_ok=True)
    result = command("mkimage", source, image, "--fs", filesystem)
    assert result.exit_code == 0
    told = [line.removeprefix("liblinux: warning: lost: ").split(" of ")[0] for line in result.stderr.splitlines()]
    assert sorted(line.split(" (")[0] for line in told) == list(LOST[filesystem])
    # What was told is what there is, and no more.
    different = command("diff", source, f"{image}:/").stdout
    for aspect, name in (
        ("times", "times"),
        ("xattr user.key", "extended attribute user.key"),
        ("links", "hard links"),
    ):
        assert (aspect in different) == (name in LOST[filesystem]), different


@pytest.mark.parametrize("filesystem", ["vfat", "exfat"])
def test_names_that_a_file_system_takes_for_one(filesystem: str, tmp_path: Path, command: Command) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("README", "readme"):
        (source / name).touch()
    result = command("mkimage", source, tmp_path / "new.img", "--fs", filesystem)
    assert result.exit_code == 1
    assert result.stderr.endswith("readme: to this file system its name is that of README\n")
    assert not (tmp_path / "new.img").exists()


def test_what_was_not_copied_has_lost_nothing(images: Images, tmp_path: Path, command: Command) -> None:
    """Its name is refused when all the rest of it is done."""
    image = images.empty("fat.img", 16 * MIB)
    run("mkfs.fat", image)
    source = tmp_path / "file"
    source.touch()
    result = command("cp", source, f"{image}:/a:b")
    assert result.exit_code == 1
    assert result.stderr == f"liblinux: {source}: the target cannot hold this name: Invalid argument\n"


def test_owner_and_mode_of_ntfs_are_no_attributes_besides(images: Images, tmp_path: Path, command: Command) -> None:
    image = images.empty("ntfs.img", 16 * MIB)
    run("mkfs.ntfs", "-FQq", image)
    with ImageRoot(image, writable=True) as root:
        root.os.mkdir("/d", 0o750)
        root.os.chown("/d", 70000, 5)
        root.os.setxattr("/d", "user.key", b"value")
        assert "$LXUID" in root.os.listxattr("/d")
    result = command("cp", "-r", f"{image}:/d", tmp_path / "d")
    assert (result.exit_code, result.stderr) == (0, "")
    assert os.listxattr(tmp_path / "d") == ["user.key"]
    command("tar", "--file", tmp_path / "d.tar", f"{image}:/d")
    archive = (tmp_path / "d.tar").read_bytes()
    assert b"user.key" in archive and b"LXUID" not in archive
    assert command("diff", f"{image}:/d", tmp_path / "d").stdout == ""
