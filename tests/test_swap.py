"""Memory under pressure: swap on a disk, on a file, and on compressed memory; limits of tmpfs; memfd."""

from __future__ import annotations

import errno
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

import liblinux
from conftest import MIB, Images, e2fsck, run

PAGE = 4096
MEMORY = 48 * MIB
SWAP = 64 * MIB
USED = 60 * MIB


@pytest.fixture
def kernel() -> Iterator[liblinux.Kernel]:
    """Little memory, of which more may be promised than there is."""
    with liblinux.Kernel(memory=MEMORY) as booted:
        booted.sysctl["vm.overcommit_memory"] = 1
        yield booted


def make_swap(path: Path) -> Path:
    with path.open("wb") as file:
        file.truncate(SWAP)
    run("mkswap", "-q", path)
    return path


def statistics(kernel: liblinux.Kernel, file: str) -> dict[str, int]:
    with kernel.open(f"/proc/{file}") as opened:
        return {name: int(value) for name, value in re.findall(r"^(\w+):? +(\d+)", opened.read(), re.MULTILINE)}


def mark(page: int) -> bytes:
    return struct.pack("=QQ", page, page * 0x9E3779B97F4A7C15 & (1 << 64) - 1)


def use_more_than_there_is(kernel: liblinux.Kernel) -> None:
    """Fill anonymous memory, more than the kernel has, and find all of it again."""
    before = statistics(kernel, "vmstat")
    view = kernel.mmap(None, USED)
    for page in range(USED // PAGE):
        view[page * PAGE : page * PAGE + 16] = mark(page)
    assert statistics(kernel, "meminfo")["SwapFree"] << 10 < SWAP - (USED - MEMORY)
    for page in range(USED // PAGE):
        assert view[page * PAGE : page * PAGE + 16] == mark(page)
    after = statistics(kernel, "vmstat")
    assert (after["pswpout"] - before["pswpout"]) * PAGE > USED - MEMORY
    assert (after["pswpin"] - before["pswpin"]) * PAGE > USED - MEMORY
    view.release()


def test_swap_on_a_disk(kernel: liblinux.Kernel, tmp_path: Path) -> None:
    disk = kernel.attach(make_swap(tmp_path / "swap.img"))
    kernel.syscall("swapon", disk.path, 0)
    assert statistics(kernel, "meminfo")["SwapTotal"] << 10 == SWAP - PAGE
    use_more_than_there_is(kernel)
    kernel.syscall("swapoff", disk.path)
    assert statistics(kernel, "meminfo")["SwapTotal"] == 0
    disk.detach()


def test_swap_on_a_file(kernel: liblinux.Kernel, images: Images) -> None:
    """A swap file on ext4: without holes, or it is refused."""
    image = images.ext4(size=96 * MIB)
    swap = make_swap(images.directory / "swap").read_bytes()
    with kernel.attach(image) as disk, kernel.mount(disk, "/mnt"):
        with kernel.open("/mnt/swap", "wb") as file:
            file.write(swap[:PAGE])
            file.truncate(SWAP)
        with pytest.raises(OSError) as caught:
            kernel.syscall("swapon", "/mnt/swap", 0)
        assert caught.value.errno == errno.EINVAL
        with kernel.open("/mnt/swap", "wb") as file:
            file.write(swap)
        kernel.syscall("swapon", "/mnt/swap", 0)
        use_more_than_there_is(kernel)
        kernel.syscall("swapoff", "/mnt/swap")
        kernel.os.unlink("/mnt/swap")
    e2fsck(image)


def test_swap_on_zram(kernel: liblinux.Kernel, tmp_path: Path) -> None:
    """Nearly empty pages are compressed in memory."""
    with kernel.open("/sys/class/zram-control/hot_add") as file:
        name = f"zram{int(file.read())}"
    with kernel.open(f"/sys/block/{name}/disksize", "w") as file:
        file.write(str(SWAP))
    header = make_swap(tmp_path / "swap.img").read_bytes()[:PAGE]
    with kernel.open(f"/dev/{name}", "r+b", buffering=0) as device:
        device.write(header)
    kernel.syscall("swapon", f"/dev/{name}", 0)
    use_more_than_there_is(kernel)
    kernel.syscall("swapoff", f"/dev/{name}")


def test_what_is_no_swap_space(kernel: liblinux.Kernel) -> None:
    disk = kernel.attach(bytearray(MIB))
    with pytest.raises(OSError) as caught:
        kernel.syscall("swapon", disk.path, 0)
    assert caught.value.errno == errno.EINVAL


def test_without_swap_promises_are_kept() -> None:
    """The default: memory that is not there is not promised."""
    with liblinux.Kernel(memory=MEMORY) as kernel:
        with pytest.raises(OSError) as caught:
            kernel.mmap(None, USED)
        assert caught.value.errno == errno.ENOMEM
        assert kernel.os.getpid() == 1


# ---- tmpfs and memfd ---------------------------------------------------------


def test_tmpfs_size(kernel: liblinux.Kernel) -> None:
    kernel.mount(None, "/small", type="tmpfs", options="size=1m")
    assert kernel.os.statvfs("/small").f_blocks * PAGE == MIB
    fd = kernel.os.open("/small/file", os.O_WRONLY | os.O_CREAT)
    written = sum(kernel.os.write(fd, bytes(64 << 10)) for _ in range(16))
    assert written == MIB
    with pytest.raises(OSError) as caught:
        kernel.os.write(fd, b"x")
    assert caught.value.errno == errno.ENOSPC
    kernel.os.ftruncate(fd, MIB // 2)
    assert kernel.os.pwrite(fd, b"x", 0) == 1
    kernel.os.close(fd)
    kernel.mount(None, "/small", type="tmpfs", options="remount,size=2m")
    assert kernel.os.statvfs("/small").f_blocks * PAGE == 2 * MIB


def test_tmpfs_number_of_files(kernel: liblinux.Kernel) -> None:
    kernel.mount(None, "/few", type="tmpfs", options="nr_inodes=10")
    with pytest.raises(OSError) as caught:
        for number in range(11):
            kernel.os.mkdir(f"/few/{number}")
    assert caught.value.errno == errno.ENOSPC
    assert len(kernel.os.listdir("/few")) == 9  # the top is one of the ten
    kernel.os.rmdir("/few/0")
    kernel.os.mkdir("/few/again")


def test_tmpfs_attributes(kernel: liblinux.Kernel) -> None:
    kernel.mount(None, "/owned", type="tmpfs", options="mode=0750,uid=5,gid=6")
    status = kernel.os.stat("/owned")
    assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (0o750, 5, 6)
    kernel.os.setxattr("/owned", "trusted.name", b"value")
    assert kernel.os.getxattr("/owned", "trusted.name") == b"value"


def test_memfd_is_mapped_and_sealed(kernel: liblinux.Kernel) -> None:
    fd = kernel.os.memfd_create("memory", os.MFD_ALLOW_SEALING)
    kernel.os.ftruncate(fd, 4 * PAGE)
    with kernel.mapping(fd) as mapping:
        mapping.view[PAGE] = 9
        assert kernel.os.pread(fd, 1, PAGE) == b"\x09"
        with pytest.raises(OSError) as caught:
            kernel.syscall("fcntl", fd, 1033, 8)  # F_ADD_SEALS, F_SEAL_WRITE
        assert caught.value.errno == errno.EBUSY
    kernel.syscall("fcntl", fd, 1033, 8)
    with pytest.raises(PermissionError):
        kernel.os.write(fd, b"x")
    kernel.os.close(fd)
