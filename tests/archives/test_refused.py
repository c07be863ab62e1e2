"""Archives that are damaged, hostile or too large, or hold what the target cannot: nothing is changed, and why."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import io
import os
import signal
import subprocess
import sys
import tarfile
import termios
from pathlib import Path
from typing import IO, Any

import pytest

from conftest import Command, Images, e2fsck, run
from liblinux import archives
from liblinux._image_root import ImageRoot
from until import until

Member = tuple[str, dict[str, Any], bytes]


def make(*members: Member) -> bytes:
    """A tar of (name, attributes of TarInfo, content)."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, attributes, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in attributes.items():
                setattr(info, key, value)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


FILE: Member = ("first", {}, b"content of the first\n")
DIRECTORY = {"type": tarfile.DIRTYPE, "mode": 0o755}


def names(image: Path) -> list[str]:
    """Every name in an image, and that it is sound."""
    e2fsck(image)
    with ImageRoot(image) as opened:
        return sorted(entry.path for entry in opened.os.scantree("/"))


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([("/etc/passwd", {}, b"x")], "an absolute path, /etc/passwd"),
        ([("../passwd", {}, b"x")], "a path with '..', ../passwd"),
        ([("a/../../passwd", {}, b"x")], "a path with '..', a/../../passwd"),
        ([("a", {"type": tarfile.LNKTYPE, "linkname": "../hello.txt"}, b"")], "'..', ../hello.txt"),
        ([("a", {"type": tarfile.LNKTYPE, "linkname": "hello.txt"}, b"")], "hello.txt, which is not in the archive"),
        ([("a", {"type": tarfile.SYMTYPE, "linkname": "/sub"}, b""), ("a/b", {}, b"x")], "goes through a, which is no"),
        ([("a", {}, b"x"), ("a/b", {}, b"x")], "goes through a, which is no"),
        ([("d", DIRECTORY, b""), ("d/a", {}, b""), ("d", {}, b"x")], "holds d as a directory with files in it"),
        ([("sub", {}, b"x")], "sub is a file in the archive and a directory there"),
        ([("hello.txt", DIRECTORY, b"")], "hello.txt is a directory in the archive and a file there"),
        ([("x", {"type": b"Q"}, b"")], "of a type that is not known: b'Q'"),
    ],
)
def test_refused(images: Images, command: Command, members: list[Member], said: str) -> None:
    image = images.ext4()
    before = names(image)
    result = command("untar", image, input=make(FILE, *members))
    assert result.exit_code == 1
    assert said in result.stderr and result.stderr.count("\n") == 1
    assert names(image) == before


def whole() -> bytes:
    return make(FILE, *((f"file-{number}", {"mtime": 1.5}, bytes(3000)) for number in range(20)))


@pytest.mark.parametrize("where", [0, 100, 512 + 10, 1024, 3 * 512 + 7, 20_000, 60_000, -10_240, -4000])
def test_cut_off(images: Images, command: Command, where: int) -> None:
    archive = whole()
    end = len(archive.rstrip(b"\0")) // 512 * 512 + 512
    cut = archive[: end + 512 * (where == -4000)][: where if where >= 0 else None]
    if where == -4000:
        cut = archive[:end]
    image = images.ext4()
    before = names(image)
    result = command("untar", image, input=cut)
    assert result.exit_code == 1, where
    assert "cut off" in result.stderr or "no tar archive" in result.stderr
    assert names(image) == before


def test_damaged_header(images: Images, command: Command) -> None:
    """Python's tarfile would take it for the end."""
    archive = bytearray(whole())
    at = archive.index(b"file-7")
    archive[at] ^= 1
    image = images.ext4()
    before = names(image)
    result = command("untar", image, input=bytes(archive))
    assert result.exit_code == 1
    assert "damaged" in result.stderr and "checksum" in result.stderr
    assert names(image) == before


@pytest.mark.parametrize("option", ["-z", "-j", "-J", "--zstd"])
def test_damaged_compression(images: Images, command: Command, option: str) -> None:
    image = images.ext4()
    archive = command("tar", image, option).stdout_bytes
    before = names(image)
    damaged = bytearray(archive)
    damaged[len(damaged) // 2] ^= 0xFF
    for bad, said in ((archive[: len(archive) // 2], "cut off"), (bytes(damaged), "damaged")):
        result = command("untar", f"{image}:/sub", input=bad)
        assert result.exit_code == 1
        assert said in result.stderr or "damaged" in result.stderr
        assert names(image) == before


@pytest.mark.parametrize("option", ["-z", "-j", "-J", "--zstd"])
def test_damage_behind_the_end_of_the_archive(images: Images, command: Command, option: str) -> None:
    """The checksum of a compressed stream stands there: every wrong byte is found."""
    image = images.ext4()
    archive = command("tar", image, option).stdout_bytes
    before = names(image)
    for cut in (1, 2, 4):
        result = command("untar", f"{image}:/sub", input=archive[:-cut])
        assert result.exit_code == 1
        assert "cut off" in result.stderr or "damaged" in result.stderr
    damaged = bytearray(archive)
    damaged[-3] ^= 0xFF
    assert command("untar", f"{image}:/sub", input=bytes(damaged)).exit_code == 1
    assert names(image) == before


def test_no_archive(images: Images, command: Command) -> None:
    image = images.ext4()
    before = names(image)
    for junk in (b"", b"this is no archive\n" * 100, gzip.compress(b"nor is this")):
        result = command("untar", image, input=junk)
        assert result.exit_code == 1
        assert names(image) == before


def test_too_little_room(images: Images, command: Command) -> None:
    image = images.ext4(size=8 << 20)
    before = names(image)
    archive = make(*((f"file-{number}", {}, bytes(1_000_000)) for number in range(20)))
    result = command("untar", image, input=archive)
    assert result.exit_code == 1
    free = int(result.stderr.split(" and ")[1].split(" ")[0].replace(",", ""))
    missing = int(result.stderr.split("at least ")[1].split(" ")[0].replace(",", ""))
    assert missing == 20 * 977 * 1024 - free  # the blocks of so small a file system have 1024 bytes
    assert names(image) == before


def test_too_few_inodes(images: Images, command: Command) -> None:
    image = images.ext4(size=8 << 20, options=("-N", "64"))
    before = names(image)
    result = command("untar", image, input=make(*((f"file-{number}", {}, b"") for number in range(100))))
    assert result.exit_code == 1
    assert "no inodes left: " in result.stderr
    assert names(image) == before


def test_a_name_that_cannot_be_held(images: Images, command: Command) -> None:
    image = images.empty("fat.img")
    run("mkfs.fat", image)
    result = command("untar", image, input=make(FILE, ("what:now?", {}, b"x")))
    assert (result.exit_code, result.stderr) == (1, "liblinux: what:now?: this file system cannot hold the name\n")
    with ImageRoot(image) as opened:
        assert opened.os.listdir("/") == []


FAT_TREE = make(
    ("mine", {"uid": 1000, "mode": 0o755}, b"x"),
    ("link", {"type": tarfile.SYMTYPE, "linkname": "mine"}, b""),
    ("again", {"type": tarfile.LNKTYPE, "linkname": "mine"}, b""),
    ("null", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}, b""),
    ("private", {"mode": 0o600, "pax_headers": {"SCHILY.xattr.user.a": "b", "mtime": "1000000000.5"}}, b""),
)


def test_what_fat_cannot_hold_is_named(images: Images, command: Command) -> None:
    image = images.empty("fat.img")
    run("mkfs.fat", image)
    result = command("untar", image, input=FAT_TREE)
    assert result.exit_code == 0
    kept = "(the target keeps another value)"
    assert {line.removeprefix("liblinux: warning: lost: ") for line in result.stderr.splitlines()} == {
        "symbolic links of 1 entry (Operation not permitted), link",
        "hard links (they are files of their own now) of 1 entry (Operation not permitted), again",
        "device nodes of 1 entry (Operation not permitted), null",
        "extended attribute user.a of 1 entry (Operation not supported), private",
        f"owners of 1 entry {kept}, mine",
        f"modes of 1 entry {kept}, private",
        "times of 1 entry (the target rounds them), private",
        f"times of 1 entry {kept}, mine",
    }
    with ImageRoot(image) as opened:
        assert sorted(opened.os.listdir("/")) == ["again", "mine", "private"]
    assert command("cat", f"{image}:/again").stdout == "x"


def test_strict(images: Images, command: Command) -> None:
    image = images.empty("fat.img")
    run("mkfs.fat", image)
    result = command("untar", "--strict", image, input=make(("mine", {"uid": 1000, "mode": 0o755}, b"x")))
    assert result.exit_code == 1
    assert result.stderr == "liblinux: lost: owners of 1 entry (the target keeps another value), mine (strict)\n"
    with ImageRoot(image) as opened:
        assert opened.os.listdir("/") == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["untar", "disk.img:/nothing"], 1, "/nothing: No such file or directory"),
        (["untar", "disk.img:/hello.txt"], 1, "hello.txt"),
        (["untar", "nowhere.img"], 1, "nowhere.img"),
        (["tar", "disk.img:/nothing"], 1, "/nothing: No such file or directory"),
        (["tar", "--file", "no/such/place.tar", "disk.img"], 1, "no/such/place.tar: No such file or directory"),
        (["untar", "--file", "nothing.tar", "disk.img"], 1, "nothing.tar: No such file or directory"),
        (["untar", "--strip-components", "-1", "disk.img"], 2, "-1"),
        (["tar"], 2, "TARGET"),
    ],
)
def test_wrong_arguments(
    images: Images, command: Command, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, said: str
) -> None:
    monkeypatch.chdir(images.directory)
    images.ext4("disk.img")
    result = command(*arguments, input=make(FILE))
    assert result.exit_code == code
    assert said in result.stderr


def _unread(pipe: IO[bytes]) -> int:
    """Bytes that were written to a pipe and that nobody has read so far."""
    count = bytearray(4)
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return int.from_bytes(count, sys.byteorder)


def test_ctrl_c_leaves_nothing(images: Images, tmp_path: Path) -> None:
    """While it waits for more of the archive."""
    image = images.ext4()
    before = names(image)
    program = [sys.executable, "-c", "from liblinux.cli import main; main()", "untar", str(image)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        stdin = process.stdin
        assert stdin is not None and process.stderr is not None
        stdin.write(make(FILE, ("large", {}, bytes(3 << 20)))[: 2 << 20])
        stdin.flush()
        until(lambda: not _unread(stdin), "it has read what there is")
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        with contextlib.suppress(BrokenPipeError):
            stdin.close()
    assert (process.returncode, said) == (130, b"\nliblinux: interrupted\n")
    assert names(image) == before


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    growing = tmp_path / "tree" / "growing"
    growing.write_bytes(b"short")

    class Grows(io.BytesIO):
        def write(self, data: object) -> int:
            return 0

    class System:
        """The host's, where somebody else writes."""

        def __getattr__(self, name: str) -> object:
            return getattr(os, name)

        def open(self, path: bytes, flags: int) -> int:
            growing.write_bytes(b"not so short")
            return os.open(path, flags)

    with pytest.raises(archives.ArchiveError, match="growing changed while it was read"):
        archives.tar(System(), str(tmp_path / "tree"), Grows())
