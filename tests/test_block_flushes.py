"""What block devices are told besides reading and writing: flushes, stable writes, what is discarded."""

from __future__ import annotations

import errno
import os
import random
import struct
import subprocess
import sys
import textwrap

import pytest

import liblinux
from conftest import MIB, Images, e2fsck
from own_objects import OwnObject

FITRIM = 0xC0185879


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
