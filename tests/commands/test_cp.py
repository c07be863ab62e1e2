"""`liblinux cp`: both ways, between images, and what it says when that cannot be."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import MIB, Command, Images, e2fsck, run
from liblinux._image_root import ImageRoot

PROGRAM = [sys.executable, "-c", "from liblinux.cli import main; main()"]


@pytest.fixture
def fat(images: Images) -> Path:
    """An empty FAT file system."""
    path = images.empty("fat.img", 16 * MIB)
    run("mkfs.fat", path)
    return path


def test_out_and_in_again(images: Images, tmp_path: Path, command: Command) -> None:
    image = images.ext4()
    assert command("cp", "-r", f"{image}:/sub", f"{image}:/hello.txt", tmp_path).exit_code == 0
    assert (tmp_path / "sub/data.bin").read_bytes() == bytes(range(256)) * 256
    os.utime(tmp_path / "hello.txt", ns=(1, 1_234_567_890_123_456_789))
    (tmp_path / "hello.txt").chmod(0o4755)
    result = command("cp", tmp_path / "hello.txt", f"{image}:/copy")
    assert (result.exit_code, result.stderr) == (0, "")
    with ImageRoot(image) as root:
        status = root.os.stat("/copy")
        assert stat.S_IMODE(status.st_mode) == 0o4755
        assert status.st_mtime_ns == 1_234_567_890_123_456_789
    e2fsck(image)


def test_a_whole_image(images: Images, tmp_path: Path, command: Command) -> None:
    assert command("cp", "-r", f"{images.ext4()}:/", tmp_path / "new").exit_code == 0
    assert sorted(os.listdir(tmp_path / "new")) == ["hello.txt", "lost+found", "sub"]


def test_between_images_of_different_file_systems(images: Images, fat: Path, command: Command) -> None:
    parts = images.partitioned("gpt", [images.ext4("one.img"), images.ext4("two.img", label="second")])
    result = command("cp", "-r", "-p", "2", f"{parts}:/sub", f"{fat}:/")
    assert result.exit_code == 0
    assert "warning: lost: times of" in result.stderr
    with ImageRoot(fat) as root:
        assert root.os.stat("/sub/data.bin").st_size == 65536
    other = images.partitioned("gpt", [images.ext4("three.img"), images.ext4("four.img")], "other.img")
    assert command("cp", f"{fat}:/sub/data.bin", f"{other}:/new", "--to-partition", "2").exit_code == 0
    with ImageRoot(other, partition=2) as root:
        assert root.os.stat("/new").st_size == 65536


def test_within_an_image(images: Images, command: Command) -> None:
    image = images.ext4()
    assert command("cp", "-r", f"{image}:/sub", f"{image}:/copy").exit_code == 0
    assert command("cat", f"{image}:/copy/data.bin").stdout_bytes == bytes(range(256)) * 256
    e2fsck(image)


def test_contents_only(images: Images, tmp_path: Path, command: Command) -> None:
    image = images.ext4()
    with ImageRoot(image, writable=True) as root:
        root.os.chmod("/hello.txt", 0o6777)
        root.os.utime("/hello.txt", ns=(5, 5))
    assert command("cp", "--no-preserve", f"{image}:/hello.txt", tmp_path).exit_code == 0
    status = (tmp_path / "hello.txt").stat()
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(status.st_mode) == 0o777 & ~umask
    assert status.st_mtime > 1000


def test_no_clobber(images: Images, tmp_path: Path, command: Command) -> None:
    (tmp_path / "hello.txt").write_text("mine")
    image = images.ext4()
    assert command("cp", "-n", f"{image}:/hello.txt", tmp_path).exit_code == 0
    assert (tmp_path / "hello.txt").read_text() == "mine"
    assert command("cp", "--fsync", f"{image}:/hello.txt", tmp_path).exit_code == 0
    assert (tmp_path / "hello.txt").read_text() == "hello from the image\n"
    assert command("cp", "-n", "-f", f"{image}:/hello.txt", tmp_path).exit_code == 2


def test_a_link_stands_for_its_file(images: Images, tmp_path: Path, command: Command) -> None:
    image = images.ext4()
    with ImageRoot(image, writable=True) as root:
        root.os.symlink("/hello.txt", "/link")
    assert command("cp", f"{image}:/link", tmp_path).exit_code == 0
    assert (tmp_path / "link").read_text() == "hello from the image\n"
    assert command("cp", "-r", f"{image}:/link", tmp_path / "itself").exit_code == 0
    assert os.readlink(tmp_path / "itself") == "/hello.txt"


def test_sparse(images: Images, tmp_path: Path, command: Command) -> None:
    zeros = tmp_path / "zeros"
    zeros.write_bytes(bytes(MIB) + b"end")
    image = images.ext4()
    for sparse, least, most in (("auto", 2048, 4096), ("always", 0, 16), ("never", 2048, 4096)):
        assert command("cp", f"--sparse={sparse}", zeros, f"{image}:/{sparse}").exit_code == 0
        with ImageRoot(image) as root:
            status = root.os.stat(f"/{sparse}")
            assert status.st_size == MIB + 3
            assert least <= status.st_blocks <= most


def test_what_fat_cannot_hold(images: Images, fat: Path, tmp_path: Path, command: Command) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("readme", "README", "a:b", "fine"):
        (tree / name).write_text(name)
    result = command("cp", "-r", f"{tree}/.", f"{fat}:/")
    assert result.exit_code == 1
    assert f"{tree}/a:b: the target cannot hold this name: Invalid argument" in result.stderr
    assert "to the target its name is that of" in result.stderr
    with ImageRoot(fat) as root:
        assert {name.lower() for name in root.os.listdir("/")} == {"readme", "fine"}
    result = command("cp", tree / "readme", tree / "README", f"{fat}:/")
    assert result.exit_code == 2
    assert "would both be" in result.stderr
    os.symlink("fine", tree / "link")
    before = fat.read_bytes()
    result = command("cp", "-r", "--strict", tree / "link", f"{fat}:/")
    assert result.exit_code == 1
    assert "symbolic links" in result.stderr
    with ImageRoot(fat) as root:
        assert not root.os.path.lexists("/link")
    assert len(fat.read_bytes()) == len(before)


def test_bad_usage(images: Images, tmp_path: Path, command: Command) -> None:
    image = images.ext4()
    for arguments, code, text in (
        ((f"{image}:/nothing", tmp_path), 1, "/nothing: No such file"),
        ((f"{image}:/sub", tmp_path), 1, "-r copies it"),
        ((f"{image}:/hello.txt", f"{image}:/sub", tmp_path / "file"), 2, "needs a directory"),
        ((tmp_path / "nothing", f"{image}:/"), 1, "nothing: No such file"),
        ((f"{image}:/hello.txt", tmp_path, "--to-partition", "1"), 2, "from one image to another"),
        (("-r", f"{image}:/", f"{image}:/sub/copy"), 1, "into itself"),
        ((__file__, image), 2, f"write {image}:/ for what is in it"),
    ):
        result = command("cp", *arguments)
        assert result.exit_code == code, result.stderr
        assert text in result.stderr
    e2fsck(image)


def test_a_full_image(images: Images, tmp_path: Path, command: Command) -> None:
    image = images.ext4(size=8 * MIB)
    (tmp_path / "large").write_bytes(os.urandom(9 * MIB))
    result = command("cp", tmp_path / "large", f"{image}:/")
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr
    assert "more are needed" in result.stderr
    assert "large" not in command("cp", "-r", f"{image}:/", tmp_path / "out").stdout
    assert sorted(os.listdir(tmp_path / "out")) == ["hello.txt", "lost+found", "sub"]
    e2fsck(image)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted(number: signal.Signals, code: int, images: Images, tmp_path: Path) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        for _ in range(400):
            file.write(os.urandom(1 << 16) * 16)
    names = ["large"]
    while "large" in names:  # it was quicker, if we were not given a processor in time
        image = images.ext4(size=600 * MIB)
        before = image.stat().st_blocks
        with subprocess.Popen([*PROGRAM, "cp", large, f"{image}:/large"], stderr=subprocess.PIPE) as process:
            while image.stat().st_blocks < before + 20 * MIB // 512 and process.poll() is None:
                time.sleep(0.001)
            process.send_signal(number)
            assert process.stderr is not None
            said = process.stderr.read()
        e2fsck(image)
        with ImageRoot(image) as root:
            names = sorted(root.os.listdir("/"))
    assert process.returncode == code, said
    assert names == ["hello.txt", "lost+found", "sub"]


def test_names_do_not_command_a_terminal(images: Images, fat: Path, command: Command) -> None:
    image = images.ext4()
    with ImageRoot(image, writable=True) as root:
        root.os.rename("/hello.txt", "/sub/\x1b[31m:")
        root.os.rename("/sub/data.bin", b"/sub/caf\xe9:")
    result = command("cp", "-r", f"{image}:/sub", f"{fat}:/")
    assert result.exit_code == 1
    assert "/sub/\\x1b[31m: the target cannot hold this name" in result.stderr.replace("::", ":")
    assert b"/sub/caf\xe9:" in result.stderr_bytes
    assert "\x1b" not in result.stderr
