"""extract: images that mean no good, and that nothing gets out of the directory."""

from __future__ import annotations

import base64
import errno
import json
import os
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

import liblinux
from conftest import Command, Images, run
from liblinux import ExtractLimits
from liblinux._image_root import ImageRoot

# So that bytes of directories may be changed.
_NO_SUMS = ("-O", "^metadata_csum")


def planted(images: Images, plant: Any, *, options: tuple[str, ...] = ()) -> Path:
    """An ext4 image that `plant` has written to, with the root of an open image."""
    image = images.ext4(options=options)
    with ImageRoot(image, writable=True) as root:
        plant(root.os)
    return image


def debugfs(image: Path, *requests: str) -> None:
    """Change an image behind the kernel's back."""
    for request in requests:
        run("debugfs", "-w", "-R", request, image)


def noted(directory: Path) -> list[dict[str, Any]]:
    """The manifest of an extraction."""
    return [json.loads(line) for line in Path(f"{directory}.manifest.jsonl").read_text().splitlines()]


def inside(directory: Path) -> set[str]:
    """Everything below a directory, not following links."""
    return {
        os.path.relpath(os.path.join(top, name), directory)
        for top, directories, files in os.walk(directory)
        for name in directories + files
    }


def test_content_modes_and_times(images: Images, tmp_path: Path) -> None:
    def plant(system: Any) -> None:
        system.chmod("/hello.txt", 0o754)
        system.utime("/hello.txt", ns=(1, 1_234_567_890_123_456_789))
        system.link("/hello.txt", "/sub/second")
        system.symlink("hello.txt", "/link")

    found = liblinux.extract(planted(images, plant), tmp_path / "out")
    assert inside(tmp_path / "out") == {"hello.txt", "link", "lost+found", "sub", "sub/data.bin", "sub/second"}
    status = (tmp_path / "out/hello.txt").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o754, 1_234_567_890_123_456_789)
    assert (tmp_path / "out/sub/second").samefile(tmp_path / "out/hello.txt")
    assert os.readlink(tmp_path / "out/link") == "hello.txt"
    assert found.entries == 7
    assert sorted(os.listdir(tmp_path)) == ["content", "ext4.img", "out", "out.manifest.jsonl"]


def test_nothing_that_gives_rights(images: Images, tmp_path: Path) -> None:
    def plant(system: Any) -> None:
        system.chown("/hello.txt", 70_000, 80_000)
        system.chmod("/hello.txt", 0o6755)
        system.setxattr("/hello.txt", "security.capability", bytes.fromhex("01000002" + "00" * 16))
        system.setxattr("/hello.txt", "user.note", b"\xff")
        system.mknod("/disk", stat.S_IFBLK | 0o666, os.makedev(8, 1))
        system.mknod("/pipe", stat.S_IFIFO | 0o666)
        system.symlink("/etc/passwd", "/out")
        system.symlink("../../x", "/sub/up")
        system.symlink("../hello.txt", "/sub/in")

    image = planted(images, plant)
    liblinux.extract(image, tmp_path / "out")
    status = (tmp_path / "out/hello.txt").stat()
    assert stat.S_IMODE(status.st_mode) == 0o755
    assert (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
    assert os.listxattr(tmp_path / "out/hello.txt") == []
    assert not {"disk", "pipe"} & inside(tmp_path / "out")
    lines = {(line["path"], line["what"]): line["value"] for line in noted(tmp_path / "out")}
    assert lines["hello.txt", "owner"] == [70_000, 80_000]
    assert lines["hello.txt", "mode"] == "6755"
    assert lines["disk", "device"] == "block 8:1"
    assert lines["pipe", "pipe"] == "pipe"
    attributes = {line["value"]["name"]: line["value"] for line in noted(tmp_path / "out") if line["what"] == "xattr"}
    assert base64.b64decode(attributes["user.note"]["base64"]) == b"\xff"
    assert "security.capability" in attributes
    assert {path for path, what in lines if what == "link"} == {"out", "sub/up"}

    liblinux.extract(image, tmp_path / "fewer", links="skip")
    assert not {"out", "sub/up"} & inside(tmp_path / "fewer")
    assert "sub/in" in inside(tmp_path / "fewer")


def test_what_is_allowed_is_set(images: Images, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root may give files away")

    def plant(system: Any) -> None:
        system.chown("/hello.txt", 70_000, 80_000)
        system.chmod("/hello.txt", 0o6755)
        system.mknod("/pipe", stat.S_IFIFO | 0o622)

    liblinux.extract(planted(images, plant), tmp_path / "out", rights=("owners", "setuid", "devices", "xattrs"))
    status = (tmp_path / "out/hello.txt").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o6755, 70_000, 80_000)
    assert stat.S_ISFIFO((tmp_path / "out/pipe").stat().st_mode)
    assert noted(tmp_path / "out") == []


@pytest.mark.parametrize("untrusted", [True, False])
@pytest.mark.parametrize("link_first", [True, False])
def test_a_link_and_a_directory_of_one_name(untrusted: bool, link_first: bool, images: Images, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()

    def plant(system: Any) -> None:
        if link_first:
            system.symlink(str(outside), "/evil")
        system.makedirs("/other/deeper")
        descriptor = system.open("/other/deeper/file", os.O_CREAT | os.O_WRONLY)
        system.write(descriptor, b"got out")
        system.close(descriptor)
        if not link_first:
            system.symlink(str(outside), "/evil")

    image = planted(images, plant, options=_NO_SUMS)
    # The directory is called "evil" as well.
    image.write_bytes(image.read_bytes().replace(b"\x05\x02other", b"\x04\x02evil\0"))
    with pytest.raises(liblinux.CopyFailed, match="not copied: /"):
        liblinux.extract(image, tmp_path / "out", untrusted=untrusted)
    assert os.listdir(outside) == []
    assert (tmp_path / "out/evil").is_symlink() == link_first
    assert ("evil/deeper/file" in inside(tmp_path / "out")) == (not link_first)
    assert any(line["path"] == "evil" and line["what"] in ("entry", "directory") for line in noted(tmp_path / "out"))


@pytest.mark.parametrize("name", [b"../../escaped", b"/tmp/escaped", b"..", b".", b"a/b"])
def test_names_that_are_none(name: bytes, images: Images, tmp_path: Path) -> None:
    place = "n" * len(name)

    def plant(system: Any) -> None:
        system.close(system.open(f"/sub/{place}", os.O_CREAT | os.O_WRONLY))

    image = planted(images, plant, options=_NO_SUMS)
    content = image.read_bytes()
    assert content.count(place.encode()) >= 1
    record = bytes([len(name), 1])
    image.write_bytes(content.replace(record + place.encode(), record + name))
    directory = tmp_path / "deep/er/out"
    directory.parent.mkdir(parents=True)
    try:
        liblinux.extract(image, directory)
    except liblinux.CopyFailed as failed:
        assert "/sub" in str(failed)
    assert inside(directory) <= {"hello.txt", "lost+found", "sub", "sub/data.bin"}
    assert sorted(os.listdir(tmp_path)) == ["content", "deep", "ext4.img"]
    assert sorted(os.listdir(tmp_path / "deep")) == ["er"]


def test_directories_in_circles(images: Images, tmp_path: Path) -> None:
    image = images.ext4(options=_NO_SUMS)
    debugfs(image, "link <2> /sub/loop")
    with pytest.raises(liblinux.CopyFailed, match="levels of symbolic links"):
        liblinux.extract(image, tmp_path / "out")
    assert "hello.txt" in inside(tmp_path / "out")


def test_limits(images: Images, tmp_path: Path) -> None:
    def plant(system: Any) -> None:
        system.truncate("/hello.txt", 1 << 40)
        system.makedirs("/" + "d/" * 120)
        for number in range(100):
            system.link("/sub/data.bin", f"/sub/link-{number}")

    image = planted(images, plant)
    for limits, text in (
        (ExtractLimits(), "its files have 1,099,"),
        (ExtractLimits(bytes=0, files=100), "more than 100 files"),
        (ExtractLimits(bytes=0, depth=100), "more than 100 deep"),
    ):
        with pytest.raises(liblinux.ExtractRefused, match=text):
            liblinux.extract(image, tmp_path / "out", limits=limits)
        assert sorted(os.listdir(tmp_path)) == ["content", "ext4.img"]
    # A hole is a hole, and a hundred names are one file.
    liblinux.extract(image, tmp_path / "out", limits=ExtractLimits(bytes=0))
    assert (tmp_path / "out/hello.txt").stat().st_size == 1 << 40
    assert (tmp_path / "out/hello.txt").stat().st_blocks < 100
    assert (tmp_path / "out/sub/data.bin").stat().st_nlink == 101


def test_an_image_that_breaks_the_kernel(images: Images, tmp_path: Path) -> None:
    image = images.ext4(options=_NO_SUMS)
    run("tune2fs", "-e", "panic", image)
    content = bytearray(image.read_bytes())
    at = content.index(b"data.bin")
    content[at - 8 : at + 8] = b"\xff" * 16
    image.write_bytes(content)
    with pytest.raises(liblinux.KernelPanic):
        liblinux.extract(image, tmp_path / "out")
    assert sorted(os.listdir(tmp_path)) == ["content", "ext4.img"]


class Slow:
    """A disk that takes its time."""

    def __init__(self, path: Path, seconds: float) -> None:
        self._content = path.read_bytes()
        self._seconds = seconds
        self.size = len(self._content)

    def pread(self, offset: int, buffer: memoryview) -> None:
        time.sleep(self._seconds)
        buffer[:] = self._content[offset : offset + len(buffer)]

    def pwrite(self, offset: int, data: memoryview, stable: bool) -> None:
        raise AssertionError("nothing is written to an image that is extracted")

    def flush(self) -> None:
        raise AssertionError("nothing is written to an image that is extracted")

    def discard(self, offset: int, length: int) -> None:
        raise AssertionError("nothing is written to an image that is extracted")


def test_time(images: Images, tmp_path: Path) -> None:
    def plant(system: Any) -> None:
        for number in range(50):
            descriptor = system.open(f"/file-{number}", os.O_CREAT | os.O_WRONLY)
            system.write(descriptor, os.urandom(10_000))
            system.close(descriptor)

    slow = Slow(planted(images, plant), 0.05)
    with pytest.raises(liblinux.ExtractRefused, match="longer than 1 seconds"):
        liblinux.extract(slow, tmp_path / "out", limits=ExtractLimits(seconds=1))
    assert sorted(os.listdir(tmp_path)) == ["content", "ext4.img"]


def test_what_is_there_is_not_touched(images: Images, tmp_path: Path) -> None:
    image = images.ext4()
    for name in ("out", "out.partial"):
        (tmp_path / name).mkdir()
        with pytest.raises(FileExistsError) as caught:
            liblinux.extract(image, tmp_path / "out")
        assert caught.value.errno == errno.EEXIST
        (tmp_path / name).rmdir()


def test_an_ordinary_user(as_nobody: None) -> None:
    def plant(system: Any) -> None:
        system.chmod("/sub", 0o555)

    with tempfile.TemporaryDirectory() as name:
        image = planted(Images(Path(name)), plant)
        liblinux.extract(image, f"{name}/out")
        assert "sub/data.bin" in inside(Path(name) / "out")
        Path(name, "out/sub").chmod(0o755)


def test_command(images: Images, tmp_path: Path, command: Command) -> None:
    image = images.ext4()
    result = command("extract", f"{image}:/sub", tmp_path / "out", "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert (told["entries"], told["bytes"], told["manifest"]) == (2, 65536, f"{tmp_path}/out.manifest.jsonl")
    assert os.listdir(tmp_path / "out") == ["data.bin"]
    assert command("extract", image, tmp_path / "out").exit_code == 1
    result = command("extract", image, tmp_path / "new", "--max-size", "10K")
    assert result.exit_code == 1
    assert "10,240 are allowed" in result.stderr
    assert command("extract", image, tmp_path / "new", "--max-size", "much").exit_code == 2
    assert not (tmp_path / "new").exists()


def test_bad_rights(images: Images, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rights: no wings"):
        liblinux.extract(images.ext4(), tmp_path / "out", rights=("wings",))
