"""`kernel.open`: real io objects."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator

import pytest

import liblinux
from conftest import Images, e2fsck


@pytest.fixture
def kernel(shared_kernel: liblinux.Kernel) -> Iterator[liblinux.Kernel]:
    shared_kernel.mount(None, "/scratch", type="tmpfs")
    shared_kernel.os.chdir("/scratch")
    yield shared_kernel
    shared_kernel.os.chdir("/")
    shared_kernel.umount("/scratch", lazy=True)


def test_text(kernel: liblinux.Kernel) -> None:
    with kernel.open("file", "w") as file:
        assert isinstance(file, io.TextIOWrapper)
        assert file.write("Grüße\nzwei\n") == 11
    with kernel.open("file") as file:
        assert list(file) == ["Grüße\n", "zwei\n"]
        assert file.name == "file"
        assert file.mode == "r"
        assert file.encoding == "utf-8"
    with kernel.open("file", encoding="latin-1", newline="") as file:
        assert file.readline() == "GrÃ¼Ã\x9fe\n"


def test_binary(kernel: liblinux.Kernel) -> None:
    data = os.urandom(300_000)
    with kernel.open("file", "wb") as file:
        assert isinstance(file, io.BufferedWriter)
        assert file.write(data) == len(data)
    with kernel.open("file", "rb") as file:
        assert isinstance(file, io.BufferedReader)
        assert file.read(10) == data[:10]
        assert file.seek(-10, os.SEEK_END) == len(data) - 10
        assert file.read() == data[-10:]
        assert file.read() == b""
        assert file.seek(100_000) == 100_000
        buffer = bytearray(100_000)
        assert file.readinto(buffer) == 100_000
        assert buffer == data[100_000:200_000]
        file.seek(0)
        assert file.read() == data


def test_update(kernel: liblinux.Kernel) -> None:
    with kernel.open("file", "w+b") as file:
        assert isinstance(file, io.BufferedRandom)
        file.write(b"0123456789")
        file.seek(3)
        assert file.read(2) == b"34"
        file.write(b"XX")
        file.seek(0)
        assert file.read() == b"01234XX789"
        assert file.truncate(4) == 4
    assert kernel.os.stat("file").st_size == 4


def test_append(kernel: liblinux.Kernel) -> None:
    for word in ("one ", "two "):
        with kernel.open("file", "a") as file:
            file.write(word)
            assert file.tell() > 0
    with kernel.open("file") as file:
        assert file.read() == "one two "


def test_exclusive(kernel: liblinux.Kernel) -> None:
    with kernel.open("file", "x") as file:
        file.write("mine")
    with pytest.raises(FileExistsError) as caught:
        kernel.open("file", "x")
    assert caught.value.filename == "file"


def test_unbuffered(kernel: liblinux.Kernel) -> None:
    with kernel.open("file", "wb", buffering=0) as file:
        assert isinstance(file, io.RawIOBase)
        assert file.write(b"now") == 3
        assert kernel.os.stat("file").st_size == 3
    with kernel.open("file", "rb", 0) as file:
        assert file.read(2) == b"no"
        assert file.read() == b"w"


def test_line_buffering(kernel: liblinux.Kernel) -> None:
    with kernel.open("file", "w", 1) as file:
        file.write("line\nrest")
        assert kernel.os.stat("file").st_size >= 5


def test_descriptors(kernel: liblinux.Kernel) -> None:
    reader, writer = kernel.os.pipe()
    with kernel.open(writer, "wb") as file:
        file.write(b"through")
    with kernel.open(reader, "rb") as file:
        assert file.read() == b"through"
    fd = kernel.os.open("file", os.O_RDWR | os.O_CREAT)
    with kernel.open(fd, "wb", closefd=False):
        pass
    kernel.os.close(fd)


def test_a_descriptor_is_not_the_hosts(kernel: liblinux.Kernel) -> None:
    with kernel.open("file", "wb", buffering=0) as file:
        with pytest.raises(io.UnsupportedOperation):
            file.fileno()
        assert kernel.os.fstat(file.fd).st_size == 0  # type: ignore[attr-defined]  # ours
        assert not file.isatty()
        assert file.seekable() and file.writable() and not file.readable()


def test_nothing_there_yet(kernel: liblinux.Kernel) -> None:
    reader, writer = kernel.os.pipe2(os.O_NONBLOCK)
    with kernel.open(reader, "rb", buffering=0) as file:
        assert file.read(10) is None
    kernel.os.close(writer)


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("", {}),
        ("rw", {}),
        ("rr", {}),
        ("q", {}),
        ("+", {}),
        ("rbt", {}),
        ("rb", {"encoding": "utf-8"}),
        ("r", {"buffering": 0}),
        ("r", {"closefd": False}),
        ("w", {"direct": True}),
    ],
)
def test_modes_that_do_not_exist(kernel: liblinux.Kernel, mode: str, options: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        kernel.open("file", mode, **options)  # type: ignore[call-overload]  # wrong on purpose


def test_errors(kernel: liblinux.Kernel) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        kernel.open("missing")
    assert caught.value.filename == "missing"
    kernel.os.mkdir("directory")
    with pytest.raises(IsADirectoryError):
        kernel.open("directory", "w")
    with kernel.open("file", "w") as file, pytest.raises(io.UnsupportedOperation):
        file.read()
    with pytest.raises(ValueError, match="closed"):
        file.write("x")


def test_full_file_system(kernel: liblinux.Kernel) -> None:
    """ENOSPC arrives where the data is written, at the latest in close(), which closes all the same."""
    kernel.mount(None, "/small", type="tmpfs", options="size=64k")
    with kernel.open("/small/file", "wb") as file, pytest.raises(OSError) as caught:
        file.write(b"x" * 1_000_000)
    assert caught.value.errno == errno.ENOSPC
    file = kernel.open("/small/another", "wb")
    file.write(b"in the buffer")
    with pytest.raises(OSError) as caught:
        file.close()
    assert caught.value.errno == errno.ENOSPC
    assert file.closed
    kernel.umount("/small")


def test_direct(kernel: liblinux.Kernel, images: Images) -> None:
    """Direct I/O from any position into any memory."""
    with kernel.attach(images.ext4()) as disk, kernel.mount(disk, "/mnt/direct"):
        data = os.urandom(2_500_000)
        with kernel.open("/mnt/direct/file", "wb") as file:
            file.write(data)
        with kernel.open("/mnt/direct/file", "rb", direct=True) as file:
            assert file.read() == data
            file.seek(1_234_567)
            assert file.read(100) == data[1_234_567:1_234_667]
            assert file.seek(-5, os.SEEK_END) == len(data) - 5
            assert file.read() == data[-5:]


def test_unflushed_files_are_written_when_the_kernel_closes(images: Images) -> None:
    image = images.ext4()
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(image), "/mnt")
        file = kernel.open("/mnt/late", "w")
        file.write("still in Python's buffer")
    assert file.closed
    e2fsck(image)
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(image, readonly=True), "/mnt")
        with kernel.open("/mnt/late") as again:
            assert again.read() == "still in Python's buffer"
