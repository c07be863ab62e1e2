"""Block devices: what they can be made of, overlays, sectors, partitions, locks and errors."""

from __future__ import annotations

import errno
import io
import os
import random
import struct
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import liblinux
from conftest import MIB, Images, e2fsck

FITRIM = 0xC0185879
BACKINGS = ["path", "str", "bytearray", "memoryview", "BytesIO", "raw file", "buffered file", "own object"]


class OwnObject:
    """The least that is file-like, and it counts."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.position = 0
        self.flushes = 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = offset + (0, self.position, len(self.data))[whence]
        return self.position

    def tell(self) -> int:
        return self.position

    def read(self, size: int) -> bytes:
        data = self.data[self.position : self.position + size]
        self.position += len(data)
        return bytes(data)

    def write(self, data: memoryview) -> int:
        # Less than asked for, as raw files may.
        part = bytes(data[:3000])
        self.data[self.position : self.position + len(part)] = part
        self.position += len(part)
        return len(part)

    def flush(self) -> None:
        self.flushes += 1


def backing(kind: str, image: Path) -> Any:
    """An image as a thing to attach."""
    makers: dict[str, Callable[[], Any]] = {
        "path": lambda: image,
        "str": lambda: str(image),
        "bytearray": lambda: bytearray(image.read_bytes()),
        "memoryview": lambda: memoryview(bytearray(image.read_bytes())),
        "BytesIO": lambda: io.BytesIO(image.read_bytes()),
        "raw file": lambda: image.open("r+b", buffering=0),
        "buffered file": lambda: image.open("r+b"),
        "own object": lambda: OwnObject(image.read_bytes()),
    }
    return makers[kind]()


def content(source: Any) -> bytes:
    """What is in it afterwards."""
    if isinstance(source, str | Path):
        return Path(source).read_bytes()
    if isinstance(source, OwnObject):
        return bytes(source.data)
    if isinstance(source, io.BytesIO):
        return source.getvalue()
    if isinstance(source, io.IOBase):
        source.seek(0)
        data: bytes = source.read()
        source.close()
        return data
    return bytes(source)


@pytest.mark.parametrize("kind", BACKINGS)
def test_every_backing_is_read_and_written(kind: str, images: Images, tmp_path: Path) -> None:
    source = backing(kind, images.ext4())
    with liblinux.Kernel() as kernel:
        disk = kernel.attach(source)
        kernel.mount(disk, "/mnt")
        with kernel.open("/mnt/hello.txt") as file:
            assert file.read() == "hello from the image\n"
        with kernel.open("/mnt/sub/data.bin", "rb") as file:
            assert file.read() == bytes(range(256)) * 256
        with kernel.open("/mnt/written", "wb") as file:
            file.write(b"0123456789" * 50_000)
        kernel.umount("/mnt")
        disk.detach()
    after = tmp_path / "after.img"
    after.write_bytes(content(source))
    e2fsck(after)
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(after, readonly=True), "/mnt")
        with kernel.open("/mnt/written", "rb") as file:
            assert file.read() == b"0123456789" * 50_000


@pytest.mark.parametrize("kind", [*BACKINGS, "bytes"])
def test_overlay_leaves_every_backing_alone(kind: str, images: Images) -> None:
    image = images.ext4()
    before = image.read_bytes()
    source = before if kind == "bytes" else backing(kind, image)
    with liblinux.Kernel() as kernel:
        disk = kernel.attach(source, overlay=True)
        assert disk.changes() == 0
        assert not disk.readonly
        kernel.mount(disk, "/mnt")
        with kernel.open("/mnt/new", "wb") as file:
            file.write(b"x" * 100_000)
        kernel.os.sync()
        assert 100_000 <= disk.changes() < 10 * MIB
        kernel.umount("/mnt")
        kernel.mount(disk, "/again")
        assert kernel.os.stat("/again/new").st_size == 100_000
    assert content(source) == before


@pytest.mark.parametrize("kind", [*BACKINGS, "bytes"])
def test_readonly_leaves_every_backing_alone(kind: str, images: Images) -> None:
    image = images.ext4()
    before = image.read_bytes()
    source = before if kind == "bytes" else backing(kind, image)
    with liblinux.Kernel() as kernel:
        disk = kernel.attach(source, readonly=True)
        assert disk.readonly
        mount = kernel.mount(disk, "/mnt")
        assert mount.readonly
        with pytest.raises(OSError) as caught:
            kernel.open("/mnt/new", "w")
        assert caught.value.errno == errno.EROFS
        fd = kernel.os.open(disk.path, os.O_RDWR)
        with pytest.raises(PermissionError):
            kernel.os.write(fd, bytes(4096))
        kernel.os.close(fd)
    assert content(source) == before


def test_bytes_are_a_readonly_disk(kernel: liblinux.Kernel, images: Images) -> None:
    disk = kernel.attach(images.ext4().read_bytes())
    assert disk.readonly
    assert kernel.mount(disk, "/mnt").readonly


def test_a_dirty_journal_is_replayed_in_the_overlay(images: Images) -> None:
    """What was written and synced, but is only in the journal, is there; the image is untouched."""
    image = images.ext4()
    crashed = bytearray(image.read_bytes())
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(crashed), "/mnt")
        with kernel.open("/mnt/journalled", "w") as file:
            file.write("survives")
        kernel.os.sync()
        snapshot = bytes(crashed)  # as if the power went out here
    with liblinux.Kernel() as kernel:
        disk = kernel.attach(snapshot, overlay=True)
        kernel.mount(disk, "/mnt")
        with kernel.open("/mnt/journalled") as file:
            assert file.read() == "survives"
        assert disk.changes() > 0
    with liblinux.Kernel() as kernel, pytest.raises(liblinux.MountError) as caught:
        kernel.mount(kernel.attach(snapshot, readonly=True), "/mnt")
    assert caught.value.errno == errno.EROFS
    assert "overlay=True" in str(caught.value)


@pytest.mark.parametrize("sector_size", [512, 1024, 2048, 4096])
def test_sector_sizes(kernel: liblinux.Kernel, images: Images, sector_size: int) -> None:
    image = images.ext4(options=("-b", "4096"))
    disk = kernel.attach(image, sector_size=sector_size)
    with kernel.open(f"/sys/block/{disk.name}/queue/logical_block_size") as file:
        assert int(file.read()) == sector_size
    kernel.mount(disk, "/mnt")
    with kernel.open("/mnt/hello.txt") as file:
        assert file.read() == "hello from the image\n"


@pytest.mark.parametrize("sector_size", [0, 256, 513, 8192, -512])
def test_sector_sizes_that_do_not_exist(kernel: liblinux.Kernel, images: Images, sector_size: int) -> None:
    with pytest.raises(ValueError, match="sector_size"):
        kernel.attach(images.empty(), sector_size=sector_size)


def test_many_disks(kernel: liblinux.Kernel) -> None:
    disks = [kernel.attach(bytearray(MIB)) for _ in range(40)]
    assert len({disk.name for disk in disks}) == 40
    for number, disk in enumerate(disks):
        fd = kernel.os.open(disk.path, os.O_RDWR | os.O_SYNC)
        kernel.os.write(fd, bytes([number]) * 512)
        kernel.os.close(fd)
    for number, disk in enumerate(disks):
        assert disk._source[0] == number  # type: ignore[index]  # a memoryview
        disk.detach()


# ---- partitions --------------------------------------------------------------


@pytest.mark.parametrize("table", ["gpt", "dos"])
def test_partitions(kernel: liblinux.Kernel, images: Images, table: str) -> None:
    first = images.ext4("first.img", 8 * MIB, label="FIRST")
    second = images.ext4("second.img", 16 * MIB, label="SECOND")
    disk = kernel.attach(images.partitioned(table, [first, second]))
    one, two = disk.partitions
    assert (one.number, one.start, one.size, one.type) == (1, MIB, 8 * MIB, "ext4")
    assert (two.number, two.start, two.size, two.type) == (2, 9 * MIB, 16 * MIB, "ext4")
    labels = [one.label, two.label]
    assert labels == (["part-1", "part-2"] if table == "gpt" else ["FIRST", "SECOND"])
    with kernel.mount(disk, "/mnt", partition=2) as mount:
        assert mount.source == two.path
        with kernel.open("/mnt/hello.txt") as file:
            assert file.read() == "hello from the image\n"


def test_the_only_partition_is_found(kernel: liblinux.Kernel, images: Images) -> None:
    empty = images.empty("nothing.img", MIB)
    disk = kernel.attach(images.partitioned("gpt", [empty, images.ext4("fs.img", 8 * MIB)]))
    assert [partition.type for partition in disk.partitions] == [None, "ext4"]
    assert kernel.mount(disk, "/mnt").source == f"{disk.path}2"


def test_several_partitions_are_listed(kernel: liblinux.Kernel, images: Images) -> None:
    parts = [images.ext4(f"{number}.img", 8 * MIB) for number in (1, 2)]
    disk = kernel.attach(images.partitioned("gpt", parts))
    with pytest.raises(liblinux.MountError, match="several") as caught:
        kernel.mount(disk, "/mnt")
    assert caught.value.errno == errno.EINVAL
    assert [partition.number for partition in caught.value.partitions] == [1, 2]
    assert "part-2" in str(caught.value)


def test_no_partition_table(kernel: liblinux.Kernel, images: Images) -> None:
    disk = kernel.attach(images.ext4(label="whole"))
    assert disk.partitions == []
    assert disk.content is not None
    assert (disk.content.type, disk.content.label) == ("ext4", "whole")


# ---- locks -------------------------------------------------------------------


def test_two_writers_are_refused(kernel: liblinux.Kernel, images: Images) -> None:
    image = images.ext4()
    disk = kernel.attach(image)
    with liblinux.Kernel() as other:
        for options in ({}, {"readonly": True}, {"overlay": True}):
            with pytest.raises(BlockingIOError, match="image") as caught:
                other.attach(image, **options)
            assert caught.value.filename == str(image)
        other.attach(image, readonly=True, lock=False).detach()
        disk.detach()
        other.attach(image)


def test_many_readers(kernel: liblinux.Kernel, images: Images) -> None:
    image = images.ext4()
    with liblinux.Kernel() as other:
        for number, kernel_of_two in enumerate((kernel, other)):
            kernel_of_two.mount(kernel_of_two.attach(image, readonly=True), "/mnt")
            kernel_of_two.mount(kernel_of_two.attach(image, overlay=True), f"/overlay{number}")
            assert kernel_of_two.os.listdir("/mnt") == kernel_of_two.os.listdir(f"/overlay{number}")
        with pytest.raises(BlockingIOError):
            other.attach(image)


def test_closing_the_kernel_unlocks(images: Images) -> None:
    image = images.ext4()
    for _ in range(2):
        with liblinux.Kernel() as kernel:
            kernel.attach(image)


# ---- errors of the backing ---------------------------------------------------


class Broken(OwnObject):
    """Fails where it is told to."""

    fail_reads = False
    fail_writes = False

    def read(self, size: int) -> bytes:
        if self.fail_reads:
            raise OSError(errno.EIO, "the medium is scratched")
        return super().read(size)

    def write(self, data: memoryview) -> int:
        if self.fail_writes:
            raise OSError(errno.EIO, "the medium is scratched")
        return super().write(data)


def test_a_read_error_arrives(kernel: liblinux.Kernel) -> None:
    source = Broken(bytes(MIB))
    disk = kernel.attach(source)
    source.fail_reads = True
    fd = kernel.os.open(disk.path, os.O_RDONLY)
    with pytest.raises(OSError) as caught:
        kernel.os.pread(fd, 4096, 512 * 1024)
    assert caught.value.errno == errno.EIO
    assert any("I/O error" in record.text for record in kernel.dmesg())
    source.fail_reads = False
    assert kernel.os.pread(fd, 4096, 512 * 1024) == bytes(4096)
    kernel.os.close(fd)


def test_a_write_error_arrives_at_fsync(kernel: liblinux.Kernel) -> None:
    source = Broken(bytes(MIB))
    disk = kernel.attach(source)
    fd = kernel.os.open(disk.path, os.O_RDWR)
    kernel.os.pwrite(fd, b"lost", 8192)
    source.fail_writes = True
    with pytest.raises(OSError) as caught:
        kernel.os.fsync(fd)
    assert caught.value.errno == errno.EIO
    source.fail_writes = False
    kernel.os.close(fd)


def test_an_exception_of_another_kind_is_an_io_error(kernel: liblinux.Kernel) -> None:
    class Odd(OwnObject):
        odd = False

        def read(self, size: int) -> bytes:
            if self.odd:
                raise RuntimeError("not an OSError")
            return super().read(size)

    source = Odd(bytes(MIB))
    disk = kernel.attach(source)
    source.odd = True
    fd = kernel.os.open(disk.path, os.O_RDONLY)
    with pytest.raises(OSError) as caught:
        kernel.os.pread(fd, 4096, 512 * 1024)
    assert caught.value.errno == errno.EIO
    kernel.os.close(fd)


def test_an_image_that_shrank(kernel: liblinux.Kernel, images: Images) -> None:
    image = images.empty(size=MIB)
    disk = kernel.attach(image, readonly=True)
    os.truncate(image, MIB // 2)
    fd = kernel.os.open(disk.path, os.O_RDONLY)
    with pytest.raises(OSError) as caught:
        kernel.os.pread(fd, 4096, MIB - 4096)
    assert caught.value.errno == errno.EIO
    kernel.os.close(fd)


def test_an_object_that_shrank(kernel: liblinux.Kernel) -> None:
    """What it no longer has is an error, and nothing that lay in memory."""
    source = io.BytesIO(b"there" * (MIB // 5 + 1))
    source.truncate(MIB)
    disk = kernel.attach(source)
    source.truncate(MIB // 2)
    fd = kernel.os.open(disk.path, os.O_RDONLY)
    assert kernel.os.pread(fd, 4, 0) == b"ther"
    for offset in (MIB // 2, MIB - 4096):
        with pytest.raises(OSError) as caught:
            kernel.os.pread(fd, 4096, offset)
        assert caught.value.errno == errno.EIO
    kernel.os.close(fd)


def test_a_lost_write_is_told_by_umount(kernel: liblinux.Kernel, images: Images) -> None:
    source = Broken(images.ext4(options=("-O", "^has_journal")).read_bytes())
    kernel.mount(kernel.attach(source), "/mnt")
    with kernel.open("/mnt/file", "wb") as file:
        file.write(b"x" * 100_000)
    source.fail_writes = True
    with pytest.raises(OSError) as caught:
        kernel.umount("/mnt")
    assert caught.value.errno == errno.EIO
    source.fail_writes = False


def test_discard_makes_the_image_sparse_again(kernel: liblinux.Kernel, images: Images) -> None:
    """fstrim inside the kernel is fallocate outside."""
    image = images.ext4(size=64 * MIB)
    disk = kernel.attach(image)
    kernel.mount(disk, "/mnt")
    with kernel.open("/mnt/big", "wb") as file:
        file.write(os.urandom(20 * MIB))
    kernel.os.sync()
    full = image.stat().st_blocks
    kernel.os.unlink("/mnt/big")
    kernel.os.sync()
    fd = kernel.os.open("/mnt", os.O_RDONLY)
    kernel.syscall("ioctl", fd, FITRIM, bytearray(struct.pack("=QQQ", 0, 1 << 40, 0)))
    kernel.os.close(fd)
    kernel.umount("/mnt")
    disk.detach()
    assert image.stat().st_blocks < full - 15 * MIB // 512
    e2fsck(image)


def test_detach_flushes_an_object(kernel: liblinux.Kernel) -> None:
    source = OwnObject(bytes(MIB))
    disk = kernel.attach(source)
    fd = kernel.os.open(disk.path, os.O_RDWR)
    kernel.os.write(fd, b"written")
    kernel.os.close(fd)
    disk.detach()
    assert source.data[:7] == b"written"
    assert source.flushes > 0


def test_the_commit_of_a_journal_is_flushed_to_an_object(kernel: liblinux.Kernel, images: Images) -> None:
    """ext4 writes its commit block past all caches (FUA); a file object has no such writes, so a flush comes after."""
    asked: list[str] = []

    class Told(OwnObject):
        def write(self, data: memoryview) -> int:
            asked.append("write")
            return super().write(data)

        def flush(self) -> None:
            asked.append("flush")

    kernel.mount(kernel.attach(Told(images.ext4().read_bytes())), "/mnt")
    for number in range(3):
        fd = kernel.os.open(f"/mnt/{number}", os.O_WRONLY | os.O_CREAT)
        kernel.os.write(fd, b"x")
        asked.clear()
        kernel.os.fsync(fd)
        kernel.os.close(fd)
        assert asked[-1] == "flush" and "write" in asked


def test_fsync_flushes_the_image_file(kernel: liblinux.Kernel, images: Images) -> None:
    """A flush of the kernel is one of the host; without a sync there is none."""
    kernel.mount(kernel.attach(images.ext4()), "/mnt")
    before = kernel.statistics()["flushes"]
    fd = kernel.os.open("/mnt/file", os.O_WRONLY | os.O_CREAT)
    kernel.os.write(fd, b"x")
    assert kernel.statistics()["flushes"] == before
    kernel.os.fsync(fd)
    assert kernel.statistics()["flushes"] > before
    kernel.os.close(fd)


REFUSING = """
    import ctypes, errno, os, struct, sys
    import liblinux

    FSYNC, FDATASYNC = 74, 75
    LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
    REFUSE, ALLOW = 0x50000 | errno.EIO, 0x7FFF0000

    def refuse():
        \"\"\"From here on the host cannot synchronise files; see seccomp(2).\"\"\"
        lines = [(LOAD, 0, 0, 0), (EQUAL, 1, 0, FSYNC), (EQUAL, 0, 1, FDATASYNC), (RETURN, 0, 0, REFUSE)]
        lines.append((RETURN, 0, 0, ALLOW))
        filter = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *line) for line in lines))
        program = ctypes.create_string_buffer(struct.pack("@HP", len(lines), ctypes.addressof(filter)))
        prctl = ctypes.CDLL(None, use_errno=True).prctl
        assert prctl(38, 1, 0, 0, 0) == 0
        assert prctl(22, 2, ctypes.c_void_p(ctypes.addressof(program)), 0, 0) == 0, ctypes.get_errno()

    with liblinux.Kernel() as kernel:
        disk = kernel.attach(sys.argv[1])
        fd = kernel.os.open(disk.path, os.O_RDWR)
        refuse()
        kernel.os.pwrite(fd, b"x" * 4096, 0)
        try:
            kernel.os.fsync(fd)
        except OSError as error:
            print(error.errno)
        kernel.os.close(fd)
"""


def test_a_flush_reaches_the_host(images: Images) -> None:
    """Where the host refuses to synchronise the image, fsync() fails inside; so it does ask the host."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(REFUSING), str(images.empty(size=MIB))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, f"{errno.EIO}\n"), done.stderr


class Device:
    """A block device of our own, with a record of what it was asked."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        self.size = len(data)
        self.asked: list[tuple[str, int]] = []

    def pread(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = self.data[offset : offset + len(buffer)]

    def pwrite(self, offset: int, data: memoryview, stable: bool) -> None:
        self.data[offset : offset + len(data)] = data
        self.asked.append(("write stable" if stable else "write", offset))

    def flush(self) -> None:
        self.asked.append(("flush", 0))

    def discard(self, offset: int, length: int) -> None:
        self.data[offset : offset + length] = bytes(length)
        self.asked.append(("discard", offset))


def test_a_device_object_is_told_of_flushes_and_stable_writes(kernel: liblinux.Kernel, images: Images) -> None:
    """ext4 commits as it is meant to: the journal, a flush, and then the commit block, stable."""
    device = Device(images.ext4().read_bytes())
    disk = kernel.attach(device)
    queue = f"/sys/block/{disk.name}/queue"
    attributes = [kernel.open(f"{queue}/{name}").read().strip() for name in ("write_cache", "fua")]
    assert attributes == ["write back", "1"]
    kernel.mount(disk, "/mnt")
    device.asked.clear()
    fd = kernel.os.open("/mnt/new", os.O_CREAT | os.O_WRONLY)
    kernel.os.write(fd, b"content")
    kernel.os.fsync(fd)
    kernel.os.close(fd)
    kinds = [kind for kind, _ in device.asked]
    assert kinds[-2:] == ["flush", "write stable"] and set(kinds[:-2]) == {"write"}
    kernel.umount("/mnt")


class Sectors(Device):
    """One that is a device in this as well: there is no half of a sector."""

    sector = 512

    def pread(self, offset: int, buffer: memoryview) -> None:
        assert not offset % self.sector and not len(buffer) % self.sector
        super().pread(offset, buffer)

    def pwrite(self, offset: int, data: memoryview, stable: bool) -> None:
        assert not offset % self.sector and not len(data) % self.sector
        super().pwrite(offset, data, stable)


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("skew", [0, 4, 8, 512, 2048, 4092])
def test_a_device_object_is_asked_for_whole_sectors(either: liblinux.Kernel, sector: int, skew: int) -> None:
    """Also by direct I/O with memory that begins anywhere: a sector is in two pages then, here never neighbours."""
    device = Sectors(bytes(MIB))
    device.sector = sector
    disk = either.attach(device, sector_size=sector)
    with either.mmap(None, MIB + 4096) as room, memoryview(room)[skew : skew + MIB] as buffer:
        for page in reversed(range(0, len(room), 4096)):
            room[page] = 0
        descriptor = either.os.open(disk.path, os.O_RDWR | os.O_DIRECT)
        buffer[:] = data = random.Random(skew).randbytes(MIB)
        assert either.os.pwrite(descriptor, buffer, 0) == MIB
        assert device.data == data
        buffer[:] = bytes(MIB)
        assert either.os.preadv(descriptor, [buffer], 0) == MIB
        assert buffer == data
        either.os.close(descriptor)


def test_a_device_object_is_told_what_is_discarded(kernel: liblinux.Kernel, images: Images) -> None:
    device = Device(images.ext4().read_bytes())
    with kernel.mount(kernel.attach(device), "/mnt", options="discard"):
        with kernel.open("/mnt/large", "wb") as file:
            file.write(b"x" * MIB)
        kernel.os.sync()
        kernel.os.unlink("/mnt/large")
    assert "discard" in {kind for kind, _ in device.asked}


def test_a_device_object_that_lacks_a_method_is_none(kernel: liblinux.Kernel) -> None:
    class Half:
        size = MIB

        def pread(self, offset: int, buffer: memoryview) -> None:
            """Too little for a device, and no file either."""

    with pytest.raises(TypeError, match="pread, pwrite, flush and discard"):
        kernel.attach(Half())
