"""copy_tree: everything that belongs to a tree arrives, in all directions; and what does not is told."""

from __future__ import annotations

import errno
import os
import signal
import stat
import struct
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from formats import FORMATS, Format
from planting import differences, read, write
from quiet import quiet_kernel
from trees import PLAN, Entry, Holds

import liblinux
from conftest import MIB, Images, e2fsck, run
from liblinux._image_root import ImageRoot

_NAMED = {format.name: format for format in FORMATS}
# It holds all of the plan.
_ALL = _NAMED["ext4-4k-inline"]
# Reading a tree of the host changes when it was read.
_READ = Holds(accessed_step=0, xattr_bytes=1 << 16)
_TARGETS = ["ext2", "ext4", "xfs", "btrfs", "f2fs", "jfs", "nilfs2", "minix3", "fat32", "exfat", "udf-2048", "hfsplus"]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image with the whole plan in /tree."""
    image = _ALL.image(tmp_path_factory.mktemp("planted") / "planted.img")
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(image), "/mnt")
        write(kernel.os, "/mnt/tree", _ALL.holds)
    return image


@pytest.fixture
def source(planted: Path) -> Iterator[Any]:
    """An os with the plan in /tree."""
    with ImageRoot(planted) as image:
        yield image.os


@pytest.mark.parametrize("format", [_NAMED[name] for name in _TARGETS], ids=str)
def test_a_tree_arrives_as_the_target_can_hold_it(format: Format, source: Any, tmp_path: Path) -> None:
    image = format.image(tmp_path / "disk.img")
    with quiet_kernel(format.remarks) as kernel:
        disk = kernel.attach(image)
        kernel.mount(disk, "/mnt", options=format.options)
        try:
            report = liblinux.copy_tree("/tree", "/mnt/tree", source_os=source, target_os=kernel.os)
        except liblinux.CopyFailed as failed:
            report = failed.report
        kernel.umount("/mnt")  # so that what is read is what is on the disk
        kernel.mount(disk, "/mnt", options=format.options)
        found = read(kernel.os, "/mnt/tree", format.holds)
    format.check(image)
    copied = format.holds.hard_links == "refused"
    holds = replace(format.holds, hard_links="copied") if copied else format.holds
    different = differences(found, holds.find(PLAN))
    assert not different, "\n".join(different)
    missing = {os.fsdecode(path) for path in PLAN if path not in holds.keep(PLAN)}
    told = {problem.path.removeprefix("/tree/") for problem in report.errors}
    lost = {loss.what for loss in report.losses}
    kinds = {stat.S_IFMT(PLAN[os.fsencode(path)].mode) for path in missing - told}
    assert told <= missing
    assert kinds <= {stat.S_IFLNK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK}
    assert ("symbolic links" in lost) == (not format.holds.symlinks)
    assert ("owners" in lost) == (format.holds.owner_bits == (0, 0))
    assert ("hard links (they are files of their own now)" in lost) == copied
    assert ("extended attribute trusted.test" in lost) == (not format.holds.xattrs)
    assert ("times" in lost) == (max(format.holds.modified_step, format.holds.accessed_step) > 1)


def _kept(report: liblinux.CopyReport) -> dict[bytes, Entry]:
    """The plan without what the report says is lost."""
    lost = {loss.what for loss in report.losses}
    kept: dict[bytes, Entry] = {}
    for path, entry in PLAN.items():
        if "device nodes" in lost and stat.S_IFMT(entry.mode) in (stat.S_IFCHR, stat.S_IFBLK):
            continue
        xattrs = tuple(each for each in entry.xattrs if f"extended attribute {each[0]}" not in lost)
        owner = (os.geteuid(), os.getegid()) if "owners" in lost else entry.owner
        kept[path] = replace(entry, xattrs=xattrs, owner=owner)
    return _READ.keep(kept)


def test_to_the_host_and_back(source: Any, tmp_path: Path) -> None:
    report = liblinux.copy_tree("/tree", tmp_path / "tree", source_os=source)
    expected = _kept(report)
    different = differences(read(os, str(tmp_path / "tree"), _READ), expected)
    assert not different, "\n".join(different)
    image = _ALL.image(tmp_path / "back.img")
    with ImageRoot(image, writable=True) as target:
        back = liblinux.copy_tree(tmp_path / "tree", "/", target_os=target.os)
        assert back.losses == ()
        target.os.rmdir("/lost+found")
        different = differences(read(target.os, "/", _READ), expected)
        assert not different, "\n".join(different)
    _ALL.check(image)


def test_an_ordinary_user_is_told_what_is_lost(source: Any, as_nobody: None) -> None:
    with tempfile.TemporaryDirectory() as name:
        report = liblinux.copy_tree("/tree", f"{name}/tree", source_os=source)
        lost = {loss.what: loss for loss in report.losses}
        assert lost["owners"].why == "Operation not permitted"
        # All, the top too, but what is not there, and a second name.
        assert lost["owners"].count == len(PLAN) + 1 - 3 - 1
        assert lost["device nodes"].count == 3
        assert lost["device nodes"].first in ("/tree/kinds/null", "/tree/kinds/disk", "/tree/kinds/wide")
        different = differences(read(os, f"{name}/tree", _READ), _kept(report))
        assert not different, "\n".join(different)


def test_the_same_tree_again_changes_nothing(source: Any, tmp_path: Path) -> None:
    first = liblinux.copy_tree("/tree", tmp_path / "tree", source_os=source)
    (tmp_path / "tree/data/odd").write_text("other content")
    (tmp_path / "tree/kinds/link").unlink()
    (tmp_path / "tree/mine").write_text("stays")
    again = liblinux.copy_tree("/tree", tmp_path / "tree", source_os=source)
    assert again.losses == first.losses
    (tmp_path / "tree/mine").unlink()
    different = differences(read(os, str(tmp_path / "tree"), _READ), _kept(first))
    assert not different, "\n".join(different)


def test_what_is_there_may_be_kept(images: Images, tmp_path: Path) -> None:
    (tmp_path / "hello.txt").write_text("mine")
    with ImageRoot(images.ext4()) as image:
        liblinux.copy_tree("/", tmp_path, source_os=image.os, existing="skip")
        assert (tmp_path / "hello.txt").read_text() == "mine"
        with pytest.raises(liblinux.CopyFailed, match=r"/hello.txt: cannot create: File exists"):
            liblinux.copy_tree("/", tmp_path, source_os=image.os, existing="refuse")
        liblinux.copy_tree("/hello.txt", tmp_path / "hello.txt", source_os=image.os)
    assert (tmp_path / "hello.txt").read_text() == "hello from the image\n"


def test_a_link_in_the_way_is_not_followed(images: Images, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "target").mkdir()
    (tmp_path / "target/sub").symlink_to(tmp_path / "outside")
    with ImageRoot(images.ext4()) as image:
        with pytest.raises(liblinux.CopyFailed, match=r"/sub: cannot create: File exists"):
            liblinux.copy_tree("/", tmp_path / "target", source_os=image.os)
        # The target itself is the caller's word.
        (tmp_path / "named").symlink_to("outside")
        liblinux.copy_tree("/sub", tmp_path / "named", source_os=image.os)
    assert os.listdir(tmp_path / "outside") == ["data.bin"]


def test_a_full_target_says_how_much_is_missing_and_keeps_nothing(images: Images, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    for number in range(10):
        (tree / f"file-{number}").write_bytes(os.urandom(MIB))
    image = images.ext4(size=8 * MIB)
    with ImageRoot(image, writable=True) as target:
        with pytest.raises(OSError, match=r"at least [\d,]+ more are needed") as caught:
            liblinux.copy_tree(tree, "/tree", target_os=target.os)
        assert caught.value.errno == errno.ENOSPC
        assert sorted(target.os.listdir("/")) == ["hello.txt", "lost+found", "sub"]
    e2fsck(image)


def test_strict(source: Any, tmp_path: Path) -> None:
    image = _NAMED["fat16"].image(tmp_path / "fat.img")
    with ImageRoot(image, writable=True) as target:
        with pytest.raises(liblinux.CopyFailed, match=r"lost: .* nothing was copied \(strict\)"):
            liblinux.copy_tree("/tree/kinds", "/", source_os=source, target_os=target.os, strict=True)
        assert target.os.listdir("/") == []
    with ImageRoot(_ALL.image(tmp_path / "ext4.img"), writable=True) as target:
        liblinux.copy_tree("/tree", "/tree", source_os=source, target_os=target.os, strict=True)
        assert sorted(target.os.listdir("/")) == ["lost+found", "tree"]


def test_flags_of_chattr_come_last(images: Images, tmp_path: Path) -> None:
    first, second = images.ext4("first.img"), images.ext4("second.img")
    flags = struct.pack("=q", 0x10 | 0x40 | 0x80)  # i, d, A
    with ImageRoot(first, writable=True) as source, ImageRoot(second, writable=True) as target:
        descriptor = source.os.open("/sub", os.O_RDONLY)
        source.process.syscall("ioctl", descriptor, 0x40086602, flags)
        source.os.close(descriptor)
        report = liblinux.copy_tree("/sub", "/copy", source_os=source.os, target_os=target.os)
        assert report.losses == ()
        with pytest.raises(PermissionError):
            target.os.unlink("/copy/data.bin")
        found = bytearray(8)
        target.process.syscall("ioctl", target.os.open("/copy", os.O_RDONLY), 0x80086601, found)
        assert struct.unpack("=q", found)[0] & 0xFF == 0xD0
    e2fsck(second)


def test_names_that_are_the_same_to_the_target(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/readme").write_text("one")
    (tmp_path / "tree/README").write_text("two")
    image = _NAMED["fat16"].image(tmp_path / "fat.img")
    with ImageRoot(image, writable=True) as target:
        with pytest.raises(liblinux.CopyFailed, match=r"(?i)its name is that of readme: File exists$"):
            liblinux.copy_tree(tmp_path / "tree", "/", target_os=target.os)
        assert len(target.os.listdir("/")) == 1


def test_of_an_isolated_kernel(planted: Path, tmp_path: Path) -> None:
    with ImageRoot(planted, untrusted=True) as image:
        report = liblinux.copy_tree("/tree", tmp_path / "tree", source_os=image.os)
    different = differences(read(os, str(tmp_path / "tree"), _READ), _kept(report))
    assert not different, "\n".join(different)


def test_between_places_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/sub/file").write_text("text")
    os.link(tmp_path / "tree/sub/file", tmp_path / "tree/name")
    liblinux.copy_tree(tmp_path / "tree", tmp_path / "copy")
    assert (tmp_path / "copy/name").samefile(tmp_path / "copy/sub/file")
    assert differences(read(os, str(tmp_path / "copy"), _READ), read(os, str(tmp_path / "tree"), _READ)) == []


def test_interrupted_it_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    for number in range(20):
        (tmp_path / f"tree/{number}").write_bytes(bytes(MIB))
    image = _ALL.image(tmp_path / "disk.img")

    progress = liblinux.CopyProgress()

    def interrupt() -> None:
        while progress.done < 5 * MIB:
            pass
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    with ImageRoot(image, writable=True) as target:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            for turn in range(1000):
                liblinux.copy_tree(tmp_path / "tree", f"/{turn % 2}", target_os=target.os, progress=progress)
        thread.join()
        names = set(target.os.listdir("/"))
        assert names <= {"lost+found", "0", "1"}
        for name in names - {"lost+found"}:
            assert len(target.os.listdir(f"/{name}")) == 20
    _ALL.check(image)


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="preserve: no mood"):
        liblinux.copy_tree(tmp_path, tmp_path / "copy", preserve=["mood"])
    with pytest.raises(TypeError, match="the os of an image"):
        liblinux.copy_tree(tmp_path, tmp_path / "copy", source_os=stat)
    with pytest.raises(FileNotFoundError, match="nothing"):
        liblinux.copy_tree(tmp_path / "nothing", tmp_path / "copy")
    with pytest.raises(FileNotFoundError, match="no such"):
        liblinux.copy_tree(tmp_path, tmp_path / "no such/copy")
    (tmp_path / "file").touch()
    with pytest.raises(IsADirectoryError):
        liblinux.copy_tree(tmp_path / "file", tmp_path)
    assert os.listdir(tmp_path) == ["file"]


def test_not_into_itself(tmp_path: Path) -> None:
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/file").touch()
    for source, target in (("tree", "tree"), ("tree", "tree/copy"), ("tree", "tree/sub/copy"), ("tree/file",) * 2):
        with pytest.raises(OSError, match=r"itself|the same") as caught:
            liblinux.copy_tree(tmp_path / source, tmp_path / target)
        assert caught.value.errno == errno.EINVAL
    assert os.listdir(tmp_path / "tree/sub") == []


def test_attributes_of_what_cannot_be_opened(images: Images, tmp_path: Path) -> None:
    first, second = images.ext4("first.img"), images.ext4("second.img")
    names = ("link", "device", "pipe", "socket")
    with ImageRoot(first, writable=True) as source, ImageRoot(second, writable=True) as target:
        system = source.os
        system.makedirs("/tree/sub")
        system.symlink("x", "/tree/sub/link")
        for name, kind in zip(names[1:], (stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK), strict=True):
            system.mknod(f"/tree/sub/{name}", kind | 0o604, 0)
        for name in names:
            system.setxattr(f"/tree/sub/{name}", "trusted.name", name.encode(), follow_symlinks=False)
        assert liblinux.copy_tree("/tree", "/copy", source_os=system, target_os=target.os).losses == ()
        assert liblinux.compare_trees("/tree", "/copy", left_os=system, right_os=target.os, ignore=()) == []
        # A link alone, in the place of another one.
        target.os.symlink("old", "/alone")
        liblinux.copy_tree("/tree/sub/link", "/alone", source_os=system, target_os=target.os)
        assert target.os.readlink("/alone") == "x"
        assert target.os.getxattr("/alone", "trusted.name", follow_symlinks=False) == b"link"
        # Over the host, where it may have them.
        report = liblinux.copy_tree("/tree", tmp_path / "tree", source_os=system)
        if not report.losses:
            liblinux.copy_tree(tmp_path / "tree", "/again", target_os=target.os)
            assert liblinux.compare_trees("/tree", "/again", left_os=system, right_os=target.os, ignore=()) == []


def test_paths_longer_than_a_path(tmp_path: Path) -> None:
    depth = 150
    with liblinux.Kernel() as kernel:
        system = kernel.os
        system.mkdir("/top")
        system.chdir("/top")
        for number in range(depth):
            system.mkdir(f"{number:060}")
            system.chdir(f"{number:060}")
        system.close(system.open("bottom", os.O_CREAT | os.O_WRONLY))
        system.chdir("/")
        report = liblinux.copy_tree("/top", tmp_path / "deep", source_os=system)
        assert report.entries == depth + 2
        back = liblinux.copy_tree(tmp_path / "deep", "/again", target_os=system)
        assert back.entries == depth + 2
    run("rm", "-r", tmp_path / "deep")
