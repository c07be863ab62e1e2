"""Large reads of every file system: past the page cache, through it, or half of each."""

from __future__ import annotations

import os
import random

import pytest
from formats import FORMATS, Format

import liblinux
from conftest import MIB, Images

CONTENT = random.Random(1).randbytes(3 * MIB) + b"and an odd end"
AT = (0, 4096, 4096 + 512, MIB + 1, 3 * MIB - 4096, 3 * MIB + 5)


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_large_reads(kernel: liblinux.Kernel, format: Format, images: Images) -> None:
    image = format.image(images.directory / "image")
    disk = kernel.attach(image, sector_size=format.sector_size)
    with kernel.mount(disk, "/mnt", options=format.options), kernel.open("/mnt/file", "wb") as file:
        file.write(CONTENT)
    with kernel.mount(disk, "/mnt", options=format.options), kernel.open("/mnt/file", "rb", buffering=0) as raw:
        assert raw.read(MIB) + raw.read() == CONTENT
        for at in AT:
            raw.seek(at)
            assert raw.read(MIB) == CONTENT[at : at + MIB]


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_where_nothing_was_written(kernel: liblinux.Kernel, format: Format, images: Images) -> None:
    """Holes, what was only made longer, and an end in the middle of a block are zero: the buffer is not."""
    expected = bytearray(4 * MIB + 123)
    image = format.image(images.directory / "image")
    disk = kernel.attach(image, sector_size=format.sector_size)
    with kernel.mount(disk, "/mnt", options=format.options), kernel.open("/mnt/file", "wb") as file:
        for at, data in ((0, CONTENT[: MIB + 777]), (2 * MIB + 12_297, CONTENT[:300_000])):
            file.seek(at)
            file.write(data)
            expected[at : at + len(data)] = data
        file.truncate(len(expected))
    buffer = bytearray(b"\xaa" * (len(expected) + 64))
    with kernel.mount(disk, "/mnt", options=format.options), kernel.open("/mnt/file", "rb", buffering=0) as raw:
        descriptor = kernel.os.open("/mnt/file", os.O_RDONLY)
        assert kernel.os.readinto(descriptor, buffer) == len(expected)
        kernel.os.close(descriptor)
        assert buffer == expected + b"\xaa" * 64
        for at in (4096 * 100, MIB - 4096, MIB, 2 * MIB):
            raw.seek(at)
            assert raw.read(2 * MIB) == expected[at : at + 2 * MIB]
