"""compare_trees and `liblinux diff`: everything that differs is told, and nothing else."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

import liblinux
from conftest import MIB, Command, Images
from liblinux._image_root import ImageRoot

Changes = dict[tuple[str, str], tuple[Any, Any]]


@pytest.fixture
def pair(images: Images) -> tuple[Path, Path]:
    """An image, and a copy of it."""
    first = images.ext4("first.img")
    with ImageRoot(first, writable=True) as root:
        root.os.link("/hello.txt", "/sub/second")
        root.os.symlink("hello.txt", "/link")
        root.os.mknod("/device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        root.os.setxattr("/hello.txt", "user.note", b"\xff")
        root.os.truncate("/sub/data.bin", 3 * MIB)
    second = images.directory / "second.img"
    second.write_bytes(first.read_bytes())
    return first, second


def changes(pair: tuple[Path, Path], **options: Any) -> Changes:
    with ImageRoot(pair[0]) as first, ImageRoot(pair[1]) as second:
        found = liblinux.compare_trees("/", "/", left_os=first.os, right_os=second.os, **options)
    return {(each.path, each.what): (each.left, each.right) for each in found}


def test_the_same(pair: tuple[Path, Path]) -> None:
    assert changes(pair) == {}
    assert changes(pair, ignore=()) == {}


def test_every_aspect(pair: tuple[Path, Path]) -> None:
    with ImageRoot(pair[1], writable=True) as root:
        system = root.os
        moment = system.stat("/").st_mtime_ns
        descriptor = system.open("/sub/data.bin", os.O_WRONLY)
        system.pwrite(descriptor, b"x", 2 * MIB + 17)
        system.close(descriptor)
        system.chmod("/hello.txt", 0o4600)
        system.chown("/hello.txt", 70_000, 5)
        system.setxattr("/hello.txt", "user.note", b"other")
        system.setxattr("/hello.txt", "user.more", b"")
        system.unlink("/sub/second")
        system.unlink("/link")
        system.symlink("elsewhere", "/link")
        system.unlink("/device")
        system.mknod("/device", stat.S_IFCHR | 0o600, os.makedev(1, 5))
        system.makedirs("/new/deep/er")
        system.rmdir("/lost+found")
        system.mknod("/lost+found", stat.S_IFIFO | 0o700)
        system.utime("/", ns=(moment, moment + 1))
    found = changes(pair, ignore=())
    assert found["sub/data.bin", "content"] == (2 * MIB + 17,) * 2
    assert found["sub/data.bin", "holes"][0] < found["sub/data.bin", "holes"][1]
    # Without its setuid bit: chown takes it.
    assert found["hello.txt", "mode"][1] == 0o600
    assert found["hello.txt", "owner"] == ((0, 0), (70_000, 5))
    assert found["hello.txt", "xattr user.note"] == (b"\xff", b"other")
    assert found["hello.txt", "xattr user.more"] == (None, b"")
    assert found["hello.txt", "links"] == (b"sub/second", None)
    assert found["sub/second", "entry"] == ("file", None)
    assert found["link", "target"] == (b"hello.txt", b"elsewhere")
    assert found["device", "device"] == ((1, 3), (1, 5))
    assert found["new", "entry"] == (None, "directory")
    assert ("new/deep", "entry") not in found
    assert found["lost+found", "type"] == ("directory", "pipe")
    assert found[".", "times"][1] == moment + 1

    only = changes(pair, ignore=("times", "holes", "xattrs", "owner", "links"), exclude=("new", "sub", "l*"))
    assert only.keys() == {("hello.txt", "mode"), ("device", "device")}


def test_contents_that_are_read(pair: tuple[Path, Path]) -> None:
    with ImageRoot(pair[1], writable=True) as root:
        status = root.os.stat("/sub/data.bin")
        with root.process.open("/sub/data.bin", "r+b") as file:
            file.write(b"X")
        root.os.utime("/sub/data.bin", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert changes(pair) == {("sub/data.bin", "content"): (0, 0)}
    assert changes(pair, content="quick") == {}
    assert changes(pair, content="none") == {}


def test_an_image_and_what_was_extracted_of_it(pair: tuple[Path, Path], tmp_path: Path, command: Command) -> None:
    liblinux.extract(pair[0], tmp_path / "out")
    arguments = [pair[0], tmp_path / "out", "--ignore", "owner", "--ignore", "xattrs"]
    result = command("diff", *arguments)
    assert (result.exit_code, result.stdout) == (1, f"device: only in {pair[0]}:/ (character device)\n")
    (tmp_path / "out/hello.txt").write_text("another\n")
    result = command("diff", *arguments, "--json", "--ignore", "times")
    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert told["left"] == f"{pair[0]}:/"
    assert [(each["path"], each["what"]) for each in told["differences"]] == [
        ("device", "entry"), ("hello.txt", "size"), ("sub/second", "size"),
    ]  # fmt: skip


def test_command(pair: tuple[Path, Path], command: Command) -> None:
    result = command("diff", *pair)
    assert (result.exit_code, result.stdout) == (0, "")
    with ImageRoot(pair[1], writable=True) as root:
        root.os.chmod("/hello.txt", 0o600)
        root.os.utime("/hello.txt", ns=(0, 1))
    result = command("diff", *pair)
    assert result.exit_code == 1
    names = result.stdout.splitlines()
    assert names[0].startswith("hello.txt: ")
    assert "mode 0644 -> 0600" in names[0]
    assert names[0].endswith("-> 1970-01-01T00:00:00.000000001Z")
    assert command("diff", f"{pair[0]}:/sub", f"{pair[1]}:/sub", "--no-content").exit_code == 1


def test_trouble_is_2(pair: tuple[Path, Path], tmp_path: Path, command: Command) -> None:
    for right in (tmp_path / "nothing", f"{pair[1]}:/nothing"):
        result = command("diff", pair[0], right)
        assert result.exit_code == 2
        assert "nothing" in result.stderr
    assert command("diff", pair[0]).exit_code == 2
    with pytest.raises(ValueError, match="ignore: no smell"):
        liblinux.compare_trees(tmp_path, tmp_path, ignore=("smell",))


def test_single_files(pair: tuple[Path, Path], tmp_path: Path, command: Command) -> None:
    (tmp_path / "mine").write_text("hello from the imagE\n")
    result = command("diff", f"{pair[0]}:/hello.txt", f"{pair[1]}:/hello.txt")
    assert result.exit_code == 0
    result = command("diff", f"{pair[0]}:/link", f"{pair[1]}:/link")
    assert result.exit_code == 0
    with ImageRoot(pair[0]) as root:
        found = liblinux.compare_trees(
            "/hello.txt", tmp_path / "mine", left_os=root.os, ignore=("times", "owner", "xattrs", "mode", "holes")
        )
    assert [(each.path, each.what, each.left) for each in found] == [(".", "content", 19)]
