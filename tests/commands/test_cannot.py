"""Images that are full, that can only be read, or that are not there; and patterns that match nothing."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pexpect
import pytest

from conftest import ENVIRONMENT, MIB, Command, Images, e2fsck, run
from liblinux._image_root import ImageRoot
from looking import write

CHANGES = [
    ["touch"],
    ["mkdir"],
    ["rm"],
    ["chmod", "600"],
    ["chown", "0"],
    ["ln", "-s", "x"],
    ["edit", "--editor", "true"],
]


def read_only(type: str, images: Images) -> Path:
    content = images.directory / "content"
    content.mkdir()
    (content / "file").write_text("x")
    path = images.directory / f"{type}.img"
    if type == "squashfs":
        run("mksquashfs", content, path, "-quiet", "-no-progress")
    else:
        run("xorriso", "-outdev", path, "-map", content, "/", environment={"PATH": "/usr/bin"})
    return path


@pytest.mark.parametrize("type", ["squashfs", "iso9660"])
def test_file_systems_that_can_only_be_read(type: str, images: Images, command: Command) -> None:
    path = read_only(type, images)
    before = path.read_bytes()
    for change in CHANGES:
        result = command(*change, f"{path}:/file")
        assert result.exit_code == 1
        assert result.stderr.startswith(f"liblinux: {path}: this file system")
        assert "can only be read" in result.stderr and "liblinux tar" in result.stderr
        assert result.stderr.count("\n") == 1
    assert path.read_bytes() == before


def test_an_image_file_that_may_not_be_written(images: Images, command: Command, as_nobody: None) -> None:
    path = "/etc/passwd"  # of root, and readable for all: it comes to no look at what is in it
    for change in CHANGES:
        result = command(*change, f"{path}:/file")
        assert (result.exit_code, result.stderr) == (1, f"liblinux: {path}: Permission denied\n")


@pytest.mark.parametrize("change", [["mkdir"], ["touch"], ["ln", "-s", "/" + "long/" * 20]])
def test_a_full_image(change: list[str], images: Images, command: Command) -> None:
    path = images.ext4(size=MIB, options=("-N", "16", "-m", "0"))
    with ImageRoot(path, writable=True) as image:
        for number in range(16):
            try:
                write(image, f"/file-{number}", b"x")
            except OSError:
                break
        else:
            raise AssertionError("16 inodes were enough for 16 files and what was there")
    result = command(*change, f"{path}:/more")
    assert result.exit_code == 1
    assert re.fullmatch(
        r"liblinux: .*/more: No space left on device: \d+(\.\d)?K? of \d+K are free, and 0 of 16 inodes\n",
        result.stderr,
    )
    e2fsck(path)


def test_patterns(images: Images, command: Command) -> None:
    path = images.ext4()
    with ImageRoot(path, writable=True) as image:
        for name in ("/a.conf", "/.b.conf", "/[x].conf", "/sub/c.conf", "/sub/deep"):
            image.os.mkdir(name) if name.endswith("deep") else write(image, name, name.encode())
        write(image, "/sub/deep/d.conf", b"/sub/deep/d.conf")

    def found(pattern: str) -> list[str]:
        return [line for line in command("ls", "-d", f"{path}:{pattern}").stdout.splitlines() if line]

    assert found("/*.conf") == ["/[x].conf", "/a.conf"]
    assert found("/.*.conf") == ["/.b.conf"]
    assert found("/[x].conf") == ["/[x].conf"]  # there is one of that very name
    assert found("/[ab].conf") == ["/a.conf"]
    assert found("/*/*.conf") == ["/sub/c.conf"]
    assert found("/**/*.conf") == ["/[x].conf", "/a.conf", "/sub/c.conf", "/sub/deep/d.conf"]
    assert found("/s?b/") == ["/sub/"]
    assert found("/hello.txt/*") == []
    assert command("cat", f"{path}:/sub/*/*.conf", f"{path}:/a*").stdout == "/sub/deep/d.conf/a.conf"
    several = command("hexdump", f"{path}:/*.conf")
    assert several.exit_code == 1 and "2 files in the image match this pattern, from /[x].conf on" in several.stderr
    assert command("ln", f"{path}:/a.c*", f"{path}:/linked").exit_code == 0
    assert command("edit", "--editor", "sed -i s/conf/text/", f"{path}:/sub/c*").exit_code == 0
    assert command("cat", f"{path}:/linked", f"{path}:/sub/c.conf").stdout == "/a.conf/sub/c.text"
    nothing = command("cat", f"{path}:/*.none")
    assert (nothing.exit_code, nothing.stderr) == (1, "liblinux: /*.none: nothing in the image matches this pattern\n")


@pytest.mark.parametrize("name", ["ls", "tree", "stat", "find", "du", "rm", "mkdir", "touch"])
def test_no_image(name: str, images: Images, command: Command) -> None:
    result = command(name, f"{images.directory}/none.img:/x")
    assert (result.exit_code, result.stderr) == (
        1,
        f"liblinux: {images.directory}/none.img: No such file or directory\n",
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [([], "1000 bytes, is not a multiple of the sector size 512"), (["--memory", "much"], "memory")],
)
@pytest.mark.parametrize("name", ["ls", "info", "fsck", "resize", "extract", "trim"])
def test_no_disk(name: str, options: list[str], said: str, images: Images, command: Command) -> None:
    path = images.empty(size=1000)
    more: dict[str, list[str | Path]] = {"resize": ["10M"], "extract": [images.directory / "new"]}
    result = command(name, *options, path, *more.get(name, []))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"liblinux: {path}: ") and said in result.stderr


def test_a_target_whose_slash_is_missing(images: Images, command: Command) -> None:
    path = images.ext4()
    result = command("ls", f"{path}:hello.txt")
    assert result.exit_code == 1
    assert result.stderr.endswith(f"a path in an image begins with a slash: {path}:/hello.txt\n")
    result = command("cat", f"{path}:hello.txt")
    assert result.exit_code == 2
    assert result.stderr.endswith(f"names no path inside an image; write it as {path}:/hello.txt\n")


def test_a_source_of_cp_that_is_not_there_is_named_with_its_image(images: Images, command: Command) -> None:
    path = images.ext4()
    for options in ((), ("-r",)):
        result = command("cp", *options, f"{path}:/nothing", images.directory)
        assert (result.exit_code, result.stderr) == (1, f"liblinux: {path}:/nothing: No such file or directory\n")


def test_what_cannot_be_mounted_is_called_by_its_name(images: Images, command: Command) -> None:
    path = images.ext4()
    result = command("ls", "--partition", "3", path)
    assert result.exit_code == 1
    assert result.stderr == (
        f"liblinux: {path}: the disk has no partition table\n  leave out --partition to mount the whole disk\n"
    )


def test_a_host_without_room_for_an_archive(images: Images, command: Command) -> None:
    path = images.ext4(size=8 * MIB)
    said = "liblinux: /dev/full: No space left on device: contents take "
    left = r"[\d,]+ bytes, at least [\d,]+ of them are left to be written\n"
    result = command("tar", "--file", "/dev/full", path)
    assert result.exit_code == 1
    assert re.fullmatch(re.escape(said) + left, result.stderr)
    result = command("cpio", "--gzip", "--file", "/dev/full", path)
    assert result.exit_code == 1
    assert re.fullmatch(re.escape(said) + r"[\d,]+ bytes\n", result.stderr)


def test_what_would_wait_for_ever(images: Images, command: Command) -> None:
    path = images.ext4()
    with ImageRoot(path, writable=True) as image:
        image.os.mkfifo("/pipe", 0o600)
        image.os.mknod("/null", 0o20666, os.makedev(1, 3))
    empty = command("cat", f"{path}:/pipe")
    assert (empty.exit_code, empty.output) == (0, "")
    assert command("hexdump", f"{path}:/pipe").stderr == "liblinux: /pipe: Illegal seek\n"
    assert command("cat", f"{path}:/sub").stderr == "liblinux: /sub: Is a directory\n"
    refused = command("cat", f"{path}:/null")
    assert (refused.exit_code, refused.stderr) == (1, "liblinux: /null: Permission denied\n")


def test_names_do_not_steer_the_terminal(images: Images, command: Command) -> None:
    path = images.ext4()
    result = command("cat", f"{path}:/\x1bred\n\udcff")
    assert result.stderr == "liblinux: /\\x1bred\\n\\udcff: No such file or directory\n"
    with ImageRoot(path, writable=True) as image:
        write(image, "/\x1b[31mred")
    # To a terminal, characters that would steer it are not written.
    shell = f"{sys.executable} -c 'from liblinux.cli import main; main()' ls -l {path}"
    shown = pexpect.run(shell, env=dict(ENVIRONMENT))
    assert b"?[31mred" in shown and b"\x1b" not in shown
    assert "\x1b[31mred" in command("ls", path).stdout


def test_a_volume_where_there_are_none(images: Images, command: Command) -> None:
    path = images.ext4()
    result = command("ls", "--volume", "vg/root", path)
    assert result.exit_code == 1
    assert result.stderr == (
        "liblinux: there is no volume 'vg/root'\n  it has no volumes at all: name none, or a partition\n"
    )
