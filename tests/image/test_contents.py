"""open_image(): contents and trees, read and written."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import pytest

import liblinux
from image.content import DATA, LATIN


def test_cat(image: liblinux.ImageFileSystem) -> None:
    assert image.cat("/hello.txt") == b"hello from the image\n"
    assert image.cat(["/hello.txt", "/sub/data.bin"]) == {
        "/hello.txt": b"hello from the image\n",
        "/sub/data.bin": DATA,
    }
    assert image.cat("/sub/*") == {"/sub/data.bin": DATA}
    for start, end in (
        (0, 10),
        (5, None),
        (None, 7),
        (-9, None),
        (-9, -2),
        (300, 200),
        (65530, 1 << 40),
        (1 << 40, None),
    ):
        assert image.cat_file("/sub/data.bin", start, end) == DATA[start:end], (start, end)
    assert image.cat_ranges(["/sub/data.bin"] * 2, [0, 256], [3, 259]) == [b"\0\1\2", b"\0\1\2"]
    assert image.head("/sub/data.bin", 4) == DATA[:4]
    assert image.tail("/sub/data.bin", 4) == DATA[-4:]
    assert image.read_block("/sub/data.bin", 250, 10) == DATA[250:260]


def test_open(image: liblinux.ImageFileSystem) -> None:
    with image.open("/f", "wb") as file:
        assert file.write(b"one\n") == 4
    with image.open("/f", "ab") as file:
        assert file.tell() == 4
        file.write(b"two\n")
    with image.open("/f", "r+b") as file:
        file.seek(4)
        file.write(b"2")
    with image.open("/f", "rb") as file:
        assert (file.size, file.path, file.fs) == (8, "/f", image)
        assert file.readlines() == [b"one\n", b"2wo\n"]
        with pytest.raises(io.UnsupportedOperation):
            file.fileno()
    image.rm("/f")
    with image.open("/f", "x+b") as file:
        file.write(b"again")
        file.seek(0)
        assert file.read() == b"again"
    with pytest.raises(FileExistsError):
        image.open("/f", "xb")
    with pytest.raises(ValueError, match="mode"):
        image.open("/f", "qb")


def test_text(image: liblinux.ImageFileSystem) -> None:
    image.write_text("/text", "grün\n", encoding="utf-8")
    with image.open("/text", "r", encoding="utf-8") as file:
        assert file.read() == "grün\n"
    assert image.cat("/text") == "grün\n".encode()


def test_what_has_no_content(image: liblinux.ImageFileSystem) -> None:
    """Nothing waits, and no device of the kernel is read through a node of the image."""
    image.os.mkfifo("/fifo")
    image.os.mknod("/disk", stat.S_IFBLK | 0o666, image.kernel.os.stat(image.disk.path).st_rdev)
    with pytest.raises(OSError, match="fifo"):
        image.cat("/fifo")
    with pytest.raises(PermissionError):
        image.cat("/disk")
    with pytest.raises(IsADirectoryError):
        image.cat("/sub")
    with pytest.raises(IsADirectoryError):
        image.open("/sub", "wb")


def test_pipe(image: liblinux.ImageFileSystem) -> None:
    image.pipe({"/a": b"1", "/b": b"2"})
    image.pipe("/a", b"longer")
    assert image.cat("/a") + image.cat("/b") == b"longer2"
    with pytest.raises(FileExistsError):
        image.pipe_file("/a", b"", mode="create")
    with pytest.raises(FileNotFoundError):
        image.pipe("/none/a", b"")
    image.touch("/a")
    assert image.size("/a") == 0


def test_auto_mkdir(path: Path) -> None:
    with liblinux.open_image(path, "r+", auto_mkdir=True) as image:
        image.pipe("/x/y/z", b"1")
        assert image.find("/x") == ["/x/y/z"]


def test_put_and_get(image: liblinux.ImageFileSystem, tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "one").write_bytes(DATA)
    (source / "deep" / "two").write_bytes(b"2" * 5_000_000)
    image.put(str(source), "/put", recursive=True)
    assert image.find("/put") == ["/put/deep/two", "/put/one"]
    image.get("/put", str(tmp_path / "got"), recursive=True)
    assert (tmp_path / "got/one").read_bytes() == DATA
    assert (tmp_path / "got/deep/two").read_bytes() == b"2" * 5_000_000
    image.get("/put/one", str(tmp_path / "single"))
    assert (tmp_path / "single").read_bytes() == DATA


def test_get_of_a_tree_with_everything_in_it(image: liblinux.ImageFileSystem, tmp_path: Path) -> None:
    image.os.symlink("/proc/self/mounts", "/sub/dangling")
    image.os.symlink("/", "/sub/root")
    image.os.symlink("data.bin", "/sub/file")
    image.os.mkfifo("/sub/fifo")
    image.get("/sub", str(tmp_path / "got"), recursive=True)
    assert {file.name: file.read_bytes() for file in (tmp_path / "got").iterdir()} == {"data.bin": DATA, "file": DATA}
    image.copy("/sub", "/copied", recursive=True)
    assert image.find("/copied", withdirs=True) == ["/copied", "/copied/data.bin", "/copied/file"]
    with pytest.raises(FileNotFoundError):
        image.get("/sub/dangling", str(tmp_path / "one"))


def test_cp(image: liblinux.ImageFileSystem) -> None:
    image.cp("/sub/data.bin", "/copy")
    assert image.cat("/copy") == DATA
    image.cp("/sub", "/tree", recursive=True)
    assert image.find("/tree", withdirs=True) == ["/tree", "/tree/data.bin"]
    image.os.symlink("/copy", "/link")
    for same in ("/copy", "/link"):
        with pytest.raises(OSError, match="same file"):
            image.cp_file("/copy", same)
    assert image.cat("/copy") == DATA
    with pytest.raises(FileNotFoundError):
        image.cp("/none", "/copy")


def test_cp_where_the_kernel_cannot(image: liblinux.ImageFileSystem) -> None:
    """From one file system to another, which copy_file_range(2) refuses."""
    image.mkdir("/ram")
    image.kernel.mount(None, f"{image.root}/ram", type="tmpfs")
    image.cp("/sub/data.bin", "/ram/copy")
    assert image.cat("/ram/copy") == DATA
    image.kernel.umount(f"{image.root}/ram")


def test_mv(image: liblinux.ImageFileSystem) -> None:
    number = image.info("/hello.txt")["ino"]
    image.mv("/hello.txt", "/renamed")
    assert image.info("/renamed")["ino"] == number
    image.mv("/renamed", "/sub")
    assert image.info("/sub/renamed")["ino"] == number
    image.mv("/sub", "/elsewhere", recursive=True)
    assert image.find("/elsewhere") == ["/elsewhere/data.bin", "/elsewhere/renamed"]
    image.os.mkfifo("/elsewhere/fifo")
    image.os.symlink("nowhere", "/elsewhere/link")
    image.mv("/elsewhere/*", "/into/")
    assert image.find("/into") == ["/into/data.bin", "/into/fifo", "/into/link", "/into/renamed"]
    assert image.info("/into/renamed")["ino"] == number, "moved, not copied"
    image.mv(["/into/fifo", "/into/link"], ["/fifo", "/link"])
    assert image.find("/into") == ["/into/data.bin", "/into/renamed"]
    image.mv("/into", "/into")
    with pytest.raises(ValueError, match="maxdepth"):
        image.mv("/into", "/x", maxdepth=1)
    with pytest.raises(FileNotFoundError):
        image.mv("/none", "/x")
    assert image.exists("/into/renamed")


def test_directories(image: liblinux.ImageFileSystem) -> None:
    image.mkdir("/a/b")
    with pytest.raises(FileExistsError):
        image.mkdir("/a/b")
    with pytest.raises(FileNotFoundError):
        image.mkdir("/c/d", create_parents=False)
    image.makedirs("/a/b", exist_ok=True)
    with pytest.raises(FileExistsError):
        image.makedirs("/a/b")
    with pytest.raises(OSError, match="not empty"):
        image.rmdir("/a")
    image.rmdir("/a/b")
    assert not image.exists("/a/b")


def test_rm(image: liblinux.ImageFileSystem) -> None:
    image.os.symlink("/sub", "/link")
    image.makedirs("/t/a/b")
    image.pipe({"/t/a/f": b"", "/t/[x]": b"", "/t/x": b""})
    image.os.symlink("/sub", "/t/a/link")
    with pytest.raises(IsADirectoryError):
        image.rm("/t")
    image.rm("/t/[x]")  # a name, as it is there; else a pattern
    assert image.exists("/t/x")
    image.rm("/t/[x]")
    assert not image.exists("/t/x")
    image.rm(["/t", "/link"], recursive=True)
    assert image.cat("/sub/data.bin") == DATA, "links are removed, not what they lead to"
    image.makedirs("/deep/er")
    image.pipe("/deep/er/file", b"")
    image.rm("/deep/**", recursive=True)  # matches the directory, and what is gone with it
    assert not image.exists("/deep")
    image.rm_file("/hello.txt")
    assert sorted(image.ls("/", detail=False)) == ["/lost+found", "/sub"]
    with pytest.raises(FileNotFoundError):
        image.rm("/none")
    with pytest.raises(OSError, match="root"):
        image.rm("/", recursive=True)
    assert image.exists("/sub/data.bin")


def test_transaction(image: liblinux.ImageFileSystem) -> None:
    with image.transaction:
        with image.open("/hello.txt", "wb") as file:
            file.write(b"new")
        assert image.cat("/hello.txt") == b"hello from the image\n"
    assert image.cat("/hello.txt") == b"new"
    with pytest.raises(ZeroDivisionError), image.transaction:
        image.pipe("/hello.txt", b"never")
        1 / 0  # noqa: B018 - the exception is the test
    assert image.cat("/hello.txt") == b"new"
    assert sorted(image.ls("/", detail=False)) == ["/hello.txt", "/lost+found", "/sub"]


def test_names_that_are_not_utf8(image: liblinux.ImageFileSystem, tmp_path: Path) -> None:
    image.pipe(f"/sub/{LATIN}", b"coffee")
    assert b"caf\xe9" in image.os.listdir(b"/sub")
    assert f"/sub/{LATIN}" in image.ls("/sub", detail=False)
    assert image.find("/sub") == [f"/sub/{LATIN}", "/sub/data.bin"]
    assert image.glob("/sub/caf*") == [f"/sub/{LATIN}"]
    assert image.cat(f"/sub/{LATIN}") == b"coffee"
    image.get("/sub", str(tmp_path / "got"), recursive=True)
    assert os.listdir(os.fsencode(tmp_path / "got")).count(b"caf\xe9") == 1
    image.rm("/sub", recursive=True)
    assert not image.exists("/sub")
