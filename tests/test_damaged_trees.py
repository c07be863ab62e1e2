"""Listing and walking trees that a damaged file system has made endless."""

from __future__ import annotations

import errno
import signal
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

import liblinux
from conftest import Images, run
from until import LONG_SECONDS


def _debugfs(image: Path, *commands: str) -> None:
    for command in commands:
        run("debugfs", "-w", "-R", command, image)


@pytest.fixture
def looped(images: Images) -> Path:
    """/a/b/up is /a itself, and /twin is /a once more."""
    image = images.empty(size=8 << 20)
    run("mkfs.ext4", "-qF", "-O", "^metadata_csum", image)
    _debugfs(image, "mkdir /a", "mkdir /a/b", "mkdir /twin", "mkdir /other")
    return image


def test_a_directory_is_not_entered_twice(looped: Path) -> None:
    # Entries point at another inode: the kernel finds one directory under two names.
    _debugfs(looped, "unlink /twin", "link /a /twin")
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(looped, overlay=True), "/mnt")
        problems: list[OSError] = []
        found = {entry.name for entry in kernel.os.scantree("/mnt", onerror=problems.append)}
        assert {"a", "twin", "other"} <= found
        # Either Linux refuses the second name when it looks it up, or we do not enter it.
        assert [problem.errno for problem in problems] == [errno.ELOOP]


def test_a_loop_of_directories_ends(looped: Path) -> None:
    _debugfs(looped, "link /a /a/b/up")
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(looped, overlay=True), "/mnt")
        problems: list[OSError] = []
        assert len(kernel.os.scantree("/mnt", onerror=problems.append)) < 10
        assert {problem.errno for problem in problems} == {errno.ELOOP}


def test_bind_mounts_are_no_loops(kernel: liblinux.Kernel) -> None:
    kernel.mount(None, "/t", type="tmpfs")
    kernel.os.makedirs("/t/a/below")
    kernel.os.mkdir("/t/b")
    kernel.mount("/t/a", "/t/b", options="bind")
    names = sorted(entry.name for entry in kernel.os.scantree("/t"))
    assert names == ["a", "a/below", "b", "b/below"]


def test_bind_mounts_of_a_disk_are_no_loops(images: Images, kernel: liblinux.Kernel) -> None:
    kernel.mount(kernel.attach(images.ext4()), "/mnt")
    kernel.os.mkdir("/mnt/again")
    kernel.mount("/mnt/sub", "/mnt/again", options="bind")
    names = {entry.name for entry in kernel.os.scantree("/mnt")}
    assert {"sub/data.bin", "again/data.bin"} <= names


def test_proc_is_walked_as_a_whole(kernel: liblinux.Kernel) -> None:
    problems: list[OSError] = []
    entries = kernel.os.scantree("/proc", onerror=problems.append)
    assert any(entry.name.startswith("1/task/1/net/stat/") for entry in entries)
    assert errno.ELOOP not in {problem.errno for problem in problems}


# ---- one directory without an end ---------------------------------------------


@pytest.fixture
def circling(images: Images) -> Path:
    """A UDF disk with a directory in which Linux finds the same entry for ever: its length is no multiple of 4.

    Found by the fuzzing of images: `udf-2048`, seed 39.
    """
    image = images.empty(size=4 << 20)
    run("mkudffs", "-b2048", image)
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(image), "/mnt", options="noadinicb")
        kernel.os.mkdir("/mnt/many")
        for number in range(60):  # too many to be in the inode, which has a checksum
            kernel.os.mkdir(f"/mnt/many/entry-{number:02}")
    content = bytearray(image.read_bytes())
    name = content.index(b"\x08entry-30")
    assert content[name - 2 : name] == bytes(2)  # the length of what implementations add
    content[name - 2 : name] = struct.pack("<H", 1)
    image.write_bytes(content)
    return image


def test_a_directory_that_goes_in_circles_is_an_error(circling: Path) -> None:
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(circling, readonly=True), "/mnt")
        calls: list[Callable[[], object]] = [
            lambda: kernel.os.listdir("/mnt/many"),
            lambda: kernel.os.scandir("/mnt/many"),
            lambda: kernel.os.scantree("/mnt/many"),
        ]
        for call in calls:
            with pytest.raises(OSError) as caught:
                call()
            assert caught.value.errno == errno.EUCLEAN
        problems: list[OSError] = []
        found = {entry.name for entry in kernel.os.scantree("/mnt/many", onerror=problems.append)}
        assert {"entry-00", "entry-01", "entry-29"} <= found
        assert [problem.errno for problem in problems] == [errno.EUCLEAN]


class _AlarmError(Exception):
    pass


@pytest.fixture
def alarm() -> Iterator[None]:
    def ring(number: int, frame: FrameType | None) -> None:
        raise _AlarmError

    before = signal.signal(signal.SIGALRM, ring)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_long_walk_can_be_interrupted(kernel: liblinux.Kernel, alarm: None) -> None:
    kernel.mount(None, "/t", type="tmpfs", options="nr_inodes=0")
    for number in range(20_000):
        kernel.os.mkdir(f"/t/{number}")
    start = 0.0
    # In one crossing each; never more than a second of the kernel's own work between two looks.
    with pytest.raises(_AlarmError):
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        start = time.monotonic()
        while True:
            kernel.os.scantree("/t")
    assert time.monotonic() - start < LONG_SECONDS
