"""tar out of images and into them: the whole tree of the file-system tests, and what other programs say of it."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ENVIRONMENT, Command, Images, e2fsck, run
from liblinux import archives
from liblinux._image_root import ImageRoot

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "filesystems"))

from planting import differences, read, write
from trees import PLAN, Holds

# Sockets are in no archive.
TREE = {path: entry for path, entry in PLAN.items() if path != b"kinds/socket"}
EVERYTHING = Holds(link_bytes=1023)


def empty_image(images: Images, name: str, type: str = "xfs", size: int = 300 << 20) -> Path:
    path = images.empty(name, size)
    run(f"mkfs.{type}", *(("-q",) if type != "fat" else ()), path)
    return path


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An XFS image with everything in /tree."""
    images = Images(tmp_path_factory.mktemp("planted"))
    path = empty_image(images, "planted.img")
    with ImageRoot(path, writable=True) as image:
        write(image.os, "/tree", EVERYTHING, TREE)
    return path


@pytest.fixture(scope="module")
def archive(planted: Path) -> Path:
    """The same as a tar."""
    path = planted.with_name("planted.tar")
    with ImageRoot(planted) as image, path.open("wb") as file:
        assert archives.tar(image.os, "/tree", file) == []
    return path


def test_there_and_back(planted: Path, archive: Path, images: Images) -> None:
    target = empty_image(images, "target.img")
    with ImageRoot(target, writable=True) as image, archive.open("rb") as file:
        image.os.mkdir("/new")
        assert archives.untar(image.os, "/new", file) == []
    with ImageRoot(planted) as one, ImageRoot(target) as other:
        wanted = read(one.os, "/tree")
        found = read(other.os, "/new")
        for tree in (wanted, found):  # the time of access is in no tar
            for path, entry in tree.items():
                tree[path] = type(entry)(**{**vars(entry), "accessed": None})
        assert differences(found, wanted) == []


def test_the_same_tree_gives_the_same_bytes(planted: Path, archive: Path) -> None:
    again = io.BytesIO()
    with ImageRoot(planted) as image:
        archives.tar(image.os, "/tree", again)
    assert again.getvalue() == archive.read_bytes()


def test_gnu_tar_finds_everything(archive: Path) -> None:
    listed = subprocess.run(
        ["tar", "--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "--full-time", "-tvvf", archive],
        env={**ENVIRONMENT, "TZ": "UTC"},
        capture_output=True,
        check=True,
    ).stdout.decode("utf-8", "surrogateescape")
    listed = re.sub(" +", " ", listed)
    for line in (
        "-rws--x--x 1234/321",
        " 70000/4000000000 ",
        "2023-11-14 22:13:21.123456789 ",
        "crw------- 0/0 300,70000 ",
        "kinds/second-name link to kinds/first-name",
        "6291456 ",  # the sparse file has its real size
        "x: 600 user.large",
        "x: 8 trusted.test",
        "a: user::rw-,user:70000:r--,group::r--,group:70001:rw-,mask::rw-,other::---",
        "names/Grüße-日本語",
    ):
        assert line in listed, line


@pytest.mark.parametrize("program", ["tar", "bsdtar"])
def test_others_unpack_it(archive: Path, planted: Path, tmp_path: Path, program: str) -> None:
    """Contents, names, holes and times; owners and devices need root, and are in the listing above."""
    there = tmp_path / "there"
    there.mkdir()
    # The attributes of set/xattrs are more than some file systems of hosts hold.
    skipped = {b"kinds/null", b"kinds/disk", b"kinds/wide", b"set/xattrs"}
    options = [f"--exclude={os.fsdecode(name)}" for name in skipped]
    run(program, *options, "--no-same-owner", "-xpf", archive, "-C", there)
    with ImageRoot(planted) as image:
        wanted = read(image.os, "/tree")
    found = read(os, str(there))
    assert wanted.keys() - found.keys() == skipped
    for path, entry in found.items():
        assert entry.content == wanted[path].content, path
        assert entry.target == wanted[path].target, path
        assert entry.sparse == wanted[path].sparse, path
        assert entry.modified == wanted[path].modified, path


def test_an_archive_of_gnu_tar(tmp_path: Path, images: Images, command: Command) -> None:
    source = tmp_path / "source"
    source.mkdir()
    write(os, str(source / "tree"), None, {path: PLAN[path] for path in PLAN if b"kinds" not in path})
    os.setxattr(source / "tree" / "data" / "odd", "user.from", b"the host=%")
    run("setfacl", "-m", "u:70000:r", source / "tree" / "data" / "text")
    archive = tmp_path / "gnu.tar"
    options = ["--format=posix", "--sparse", "--xattrs", "--acls", "--numeric-owner", "--sort=name"]
    run("tar", *options, "-cf", archive, "-C", source, "tree")
    target = empty_image(images, "target.img")
    result = command("untar", target, "--file", archive, "--strip-components", 1)
    assert (result.exit_code, result.stderr) == (0, "")
    with ImageRoot(target) as image:
        found = read(image.os, "/")
    wanted = read(os, str(source / "tree"))
    assert found.keys() == wanted.keys()
    for path, entry in found.items():
        for attribute in ("mode", "owner", "modified", "content", "sparse", "target", "xattrs"):
            assert getattr(entry, attribute) == getattr(wanted[path], attribute), (path, attribute)


@pytest.mark.parametrize("option", ["-z", "-j", "-J", "--zstd"])
def test_compressed(images: Images, command: Command, option: str) -> None:
    image = images.ext4()
    plain = command("tar", f"{image}:/sub").stdout_bytes
    packed = command("tar", f"{image}:/sub", option).stdout_bytes
    assert len(packed) < len(plain)
    done = command("untar", f"{image}:/", input=packed)
    assert done.exit_code == 0, done.stderr
    assert command("cat", f"{image}:/data.bin").stdout_bytes == bytes(range(256)) * 256
    e2fsck(image)


def test_compressed_by_name(images: Images, command: Command, tmp_path: Path) -> None:
    image = images.ext4()
    archive = tmp_path / "a.tar.zst"
    assert command("tar", image, "--file", archive).exit_code == 0
    assert "hello.txt\n" in run("tar", "-tf", archive)
    assert os.listdir(tmp_path).count("a.tar.zst") == 1
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".part")]


def test_exclude(images: Images, command: Command) -> None:
    image = images.ext4()

    def names(*options: str) -> set[str]:
        archive = command("tar", image, *options).stdout_bytes
        listed = subprocess.run(["tar", "-t"], input=archive, capture_output=True, check=True).stdout
        return set(listed.decode().split())

    assert names() == {"./", "lost+found/", "hello.txt", "sub/", "sub/data.bin"}
    assert names("--exclude", "*.bin") == {"./", "lost+found/", "hello.txt", "sub/"}
    assert names("--exclude", "data*", "--exclude", "/hello.txt") == {"./", "lost+found/", "sub/"}
    assert names("--exclude", "sub", "--exclude", "/data.bin") == {"./", "lost+found/", "hello.txt"}
    assert "sub/data.bin" in names("--exclude", "/data.bin")


def test_one_file(images: Images, command: Command) -> None:
    image = images.ext4()
    archive = command("tar", f"{image}:/sub/data.bin").stdout_bytes
    listed = subprocess.run(["tar", "-t"], input=archive, capture_output=True, check=True).stdout
    assert listed == b"data.bin\n"


def test_directories_are_merged(images: Images, command: Command) -> None:
    image = images.ext4()
    with ImageRoot(image, writable=True) as opened:
        opened.os.mkdir("/from")
        opened.os.mkdir("/from/sub")
        opened.os.chmod("/from/sub", 0o750)
        for name in ("/from/sub/new", "/from/hello.txt"):
            opened.os.close(opened.os.open(name, os.O_CREAT | os.O_WRONLY))
    archive = command("tar", f"{image}:/from").stdout_bytes
    assert command("untar", image, input=archive).exit_code == 0
    with ImageRoot(image) as opened:
        assert sorted(opened.os.listdir("/")) == ["from", "hello.txt", "lost+found", "sub"]
        assert sorted(opened.os.listdir("/sub")) == ["data.bin", "new"]
        assert opened.os.stat("/sub").st_mode & 0o7777 == 0o750
        assert opened.os.stat("/hello.txt").st_size == 0
    e2fsck(image)


def test_a_socket_is_named(images: Images, command: Command) -> None:
    image = images.ext4()
    with ImageRoot(image, writable=True) as opened:
        opened.os.mknod("/sub/socket", 0o140600)
    result = command("tar", image)
    assert result.exit_code == 0
    assert result.stderr == "liblinux: warning: lost: sockets of 1 entry (tar has no type for them), sub/socket\n"
    assert command("tar", image, "--strict").exit_code == 1


def test_an_image_that_is_not_trusted(images: Images, command: Command) -> None:
    image = images.ext4()
    archive = command("tar", "--untrusted", image).stdout_bytes
    assert archive == command("tar", image).stdout_bytes
    assert command("untar", "--untrusted", f"{image}:/sub", input=archive).exit_code == 0
    assert command("cat", f"{image}:/sub/sub/data.bin").stdout_bytes == bytes(range(256)) * 256
    e2fsck(image)


@pytest.mark.parametrize(
    "options",
    [
        ["tar", "--format=gnu", "--sparse"],
        ["tar", "--format=posix", "--sparse", "--sparse-version=0.0"],
        ["tar", "--format=posix", "--sparse", "--sparse-version=0.1"],
        ["tar", "--format=ustar"],
        ["bsdtar", "--format=pax", "--xattrs", "--acls", "--read-sparse"],
        ["bsdtar", "--format=gnutar"],
    ],
    ids=" ".join,
)
def test_archives_of_other_kinds(tmp_path: Path, images: Images, command: Command, options: list[str]) -> None:
    """Every way in which others have written holes, long names and attributes."""
    source = tmp_path / "source"
    long_name = source / ("n" * 90) / ("m" * 90)
    long_name.mkdir(parents=True)
    (long_name / "file").write_bytes(b"deep")
    (source / "link").symlink_to("n" * 90)
    with (source / "holes").open("wb") as file:
        file.truncate(9 << 20)
        for offset in (1 << 20, 5 << 20, (7 << 20) - 100):
            file.seek(offset)
            file.write(b"data" * 50)
    os.setxattr(source / "holes", "user.note", b"\0binary\xff")
    run("setfacl", "-m", "u:70000:r", source / "holes")
    archive = tmp_path / "other.tar"
    run(*options, "-cf", archive, "-C", source, ".")
    target = images.empty("target.img", 48 << 20)
    run("mkfs.ext4", "-q", target)
    result = command("untar", target, "--file", archive)
    assert (result.exit_code, result.stderr) == (0, "")
    e2fsck(target)
    with ImageRoot(target) as image:
        found = read(image.os, "/")
    del found[b"lost+found"]
    wanted = read(os, str(source))
    assert {path: (entry.content, entry.target) for path, entry in found.items()} == {
        path: (entry.content, entry.target) for path, entry in wanted.items()
    }
    assert found[b"holes"].sparse == ("sparse" in " ".join(options))
    assert bool(found[b"holes"].xattrs) == ("--xattrs" in options)
    if "--xattrs" in options:
        assert found[b"holes"].xattrs == wanted[b"holes"].xattrs
