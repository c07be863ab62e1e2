"""`liblinux mkimage`: tables, sizes, owners, and what it says when it cannot be done."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from conftest import ENVIRONMENT, MIB, Command, Images, e2fsck, run
from fuse_mounts import mounted, why_not
from liblinux import LiblinuxError, make_image
from liblinux._image_root import ImageRoot
from liblinux.making import _programs

UUID = "11bb1111-c4a5-4000-8000-000000000001"
PROGRAM = [sys.executable, "-c", "from liblinux.cli import main; main()"]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    top = tmp_path / "tree"
    (top / "sub").mkdir(parents=True)
    (top / "hello").write_text("hello\n")
    (top / "sub" / "link").symlink_to("../hello")
    (top / "sub" / "tool").write_bytes(b"#!/bin/sh\n")
    (top / "sub" / "tool").chmod(0o4755)
    return top


def table_of(path: Path) -> dict[str, Any]:
    table: dict[str, Any] = json.loads(run("sfdisk", "--json", path))["partitiontable"]
    return table


def test_a_gpt(tree: Path, tmp_path: Path, command: Command) -> None:
    image = tmp_path / "disk.img"
    result = command("mkimage", tree, image, "--label", "mine", "--uuid", UUID)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")
    table = table_of(image)
    assert table["label"] == "gpt"
    (partition,) = table["partitions"]
    assert partition["name"] == "mine" and partition["start"] == 2048
    assert partition["type"] == "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
    with image.open("rb") as file, (tmp_path / "fs.img").open("wb") as bare:
        file.seek(2048 * 512)
        bare.write(file.read(partition["size"] * 512))
    e2fsck(tmp_path / "fs.img")
    said = run("dumpe2fs", "-h", tmp_path / "fs.img")
    assert UUID in said and "mine" in said
    assert command("cat", f"{image}:/sub/link").stdout == "hello\n"
    run("sfdisk", "--verify", image)


def test_a_dos_table_and_a_type(tree: Path, tmp_path: Path, command: Command) -> None:
    (tree / "sub" / "link").unlink()
    image = tmp_path / "esp.img"
    options = ["--fs", "vfat", "--table", "dos", "--partition-type", "ef", "--label", "EFI", "--owner", "0:0"]
    assert command("mkimage", tree, image, *options).exit_code == 0
    table = table_of(image)
    (partition,) = table["partitions"]
    assert (table["label"], partition["type"]) == ("dos", "ef")
    assert command("cat", f"{image}:/hello").stdout == "hello\n"


def test_sizes(tree: Path, tmp_path: Path, command: Command) -> None:
    def size(*options: str) -> int:
        assert command("mkimage", tree, tmp_path / "disk.img", *options).exit_code == 0
        return (tmp_path / "disk.img").stat().st_size

    assert size("--size", "64M") == 64 << 20
    assert size("--size", "1.5G", "--no-partition-table") == 3 << 29
    auto = size()
    assert size("--size", "+16M") == auto + (16 << 20)
    assert size("--size", "+100%") == 2 * auto
    (tree / "large").write_bytes(os.urandom(5 << 20))
    assert auto + (5 << 20) <= size() <= auto + (7 << 20)


def test_many_small_files(tmp_path: Path) -> None:
    """More inodes than mke2fs would make for the space that they take."""
    for number in range(6000):
        (tmp_path / f"file-{number}").touch()
    made = tmp_path.with_suffix(".img")
    make_image(tmp_path, made, table=None)
    e2fsck(made)
    with ImageRoot(made) as image:
        assert len(image.os.listdir("/")) == 6001


def test_too_small(tree: Path, tmp_path: Path, command: Command) -> None:
    (tree / "large").write_bytes(os.urandom(9 << 20))
    result = command("mkimage", tree, tmp_path / "disk.img", "--size", "8M")
    assert result.exit_code == 1
    missing = int(result.stderr.split("at least ")[1].split(" ")[0].replace(",", ""))
    assert 1 << 20 < missing < 8 << 20
    result = command("mkimage", tree, tmp_path / "disk.img", "--fs", "xfs", "--size", "100M")
    assert result.exit_code == 1
    assert "xfs needs at least 314,572,800 bytes" in result.stderr
    assert os.listdir(tmp_path) == ["tree"]


def test_a_normal_user_makes_what_is_roots(tree: Path, tmp_path: Path, as_nobody: None) -> None:
    home = Path(tempfile.mkdtemp())
    try:
        (home / "tree").mkdir()
        (home / "tree" / "hello").write_text("hello\n")
        specification = home / "spec"
        specification.write_text(
            "./dev type=dir mode=0755 uid=0 gid=0\n./dev/null type=char mode=0666 device=native,1,3\n"
        )
        losses = make_image(home / "tree", home / "disk.img", owner=(0, 0), mtree=specification, table=None)
        assert losses == []
        with ImageRoot(home / "disk.img") as image:
            assert image.os.stat("/").st_uid == image.os.stat("/hello").st_uid == 0
            null = image.os.stat("/dev/null")
            assert (null.st_mode, null.st_rdev) == (stat.S_IFCHR | 0o666, os.makedev(1, 3))
        for fs in ("erofs", "squashfs", "iso9660"):
            lost = make_image(home / "tree", home / fs, fs, owner=(0, 0))
            assert [loss.what for loss in lost] == ([] if fs == "erofs" else ["times"])
            with ImageRoot(home / fs) as image:
                assert image.os.stat("/hello").st_uid == 0
                assert image.os.listdir("/") == ["hello"]
    finally:
        shutil.rmtree(home)


SPECIFICATION = """\
#mtree v2.0
/set type=file uid=1 gid=2 mode=0640
.               type=dir uid=0 gid=0 mode=0711
    hello       time=1000000000.5
    sub         type=dir mode=0750 uid=70000
        tool    mode=04711 \\
                gid=9
        new\\040name type=link link=hello
    ..
..
/unset uid gid
./dev/pipe type=fifo mode=0600
./dev type=dir mode=0755
./other\\303\\251 type=block device=8,17
"""


def test_a_specification(tree: Path, tmp_path: Path, command: Command) -> None:
    (tmp_path / "spec").write_text(SPECIFICATION)
    image = tmp_path / "disk.img"
    result = command("mkimage", tree, image, "--owner", "5:6", "--mtree", tmp_path / "spec")
    assert (result.exit_code, result.stderr) == (0, "")
    with ImageRoot(image) as opened:
        entries = {entry.name: entry.stat(follow_symlinks=False) for entry in opened.os.scantree("/")}
        entries["."] = opened.os.stat("/")
        assert opened.os.readlink("/sub/new name") == "hello"
    shown = {name: (stat.filemode(status.st_mode), status.st_uid, status.st_gid) for name, status in entries.items()}
    assert shown == {
        ".": ("drwx--x--x", 0, 0),
        "lost+found": ("drwx------", 0, 0),
        "hello": ("-rw-r-----", 1, 2),
        "sub": ("drwxr-x---", 70000, 2),
        "sub/tool": ("-rws--x--x", 1, 9),
        "sub/link": ("lrwxrwxrwx", 5, 6),
        "sub/new name": ("lrwxrwxrwx", 1, 2),
        "dev": ("drwxr-xr-x", 5, 6),
        "dev/pipe": ("prw-------", 5, 6),
        "otheré": ("brw-r-----", 5, 6),
    }
    assert entries["hello"].st_mtime_ns == 1_000_000_000_000_000_005
    assert entries["otheré"].st_rdev == os.makedev(8, 17)


@pytest.mark.parametrize(
    "line", ["a uid=x", "a type=what", "a mode=9", "a type=char", "a type=link", "../a uid=1", ".."]
)
def test_a_wrong_specification(tree: Path, tmp_path: Path, command: Command, line: str) -> None:
    (tmp_path / "spec").write_text(f"#mtree\n{line}\n")
    result = command("mkimage", tree, tmp_path / "disk.img", "--mtree", tmp_path / "spec")
    assert result.exit_code == 1
    assert "cannot be read" in result.stderr and line in result.stderr
    assert not (tmp_path / "disk.img").exists()


def test_source_date_epoch(tree: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    for name in ("one", "two"):
        assert command("mkimage", tree, tmp_path / name).exit_code == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    with ImageRoot(tmp_path / "one") as image:
        assert image.os.stat("/hello").st_mtime == image.os.stat("/hello").st_atime == 1_000_000_000
        assert image.os.stat("/hello").st_ctime == pytest.approx(1_000_000_000, abs=60)
    (tree / "hello").write_text("longer than before\n")
    assert command("mkimage", tree, tmp_path / "two").exit_code == 0
    assert table_of(tmp_path / "one")["id"] != table_of(tmp_path / "two")["id"]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    assert command("mkimage", tree, tmp_path / "two").exit_code == 2


def test_warnings_and_strict(tree: Path, tmp_path: Path, command: Command) -> None:
    os.utime(tree / "hello", ns=(0, 1_500_000_000_123_456_789))
    image = tmp_path / "disk.img"
    result = command("mkimage", tree, image, "--fs", "vfat", "--owner", "7:7")
    assert result.exit_code == 0
    assert "warning: lost: symbolic links of 1 entry (Operation not permitted), sub/link\n" in result.stderr
    assert "(the target keeps another value), first of hello\n" in result.stderr
    before = image.read_bytes()
    result = command("mkimage", tree, image, "--fs", "vfat", "--strict")
    assert result.exit_code == 1
    assert image.read_bytes() == before


@pytest.mark.skipif(bool(why_not()), reason=f"no file system of the host can be made small here: {why_not()}")
def test_a_host_without_room(images: Images, tmp_path: Path, command: Command) -> None:
    """The kernel in the image knows of it as an I/O error; the user is told what is the matter."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "large").write_bytes(os.urandom(12 * MIB))
    with mounted(images.ext4(size=8 * MIB), "--rw") as small:
        before = os.listdir(small)
        result = command("mkimage", tree, small / "disk.img", "--no-partition-table")
        assert result.exit_code == 1
        assert "no space left on the host: the image needs at least " in result.stderr
        assert os.listdir(small) == before


def test_a_name_that_cannot_be_held(tree: Path, tmp_path: Path, command: Command) -> None:
    (tree / "what?").touch()
    result = command("mkimage", tree, tmp_path / "disk.img", "--fs", "vfat", "--exclude", "link")
    assert (result.exit_code, result.stderr) == (1, "liblinux: what?: this file system cannot hold the name\n")
    assert os.listdir(tmp_path) == ["tree"]


def test_options_for_the_tools(tree: Path, tmp_path: Path, command: Command) -> None:
    image = tmp_path / "image"
    options = ["--no-partition-table", "--uuid", UUID, "--mkfs-options", "-O ^has_journal -E root_owner=3:4"]
    assert command("mkimage", tree, image, *options).exit_code == 0
    said = run("dumpe2fs", "-h", image)
    assert "has_journal" not in said
    assert f"Directory Hash Seed:      {UUID}" in said
    result = command("mkimage", tree, image, "--mkfs-options", "--nonsense")
    assert result.exit_code == 1 and "mkfs.ext4 failed" in result.stderr
    result = command("mkimage", tree, image, "--mount-options", "nonsense")
    assert result.exit_code == 1 and "cannot mount" in result.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--size", "large"], "is no size"),
        (["--table", "bsd"], "bsd"),
        (["--fs", "nothing"], "nothing"),
        (["--owner", "root"], "UID:GID"),
        (["--fs", "jfs", "--uuid", UUID], "cannot be told a UUID"),
        (["--uuid", "none"], "badly formed"),
        (["--mkfs-options", "'"], "quotation"),
    ],
)
def test_wrong_usage(tree: Path, tmp_path: Path, command: Command, options: list[str], said: str) -> None:
    result = command("mkimage", tree, tmp_path / "disk.img", *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert os.listdir(tmp_path) == ["tree"]


def test_a_tool_that_is_missing(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_programs, "_SEARCH", "/nowhere")
    for fs, package in (("ext4", "e2fsprogs"), ("btrfs", "btrfs-progs"), ("squashfs", "squashfs-tools")):
        with pytest.raises(LiblinuxError, match=f"is not installed .on Debian: apt install {package}"):
            make_image(tree, tmp_path / "disk.img", fs)
    assert os.listdir(tmp_path) == ["tree"]


@pytest.mark.parametrize("name", ["/dev/null", "tree", "no/such/place.img"])
def test_no_place_for_an_image(tree: Path, command: Command, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tree.parent)
    result = command("mkimage", tree, name)
    assert result.exit_code == (2 if name == "tree" else 1)
    assert name in result.stderr
    assert os.listdir(tree.parent) == ["tree"]


def test_an_image_inside_of_its_own_source(tree: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree)
    for _ in range(2):
        assert command("mkimage", ".", "sub/[a].img", "--fs", "ext2", "--no-partition-table").exit_code == 0
        with ImageRoot("sub/[a].img") as image:
            assert sorted(image.os.listdir("/sub")) == ["link", "tool"]


def test_a_link_to_what_is_left_out(tree: Path, tmp_path: Path) -> None:
    (tree / "other name").hardlink_to(tree / "hello")
    (tree / "third").hardlink_to(tree / "hello")
    make_image(tree, tmp_path / "disk.img", exclude=["hello"])
    with ImageRoot(tmp_path / "disk.img") as image:
        assert image.os.stat("/other name").st_nlink == 2
        assert image.os.stat("/third").st_size == 6


def test_no_libfaketime(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_programs, "_LIBFAKETIME", ("/nowhere",))
    with pytest.raises(LiblinuxError, match="apt install faketime"):
        make_image(tree, tmp_path / "disk.img", "xfs", epoch=1)
    make_image(tree, tmp_path / "disk.img", "ext4", epoch=1)


def test_ctrl_c_leaves_nothing(tmp_path: Path, images: Images) -> None:
    """At different times: while it reads, makes the file system, writes."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(3000):
        (source / f"file-{number}").write_bytes(bytes(20_000))
    for delay in (0, 0.2, 0.5):
        command = [*PROGRAM, "mkimage", str(source), str(tmp_path / "disk.img")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, env=ENVIRONMENT) as process:
            # Before its first file is there it is not about the image yet.
            while len(os.listdir(tmp_path)) == 1 and process.poll() is None:
                time.sleep(0.01)
            time.sleep(delay)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            said = process.stderr.read()
        if (tmp_path / "disk.img").exists():
            (tmp_path / "disk.img").unlink()  # it was quicker
        else:
            assert (process.returncode, said) == (130, b"\nliblinux: interrupted\n")
        assert os.listdir(tmp_path) == ["source"]
