"""Large reads of what is not in the page cache go past it, into the caller's buffer, and give what read(2) gives."""

from __future__ import annotations

import ctypes
import mmap
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

import liblinux
from big_files import BIG_BYTES, Big, forget
from conftest import MIB

LEAST = 256 * 1024  # the smallest read that goes past the page cache
HOLE_AT, HOLE_BYTES = 3 * MIB, 2 * MIB


def cached_bytes(kernel: liblinux.Kernel) -> int:
    """What the page cache holds, of all files."""
    with kernel.open("/proc/meminfo") as file:
        lines = dict(line.split(":") for line in file.read().splitlines())
    return int(lines["Cached"].split()[0]) * 1024


def kept_by(kernel: liblinux.Kernel, size: int) -> int:
    """How much the page cache grows by reading a whole file in pieces of that size."""
    forget(kernel)
    before = cached_bytes(kernel)
    with kernel.open("/mnt/a", "rb", buffering=0) as file:
        while file.read(size):
            pass
    return cached_bytes(kernel) - before


def test_what_is_read_at_once_is_not_kept(mounted: liblinux.Kernel) -> None:
    assert kept_by(mounted, LEAST // 2) > BIG_BYTES // 2
    assert kept_by(mounted, LEAST) < MIB
    assert kept_by(mounted, 3 * MIB) < MIB


@pytest.mark.parametrize("size", [LEAST, MIB, MIB + 4096, 5 * MIB + 77, 2 * BIG_BYTES])
@pytest.mark.parametrize("skew", [0, 1, 2, 4, 32, 4095])
def test_buffers_anywhere(mounted: liblinux.Kernel, big: Big, size: int, skew: int) -> None:
    """Also such as no device could write to, and what lies around them stays."""
    with mmap.mmap(-1, skew + size + 4096) as room, memoryview(room) as whole, whole[skew : skew + size] as buffer:
        whole[:] = b"\xaa" * len(whole)
        got = bytearray()
        descriptor = mounted.os.open("/mnt/a", os.O_RDONLY)
        while count := mounted.os.readinto(descriptor, buffer):
            got += buffer[:count]
        assert got == big.content["a"]
        assert bytes(whole[:skew]) == b"\xaa" * skew
        assert bytes(whole[skew + size :]) == b"\xaa" * 4096


def test_from_positions_that_are_no_pages(mounted: liblinux.Kernel, big: Big) -> None:
    descriptor = mounted.os.open("/mnt/b", os.O_RDONLY)
    for at in (0, 1, 511, 512, 4096, 5000, MIB - 1, BIG_BYTES - MIB, BIG_BYTES - 100, BIG_BYTES, BIG_BYTES + 5):
        forget(mounted)
        assert mounted.os.pread(descriptor, MIB, at) == big.content["b"][at : at + MIB]
        mounted.os.lseek(descriptor, at, os.SEEK_SET)
        assert mounted.os.read(descriptor, MIB) == big.content["b"][at : at + MIB]
        assert mounted.os.lseek(descriptor, 0, os.SEEK_CUR) == max(at, min(at + MIB, BIG_BYTES))
    with pytest.raises(OSError, match="Invalid argument"):
        mounted.os.pread(descriptor, MIB, -1)


def test_what_was_written_and_not_synced(kernel: liblinux.Kernel, big: Big) -> None:
    """A page that only the cache has, by write() or by mmap(), is read all the same."""
    kernel.mount(kernel.attach(big.path, overlay=True), "/mnt")
    expected = bytearray(big.content["c"])
    descriptor = kernel.os.open("/mnt/c", os.O_RDONLY)
    with kernel.open("/mnt/c", "r+b", buffering=0) as file:
        file.seek(2 * MIB + 123)
        file.write(b"written")
        expected[2 * MIB + 123 : 2 * MIB + 130] = b"written"
        file.seek(0)
        assert file.read(BIG_BYTES) == expected
        view = kernel.mmap(file)
        view[7 * MIB : 7 * MIB + 6] = b"mapped"
        expected[7 * MIB : 7 * MIB + 6] = b"mapped"
        assert kernel.os.pread(descriptor, BIG_BYTES, 0) == expected
        view.release()


def test_holes_and_the_end_of_a_file(kernel: liblinux.Kernel, big: Big) -> None:
    """What no block stands for is zero, also where the buffer was not."""
    kernel.mount(kernel.attach(big.path, overlay=True), "/mnt")
    expected = b"\x01" * HOLE_AT + bytes(HOLE_BYTES) + b"\x02" * 777
    with kernel.open("/mnt/sparse", "w+b", buffering=0) as file:
        file.write(expected[:HOLE_AT])
        file.seek(HOLE_AT + HOLE_BYTES)
        file.write(expected[HOLE_AT + HOLE_BYTES :])
        kernel.os.sync()
        forget(kernel)
        buffer = bytearray(b"\xaa" * (len(expected) + 5000))
        descriptor = kernel.os.open("/mnt/sparse", os.O_RDONLY)
        assert kernel.os.readinto(descriptor, buffer) == len(expected)
    assert buffer[: len(expected)] == expected
    assert buffer[len(expected) :] == b"\xaa" * 5000


@pytest.mark.in_process("addresses are those of this process")
def test_addresses_that_are_none(mounted: liblinux.Kernel, big: Big) -> None:
    """EFAULT, or as much as there is room for: never the end of the kernel."""
    descriptor = mounted.os.open("/mnt/d", os.O_RDONLY)
    system = mounted.os
    nowhere = 0x10000
    assert system.call("pread64", descriptor, nowhere, MIB, 0) == -14
    assert system.call("read", descriptor, nowhere, MIB) == -14
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    room = libc.mmap(None, 2 * MIB, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    libc.munmap(room + MIB, MIB)
    try:
        forget(mounted)
        assert system.call("pread64", descriptor, room, 2 * MIB, 0) == MIB
        assert ctypes.string_at(room, MIB) == big.content["d"][:MIB]
    finally:
        libc.munmap(room, MIB)
    fixed = mmap.mmap(-1, MIB, prot=mmap.PROT_READ)
    address = _address_of(fixed)
    assert system.call("pread64", descriptor, address, MIB, 0) == -14
    assert system.pread(descriptor, MIB, 0) == big.content["d"][:MIB]


def _address_of(mapping: mmap.mmap) -> int:
    class View(ctypes.Structure):
        _fields_ = (("address", ctypes.c_void_p), ("rest", ctypes.c_char * 128))

    view = View()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(mapping), ctypes.byref(view), 0)
    address = int(view.address or 0)
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(view))
    return address


def test_several_threads(mounted: liblinux.Kernel, big: Big) -> None:
    """One buffer at a time is lent to the kernel; the other threads' reads are Linux's own."""
    with ThreadPoolExecutor(4) as pool:
        for size in (MIB, 4 * MIB):
            forget(mounted)
            read = pool.map(lambda name, size=size: _read(mounted, f"/mnt/{name}", size), "abcd")
            assert list(read) == [big.content[name] for name in "abcd"]


def _read(kernel: liblinux.Kernel, path: str, size: int) -> bytes:
    with kernel.open(path, "rb", buffering=0) as file:
        return b"".join(iter(lambda: file.read(size), b""))


def test_memory_of_the_kernel_itself(mounted: liblinux.Kernel, big: Big) -> None:
    """What `kernel.mmap` gives has pages already, which are there when they are touched."""
    buffer = mounted.mmap(None, 2 * MIB)
    descriptor = mounted.os.open("/mnt/a", os.O_RDONLY)
    mounted.os.lseek(descriptor, MIB, os.SEEK_SET)
    assert mounted.os.readinto(descriptor, buffer) == 2 * MIB
    assert bytes(buffer) == big.content["a"][MIB : 3 * MIB]


def test_a_disk_that_fails(kernel: liblinux.Kernel, big: Big) -> None:
    kernel.mount(kernel.attach(big.path, readonly=True), "/mnt")
    descriptor = kernel.os.open("/mnt/a", os.O_RDONLY)
    with kernel.inject(seed=1, read_error=1.0), pytest.raises(OSError, match="Input/output error"):
        kernel.os.pread(descriptor, MIB, 0)
    assert kernel.os.pread(descriptor, MIB, 0) == big.content["a"][:MIB]
