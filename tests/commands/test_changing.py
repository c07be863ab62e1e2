"""`rm`, `mv`, `mkdir`, `ln`, `chmod`, `chown`, `touch`: what they do, and leave the image clean."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Command, Images, e2fsck, run
from liblinux._image_root import ImageRoot
from looking import MOMENT, USERS, liblinux, rich_image, write


@pytest.fixture
def rich(images: Images) -> Iterator[Path]:
    """An image that is clean after the test as it was before."""
    path = rich_image(images)
    yield path
    e2fsck(path)


def status(command: Command, target: str) -> dict[str, Any]:
    (found,) = json.loads(command("stat", "--json", target).stdout)
    assert isinstance(found, dict)
    return found


def paths(command: Command, target: str) -> list[str]:
    found = command("find", target).stdout.split()
    assert isinstance(found, list)
    return sorted(found)


def done(command: Command, *arguments: object) -> None:
    result = command(*arguments)
    assert (result.exit_code, result.output) == (0, "")


def test_rm(rich: Path, command: Command) -> None:
    done(command, "rm", f"{rich}:/etc/small*", f"{rich}:/home/link")
    assert paths(command, f"{rich}:/etc") == ["/etc", "/etc/group", "/etc/passwd"]
    refused = command("rm", f"{rich}:/home", f"{rich}:/nothing", f"{rich}:/etc/group")
    assert refused.exit_code == 1
    assert refused.stderr.splitlines() == [
        "liblinux: /home: Is a directory: add -r to remove it with all that is in it",
        "liblinux: /nothing: No such file or directory",
    ]
    assert paths(command, f"{rich}:/etc") == ["/etc", "/etc/passwd"]
    done(command, "rm", "-rf", f"{rich}:/home", f"{rich}:/dev", f"{rich}:/nothing", f"{rich}:/nothing*")
    assert command("ls", rich).stdout.split() == ["etc", "lost+found", "odd"]


@pytest.mark.parametrize("path", ["", "/", "/etc/..", "/../../"])
def test_the_root_directory_is_not_removed(path: str, rich: Path, command: Command) -> None:
    result = command("rm", "-rf", f"{rich}:{path}")
    assert result.exit_code == 1
    assert "root directory of the image" in result.stderr
    assert command("ls", rich).stdout.split() == ["dev", "etc", "home", "lost+found", "odd"]


def test_mv(rich: Path, command: Command) -> None:
    done(command, "mv", f"{rich}:/etc/small", f"{rich}:/etc/tiny")
    done(command, "mv", f"{rich}:/home/alice/*", f"{rich}:/etc/tiny", f"{rich}:/odd")
    done(command, "mv", f"{rich}:/home", f"{rich}:/houses")
    assert {"/odd/notes", "/odd/tiny"} < set(paths(command, f"{rich}:/odd"))
    assert paths(command, f"{rich}:/houses") == ["/houses", "/houses/alice", "/houses/alice/.hidden", "/houses/link"]
    refused = command("mv", "-n", f"{rich}:/odd/tiny", f"{rich}:/odd/notes")
    assert (refused.exit_code, refused.stderr) == (1, "liblinux: /odd/tiny -> /odd/notes: File exists\n")
    itself = command("mv", f"{rich}:/houses", f"{rich}:/houses/alice")
    assert itself.stderr.endswith("a directory cannot be moved into itself\n")
    many = command("mv", f"{rich}:/odd/tiny", f"{rich}:/odd/notes", f"{rich}:/nowhere")
    assert many.stderr == "liblinux: /nowhere: several files can only be moved into a directory\n"


def test_between_two_images(rich: Path, images: Images, command: Command) -> None:
    other = images.ext4()
    before = other.read_bytes()
    for arguments in (("mv",), ("ln",), ("ln", "-s")):
        result = command(*arguments, f"{rich}:/etc/small", f"{other}:/small")
        assert result.exit_code == 2
        assert "liblinux cp" in result.stderr and "two images" in result.stderr
    assert other.read_bytes() == before
    again = rich.parent / "again.img"
    again.symlink_to(rich)
    done(command, "mv", f"{rich}:/etc/small", f"{again}:/etc/tiny")


def test_mkdir(rich: Path, command: Command) -> None:
    umask = os.umask(0o027)
    try:
        done(command, "mkdir", f"{rich}:/plain")
        done(command, "mkdir", "-p", "-m", "2711", f"{rich}:/a/b/c", f"{rich}:/etc")
    finally:
        os.umask(umask)
    assert [status(command, f"{rich}:{path}")["mode"] for path in ("/plain", "/a", "/a/b", "/a/b/c", "/etc")] == [
        "0750", "0750", "0750", "2711", "0755",
    ]  # fmt: skip
    assert command("mkdir", f"{rich}:/etc").stderr == "liblinux: /etc: File exists\n"
    assert command("mkdir", "-p", f"{rich}:/etc/passwd/x").stderr == "liblinux: /etc/passwd: File exists\n"
    assert command("mkdir", "-m", "rwx", f"{rich}:/b").exit_code == 2


def test_ln(rich: Path, command: Command) -> None:
    done(command, "ln", f"{rich}:/etc/passwd", f"{rich}:/odd")
    assert status(command, f"{rich}:/odd/passwd")["inode"] == status(command, f"{rich}:/etc/passwd")["inode"]
    done(command, "ln", "-s", "../any/text", f"{rich}:/odd/said")
    assert status(command, f"{rich}:/odd/said")["target"] == "../any/text"
    done(command, "ln", "-sf", f"{rich}:/etc/group", f"{rich}:/odd/said")
    assert status(command, f"{rich}:/odd/said")["target"] == "/etc/group"
    done(command, "ln", "-f", f"{rich}:/etc/passwd", f"{rich}:/odd/passwd")  # the same file: it stays
    done(command, "ln", "-f", f"{rich}:/etc/passwd", f"{rich}:/odd/said")
    assert status(command, f"{rich}:/etc/passwd")["links"] == 3
    assert not [path for path in paths(command, f"{rich}:/odd") if "liblinux" in path]
    refused = command("ln", f"{rich}:/etc/passwd", f"{rich}:/odd/said")
    assert refused.stderr == "liblinux: /etc/passwd -> /odd/said: File exists\n"
    assert command("ln", "text", f"{rich}:/odd/x").exit_code == 2


def test_chmod(rich: Path, command: Command) -> None:
    done(command, "chmod", "4711", f"{rich}:/etc/passwd")
    done(command, "chmod", "-w", f"{rich}:/etc/group")
    done(command, "chmod", "-R", "u=rwX,go=", f"{rich}:/home")
    assert status(command, f"{rich}:/etc/passwd")["mode"] == "4711"
    assert status(command, f"{rich}:/etc/group")["mode"] == "0444"
    assert status(command, f"{rich}:/home/alice")["mode"] == "0700"
    assert status(command, f"{rich}:/home/alice/notes")["mode"] == "0600"
    assert status(command, f"{rich}:/etc/small")["mode"] == "0644"  # the link in /home leads to it
    done(command, "chmod", "600", f"{rich}:/home/link")
    assert status(command, f"{rich}:/etc/small")["mode"] == "0600"
    for mode in ("9", "-q", "--recursiv"):
        assert command("chmod", mode, f"{rich}:/etc/group").exit_code == 2
    changed = status(command, f"{rich}:/etc/group")["ctime_ns"]
    done(command, "chmod", "444", f"{rich}:/etc/group")
    assert status(command, f"{rich}:/etc/group")["ctime_ns"] == changed


def test_chown(rich: Path, command: Command) -> None:
    def owner(path: str) -> tuple[int, int]:
        found = status(command, f"{rich}:{path}")
        return found["uid"], found["gid"]

    done(command, "chown", "alice", f"{rich}:/etc/small")
    assert owner("/etc/small") == (1000, 0)
    done(command, "chown", "bob:", f"{rich}:/etc/small")
    assert owner("/etc/small") == (1001, 100)
    done(command, "chown", ":staff", f"{rich}:/etc/small")
    assert owner("/etc/small") == (1001, 50)
    done(command, "chown", "-R", "4294967294:70000", f"{rich}:/home")
    assert owner("/home/alice/notes") == owner("/home/link") == owner("/home") == (4294967294, 70000)
    assert owner("/etc/small") == (1001, 50)
    done(command, "chown", "0:0", f"{rich}:/home/link")
    assert owner("/etc/small") == (0, 0) and owner("/home/link") == (4294967294, 70000)
    done(command, "chown", "-h", "1:1", f"{rich}:/home/link")
    assert owner("/etc/small") == (0, 0) and owner("/home/link") == (1, 1)
    for wrong in ("carol", ":nogroup", "4294967295", ":", "", "4711:"):
        assert command("chown", wrong, f"{rich}:/etc/small").exit_code == 2


def test_touch(rich: Path, command: Command) -> None:
    done(command, "touch", "-d", "@1700000000.123456789", f"{rich}:/new")
    assert status(command, f"{rich}:/new")["mtime_ns"] == MOMENT
    done(command, "touch", "-c", f"{rich}:/none")
    assert "/none" not in paths(command, f"{rich}:/")
    done(command, "touch", "-r", f"{rich}:/home/alice/notes", f"{rich}:/etc/small")
    small = status(command, f"{rich}:/etc/small")
    assert (small["atime_ns"], small["mtime_ns"]) == (MOMENT + 1, MOMENT)
    done(command, "touch", "-m", "-d", "@7", f"{rich}:/etc/small")
    small = status(command, f"{rich}:/etc/small")
    assert (small["atime_ns"], small["mtime_ns"]) == (MOMENT + 1, 7 * 10**9)
    done(command, "touch", "-h", "-d", "@9", f"{rich}:/home/link")
    assert status(command, f"{rich}:/home/link")["mtime_ns"] == 9 * 10**9
    assert status(command, f"{rich}:/etc/small")["mtime_ns"] == 7 * 10**9
    reference = rich.parent / "reference"
    reference.touch()
    os.utime(reference, ns=(1, 2))
    done(command, "touch", "-r", reference, f"{rich}:/etc/small")
    assert status(command, f"{rich}:/etc/small")["mtime_ns"] == 2
    assert command("touch", "-d", "tomorrow", f"{rich}:/new").exit_code == 2
    assert command("touch", f"{rich}:/no/where").stderr == "liblinux: /no/where: No such file or directory\n"


def test_names_that_are_not_utf8(rich: Path) -> None:
    for arguments in (
        ("mkdir", f"{rich}:/\udcff"),
        ("touch", f"{rich}:/\udcff/a\udce9"),
        ("mv", f"{rich}:/\udcff/a\udce9", f"{rich}:/\udcff/b\udce9"),
        ("ln", "-s", "to \udce9", f"{rich}:/\udcff/c"),
        ("chmod", "600", f"{rich}:/\udcff/*\udce9"),
    ):
        made = liblinux(*arguments)
        assert (made.returncode, made.stderr) == (0, b"")
    with ImageRoot(rich) as image:
        assert sorted(image.os.listdir(b"/\xff")) == [b"b\xe9", b"c"]
        assert stat.S_IMODE(image.os.stat(b"/\xff/b\xe9").st_mode) == 0o600
        assert image.os.readlink(b"/\xff/c") == b"to \xe9"


def test_untrusted(rich: Path, command: Command) -> None:
    done(command, "mkdir", "--untrusted", f"{rich}:/made")
    assert command("cat", "--untrusted", f"{rich}:/etc/passwd").stdout == USERS
    assert "alice" in command("stat", "--untrusted", f"{rich}:/home/alice/notes").stdout
    assert "inline" in command("hexdump", "--untrusted", "--extents", f"{rich}:/etc/small").stdout


def test_fat_has_no_owners(images: Images, command: Command) -> None:
    path = images.empty()
    run("mkfs.fat", path)
    done(command, "touch", f"{path}:/file")
    refused = command("chown", "1000", f"{path}:/file")
    assert (refused.exit_code, refused.stderr) == (
        1,
        "liblinux: /file: Operation not permitted: vfat cannot store this\n",
    )
    assert "vfat cannot store this" in command("ln", "-s", "x", f"{path}:/link").stderr


def test_subvolumes_are_file_systems(images: Images, command: Command) -> None:
    source = images.directory / "source"
    source.mkdir()
    path = images.empty("btrfs.img", 128 << 20)
    run("mkfs.btrfs", "-q", path)
    with ImageRoot(path, writable=True) as image:
        write(image, "/file", b"x")
        top = image.os.open("/", os.O_RDONLY)
        # BTRFS_IOC_SUBVOL_CREATE: a descriptor and a name of 4,088 bytes.
        assert image.os.call("ioctl", top, 0x5000940E, bytearray(8) + b"volume".ljust(4088, b"\0")) == 0
        image.os.close(top)
    refused = command("mv", f"{path}:/file", f"{path}:/volume")
    assert refused.exit_code == 1 and "use liblinux cp" in refused.stderr
