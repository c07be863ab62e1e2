"""open_image() as fsspec finds it: the protocol, chains, pickles."""

from __future__ import annotations

import io
import pickle
import subprocess
import sys
from pathlib import Path

import fsspec
import pytest

import liblinux
from conftest import MIB, Images, e2fsck, run
from image.content import DATA


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
