"""open_image(): what is there, found, and said of it."""

from __future__ import annotations

import os
import stat
from datetime import UTC, datetime, timedelta

import pytest

import liblinux
from conftest import MIB, Images, run


def test_ls(image: liblinux.ImageFileSystem) -> None:
    assert sorted(image.ls("/", detail=False)) == ["/hello.txt", "/lost+found", "/sub"]
    listed = {entry["name"]: entry for entry in image.ls("")}
    assert listed["/hello.txt"] == image.info("hello.txt")
    assert listed["/sub"]["type"] == "directory"
    assert image.ls("/sub/", detail=False) == ["/sub/data.bin"]
    assert image.ls("/hello.txt") == [image.info("/hello.txt")]
    with pytest.raises(FileNotFoundError) as caught:
        image.ls("/none")
    assert caught.value.filename == "/none"


def test_info(image: liblinux.ImageFileSystem) -> None:
    image.os.chown("/hello.txt", 70000, 80000)
    image.os.chmod("/hello.txt", 0o4750)
    image.os.link("/hello.txt", "/second")
    image.os.utime("/hello.txt", ns=(5, 1_000_000_000_123_456_789))
    info = image.info("liblinux:///hello.txt")
    status = image.os.stat("/hello.txt")
    assert info == {
        "name": "/hello.txt", "size": 21, "type": "file", "mode": stat.S_IFREG | 0o4750, "uid": 70000, "gid": 80000,
        "ino": status.st_ino, "nlink": 2, "mtime": status.st_mtime, "mtime_ns": 1_000_000_000_123_456_789,
    }  # fmt: skip
    image.os.mknod("/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    assert (image.info("/null")["type"], image.info("/null")["rdev"]) == ("other", os.makedev(1, 3))
    with pytest.raises(NotADirectoryError):
        image.info("/hello.txt/below")


def test_whether_something_is_there(image: liblinux.ImageFileSystem) -> None:
    image.os.symlink("sub", "/to-sub")
    image.os.symlink("/hello.txt", "/to-file")
    image.os.symlink("nowhere", "/to-nothing")
    image.os.symlink("circle", "/circle")
    rows = {name: (image.exists(name), image.lexists(name), image.isfile(name), image.isdir(name)) for name in (
        "/", "/sub", "/hello.txt", "/none", "/to-sub", "/to-file", "/to-nothing", "/circle", "/hello.txt/below",
    )}  # fmt: skip
    assert rows == {
        "/": (True, True, False, True),
        "/sub": (True, True, False, True),
        "/hello.txt": (True, True, True, False),
        "/none": (False, False, False, False),
        "/to-sub": (True, True, False, True),
        "/to-file": (True, True, True, False),
        "/to-nothing": (False, True, False, False),
        "/circle": (False, True, False, False),
        "/hello.txt/below": (False, False, False, False),
    }
    assert image.size("/to-file") == 21
    assert image.info("/to-file")["size"] == len("/hello.txt")
    assert image.info("/to-sub")["target"] == "sub"


def test_find_is_what_walk_says(image: liblinux.ImageFileSystem) -> None:
    image.makedirs("/a/b/c")
    image.pipe("/a/b/file", b"1234")
    image.os.symlink("/a", "/a/b/c/up")
    image.os.mkfifo("/a/fifo")
    slow = super(liblinux.ImageFileSystem, image).find
    for top in ("", "/a", "/a/", "/hello.txt", "/none", "/a/b/c/up"):
        for withdirs in (False, True):
            assert image.find(top, withdirs=withdirs) == slow(top, withdirs=withdirs), top
    assert image.find("/a", withdirs=True, detail=True) == slow("/a", withdirs=True, detail=True)
    assert image.find("/a", maxdepth=1) == ["/a/fifo"]
    assert image.find("/a") == ["/a/b/c/up", "/a/b/file", "/a/fifo"]
    assert [names for names, _, _ in image.walk("/a")] == ["/a", "/a/b", "/a/b/c"]
    assert image.glob("/a/*/f*") == ["/a/b/file"]
    assert image.glob("/**/up") == ["/a/b/c/up"]
    assert image.du("/a/b/file") == 4
    assert image.du("/a") == 4 + len("/a")


def test_a_tree_that_cannot_be_read_in_part(image: liblinux.ImageFileSystem) -> None:
    image.makedirs("/a/secret/deep")
    image.pipe("/a/open", b"")
    image.os.chmod("/a/secret", 0)
    image.os.setresuid(1000, 1000, 1000)
    assert image.find("/a") == ["/a/open"]
    with pytest.raises(PermissionError):
        image.ls("/a/secret")
    assert not image.exists("/a/secret/deep")


def test_times(image: liblinux.ImageFileSystem) -> None:
    image.pipe("/new", b"")
    image.os.utime("/new", ns=(0, 1_500_000_000_250_000_000))
    assert image.modified("/new") == datetime.fromtimestamp(1_500_000_000.25, UTC)
    assert abs(datetime.now(UTC) - image.created("/new")) < timedelta(minutes=1)
    image.touch("/new", truncate=False)
    assert abs(datetime.now(UTC) - image.modified("/new")) < timedelta(minutes=1)


def test_no_time_of_birth(images: Images) -> None:
    minix = images.empty(size=4 * MIB)
    run("mkfs.minix", "-3", minix)
    with liblinux.open_image(minix, "r+") as image:
        image.touch("/file")
        with pytest.raises(NotImplementedError, match="/file"):
            image.created("/file")
