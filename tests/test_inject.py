"""The host misbehaves on a seeded schedule: errors arrive as OSError, a seed repeats them, the process lives."""

from __future__ import annotations

import errno
import os
import struct
import time

import pytest

import liblinux
from conftest import Images
from until import LONG_SECONDS

KIB, MIB = 1 << 10, 1 << 20
RANDOM = 1  # of fadvise: no reading ahead


@pytest.fixture
def kernel(either: liblinux.Kernel) -> liblinux.Kernel:
    return either


def failing_reads(seed: int) -> tuple[list[int], liblinux.Injected]:
    """Which of 200 pages of a disk cannot be read."""
    failed = []
    with liblinux.Kernel(clock="virtual", seed=1) as kernel:
        disk = kernel.attach(bytearray(MIB))
        fd = kernel.os.open(disk.path, os.O_RDONLY)
        kernel.syscall("fadvise64", fd, 0, 0, RANDOM)
        with kernel.inject(seed, read_error=0.5) as host:
            for page in range(200):
                try:
                    kernel.os.pread(fd, 10, page * 4 * KIB)
                except OSError as error:
                    assert error.errno == errno.EIO
                    failed.append(page)
        return failed, host.counts


def test_a_seed_repeats_it() -> None:
    failed, counts = failing_reads(1)
    assert 5 <= len(failed) <= 150  # the kernel tries a page more than once
    assert counts.read_errors >= len(failed)
    assert counts == liblinux.Injected(counts.read_errors, 0, 0, 0, 0, 0)
    assert failing_reads(1) == (failed, counts)
    assert failing_reads(2) != (failed, counts)


def test_nothing_fails_before_and_after(kernel: liblinux.Kernel) -> None:
    disk = kernel.attach(bytearray(MIB))
    fd = kernel.os.open(disk.path, os.O_RDWR)
    host = kernel.inject(read_error=1, write_error=1, flush_error=1)
    assert kernel.os.pread(fd, 4, 0) == bytes(4)
    with host:
        with pytest.raises(OSError) as caught:
            kernel.os.pread(fd, 4, 512 * KIB)
        assert caught.value.errno == errno.EIO
        kernel.os.pwrite(fd, b"text", 0)
        with pytest.raises(OSError) as caught:
            kernel.os.fsync(fd)
        assert caught.value.errno == errno.EIO
    assert host.counts.read_errors > 0
    assert host.counts.write_errors > 0
    assert kernel.os.pread(fd, 4, 512 * KIB) == bytes(4)
    kernel.os.pwrite(fd, b"text", 0)
    kernel.os.fsync(fd)
    assert host.counts == host.counts


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.ETIMEDOUT])
def test_other_errors(kernel: liblinux.Kernel, number: int) -> None:
    """A direct write says which; a buffered one is told of EIO in any case."""
    disk = kernel.attach(bytearray(MIB))
    fd = kernel.os.open(disk.path, os.O_RDWR)
    direct = kernel.os.open(disk.path, os.O_RDWR | os.O_DIRECT)
    page = kernel.mmap(None, 4 * KIB)
    page[0] = 1  # O_DIRECT takes what has been touched
    kernel.os.pwrite(fd, b"text", 64 * KIB)
    with kernel.inject(write_error=1, errno=number):
        with pytest.raises(OSError) as caught:
            kernel.os.pwrite(direct, page, 0)
        assert caught.value.errno == number
        with pytest.raises(OSError) as caught:
            kernel.os.fsync(fd)
        assert caught.value.errno == errno.EIO
    page.release()


def test_a_torn_write(kernel: liblinux.Kernel) -> None:
    """Some of its sectors are there, from the first one on; the rest is what was there before."""
    memory = bytearray(MIB)
    disk = kernel.attach(memory)
    fd = kernel.os.open(disk.path, os.O_RDWR)
    kernel.os.pwrite(fd, b"x" * 256 * KIB, 0)
    with kernel.inject(3, torn_write=1) as host, pytest.raises(OSError) as caught:
        kernel.os.fsync(fd)
    assert caught.value.errno == errno.EIO
    assert host.counts.torn_writes > 0
    sectors = [bytes(memory[at : at + 512]) for at in range(0, 256 * KIB, 512)]
    assert set(sectors) == {b"x" * 512, bytes(512)}


def test_flushes_fail(kernel: liblinux.Kernel, images: Images) -> None:
    """A file system that cannot commit stops being written to; that is not the end of the kernel."""
    kernel.mount(kernel.attach(images.ext4()), "/mnt")
    fd = kernel.os.open("/mnt/file", os.O_RDWR | os.O_CREAT)
    kernel.os.write(fd, bytes(64 * KIB))
    with kernel.inject(flush_error=1) as host, pytest.raises(OSError) as caught:
        kernel.os.fsync(fd)
    kernel.os.close(fd)
    assert caught.value.errno == errno.EIO
    assert host.counts.flush_errors > 0
    with pytest.raises(OSError) as refused:
        kernel.os.mkdir("/mnt/directory")
    assert refused.value.errno == errno.EROFS
    assert kernel.dead is None
    kernel.umount("/mnt")


@pytest.mark.parametrize("seed", range(6))
def test_a_file_system_on_a_bad_disk(images: Images, seed: int) -> None:
    """Everything at once: whatever comes is an exception, and another kernel reads the image afterwards."""
    image = images.ext4()
    refused = 0
    with liblinux.Kernel(clock="virtual", seed=seed) as kernel:
        kernel.mount(kernel.attach(image, overlay=True), "/mnt", options="errors=continue")
        with kernel.inject(seed, read_error=0.02, write_error=0.05, torn_write=0.05, flush_error=0.05) as host:
            for number in range(300):
                try:
                    fd = kernel.os.open(f"/mnt/{number}", os.O_RDWR | os.O_CREAT)
                    try:
                        kernel.os.write(fd, os.urandom(8 * KIB))
                        if number % 10 == 0:
                            kernel.os.fsync(fd)
                    finally:
                        kernel.os.close(fd)
                except OSError as error:
                    assert error.errno in {errno.EIO, errno.EROFS, errno.ENOSPC, errno.EUCLEAN}
                    refused += 1
        assert refused > 0
        assert sum((host.counts.write_errors, host.counts.torn_writes, host.counts.flush_errors)) > 0
        assert kernel.dead is None
        kernel.syscall("umount2", "/mnt", 2)  # without the library's own syncfs, which says the errors again
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(image, overlay=True), "/mnt")
        assert kernel.os.stat("/mnt/hello.txt").st_size


def test_memory_that_cannot_be_mapped(kernel: liblinux.Kernel) -> None:
    """Kernel mappings fail now and then: an error, or a kernel that dies of it, as an exception."""
    errors = 0
    with kernel.inject(5, alias_failure=0.3) as host:
        for _ in range(200):
            try:
                reading, writing = kernel.os.pipe()
                kernel.mmap(None, 64 * KIB)[0] = 1
                kernel.os.close(reading)
                kernel.os.close(writing)
            except (OSError, liblinux.KernelPanic):
                errors += 1
                break
    assert host.counts.alias_failures > 0
    with liblinux.Kernel() as other:
        assert other.os.uname().sysname == "Linux"


def test_the_clock_jumps(kernel: liblinux.Kernel) -> None:
    """Only ahead, and timers go with it; sleeping is not shorter for the host than it is for the kernel."""
    before = kernel.now()
    with kernel.inject(7, clock_jump=0.01, jump_seconds=1000) as host:
        readings = [before]
        for _ in range(1000):
            kernel.syscall("clock_gettime", 1, bytearray(16))
            readings.append(kernel.now())
    assert readings == sorted(readings)
    assert host.counts.clock_jumps > 0
    assert readings[-1] - before > 60 * 10**9
    # What has jumped stays ahead, and goes on at the ordinary pace.
    started, kernel_started = time.monotonic(), kernel.now()
    kernel.syscall("nanosleep", struct.pack("=qq", 0, 50 * 10**6), None)
    assert 0.04 < time.monotonic() - started < LONG_SECONDS
    assert 50 * 10**6 <= kernel.now() - kernel_started < LONG_SECONDS * 10**9


@pytest.mark.parametrize(
    "options", [{"read_error": 2}, {"write_error": -0.1}, {"jump_seconds": -1}, {"errno": 9999}], ids=str
)
def test_impossible_schedules(kernel: liblinux.Kernel, options: dict[str, float]) -> None:
    with pytest.raises(ValueError):
        kernel.inject(**options)  # type: ignore[arg-type]  # that is what is tested
