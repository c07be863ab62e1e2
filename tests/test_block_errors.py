"""Block devices whose backing fails: what arrives where, and when."""

from __future__ import annotations

import errno
import io
import os

import pytest

import liblinux
from conftest import MIB, Images
from own_objects import OwnObject


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
