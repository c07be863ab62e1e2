"""open_image(): ways to open, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import liblinux
from conftest import MIB, Images, e2fsck, run
from image.content import DATA


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
