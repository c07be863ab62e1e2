"""open_image: each method over real images, links that want out, and what is refused."""

from __future__ import annotations

import io
import os
import pickle
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest

import liblinux
from cells import cells, only_cell
from conftest import MIB, Images, e2fsck, run

DATA = bytes(range(256)) * 256
LATIN = "caf\udce9"  # b"caf\xe9"


@pytest.fixture
def path(images: Images) -> Path:
    return images.ext4()


@pytest.fixture(params=[False, True], ids=["in-process", "untrusted"])
def image(path: Path, request: pytest.FixtureRequest) -> Iterator[liblinux.ImageFileSystem]:
    """The image for writing; untrusted or not, all is the same."""
    with liblinux.open_image(path, "r+", untrusted=request.param) as opened:
        assert opened.kernel.isolated is request.param
        yield opened
    e2fsck(path)


@pytest.fixture
def reading(path: Path) -> Iterator[liblinux.ImageFileSystem]:
    with liblinux.open_image(path) as opened:
        yield opened


# ---- looking -----------------------------------------------------------------


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


# ---- contents ----------------------------------------------------------------


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


# ---- links that want out -----------------------------------------------------


def test_links_stay_in_the_image(image: liblinux.ImageFileSystem) -> None:
    """The kernel has a root of its own, with /etc and /proc; the image's links do not lead there."""
    image.kernel.os.mkdir("/etc")
    with image.kernel.open("/etc/hostname", "w") as file:
        file.write("the kernel's")
    image.mkdir("/etc")
    image.pipe("/etc/hostname", b"the image's")
    links = {
        "/absolute": "/etc/hostname",
        "/dots": "../" * 50 + "etc/hostname",
        "/sub/dots": "/../../sub/../../etc/hostname",
    }
    for link, target in links.items():
        image.os.symlink(target, link)
        assert image.cat(link) == b"the image's", link
        assert image.size(link) == 11
    assert image.cat("/../../../etc/hostname") == b"the image's"
    image.os.symlink("/proc/self/root/etc/hostname", "/proc-link")
    image.os.symlink("/mnt/etc/hostname", "/mount-point")
    image.os.symlink("../" * 50, "/top")
    assert not image.exists("/proc-link")
    assert not image.exists("/mount-point")
    assert sorted(image.ls("/top", detail=False))[0] == "/top/absolute"
    image.pipe("/absolute", b"written through the link")
    assert image.cat("/etc/hostname") == b"written through the link"
    with image.kernel.open("/etc/hostname") as file:
        assert file.read() == "the kernel's"


def test_links_in_another_thread(image: liblinux.ImageFileSystem) -> None:
    image.os.symlink("/hello.txt", "/absolute")
    said: list[bytes] = []
    thread = threading.Thread(target=lambda: said.append(image.cat("/absolute")))
    thread.start()
    thread.join()
    assert said == [b"hello from the image\n"]


# ---- ways to open ------------------------------------------------------------


@pytest.mark.parametrize("untrusted", [False, True])
def test_reading_changes_nothing(path: Path, untrusted: bool) -> None:
    before = path.read_bytes()
    path.chmod(0o444)
    with liblinux.open_image(str(path), untrusted=untrusted) as image:
        assert image.cat("/hello.txt") == b"hello from the image\n"
        for attempt in (
            lambda: image.pipe("/hello.txt", b""),
            lambda: image.touch("/new"),
            lambda: image.mkdir("/new"),
            lambda: image.rm("/hello.txt"),
            lambda: image.rm("/sub", recursive=True),
            lambda: image.mv("/hello.txt", "/new"),
            lambda: image.cp("/hello.txt", "/new"),
        ):
            with pytest.raises(OSError, match="Read-only file system"):
                attempt()
    assert path.read_bytes() == before


def dirty(path: Path) -> bytes:
    """The image as it is when the power fails just after a file was fsynced."""
    memory = bytearray(path.read_bytes())
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(memory), "/mnt")
        with kernel.open("/mnt/late", "wb") as file:
            file.write(b"in the journal only")
            file.flush()
            kernel.os.fsync(file.raw.fd)  # type: ignore[attr-defined]  # a KernelFile
        return bytes(memory)


@pytest.mark.parametrize("untrusted", [False, True])
def test_a_dirty_journal_is_replayed_in_memory(path: Path, untrusted: bool) -> None:
    content = dirty(path)
    path.write_bytes(content)
    assert "needs_recovery" in run("dumpe2fs", "-h", path)
    assert "late" not in run("debugfs", "-c", "-R", "ls /", path), "without the journal it is not there"
    with liblinux.open_image(path, untrusted=untrusted) as image:
        assert image.cat("/late") == b"in the journal only"
    assert path.read_bytes() == content
    with pytest.raises(liblinux.MountError, match="journal"):
        liblinux.open_image(path, overlay=False)
    with liblinux.open_image(content) as image:  # bytes
        assert image.cat("/late") == b"in the journal only"


def test_changes_that_are_thrown_away(path: Path) -> None:
    before = path.read_bytes()
    with liblinux.open_image(path, "r+", overlay=True) as image:
        image.rm("/sub", recursive=True)
        assert not image.exists("/sub")
    assert path.read_bytes() == before


@pytest.mark.parametrize("mode", ["r+", "rw"])
def test_writing_reaches_the_image(path: Path, mode: str) -> None:
    with liblinux.open_image(path, mode) as image:  # type: ignore[arg-type]
        image.pipe("/new", b"kept")
        still_open = image.open("/late", "wb")
        still_open.write(b"flushed by close()")
    e2fsck(path)
    assert run("debugfs", "-R", "cat /new", path) == "kept"
    assert run("debugfs", "-R", "cat /late", path) == "flushed by close()"
    assert still_open.closed


def test_partitions(images: Images) -> None:
    first, second = images.ext4("first", 16 * MIB), images.ext4("second", 16 * MIB)
    with liblinux.open_image(second, "r+") as image:
        image.pipe("/second", b"2")
    both = images.partitioned("gpt", [first, second])
    with pytest.raises(liblinux.MountError, match="several partitions") as caught:
        liblinux.open_image(both)
    assert len(caught.value.partitions) == 2
    for number in (1, 2):
        with liblinux.open_image(both, partition=number) as image:
            assert image.exists("/second") is (number == 2)
    with liblinux.open_image(images.partitioned("dos", [second], "one"), partition=None) as image:
        assert image.exists("/second")


def test_other_sources(path: Path) -> None:
    with path.open("rb") as file, liblinux.open_image(file) as image:
        assert image.cat("/hello.txt") == b"hello from the image\n"
    memory = bytearray(path.read_bytes())
    with liblinux.open_image(memory, "r+") as image:
        image.pipe("/new", b"1")
    with liblinux.open_image(bytes(memory), type="ext4", options="noatime", memory="32M", sector_size=1024) as image:
        assert image.cat("/new") == b"1"
        assert image.kernel.memory == 32 * MIB
    with pytest.raises(OSError, match="overlay=True"):
        liblinux.open_image(bytes(memory), "r+")


def test_a_format_that_cannot_be_written(images: Images) -> None:
    squashed = images.directory / "image.squashfs"
    run("mksquashfs", images.ext4().parent / "content", squashed, "-quiet", "-no-progress")
    with pytest.raises(OSError, match="can only be read"):
        liblinux.open_image(squashed, "r+")
    with liblinux.open_image(squashed) as image:
        assert image.cat("/sub/data.bin") == DATA


@pytest.mark.parametrize("mode", ["w", "a", "x", "", "rwb", "rt"])
def test_wrong_mode(path: Path, mode: str) -> None:
    with pytest.raises(ValueError, match="mode must be 'r' or 'r\\+'"):
        liblinux.open_image(path, mode)  # type: ignore[arg-type]


# ---- the end -----------------------------------------------------------------


def test_after_close(reading: liblinux.ImageFileSystem) -> None:
    file = reading.open("/hello.txt", "rb")
    reading.close()
    reading.close()
    assert reading.closed
    for use in (
        lambda: reading.ls("/"),
        lambda: reading.info("/hello.txt"),
        lambda: reading.exists("/hello.txt"),
        lambda: reading.isfile("/hello.txt"),
        lambda: reading.cat("/hello.txt"),
        lambda: reading.find("/"),
        lambda: reading.open("/hello.txt", "wb"),
        file.read,
    ):
        with pytest.raises(liblinux.KernelClosed, match="closed"):
            use()
    file.close()


def test_closed_after_an_exception(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), liblinux.open_image(path, "r+") as image:
        image.pipe("/new", b"1")
        1 / 0  # noqa: B018 - the exception is the test
    assert image.closed
    e2fsck(path)


def test_failed_opening_leaves_nothing(path: Path, images: Images) -> None:
    for untrusted in (False, True):
        with pytest.raises(liblinux.MountError):
            liblinux.open_image(path, "r+", partition=7, untrusted=untrusted)
        with pytest.raises(liblinux.MountError):
            liblinux.open_image(images.empty("zeros"), untrusted=untrusted)
        with pytest.raises(FileNotFoundError):
            liblinux.open_image(images.directory / "none", untrusted=untrusted)
        with pytest.raises(TypeError):
            liblinux.open_image(42, untrusted=untrusted)
    assert not cells()
    with liblinux.open_image(path, "r+") as image:  # nobody holds its lock
        assert image.exists("/hello.txt")


@pytest.mark.parametrize("mode", ["r", "r+"])
def test_killed(path: Path, mode: str) -> None:
    with liblinux.open_image(path, mode, untrusted=True) as image:  # type: ignore[arg-type]
        file = image.open("/new", "wb") if mode == "r+" else image.open("/hello.txt", "rb")
        os.kill(only_cell(), signal.SIGKILL)
        for use in (
            lambda: image.ls("/"),
            lambda: image.exists("/"),
            lambda: image.isfile("/"),
            lambda: image.cat("/f"),
        ):
            with pytest.raises(liblinux.KernelDied, match="SIGKILL"):
                use()
    assert image.closed
    assert not cells()
    file.close()


def test_panic(path: Path) -> None:
    with liblinux.open_image(path) as image:
        image.kernel.abort()
        with pytest.raises(liblinux.KernelPanic):
            image.exists("/hello.txt")
    assert image.closed


def test_limits_of_an_untrusted_image(path: Path) -> None:
    with liblinux.open_image(path, untrusted=True):
        limits = Path(f"/proc/{only_cell()}/limits").read_text()
    (line,) = [line for line in limits.splitlines() if line.startswith("Max cpu time")]
    assert "600" in line.split()[3]


# ---- as fsspec finds it ------------------------------------------------------


def test_protocol(path: Path) -> None:
    assert fsspec.get_filesystem_class("liblinux") is liblinux.ImageFileSystem
    with fsspec.open("liblinux:///hello.txt", "r", image=str(path)) as file:
        assert file.read() == "hello from the image\n"
    image = fsspec.filesystem("liblinux", image=path)
    assert image.unstrip_protocol("/hello.txt") == "liblinux:///hello.txt"
    with pickle.loads(pickle.dumps(image)) as second:  # noqa: S301 - our own
        assert second.cat("hello.txt") == image.cat("/hello.txt")
    image.close()
    with pytest.raises(ValueError, match="which image"):
        fsspec.filesystem("liblinux")


def test_protocol_is_known_without_an_import() -> None:
    """By the entry point: fsspec finds what was never imported, and `import liblinux` does not import fsspec."""
    program = (
        "import sys, liblinux; liblinux.Kernel; assert 'fsspec' not in sys.modules; "
        "sys.modules.pop('liblinux'); import fsspec; print(fsspec.get_filesystem_class('liblinux').__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "ImageFileSystem\n"


def test_chained(path: Path) -> None:
    with fsspec.open(f"liblinux://hello.txt::file://{path}") as file:
        assert file.read() == b"hello from the image\n"
    with fsspec.open(f"liblinux://new::file://{path}", "wb", liblinux={"mode": "r+"}) as file:
        file.write(b"chained")
    e2fsck(path)
    assert run("debugfs", "-R", "cat /new", path) == "chained"


def test_the_file_keeps_its_kernel(path: Path) -> None:
    file = fsspec.open(f"liblinux://hello.txt::file://{path}").open()
    assert file.read() == b"hello from the image\n"
    file.close()
    del file
    with liblinux.open_image(path, "r+"):  # the lock is free again: the kernel went with the file
        pass


def test_chained_over_another_file_system(path: Path) -> None:
    """Read on demand, and written back, through a file object of fsspec."""
    memory = fsspec.filesystem("memory")
    memory.pipe("/images/disk.img", path.read_bytes())
    with fsspec.open("liblinux://sub/data.bin::memory://images/disk.img") as file:
        assert file.read() == DATA
    with liblinux.open_image("memory://images/disk.img", "r+") as image:
        image.pipe("/new", b"in memory")
    path.write_bytes(memory.cat("/images/disk.img"))
    e2fsck(path)
    assert run("debugfs", "-R", "cat /new", path) == "in memory"
    memory.rm("/images", recursive=True)


def test_chained_reads_on_demand(images: Images) -> None:
    large = images.ext4(size=1024 * MIB)

    class Counting(io.FileIO):
        taken = 0

        def readinto(self, buffer: bytearray) -> int | None:  # type: ignore[override]
            count = super().readinto(buffer)
            Counting.taken += count or 0
            return count

    with Counting(large) as file, liblinux.open_image(file) as image:
        assert image.cat("/sub/data.bin") == DATA
    assert 0 < Counting.taken < 8 * MIB
