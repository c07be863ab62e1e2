"""Files beyond 4 GiB, where offsets no longer fit into 32 bits; and what happens where a format has none."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from formats import FORMATS, Format
from quiet import quiet_kernel

import liblinux
from conftest import Images

BY_NAME = {format.name: format for format in FORMATS}
FAR = (5 << 30) + 12_345
PIECE = bytes(range(256)) * 40
# Those that keep holes, so that a small image is enough. Minix has them as well, and does not tell.
SPARSE = [
    BY_NAME[name]
    for name in ("ext2", "ext3", "ext4", "ext4-4k-inline", "xfs", "btrfs", "f2fs", "jfs", "nilfs2", "udf-2048")
]
# The others end before that: FAT and HFS where 32 bits do, Minix with its blocks; those that fill holes with the disk.
LIMITED = [
    BY_NAME[name]
    for name in ("minix1", "minix2", "minix3", "fat12", "fat16", "fat32", "hfs", "exfat", "ntfs", "hfsplus")
]


@contextlib.contextmanager
def mounted(format: Format, image: Path, *, readonly: bool = False) -> Iterator[liblinux.Kernel]:
    """An image of that format, at /mnt."""
    with quiet_kernel(format.remarks) as kernel:
        kernel.mount(kernel.attach(image, readonly=readonly), "/mnt", options=format.options)
        yield kernel


@pytest.mark.parametrize("format", SPARSE, ids=str)
def test_a_file_beyond_four_gib(format: Format, images: Images) -> None:
    image = format.image(images.directory / "disk.img")
    with mounted(format, image) as kernel:
        fd = kernel.os.open("/mnt/large", os.O_CREAT | os.O_RDWR)
        assert kernel.os.pwrite(fd, PIECE, 0) == kernel.os.pwrite(fd, PIECE, FAR) == len(PIECE)
        kernel.os.close(fd)
    format.check(image)
    with mounted(format, image, readonly=True) as kernel:
        assert kernel.os.stat("/mnt/large").st_size == FAR + len(PIECE)
        fd = kernel.os.open("/mnt/large", os.O_RDONLY)
        for offset, data in ((0, PIECE), (len(PIECE), bytes(5000)), (1 << 32, bytes(5000)), (FAR, PIECE)):
            assert kernel.os.pread(fd, len(data), offset) == data
        assert kernel.os.pread(fd, 10, FAR + len(PIECE)) == b""
        kernel.os.close(fd)


@pytest.mark.parametrize("format", LIMITED, ids=str)
def test_where_there_are_none_the_call_says_so(format: Format, images: Images) -> None:
    image = format.image(images.directory / "disk.img")
    with mounted(format, image) as kernel:
        fd = kernel.os.open("/mnt/large", os.O_CREAT | os.O_RDWR)
        kernel.os.write(fd, PIECE)
        with pytest.raises(OSError) as caught:
            kernel.os.pwrite(fd, PIECE, FAR)
        assert caught.value.errno in (errno.EFBIG, errno.ENOSPC)
        if format.name != "hfsplus":  # which fills the hole as far as it can
            assert kernel.os.fstat(fd).st_size == len(PIECE)
        assert kernel.os.pread(fd, len(PIECE), 0) == PIECE
        kernel.os.close(fd)
    if format.name != "hfs":  # its check looks for the whole tree
        format.check(image)
