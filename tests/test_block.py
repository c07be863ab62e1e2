"""Block devices: what they can be made of, overlays, sectors, partitions and locks."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import liblinux
from conftest import MIB, Images, e2fsck
from own_objects import OwnObject

BACKINGS = ["path", "str", "bytearray", "memoryview", "BytesIO", "raw file", "buffered file", "own object"]


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
