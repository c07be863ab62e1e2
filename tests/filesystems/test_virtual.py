"""File systems without a disk: tmpfs, overlayfs, procfs and sysfs."""

from __future__ import annotations

import errno
from dataclasses import replace

import pytest
from formats import FORMATS, TMPFS_HAS_USER_XATTRS, Format
from images import fingerprint
from planting import churn, differences, read, write
from quiet import quiet_kernel
from trees import MIB, PLAN, Holds

import liblinux
from conftest import Images

LOWER = [format for format in FORMATS if format.name in ("ext4", "xfs", "btrfs", "f2fs")]


def test_tmpfs_holds_everything() -> None:
    holds = Holds(xattr_bytes=16_000)
    if not TMPFS_HAS_USER_XATTRS:
        holds = replace(holds, xattrs=("trusted.", "security."))
    with quiet_kernel() as kernel, kernel.mount(None, "/mnt", type="tmpfs", options="size=64M,noatime") as mount:
        churn(kernel.os, "/mnt/churn")
        write(kernel.os, "/mnt/tree", holds)
        different = differences(read(kernel.os, "/mnt/tree"), holds.find(PLAN))
        assert mount.type == "tmpfs"
    assert not different, "\n".join(different)


def test_tmpfs_keeps_its_limits(kernel: liblinux.Kernel) -> None:
    with kernel.mount(None, "/mnt", type="tmpfs", options="size=1M,nr_inodes=10,mode=0711,uid=7"):
        status = kernel.os.stat("/mnt")
        assert (status.st_mode & 0o7777, status.st_uid) == (0o711, 7)
        with pytest.raises(OSError) as caught, kernel.open("/mnt/large", "wb") as file:
            file.write(bytes(2 * MIB))
        assert caught.value.errno == errno.ENOSPC
        kernel.os.unlink("/mnt/large")
        with pytest.raises(OSError) as caught:
            for number in range(10):
                kernel.os.mkdir(f"/mnt/{number}")
        assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("format", LOWER, ids=str)
def test_overlayfs_over_a_read_only_image(format: Format, images: Images) -> None:
    """The tree below is seen through the overlay; changes go to the tmpfs above, none to the image."""
    image = format.image(images.directory / "lower.img")
    with quiet_kernel() as kernel, kernel.mount(kernel.attach(image), "/lower", options=format.options):
        write(kernel.os, "/lower/tree", format.holds)
    before = fingerprint(image)
    with quiet_kernel() as kernel:
        kernel.mount(kernel.attach(image, readonly=True), "/lower")
        kernel.mount(None, "/upper", type="tmpfs")
        kernel.os.mkdir("/upper/work")
        kernel.os.mkdir("/upper/files")
        options = "lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work"
        with kernel.mount("overlay", "/mnt", type="overlay", options=options):
            different = differences(read(kernel.os, "/mnt/tree"), format.holds.find(PLAN))
            assert not different, "\n".join(different)
            _change(kernel, "/mnt/tree")
            assert not kernel.os.path.exists("/mnt/tree/data/odd")
        assert kernel.os.path.exists("/lower/tree/data/odd")
        assert sorted(kernel.os.listdir("/upper/files/tree/data")) == ["new", "odd", "text"]
        assert kernel.os.stat("/upper/files/tree/data/odd").st_rdev == 0  # a whiteout
        if TMPFS_HAS_USER_XATTRS:
            assert kernel.os.getxattr("/upper/files/tree/set/xattrs", "user.short") == b"value"
        else:  # what the tmpfs cannot hold is lost on the way up
            assert "user.short" not in kernel.os.listxattr("/upper/files/tree/set/xattrs")
        with kernel.open("/lower/tree/data/text", "rb") as file:
            assert file.read(6) == b"a line"
    assert fingerprint(image) == before


def _change(kernel: liblinux.Kernel, tree: str) -> None:
    """One of each: a new file, a removed one, one written to, and one with another mode."""
    with kernel.open(f"{tree}/data/new", "w") as file:
        file.write("new")
    kernel.os.unlink(f"{tree}/data/odd")
    with kernel.open(f"{tree}/data/text", "r+") as file:
        file.write("changed")
    kernel.os.chmod(f"{tree}/set/xattrs", 0o600)


def test_an_overlay_can_be_written_below_again(kernel: liblinux.Kernel) -> None:
    """Three layers: the topmost name wins, an opaque directory hides those below."""
    for layer in ("low", "middle", "high", "work"):
        kernel.os.makedirs(f"/layers/{layer}/shared")
        with kernel.open(f"/layers/{layer}/{layer}", "w") as file:
            file.write(layer)
        with kernel.open(f"/layers/{layer}/shared/same", "w") as file:
            file.write(layer)
    kernel.mount(None, "/top", type="tmpfs")
    kernel.os.mkdir("/top/files")
    kernel.os.mkdir("/top/work")
    options = "lowerdir=/layers/high:/layers/middle:/layers/low,upperdir=/top/files,workdir=/top/work"
    with kernel.mount("overlay", "/mnt", type="overlay", options=options):
        assert sorted(kernel.os.listdir("/mnt")) == ["high", "low", "middle", "shared"]
        with kernel.open("/mnt/shared/same") as file:
            assert file.read() == "high"
        kernel.os.unlink("/mnt/shared/same")
        kernel.os.rmdir("/mnt/shared")
        kernel.os.mkdir("/mnt/shared")
        assert kernel.os.listdir("/mnt/shared") == []
    assert kernel.os.getxattr("/top/files/shared", "trusted.overlay.opaque") == b"y"


def test_procfs(kernel: liblinux.Kernel) -> None:
    with kernel.mount(None, "/mnt/proc", type="proc", options="hidepid=invisible") as mount:
        assert (mount.type, mount.source) == ("proc", "proc")
        with kernel.open("/mnt/proc/1/status") as file:
            fields = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        assert (fields["Pid"], fields["Uid"].split()) == ("1", ["0"] * 4)
        with kernel.open("/mnt/proc/meminfo") as file:
            total = int(file.readline().split()[1]) << 10
        assert kernel.memory // 2 < total <= kernel.memory
        assert kernel.os.readlink("/mnt/proc/self") == str(kernel.os.getpid())
        fd = kernel.os.open("/mnt", 0)
        assert kernel.os.readlink(f"/mnt/proc/self/fd/{fd}") == "/mnt"
        kernel.os.close(fd)
        with pytest.raises(PermissionError):
            kernel.os.unlink("/mnt/proc/meminfo")


def test_sysfs(kernel: liblinux.Kernel, images: Images) -> None:
    disk = kernel.attach(images.ext4(), readonly=True)
    with kernel.mount(None, "/mnt/sys", type="sysfs"):
        with kernel.open(f"/mnt/sys/block/{disk.name}/size") as file:
            assert int(file.read()) * 512 == disk.size
        with kernel.open(f"/mnt/sys/block/{disk.name}/ro") as file:
            assert file.read() == "1\n"
        with kernel.open(f"/mnt/sys/block/{disk.name}/queue/read_ahead_kb", "r+") as file:
            file.write("64")
        with kernel.open(f"/sys/block/{disk.name}/queue/read_ahead_kb") as file:
            assert file.read() == "64\n"
        with pytest.raises(OSError) as caught:
            kernel.os.mkdir("/mnt/sys/new")
        assert caught.value.errno == errno.EPERM
