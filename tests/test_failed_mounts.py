"""A mount that fails leaves the image as it was, also when a journal has been replayed by then."""

from __future__ import annotations

import errno
import io
import itertools
import os
import re
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import liblinux
from conftest import MIB, Images, e2fsck, run
from liblinux._attempt import Attempt

BACKINGS: dict[str, Callable[[bytes, Path], Any]] = {
    "path": lambda data, path: path,
    "bytearray": lambda data, path: bytearray(data),
    "object": lambda data, path: io.BytesIO(data),
}


@dataclass(frozen=True)
class Broken:
    """An image whose journal can be replayed and whose root cannot be read; and as it was before that."""

    data: bytes
    whole: bytes


def crash(path: Path) -> None:
    """Leave an image as a power failure does: what is synced is in the journal, in a directory that was there."""
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(path), "/mnt")
        kernel.os.mkdir("/mnt/sub")
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(path), "/mnt", options="noatime")
        for number in range(20):
            fd = kernel.os.open(f"/mnt/sub/{number}", os.O_CREAT | os.O_WRONLY, 0o644)
            kernel.os.write(fd, b"synced" * 1000)
            kernel.os.fsync(fd)
        left = path.with_suffix(".left")
        run("cp", "--sparse=always", path, left)
    left.rename(path)


def broken(path: Path) -> Broken:
    crash(path)
    whole = path.read_bytes()
    said = run("debugfs", "-R", "imap <2>", path)
    place = re.search(r"located at block (\d+), offset 0x(\w+)", said)
    size = re.search(r"Block size: +(\d+)", run("dumpe2fs", "-h", path))
    assert place is not None and size is not None
    start = int(place[1]) * int(size[1]) + int(place[2], 16)
    data = whole[:start] + bytes(128) + whole[start + 128 :]
    path.write_bytes(data)
    return Broken(data, whole)


def content(source: Any) -> bytes:
    if isinstance(source, Path):
        return source.read_bytes()
    return bytes(source.getvalue() if isinstance(source, io.BytesIO) else source)


@pytest.mark.parametrize("backing", BACKINGS)
def test_what_was_replayed_is_taken_back(either: liblinux.Kernel, backing: str, images: Images) -> None:
    path = images.empty(size=16 * MIB)
    run("mkfs.ext4", "-qF", path)
    image = broken(path)
    source = BACKINGS[backing](image.data, path)
    disk = either.attach(source)
    fd = either.os.open(disk.path, os.O_RDONLY)
    before = either.statistics()["writes"]
    for readonly in (False, True):
        with pytest.raises(liblinux.MountError, match=r"get root inode failed(.|\n)*fsck") as caught:
            either.mount(disk, "/mnt", readonly=readonly)
        assert caught.value.errno in (errno.EBADMSG, errno.EUCLEAN)
        assert content(source) == image.data
    assert either.statistics()["writes"] > before, "nothing was replayed"
    # The kernel does not remember what it has read, either, though somebody has the device open all the time.
    # In small pieces, which come from its cache.
    assert b"".join(iter(lambda: either.os.read(fd, 64 * 1024), b"")) == image.data
    either.os.close(fd)


def test_another_journal(kernel: liblinux.Kernel, images: Images) -> None:
    """XFS has replayed its log as well before it looks for its root."""
    image = images.empty(size=300 * MIB)
    run("mkfs.xfs", "-q", image)
    crash(image)
    said = run("xfs_db", "-x", "-c", "inode 128", "-c", "daddr", image)
    place = re.search(r"daddr is (\d+)", said)
    assert place is not None
    with image.open("r+b") as file:
        file.seek(int(place[1]) * 512)
        file.write(bytes(512))
    before = images.directory / "before.img"
    run("cp", "--sparse=always", image, before)
    disk = kernel.attach(image)
    with pytest.raises(liblinux.MountError, match="log mount failed"):
        kernel.mount(disk, "/mnt")
    kernel.os.sync()
    run("cmp", image, before)


def test_a_mount_that_succeeds_stays(either: liblinux.Kernel, images: Images) -> None:
    path = images.empty(size=16 * MIB)
    run("mkfs.ext4", "-qF", path)
    crash(path)
    disk = either.attach(path)
    with either.mount(disk, "/mnt"):
        assert sorted(map(int, either.os.listdir("/mnt/sub"))) == list(range(20))
    disk.detach()
    e2fsck(path)


def test_other_partitions_are_let_alone(kernel: liblinux.Kernel, images: Images) -> None:
    """One partition is in use and written to, while the mount of its neighbour fails again and again."""
    part = images.empty("part.img", 16 * MIB)
    run("mkfs.ext4", "-qF", part)
    image = broken(part)
    disk_image = images.partitioned("gpt", [part, images.ext4("fine.img", 16 * MIB)])
    disk = kernel.attach(disk_image)
    with kernel.mount(disk, "/fine", partition=2):
        for number in range(5):
            with kernel.open(f"/fine/{number}", "wb") as file:
                file.write(b"stays" * 10_000)
            kernel.os.sync()
            for device, partition in ((disk, 1), (disk.partitions[0].path, None)):
                with pytest.raises(liblinux.MountError):
                    kernel.mount(device, "/mnt", partition)
        # Also what is written there just then.
        with Attempt(kernel, disk.partitions[0].path, ""):
            with kernel.open("/fine/meanwhile", "wb") as file:
                file.write(b"stays" * 10_000)
            kernel.os.sync()
    disk.detach()
    data = disk_image.read_bytes()
    assert data[MIB : 17 * MIB] == image.data
    fine = images.directory / "fine-again.img"
    fine.write_bytes(data[17 * MIB : 33 * MIB])
    e2fsck(fine)
    kernel.mount(kernel.attach(fine, readonly=True), "/again")
    for name in (*map(str, range(5)), "meanwhile"):
        with kernel.open(f"/again/{name}", "rb") as file:
            assert file.read() == b"stays" * 10_000


@pytest.mark.parametrize("synced", [True, False])
def test_what_is_cached_of_the_device_is_forgotten(kernel: liblinux.Kernel, synced: bool) -> None:
    """Of file systems that leave it there, where somebody else has the device open; ext4 does not."""
    data = bytearray(MIB)
    disk = kernel.attach(data)
    fd = kernel.os.open(disk.path, os.O_RDWR)
    with Attempt(kernel, disk.path, ""):
        kernel.os.pwrite(fd, b"x" * 4096, 8192)
        if synced:
            kernel.os.fsync(fd)
    assert kernel.os.pread(fd, 4096, 8192) == bytes(4096)
    kernel.os.close(fd)
    disk.detach()
    assert data == bytes(MIB)


def test_what_another_mount_writes_is_not_taken_back(kernel: liblinux.Kernel, images: Images) -> None:
    """One that was there before, and is unmounted by the time that the second one fails: the device is free then."""
    image = images.ext4()
    disk = kernel.attach(image)
    kernel.mount(disk, "/mnt")
    with Attempt(kernel, disk.path, ""):
        with kernel.open("/mnt/kept", "w") as file:
            file.write("kept")
        kernel.umount("/mnt")
    disk.detach()
    e2fsck(image)
    kernel.mount(kernel.attach(image), "/mnt")
    assert "kept" in kernel.os.listdir("/mnt")


def test_a_file_system_in_use_is_not_put_back(kernel: liblinux.Kernel, images: Images) -> None:
    """It is mounted already; what fails is to mount it a second time."""
    image = images.ext4()
    disk = kernel.attach(image)
    with kernel.mount(disk, "/mnt"):
        for type, options in (("ext4", "banana"), ("xfs", "")):
            with kernel.open(f"/mnt/{options or type}", "w") as file:
                file.write("kept")
            with pytest.raises(liblinux.MountError):
                kernel.mount(disk, "/second", type=type, options=options)
    disk.detach()
    e2fsck(image)
    kernel.mount(kernel.attach(image), "/mnt")
    assert {"banana", "xfs"} <= set(kernel.os.listdir("/mnt"))


def test_one_of_several_disks_is_not_put_back_alone(kernel: liblinux.Kernel, images: Images) -> None:
    """Two disks of one file system, whose log is replayed by a mount that fails: half of it undone would be its end."""
    paths = [images.empty(name, 300 * MIB) for name in ("one.img", "two.img")]
    run("mkfs.btrfs", "-q", "-m", "raid0", "-d", "raid0", *paths)
    with liblinux.Kernel() as crashing:
        disks = [crashing.attach(path) for path in paths]
        crashing.mount(disks[0], "/mnt", options=f"device={disks[1].path}")
        crashing.os.mkdir("/mnt/sub")
        crashing.os.sync()
        for number in range(20):
            fd = crashing.os.open(f"/mnt/sub/{number}", os.O_CREAT | os.O_WRONLY, 0o644)
            crashing.os.write(fd, b"synced" * 1000)
            crashing.os.fsync(fd)
        for path in paths:
            run("cp", "--sparse=always", path, path.with_suffix(".left"))
    one, two = (kernel.attach(path.with_suffix(".left")) for path in paths)
    writes = kernel.statistics()["writes"]
    with pytest.raises(liblinux.MountError, match="No such file"):
        kernel.mount(one, "/mnt", options=f"device={two.path},subvol=none")
    assert kernel.statistics()["writes"] > writes, "nothing was replayed"
    with pytest.raises(liblinux.MountError, match="No such file"):
        kernel.mount(one, "/mnt", options="subvol=none")  # two is known now: only the superblock tells of it
    with kernel.mount(one, "/mnt"):
        assert {kernel.open(f"/mnt/sub/{number}", "rb").read() for number in range(20)} == {b"synced" * 1000}


@pytest.mark.parametrize(
    ("make", "change", "spread"),
    [
        ("mkfs.ext4 -qF", (1024 + 0xE0, bytes(4)), True),
        ("mkfs.ext2 -qF", (1024 + 0xE0, bytes(4)), False),
        ("mkfs.jfs -q", (32768 + 36, bytes(4)), True),
        ("mkfs.f2fs -q", (1024 + 2201, b"/dev/"), True),
        ("mkfs.btrfs -q", (65536 + 0x88, b"\x02"), True),
        ("mkfs.xfs -q", (1024, bytes(8)), False),
    ],
)
def test_what_a_superblock_says_of_further_devices(
    kernel: liblinux.Kernel, images: Images, make: str, change: tuple[int, bytes], spread: bool
) -> None:
    path = images.empty(size=300 * MIB)
    run(*make.split(), path)
    disk = kernel.attach(path)
    assert not Attempt(kernel, disk.path, "")._has_others()
    assert Attempt(kernel, disk.path, "ro,logdev=/dev/ldb")._has_others()
    disk.detach()
    with path.open("r+b") as file:
        file.seek(change[0])
        file.write(change[1])
    assert Attempt(kernel, kernel.attach(path).path, "")._has_others() == spread


class _Watched(io.BytesIO):
    """A file that tells what it is asked, and can be broken."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.asked: list[tuple[str, int, int]] = []
        self.writes_left = 1 << 30
        self.at_read: dict[int, Callable[[], None]] = {}

    def write(self, data: Any) -> int:
        self.asked.append(("write", self.tell(), len(data)))
        self.writes_left -= 1
        if self.writes_left < 0:
            raise OSError(errno.ENOSPC, "no room")
        return super().write(data)

    def readinto(self, buffer: Any) -> int:
        self.asked.append(("read", self.tell(), len(buffer)))
        self.at_read.get(len(self.asked), lambda: None)()
        return super().readinto(buffer)

    def first_kept(self) -> int:
        """The number of the first request that read what the next one has overwritten."""
        pairs = itertools.pairwise(self.asked)
        return 1 + next(at for at, (one, two) in enumerate(pairs) if (one[0], two) == ("read", ("write", *one[1:])))


def test_what_cannot_be_put_back_is_said(either: liblinux.Kernel, images: Images) -> None:
    """The image takes what the mount writes, and nothing after that."""
    path = images.empty(size=16 * MIB)
    run("mkfs.ext4", "-qF", path)
    data = broken(path).data
    watched = _Watched(data)
    with pytest.raises(liblinux.MountError):
        either.mount(either.attach(watched), "/mnt")
    assert watched.getvalue() == data
    source = _Watched(data)
    # Each of them once more, when it is put back.
    source.writes_left = sum(what == "write" for what, _, _ in watched.asked) // 2
    disk = either.attach(source)
    with pytest.raises(liblinux.MountError, match=r"could not all be put back \(No space(.|\n)*fsck") as caught:
        either.mount(disk, "/mnt")
    assert "it was not changed" not in str(caught.value)
    # And nothing of that attempt is left: the next one puts back what was there before it.
    source.writes_left = 1 << 30
    changed = source.getvalue()
    with pytest.raises(liblinux.MountError) as again:
        either.mount(disk, "/mnt")
    assert "put back" not in str(again.value)
    assert source.getvalue() == changed


@pytest.fixture
def crashed(images: Images) -> bytes:
    path = images.empty(size=16 * MIB)
    run("mkfs.ext4", "-qF", path)
    crash(path)
    return path.read_bytes()


def _first_kept(crashed: bytes) -> int:
    watched = _Watched(crashed)
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(watched), "/mnt")
    return watched.first_kept()


def test_what_cannot_be_kept_does_not_keep_it_from_being_mounted(kernel: liblinux.Kernel, crashed: bytes) -> None:
    """A block that the journal has anew, and that cannot be read on the disk."""
    source = _Watched(crashed)
    failed = []

    def fail() -> None:
        failed.append(True)
        raise OSError(errno.EIO, "a bad block")

    source.at_read[_first_kept(crashed)] = fail
    with kernel.mount(kernel.attach(source), "/mnt"):
        assert len(kernel.os.listdir("/mnt/sub")) == 20
    assert failed


def test_a_fork_in_the_middle(kernel: liblinux.Kernel, crashed: bytes) -> None:
    """The child has a dead kernel, and can close it."""
    source = _Watched(crashed)
    reading, forked = threading.Event(), threading.Event()

    def wait() -> None:
        reading.set()
        assert forked.wait(60)

    source.at_read[_first_kept(crashed)] = wait
    disk = kernel.attach(source)
    with ThreadPoolExecutor(1) as pool:
        mounting = pool.submit(kernel.mount, disk, "/mnt")
        assert reading.wait(60)
        child = os.fork()
        if not child:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(60)
            kernel.close()
            os._exit(0)
        forked.set()
        _, status = os.waitpid(child, 0)
        mounting.result()
    assert os.waitstatus_to_exitcode(status) == 0
    assert len(kernel.os.listdir("/mnt/sub")) == 20
