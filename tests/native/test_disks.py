"""Disks of buffers, descriptors and objects."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from liblinux import _native
from native.kernels import MIB, SECTOR, Boot, open_disk
from native.source import Source


def test_a_disk_of_a_buffer(boot: Boot) -> None:
    kernel = boot()
    memory = bytearray(MIB)
    memory[:5] = b"hello"
    disk = kernel.attach_buffer(memory, SECTOR, readonly=False, overlay=False)
    assert (disk.name, disk.index, disk.size, disk.kernel) == ("lda", 0, MIB, kernel)
    with pytest.raises(BufferError):
        memory.append(0)
    fd = open_disk(kernel, disk.name)
    assert kernel.init.pread(fd, 5, 0) == b"hello"
    kernel.init.pwrite(fd, b"HELLO", 4096)
    kernel.init.syscall(kernel.syscalls["fsync"], fd)
    assert memory[4096:4101] == b"HELLO"
    with pytest.raises(OSError, match="busy") as caught:
        disk.detach()
    assert caught.value.errno == errno.EBUSY
    kernel.init.close(fd)
    disk.detach()
    memory.append(0)
    with pytest.raises(ValueError, match="detached"):
        disk.detach()


def test_an_overlay_leaves_the_source_alone(boot: Boot) -> None:
    kernel = boot()
    disk = kernel.attach_buffer(bytes(MIB), SECTOR, readonly=False, overlay=True)
    fd = open_disk(kernel, disk.name)
    kernel.init.pwrite(fd, b"changed", 0)
    kernel.init.syscall(kernel.syscalls["fsync"], fd)
    assert kernel.init.pread(fd, 7, 0) == b"changed"
    assert disk.changes() > 0
    kernel.init.close(fd)


def test_a_constant_buffer_cannot_be_written(shared: _native.Kernel) -> None:
    with pytest.raises(BufferError):
        shared.attach_buffer(bytes(MIB), SECTOR, readonly=False, overlay=False)
    with pytest.raises(TypeError, match="readonly"):
        shared.attach_buffer(bytes(MIB), SECTOR)  # type: ignore[call-arg]  # that is the test


def test_a_disk_of_a_descriptor(boot: Boot, tmp_path: Path) -> None:
    kernel = boot()
    path = tmp_path / "disk.img"
    path.write_bytes(b"file" + bytes(MIB - 4))
    with path.open("r+b") as file:
        disk = kernel.attach_fd(file.fileno(), MIB, SECTOR, readonly=False, overlay=False, rotating=True)
    fd = open_disk(kernel, disk.name)
    assert kernel.init.pread(fd, 4, 0) == b"file"
    kernel.init.pwrite(fd, b"FILE", 0)
    kernel.init.syscall(kernel.syscalls["fsync"], fd)
    assert path.read_bytes()[:4] == b"FILE"
    kernel.init.close(fd)
    disk.detach()
    with pytest.raises(OSError, match="descriptor"):
        kernel.attach_fd(-1, MIB, SECTOR, readonly=False, overlay=False)


def test_a_disk_that_python_serves(boot: Boot) -> None:
    kernel = boot()
    source = Source(MIB)
    source.data[:5] = b"hello"
    disk = kernel.attach_object(source, MIB, SECTOR, readonly=False, overlay=False)
    fd = open_disk(kernel, disk.name)
    assert kernel.init.pread(fd, 5, 0) == b"hello"
    kernel.init.pwrite(fd, b"x" * 8192, 65536)
    kernel.init.syscall(kernel.syscalls["fsync"], fd)
    assert source.data[65536:73728] == b"x" * 8192
    assert {"pread", "pwrite", "flush"} <= set(source.calls)
    assert disk.error() is None
    kernel.init.close(fd)


def test_the_exception_of_a_disk_is_the_cause(boot: Boot) -> None:
    kernel = boot()
    source = Source(MIB)
    disk = kernel.attach_object(source, MIB, SECTOR, readonly=True, overlay=False)
    fd = open_disk(kernel, disk.name, os.O_RDONLY)
    source.failure = ZeroDivisionError("broken")
    with pytest.raises(OSError, match="Input/output") as caught:
        kernel.init.pread(fd, SECTOR, MIB // 2)
    assert caught.value.__cause__ is source.failure
    assert disk.error() is None
    assert kernel.init.call(kernel.syscalls["pread64"], fd, bytearray(SECTOR), SECTOR, MIB // 2) == -errno.EIO
    assert disk.error() is source.failure
    assert disk.error() is None
    kernel.init.close(fd)


def test_ctrl_c_in_a_disk_reaches_the_caller(boot: Boot) -> None:
    kernel = boot()
    source = Source(MIB)
    disk = kernel.attach_object(source, MIB, SECTOR, readonly=True, overlay=False)
    fd = open_disk(kernel, disk.name, os.O_RDONLY)
    source.failure = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        kernel.init.pread(fd, SECTOR, MIB // 2)
    source.failure = None
    assert kernel.init.pread(fd, 4, MIB // 4) == bytes(4)
    kernel.init.close(fd)


def test_a_disk_must_not_call_its_kernel(boot: Boot) -> None:
    class Reentering(Source):
        def pread(self, offset: int, buffer: memoryview) -> None:
            if self.kernel is not None:
                self.kernel.init.getpid()
            super().pread(offset, buffer)

    kernel = boot()
    source = Reentering(MIB)
    disk = kernel.attach_object(source, MIB, SECTOR, readonly=True, overlay=False)
    fd = open_disk(kernel, disk.name, os.O_RDONLY)
    source.kernel = kernel
    with pytest.raises(OSError, match="Input/output") as caught:
        kernel.init.pread(fd, SECTOR, MIB // 2)
    assert isinstance(caught.value.__cause__, RuntimeError)
    source.kernel = None
    kernel.init.close(fd)


def test_resize(boot: Boot, tmp_path: Path) -> None:
    kernel = boot()
    path = tmp_path / "disk.img"
    path.write_bytes(bytes(2 * MIB))
    with path.open("r+b") as file:
        disk = kernel.attach_fd(file.fileno(), MIB, SECTOR, readonly=False, overlay=False)
    disk.resize(2 * MIB)
    assert disk.size == 2 * MIB
    fd = open_disk(kernel, disk.name)
    assert kernel.init.syscall(kernel.syscalls["lseek"], fd, 0, os.SEEK_END) == 2 * MIB
    kernel.init.close(fd)
    small = kernel.attach_buffer(bytearray(MIB), SECTOR, readonly=False, overlay=False)
    with pytest.raises(ValueError, match="buffer"):
        small.resize(2 * MIB)
