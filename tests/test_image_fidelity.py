"""What fsspec has no words for: ACLs, whiteouts, sparse extents, quotas, owners and times, through `image.os`."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

import liblinux
from conftest import MIB, Images, e2fsck, run

# linux/posix_acl_xattr.h: version 2; user, named user 1234, group, mask, others.
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, permissions, who)
    for tag, permissions, who in (
        (1, 6, 0xFFFFFFFF), (2, 4, 1234), (4, 4, 0xFFFFFFFF), (16, 4, 0xFFFFFFFF), (32, 0, 0xFFFFFFFF),
    )
)  # fmt: skip
FIEMAP = struct.Struct("=QQIIII")
EXTENT = struct.Struct("=QQQ16xI12x")
FS_IOC_FIEMAP = 3 << 30 | FIEMAP.size << 16 | ord("f") << 8 | 11
Q_GETQUOTA = 0x800007 << 8
QUOTA = struct.Struct("=QQQQQQQQI4x")


@pytest.fixture
def path(images: Images) -> Path:
    image = images.ext4()
    run("tune2fs", "-O", "quota", image)  # mkfs.ext4 -d counts wrongly
    return image


@pytest.fixture(params=[False, True], ids=["in-process", "untrusted"])
def image(path: Path, request: pytest.FixtureRequest) -> Iterator[liblinux.ImageFileSystem]:
    with liblinux.open_image(path, "r+", untrusted=request.param) as opened:
        yield opened
    e2fsck(path)


def test_acls(image: liblinux.ImageFileSystem) -> None:
    image.os.setxattr("/hello.txt", "system.posix_acl_access", ACL)
    assert image.os.getxattr("/hello.txt", "system.posix_acl_access") == ACL
    assert stat.S_IMODE(image.info("/hello.txt")["mode"]) == 0o640  # the mask stands for the group
    named = image.kernel.process(uid=1234, gid=1234)
    assert named.os.access(f"{image.root}/hello.txt", os.R_OK)
    assert not image.kernel.process(uid=4321, gid=4321).os.access(f"{image.root}/hello.txt", os.R_OK)


def test_whiteouts(image: liblinux.ImageFileSystem) -> None:
    """overlayfs takes them for what they are, in the image too."""
    image.makedirs("/upper")
    image.os.mknod("/upper/data.bin", stat.S_IFCHR, os.makedev(0, 0))
    assert (image.info("/upper/data.bin")["type"], image.info("/upper/data.bin")["rdev"]) == ("other", 0)
    image.kernel.mount(None, "/merged", type="overlay", options=f"lowerdir={image.root}/upper:{image.root}/sub")
    assert image.kernel.os.listdir("/merged") == []


def test_sparse_extents(image: liblinux.ImageFileSystem) -> None:
    descriptor = image.os.open("/sparse", os.O_RDWR | os.O_CREAT)
    for start in (MIB, 5 * MIB):
        image.os.pwrite(descriptor, b"data" * 1024, start)
    image.os.ftruncate(descriptor, 8 * MIB)
    image.os.fsync(descriptor)
    assert image.os.lseek(descriptor, 0, os.SEEK_DATA) == MIB
    assert image.os.lseek(descriptor, MIB, os.SEEK_HOLE) == MIB + 4096
    argument = bytearray(FIEMAP.pack(0, 8 * MIB, 0, 0, 4, 0) + bytes(4 * EXTENT.size))
    image._process.syscall("ioctl", descriptor, FS_IOC_FIEMAP, argument)
    count = FIEMAP.unpack_from(argument)[3]
    extents = [EXTENT.unpack_from(argument, FIEMAP.size + number * EXTENT.size) for number in range(count)]
    assert [(logical, length) for logical, _, length, _ in extents] == [(MIB, 4096), (5 * MIB, 4096)]
    image.os.close(descriptor)
    with image.kernel.open(image.disk.path, "rb") as device:
        device.seek(extents[0][1])
        assert device.read(4096) == b"data" * 1024


def test_quotas(image: liblinux.ImageFileSystem) -> None:
    image.pipe("/mine", bytes(2 * MIB))
    image.os.chown("/mine", 1234, 1234)
    image.os.sync()
    quota = bytearray(QUOTA.size)
    image.kernel.syscall("quotactl", Q_GETQUOTA, image.disk.path, 1234, quota)
    _, _, space, _, _, inodes, *_ = QUOTA.unpack(quota)
    assert (space >= 2 * MIB, inodes) == (True, 1)


def test_owners_modes_times(image: liblinux.ImageFileSystem) -> None:
    image.os.chown("/hello.txt", 4_000_000_000, 70_000)
    image.os.chmod("/hello.txt", 0o6751)
    image.os.utime("/hello.txt", ns=(-1_000_000_001, 4_102_444_800_123_456_789))
    image.os.setxattr("/hello.txt", "security.selinux", b"system_u:object_r:etc_t:s0\0")
    status = image.os.stat("/hello.txt")
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (4_000_000_000, 70_000, 0o6751)
    assert (status.st_atime_ns, status.st_mtime_ns) == (-1_000_000_001, 4_102_444_800_123_456_789)
    assert image.os.getxattr("/hello.txt", "security.selinux") == b"system_u:object_r:etc_t:s0\0"
    image.os.link("/hello.txt", "/second")
    assert image.info("/second")["ino"] == image.info("/hello.txt")["ino"]


def test_as_debugfs_has_it(path: Path) -> None:
    with liblinux.open_image(path, "r+") as image:
        image.os.chown("/hello.txt", 70_000, 80_000)
        image.os.setxattr("/hello.txt", "system.posix_acl_access", ACL)
    said = run("debugfs", "-R", "stat /hello.txt", path)
    assert "User: 70000   Group: 80000" in said
    assert "system.posix_acl_access" in said
