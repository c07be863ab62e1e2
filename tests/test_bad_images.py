"""Images that cannot be attached or mounted: the exception one expects, with advice, and an untouched image."""

from __future__ import annotations

import errno
import io
import os
import random
import socket
from pathlib import Path
from typing import Any

import pytest

import liblinux
from conftest import MIB, Images, run


def test_missing_image(kernel: liblinux.Kernel, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        kernel.attach(tmp_path / "missing.img")
    assert caught.value.filename == str(tmp_path / "missing.img")


@pytest.mark.parametrize("readonly", [False, True])
def test_directory(kernel: liblinux.Kernel, tmp_path: Path, readonly: bool) -> None:
    with pytest.raises(IsADirectoryError):
        kernel.attach(tmp_path, readonly=readonly)


def test_empty_file(kernel: liblinux.Kernel, images: Images) -> None:
    with pytest.raises(ValueError, match="empty"):
        kernel.attach(images.empty(size=0))
    for nothing in (b"", bytearray(), io.BytesIO()):
        with pytest.raises(ValueError, match="empty"):
            kernel.attach(nothing)


def test_half_a_sector(kernel: liblinux.Kernel, images: Images) -> None:
    with pytest.raises(ValueError, match="multiple of the sector size"):
        kernel.attach(images.empty(size=1000))
    with pytest.raises(ValueError, match="multiple of the sector size"):
        kernel.attach(images.empty(size=512 * 9), sector_size=4096)


def test_truncated_image(kernel: liblinux.Kernel, images: Images) -> None:
    """The super block promises more than there is."""
    image = images.ext4()
    os.truncate(image, 16 * MIB)
    before = image.read_bytes()
    with pytest.raises(liblinux.MountError) as caught:
        kernel.mount(kernel.attach(image), "/mnt")
    assert caught.value.errno == errno.EINVAL
    assert caught.value.types[0] == "ext4"
    assert any("bad geometry" in record.text for record in caught.value.log)
    assert "bad geometry" in str(caught.value)
    assert "liblinux fsck" in str(caught.value)
    assert image.read_bytes() == before


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes(kernel: liblinux.Kernel, images: Images, seed: int) -> None:
    image = images.empty(size=4 * MIB)
    image.write_bytes(random.Random(seed).randbytes(4 * MIB))
    before = image.read_bytes()
    with pytest.raises(liblinux.MountError) as caught:
        kernel.mount(kernel.attach(image), "/mnt")
    assert caught.value.errno == errno.EINVAL
    assert "ext4" in caught.value.types
    assert image.read_bytes() == before
    assert kernel.os.listdir("/mnt") == []


def test_zeros(kernel: liblinux.Kernel, images: Images) -> None:
    with pytest.raises(liblinux.MountError, match="no known file system"):
        kernel.mount(kernel.attach(images.empty()), "/mnt")


@pytest.mark.parametrize("seed", range(5))
def test_damaged_image(images: Images, seed: int) -> None:
    """A flipped file system is mounted or refused, read or an error; never more than an OSError."""
    image = images.ext4()
    data = bytearray(image.read_bytes())
    generator = random.Random(seed)
    for _ in range(2000):
        data[generator.randrange(1024, 2 * MIB)] = generator.randrange(256)
    with liblinux.Kernel() as kernel:
        try:
            kernel.mount(kernel.attach(bytes(data), overlay=True), "/mnt")
            for entry in kernel.os.scantree("/mnt", onerror=lambda error: None):
                if entry.is_file(follow_symlinks=False):
                    with kernel.open(entry.path, "rb") as file:
                        file.read()
        except OSError as error:
            assert error.errno
        assert kernel.os.getpid() == 1


def test_unknown_file_system(kernel: liblinux.Kernel, images: Images) -> None:
    with pytest.raises(liblinux.MountError) as caught:
        kernel.mount(kernel.attach(images.ext4()), "/mnt", type="bananafs")
    assert caught.value.errno == errno.ENODEV
    assert "bananafs" in str(caught.value)


def test_wrong_type(kernel: liblinux.Kernel, images: Images) -> None:
    with pytest.raises(liblinux.MountError) as caught:
        kernel.mount(kernel.attach(images.ext4()), "/mnt", type="xfs")
    assert caught.value.errno == errno.EINVAL
    assert caught.value.types == ("xfs",)
    assert "looks like ext4" in str(caught.value)


def test_unknown_option(kernel: liblinux.Kernel, images: Images) -> None:
    with pytest.raises(liblinux.MountError, match="banana") as caught:
        kernel.mount(kernel.attach(images.ext4()), "/mnt", type="ext4", options="noatime,banana=1")
    assert caught.value.errno == errno.EINVAL
    assert any("banana" in record.text for record in caught.value.log)


def test_unknown_option_of_a_type_that_is_guessed(kernel: liblinux.Kernel, images: Images) -> None:
    """A boot sector proves nothing, so that other types are tried; what is told is what the likely one said."""
    image = images.empty()
    run("mkfs.fat", image)
    with pytest.raises(liblinux.MountError) as caught:
        kernel.mount(kernel.attach(image), "/mnt", options="banana=1")
    assert caught.value.types[0] == "vfat"
    assert len(caught.value.types) > 10
    assert "banana" in str(caught.value)
    assert not [record.text for record in caught.value.log if "xfs" in record.text or "erofs" in record.text]


@pytest.mark.parametrize(
    ("offset", "magic", "said"),
    [
        (0, b"LUKS\xba\xbe", r"crypto_LUKS(.|\n)*passphrase="),
        (512, b"LABELONE", r"LVM2_member(.|\n)*volume="),
        (4086, b"SWAPSPACE2", "swap, which is not a file system"),
    ],
    ids=["LUKS", "LVM", "swap"],
)
def test_what_is_no_file_system(kernel: liblinux.Kernel, offset: int, magic: bytes, said: str) -> None:
    data = bytearray(MIB)
    data[offset : offset + len(magic)] = magic
    with pytest.raises(liblinux.MountError, match=said):
        kernel.mount(kernel.attach(data), "/mnt")


def test_image_without_permission(kernel: liblinux.Kernel, as_nobody: None) -> None:
    with pytest.raises(PermissionError):
        kernel.attach("/etc/shadow")
    with pytest.raises(PermissionError):
        kernel.attach("/etc/shadow", readonly=True)


def test_readonly_image_opened_for_writing(
    kernel: liblinux.Kernel, images: Images, request: pytest.FixtureRequest
) -> None:
    image = images.ext4()
    image.chmod(0o444)
    for directory in (image.parent, *image.parent.parents):
        if directory.stat().st_uid == os.getuid() and directory != Path("/"):
            directory.chmod(directory.stat().st_mode | 0o055)
    request.getfixturevalue("as_nobody")
    with pytest.raises(PermissionError):
        kernel.attach(image)
    assert kernel.mount(kernel.attach(image, readonly=True), "/mnt").readonly
    assert not kernel.mount(kernel.attach(image, overlay=True), "/over").readonly


def test_file_object_opened_for_reading(kernel: liblinux.Kernel, images: Images) -> None:
    with images.ext4().open("rb") as file:
        with pytest.raises(PermissionError, match="readonly=True"):
            kernel.attach(file)
        kernel.mount(kernel.attach(file, readonly=True), "/mnt")
        assert "hello.txt" in kernel.os.listdir("/mnt")
        kernel.umount("/mnt")


def test_things_that_are_no_disk(kernel: liblinux.Kernel, tmp_path: Path) -> None:
    for thing in (None, 5, 1.5, ["disk.img"], object()):
        with pytest.raises(TypeError, match="disk"):
            kernel.attach(thing)
    with pytest.raises(TypeError, match="binary"):
        kernel.attach(io.StringIO("text"))
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in ("/dev/null", "/dev/zero", str(fifo)):
        with pytest.raises(OSError) as caught:
            kernel.attach(path)
        assert caught.value.errno == errno.ENOTBLK
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(OSError) as caught:
            kernel.attach(tmp_path / "socket")
        assert caught.value.errno == errno.ENOTBLK


def test_wrong_partition_number(kernel: liblinux.Kernel, images: Images) -> None:
    disk = kernel.attach(images.partitioned("gpt", [images.ext4("part.img", 8 * MIB)]))
    for number in (2, -1, 99):
        with pytest.raises(liblinux.MountError, match=f"no partition {number}") as caught:
            kernel.mount(disk, "/mnt", partition=number)
        assert caught.value.errno == errno.ENXIO
        assert [partition.number for partition in caught.value.partitions] == [1]
    whole = kernel.attach(images.ext4())
    with pytest.raises(liblinux.MountError, match="no partition table"):
        kernel.mount(whole, "/mnt", partition=1)
    with pytest.raises(ValueError, match="partition="):
        kernel.mount("/dev/lda1", "/mnt", partition=1)


def test_mounting_what_is_no_device(kernel: liblinux.Kernel) -> None:
    with pytest.raises(liblinux.MountError) as caught:
        kernel.mount("/dev/missing", "/mnt")
    assert caught.value.errno == errno.ENOENT
    with pytest.raises(liblinux.MountError) as caught:
        kernel.mount("/dev/null", "/mnt")
    assert caught.value.errno == errno.ENOTBLK


@pytest.mark.parametrize(
    "options",
    [
        {"type": "bananafs"},
        {"type": "xfs"},
        {"type": "ext4", "options": "banana"},
        {"type": "ext4", "options": "commit=-5"},
        {"partition": 1},
        {"target": "/mnt/\0"},
    ],
    ids=str,
)
def test_a_failed_mount_changes_nothing(kernel: liblinux.Kernel, images: Images, options: dict[str, Any]) -> None:
    """Whatever was wrong: the image is as it was, and mounts when it is asked for properly."""
    image = images.ext4()
    before = image.read_bytes()
    disk = kernel.attach(image)
    with pytest.raises((liblinux.MountError, ValueError)):
        kernel.mount(disk, **({"target": "/mnt"} | options))
    kernel.os.sync()
    assert image.read_bytes() == before
    kernel.mount(disk, "/mnt")
    assert "hello.txt" in kernel.os.listdir("/mnt")


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": 5},
        {"source": b"/dev/lda"},
        {"target": None},
        {"partition": 1.5},
        {"partition": True},
        {"type": 5},
        {"options": 5},
        {"options": ["ro"]},
    ],
    ids=str,
)
def test_mount_arguments_of_wrong_types(kernel: liblinux.Kernel, images: Images, wrong: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"source": kernel.attach(images.ext4()), "target": "/mnt"} | wrong
    with pytest.raises(TypeError, match=f"{next(iter(wrong))} of a mount must be"):
        kernel.mount(**arguments)
