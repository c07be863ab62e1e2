"""What is read with the help of a second thread is what is in the file, whichever way it is read."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

import liblinux
from big_files import BIG_BYTES, Big, forget, read_cold, until_counted
from conftest import MIB
from contents import get


def test_two_threads_read(mounted: liblinux.Kernel, big: Big) -> None:
    def read() -> None:
        assert read_cold(mounted, "/mnt/a") == big.content["a"]

    until_counted(mounted, "reader_bytes", read)


@pytest.mark.parametrize("size", [4096, 65536, 300_000, MIB, BIG_BYTES])
def test_buffers_of_any_size(mounted: liblinux.Kernel, big: Big, size: int) -> None:
    with mounted.open("/mnt/b", "rb", buffering=0) as file:
        data = b"".join(iter(lambda: file.read(size), b""))
    assert data == big.content["b"]


def test_past_the_page_cache(mounted: liblinux.Kernel, big: Big) -> None:
    descriptor = mounted.os.open("/mnt/c", os.O_RDONLY | os.O_DIRECT)
    buffer = mounted.mmap(None, MIB)

    def read() -> None:
        data = bytearray()
        mounted.os.lseek(descriptor, 0, os.SEEK_SET)
        while count := mounted.os.readinto(descriptor, buffer):
            data += buffer[:count]
        assert data == big.content["c"]

    until_counted(mounted, "started_reads", read)
    mounted.os.close(descriptor)


def test_pages_that_are_mapped_meanwhile(mounted: liblinux.Kernel, big: Big) -> None:
    """Mapping a page moves its granule into a file: also one that is just being read into."""
    for name in "abcd":
        with mounted.open(f"/mnt/{name}", "rb", buffering=0) as file:
            view = mounted.mmap(file)
            for at in range(0, BIG_BYTES, MIB):
                assert view[at : at + 9000] == big.content[name][at : at + 9000]
                assert file.read(MIB) == big.content[name][at : at + MIB]
            assert bytes(view) == big.content[name]
            view.release()


def test_what_an_overlay_has_changed(kernel: liblinux.Kernel, big: Big) -> None:
    """A range that is partly in the overlay is not the backing's; all around it is."""
    image = big.path.read_bytes()
    kernel.mount(kernel.attach(big.path, overlay=True), "/mnt")
    changed = bytearray(big.content["a"])
    with kernel.open("/mnt/a", "r+b", buffering=0) as file:
        for at in (5 * MIB + 4096, 9 * MIB - 5):
            file.seek(at)
            file.write(b"changed" * 1000)
            changed[at : at + 7000] = b"changed" * 1000
    kernel.os.sync()

    def read() -> None:
        assert read_cold(kernel, "/mnt/a") == changed

    until_counted(kernel, "started_reads", read)
    assert big.path.read_bytes() == image


def test_writing_and_reading_at_once(kernel: liblinux.Kernel, big: Big) -> None:
    kernel.mount(kernel.attach(big.path), "/mnt")
    new = bytes(reversed(big.content["a"]))

    def write() -> None:
        for _ in range(4):
            with kernel.open("/mnt/new", "wb") as file:
                file.write(new)
            kernel.os.sync()

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        assert read_cold(kernel, "/mnt/b") == big.content["b"]
    writer.join()
    assert read_cold(kernel, "/mnt/new") == new


def test_many_kernels_at_once(big: Big) -> None:
    """One second thread serves all of them."""
    wrong: list[str] = []

    def read(name: str) -> None:
        with liblinux.Kernel() as kernel:
            kernel.mount(kernel.attach(big.path, readonly=True), "/mnt")
            wrong.extend(name for _ in range(3) if read_cold(kernel, f"/mnt/{name}") != big.content[name])

    threads = [threading.Thread(target=read, args=(name,)) for name in "abcdabcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_many_threads_in_one_kernel(mounted: liblinux.Kernel, big: Big) -> None:
    wrong: list[str] = []

    def read(name: str) -> None:
        for _ in range(3):
            forget(mounted)
            if get(mounted, f"/mnt/{name}") != big.content[name]:
                wrong.append(name)

    threads = [threading.Thread(target=read, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_an_image_that_has_become_shorter(mounted: liblinux.Kernel, big: Big) -> None:
    """An error in the midst of what is read ahead reaches who reads that part, and nobody else."""
    descriptor = mounted.os.open("/mnt/d", os.O_RDONLY)
    place = big.path.read_bytes().index(big.content["d"][5 * MIB : 5 * MIB + 64])
    image = big.path.read_bytes()
    os.truncate(big.path, place)
    assert mounted.os.read(descriptor, 2 * MIB) == big.content["d"][: 2 * MIB]
    with pytest.raises(OSError, match="Input/output error"):
        while mounted.os.read(descriptor, MIB):
            pass
    Path(big.path).write_bytes(image)
    mounted.os.lseek(descriptor, 0, os.SEEK_SET)
    assert read_cold(mounted, "/mnt/d") == big.content["d"]
    mounted.os.close(descriptor)


def test_detaching_while_it_is_read(kernel: liblinux.Kernel, big: Big) -> None:
    disk = kernel.attach(big.path, readonly=True)
    mount = kernel.mount(disk, "/mnt")
    descriptor = kernel.os.open("/mnt/a", os.O_RDONLY)
    assert kernel.os.read(descriptor, 3 * MIB) == big.content["a"][: 3 * MIB]
    with pytest.raises(OSError, match="busy"):
        disk.detach()
    assert kernel.os.read(descriptor, 3 * MIB) == big.content["a"][3 * MIB : 6 * MIB]
    kernel.os.close(descriptor)
    kernel.umount(mount)
    disk.detach()
    kernel.mount(kernel.attach(big.path, readonly=True), "/mnt")
    assert read_cold(kernel, "/mnt/a") == big.content["a"]


def test_a_disk_that_is_read_as_such(kernel: liblinux.Kernel, big: Big) -> None:
    """Pages of a block device are read ahead too, and it is gone right after."""
    for _ in range(5):
        with kernel.attach(big.path, readonly=True) as disk:
            assert get(kernel, disk.path)[: 32 * MIB] == big.path.read_bytes()[: 32 * MIB]


def test_isolated_kernels_as_well(isolated: liblinux.Kernel, big: Big) -> None:
    isolated.mount(isolated.attach(big.path, readonly=True), "/mnt")

    def read() -> None:
        for name in "abcd":
            assert read_cold(isolated, f"/mnt/{name}") == big.content[name]

    until_counted(isolated, "reader_bytes", read)
