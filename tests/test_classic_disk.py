"""The classic disk tests of a kernel as a library, one by one."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

import pytest

import liblinux
from conftest import Images, e2fsck


@pytest.fixture
def disk(kernel: liblinux.Kernel, images: Images) -> liblinux.Disk:
    return kernel.attach(images.ext4())


@pytest.fixture
def mounted(kernel: liblinux.Kernel, disk: liblinux.Disk) -> Iterator[str]:
    with kernel.mount(disk, "/mnt/disk"):
        yield "/mnt/disk"


def test_add_disk(kernel: liblinux.Kernel, images: Images) -> None:
    image = images.ext4()
    disk = kernel.attach(image)
    assert disk.size == image.stat().st_size
    assert kernel.os.path.exists(disk.path)
    assert disk in kernel.disks


def test_start_kernel_with_disk(images: Images) -> None:
    image = images.ext4()
    with liblinux.Kernel() as kernel, kernel.attach(image) as disk:
        fd = kernel.os.open(disk.path, os.O_RDONLY)
        assert kernel.os.pread(fd, 4096, 0) == image.read_bytes()[:4096]
        kernel.os.close(fd)


def test_mount(kernel: liblinux.Kernel, disk: liblinux.Disk) -> None:
    mount = kernel.mount(disk, "/mnt/disk")
    assert (mount.type, mount.source, mount.readonly) == ("ext4", disk.path, False)
    with kernel.open("/proc/mounts") as mounts:
        assert f"{disk.path} /mnt/disk ext4 rw" in mounts.read()


def test_chdir(kernel: liblinux.Kernel, mounted: str) -> None:
    kernel.os.chdir(mounted)
    assert kernel.os.getcwd() == mounted
    assert kernel.os.path.exists("hello.txt")
    kernel.os.chdir("/")


def test_opendir(kernel: liblinux.Kernel, mounted: str) -> None:
    fd = kernel.os.open(mounted, os.O_RDONLY | os.O_DIRECTORY)
    assert fd >= 0
    kernel.os.close(fd)


def test_readdir(kernel: liblinux.Kernel, mounted: str) -> None:
    assert sorted(kernel.os.listdir(mounted)) == ["hello.txt", "lost+found", "sub"]


def test_closedir(kernel: liblinux.Kernel, mounted: str) -> None:
    fd = kernel.os.open(mounted, os.O_RDONLY | os.O_DIRECTORY)
    kernel.os.close(fd)
    with pytest.raises(OSError) as caught:
        kernel.os.close(fd)
    assert caught.value.errno == errno.EBADF


def test_unmount(kernel: liblinux.Kernel, disk: liblinux.Disk) -> None:
    kernel.mount(disk, "/mnt/disk")
    kernel.umount("/mnt/disk")
    assert kernel.os.listdir("/mnt/disk") == []


def test_stop_kernel_writes_back(images: Images) -> None:
    """Closing the kernel unmounts: what was written is in the image, which is clean."""
    image = images.ext4()
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(image), "/mnt")
        with kernel.open("/mnt/new", "w") as file:
            file.write("new content")
    e2fsck(image)
    with liblinux.Kernel() as kernel:
        kernel.mount(kernel.attach(image, readonly=True), "/mnt")
        with kernel.open("/mnt/new") as file:
            assert file.read() == "new content"


def test_remove_disk(kernel: liblinux.Kernel, disk: liblinux.Disk) -> None:
    disk.detach()
    assert not kernel.os.path.exists(f"/sys/block/{disk.name}")
    assert disk not in kernel.disks
    disk.detach()


def test_a_mounted_disk_is_not_removed(kernel: liblinux.Kernel, disk: liblinux.Disk, mounted: str) -> None:
    with pytest.raises(OSError) as caught:
        disk.detach()
    assert caught.value.errno == errno.EBUSY
    assert "hello.txt" in kernel.os.listdir(mounted)
