"""cpio out of images and into them: an initramfs."""

from __future__ import annotations

import gzip
import io
import lzma
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from conftest import ENVIRONMENT, Command, Images, e2fsck, run
from liblinux import archives
from liblinux._image_root import ImageRoot

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "filesystems"))

from planting import differences, read, write
from trees import SECOND, Entry, Holds


def kept(entry: Entry) -> Entry:
    """What cpio keeps of an entry."""
    changes = {"accessed": None, "xattrs": (), "sparse": False, "modified": entry.modified // SECOND * SECOND}
    return Entry(**{**vars(entry), **changes})


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ext4 image with everything."""
    images = Images(tmp_path_factory.mktemp("planted"))
    path = images.empty("planted.img", 48 << 20)
    run("mkfs.ext4", "-q", path)
    with ImageRoot(path, writable=True) as image:
        write(image.os, "/tree", Holds(link_bytes=1023, xattr_bytes=600))
    return path


@pytest.fixture(scope="module")
def archive(planted: Path) -> bytes:
    file = io.BytesIO()
    with ImageRoot(planted) as image:
        losses = archives.cpio(image.os, "/tree", file)
    assert [(loss.what, loss.why) for loss in losses] == [
        ("times", "those of cpio have whole seconds"),
        ("extended attributes and ACLs", "cpio has no place for them"),
    ]
    return file.getvalue()


def wanted(planted: Path) -> dict[bytes, Entry]:
    with ImageRoot(planted) as image:
        tree = read(image.os, "/tree")
    # An ACL is in the mode as well: what is shown of the group is what the ACL allows to anybody.
    return {path: kept(entry) for path, entry in tree.items()}


def test_there_and_back(planted: Path, archive: bytes, images: Images, command: Command) -> None:
    target = images.empty("target.img", 48 << 20)
    run("mkfs.ext4", "-q", target)
    result = command("uncpio", target, input=archive)
    assert (result.exit_code, result.stderr) == (0, "")
    e2fsck(target)
    with ImageRoot(target) as image:
        found = {path: kept(entry) for path, entry in read(image.os, "/").items() if path != b"lost+found"}
    assert differences(found, wanted(planted)) == []


def test_the_same_bytes_each_time(planted: Path, archive: bytes, command: Command) -> None:
    assert command("cpio", f"{planted}:/tree").stdout_bytes == archive


@pytest.mark.parametrize("program", ["cpio", "bsdcpio"])
def test_others_list_it(archive: bytes, planted: Path, program: str) -> None:
    done = subprocess.run([program, "-it"], input=archive, env=ENVIRONMENT, capture_output=True, check=True)
    listed = {name for name in done.stdout.split(b"\n") if name}
    assert len(listed) == len(wanted(planted)) + 1
    assert b"kinds/second-name" in listed


def test_an_archive_of_gnu_cpio(tmp_path: Path, images: Images, command: Command) -> None:
    """It puts the content of a file with several names behind its last."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "a").write_bytes(b"three names")
    for name in "bc":
        (source / name).hardlink_to(source / "a")
    (source / "empty").touch()
    (source / "empty too").hardlink_to(source / "empty")
    (source / "link").symlink_to("a")
    for form in ("newc", "crc"):
        names = b"a\nb\nc\nempty\nempty too\nlink"
        made = subprocess.run(
            ["cpio", "-o", "-H", form], input=names, cwd=source, env=ENVIRONMENT, capture_output=True, check=True
        ).stdout
        image = images.ext4()
        assert command("uncpio", f"{image}:/sub", input=made).exit_code == 0
        assert command("cat", f"{image}:/sub/b").stdout == "three names"
        with ImageRoot(image) as opened:
            assert [opened.os.stat(f"/sub/{name}").st_nlink for name in ("a", "c", "empty too")] == [3, 3, 2]
            assert opened.os.readlink("/sub/link") == "a"
        e2fsck(image)


def test_an_initramfs_with_microcode(archive: bytes, images: Images, command: Command) -> None:
    """Archives one after the other, the second one compressed."""
    image = images.ext4(size=96 << 20)
    with ImageRoot(image) as opened:
        first = io.BytesIO()
        archives.cpio(opened.os, "/", first, exclude=["lost+found"])
    for compress in (gzip.compress, lzma.compress, zstandard.compress, bytes):
        with ImageRoot(image, writable=True) as opened:
            opened.os.mkdir("/new")
        both = first.getvalue() + bytes(1024) + compress(archive)
        result = command("uncpio", f"{image}:/new", input=both)
        assert (result.exit_code, result.stderr) == (0, "")
        with ImageRoot(image, writable=True) as opened:
            assert {"hello.txt", "kinds", "sub"} <= set(opened.os.listdir("/new"))
            opened.os.rename("/new", f"/done-{compress.__name__}-{compress.__module__}")


def header(*, magic: str = "070701", mode: int = 0o100644, size: int = 0, name: bytes = b"name") -> bytes:
    name += b"\0"
    numbers = [1, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name), 0]
    text = (magic + "".join(f"{number:08X}" for number in numbers)).encode() + name
    return text + bytes(-len(text) % 4)


END = header(name=b"TRAILER!!!")


@pytest.mark.parametrize(
    ("damaged", "said"),
    [
        (header(name=b"/etc/passwd") + END, "an absolute path, /etc/passwd"),
        (header(name=b"../x") + END, "a path with '..'"),
        (header(), "cut off"),
        (header(size=100) + b"short", "cut off"),
        (b"", "cut off"),
        (header(mode=0o170000) + END, "has the mode 170000"),
        (header(magic="070702", size=4) + b"abcd" + END, "the checksum of name is wrong"),
        (header(magic="070707") + END, "the format 'odc'"),
        (header(magic="123456") + END, "no header at byte 116"),
        (header() + b"x" * 200, "no header at byte"),
        (header().replace(b"0000000", b"zzzzzzz", 1) + END, "no header at byte"),
        (END + b"junk" * 100, "no cpio archive"),
        (END + gzip.compress(END, mtime=0)[:-9], "cut off"),
    ],
)
def test_refused(images: Images, command: Command, damaged: bytes, said: str) -> None:
    image = images.ext4()
    result = command("uncpio", image, input=header(name=b"good") + damaged)
    assert result.exit_code == 1
    assert said in result.stderr, result.stderr
    with ImageRoot(image) as opened:
        assert sorted(opened.os.listdir("/")) == ["hello.txt", "lost+found", "sub"]
    e2fsck(image)


def test_strict(planted: Path, command: Command) -> None:
    result = command("cpio", "--strict", f"{planted}:/tree")
    assert result.exit_code == 1
    assert "whole seconds" in result.stderr
