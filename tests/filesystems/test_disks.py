"""Disks with file systems on them: partitions, journals left behind, several mounts, kernels closed in the middle."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
from formats import FORMATS, Format
from images import copy, fingerprint
from quiet import quiet_kernel
from trees import MIB

import liblinux
from conftest import ENVIRONMENT, Images, run

BY_NAME = {format.name: format for format in FORMATS}
# Those that promise that a file is there after fsync() and a crash, and mend themselves when mounted.
JOURNALLED = [BY_NAME[name] for name in ("ext3", "ext4", "xfs", "btrfs", "f2fs", "nilfs2")]
NOISE = bytes(range(256)) * 2000


def attach(kernel: liblinux.Kernel, image: Path, format: Format, **how: bool) -> liblinux.Disk:
    return kernel.attach(image, sector_size=format.sector_size, **how)


# ---- partitions --------------------------------------------------------------


@pytest.mark.parametrize("table", ["gpt", "dos"])
def test_every_partition_holds_its_own_file_system(table: str, images: Images) -> None:
    formats = [BY_NAME[name] for name in ("ext4", "fat16", "minix3", "f2fs")]
    parts = [format.image(images.directory / f"{format}.part") for format in formats]
    image = images.partitioned(table, parts)
    with quiet_kernel() as kernel:
        disk = kernel.attach(image)
        assert [partition.type for partition in disk.partitions] == [format.type for format in formats]
        for number, format in enumerate(formats, 1):
            with kernel.mount(disk, f"/mnt/{number}", partition=number) as mount:
                assert (mount.type, mount.source) == (format.type, f"{disk.path}{number}")
                with kernel.open(f"/mnt/{number}/file", "wb") as file:
                    file.write(NOISE + bytes([number]))
        found = disk.partitions
    whole = image.read_bytes()
    for number, (format, partition) in enumerate(zip(formats, found, strict=True), 1):
        cut = images.directory / f"{number}.cut"
        cut.write_bytes(whole[partition.start : partition.start + partition.size])
        format.check(cut)
    with quiet_kernel() as kernel:
        disk = kernel.attach(image, readonly=True)
        for number in range(1, len(formats) + 1):
            with kernel.mount(disk, "/mnt", partition=number), kernel.open("/mnt/file", "rb") as file:
                assert file.read() == NOISE + bytes([number])


def test_logical_partitions(images: Images) -> None:
    """An extended partition in an MBR: its logical partitions are numbered from 5."""
    image = images.empty(size=64 * MIB)
    script = (
        "label: dos\nstart=2048, size=32768\nstart=34816, type=5\nstart=36864, size=32768\nstart=71680, size=49152\n"
    )
    subprocess.run(["sfdisk", "-q", image], input=script, text=True, env=ENVIRONMENT, check=True, capture_output=True)
    part = BY_NAME["minix2"].image(images.directory / "part")
    with image.open("r+b") as file:
        file.seek(71680 * 512)
        file.write(part.read_bytes())
    with quiet_kernel() as kernel:
        disk = kernel.attach(image)
        assert [partition.number for partition in disk.partitions] == [1, 2, 5, 6]
        with kernel.mount(disk, "/mnt") as mount:
            assert (mount.type, mount.source) == ("minix", f"{disk.path}6")


def test_a_hybrid_disc_has_an_hfsplus_partition(images: Images) -> None:
    """xorriso's discs for Macs: ISO 9660 as a whole, HFS+ (read-only) in a partition of an Apple map."""
    tree = images.directory / "tree"
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "data.bin").write_bytes(NOISE)
    image = images.directory / "hybrid.iso"
    run("xorriso", "-as", "mkisofs", "-quiet", "-hfsplus", "-o", image, tree)
    with liblinux.Kernel() as kernel:
        disk = kernel.attach(image, readonly=True)
        (number,) = (partition.number for partition in disk.partitions if partition.type == "hfsplus")
        for partition, type in ((None, "iso9660"), (number, "hfsplus")):
            with kernel.mount(disk, "/mnt", partition=partition) as mount:
                assert mount.type == type
                with kernel.open("/mnt/sub/data.bin", "rb") as file:
                    assert file.read() == NOISE


def test_three_kinds_of_names_on_one_disc(images: Images) -> None:
    """Rock Ridge, Joliet, and the plain names of ISO 9660."""
    tree = images.directory / "tree"
    tree.mkdir()
    (tree / "Mixed Case-Größe.text").write_text("content")
    image = images.directory / "disc.iso"
    run("xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-o", image, tree)
    with quiet_kernel() as kernel:
        disk = kernel.attach(image, readonly=True)
        names = {}
        for options in ("", "norock", "norock,nojoliet"):
            with kernel.mount(disk, "/mnt", options=options):
                (names[options],) = kernel.os.listdir("/mnt")
                with kernel.open(f"/mnt/{names[options]}") as file:
                    assert file.read() == "content"
    assert names[""] == names["norock"] == "Mixed Case-Größe.text"
    assert names["norock,nojoliet"].isascii()
    assert names["norock,nojoliet"].startswith("mixed_ca.")


# ---- journals ----------------------------------------------------------------


def crashed(format: Format, images: Images) -> Path:
    """An image as a machine leaves it that loses its power right after fsync()."""
    image = format.image(images.directory / "running.img")
    left = images.directory / "crashed.img"
    with liblinux.Kernel("128M") as kernel:
        kernel.mount(attach(kernel, image, format), "/mnt", options=format.options)
        kernel.os.mkdir("/mnt/sub")
        fd = kernel.os.open("/mnt/sub/file", os.O_CREAT | os.O_WRONLY, 0o644)
        kernel.os.write(fd, NOISE)
        kernel.os.fsync(fd)
        copy(image, left)
    return left


@pytest.mark.parametrize("format", JOURNALLED, ids=str)
def test_what_was_synced_survives_a_crash(format: Format, images: Images) -> None:
    image = crashed(format, images)
    with quiet_kernel(f"{format.remarks}|recover|replay|rolling back|mounting unchecked fs") as kernel:
        kernel.mount(attach(kernel, image, format), "/mnt", options=format.options)
        with kernel.open("/mnt/sub/file", "rb") as file:
            assert file.read() == NOISE
        with kernel.open("/mnt/after", "w") as file:
            file.write("it goes on")
        kernel.umount("/mnt")
    format.check(image)


@pytest.mark.parametrize("format", JOURNALLED, ids=str)
def test_a_journal_is_replayed_in_memory_only(format: Format, images: Images) -> None:
    """overlay=True shows the state after recovery; the image keeps every byte."""
    image = crashed(format, images)
    before = fingerprint(image)
    with liblinux.Kernel("128M") as kernel:
        disk = attach(kernel, image, format, overlay=True)
        with kernel.mount(disk, "/mnt", options=format.options):
            with kernel.open("/mnt/sub/file", "rb") as file:
                assert file.read() == NOISE
            kernel.os.unlink("/mnt/sub/file")
        assert disk.changes() > 0
    assert fingerprint(image) == before


def test_a_dirty_journal_on_a_read_only_disk_is_refused(images: Images) -> None:
    image = crashed(BY_NAME["ext4"], images)
    assert "needs_recovery" in run("dumpe2fs", "-h", image)
    with liblinux.Kernel() as kernel:
        disk = kernel.attach(image, readonly=True)
        with pytest.raises(liblinux.MountError, match="overlay=True") as caught:
            kernel.mount(disk, "/mnt")
        assert caught.value.errno == errno.EROFS
        with kernel.mount(disk, "/mnt", options="noload") as mount:
            assert mount.readonly


# ---- several at once, and the end --------------------------------------------


def test_one_disk_mounted_twice_is_one_file_system(images: Images) -> None:
    image = images.ext4()
    with quiet_kernel() as kernel:
        disk = kernel.attach(image)
        first, second = (kernel.mount(disk, target) for target in ("/mnt/first", "/mnt/second"))
        with kernel.open("/mnt/first/new", "w") as file:
            file.write("seen at once")
        with kernel.open("/mnt/second/new") as file:
            assert file.read() == "seen at once"
        assert kernel.os.stat("/mnt/first").st_dev == kernel.os.stat("/mnt/second").st_dev
        first.umount()
        with pytest.raises(OSError) as caught:
            disk.detach()
        assert caught.value.errno == errno.EBUSY
        kernel.os.unlink("/mnt/second/new")
        second.umount()
        disk.detach()
    BY_NAME["ext4"].check(image)


def test_two_kernels_read_one_image(images: Images) -> None:
    image = images.ext4()
    with quiet_kernel() as one, quiet_kernel() as two:
        for kernel in (one, two):
            kernel.mount(kernel.attach(image, readonly=True), "/mnt")
        for kernel in (one, two):
            with kernel.open("/mnt/hello.txt") as file:
                assert file.read() == "hello from the image\n"


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_closing_the_kernel_unmounts(format: Format, images: Images) -> None:
    """No umount(), a file still open and written to: closing a kernel is graceful."""
    image = format.image(images.directory / "disk.img")
    with quiet_kernel(format.remarks) as kernel:
        kernel.mount(attach(kernel, image, format), "/mnt", options=format.options)
        with kernel.open("/mnt/file", "wb") as file:
            file.write(NOISE)
        fd = kernel.os.open("/mnt/open", os.O_CREAT | os.O_WRONLY, 0o644)
        kernel.os.write(fd, NOISE)
    if format.name != "hfs":  # its check looks for the whole tree
        format.check(image)
    with quiet_kernel(format.remarks) as kernel:
        kernel.mount(attach(kernel, image, format, readonly=True), "/mnt")
        for name in ("file", "open"):
            with kernel.open(f"/mnt/{name}", "rb") as file:
                assert file.read() == NOISE
