"""System calls by number: arguments in, results and errors out."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
from collections.abc import Iterator

import pytest

from liblinux import _native


def test_results_and_errors(init: _native.Process, nr: dict[str, int]) -> None:
    assert init.getpid() == init.syscall(nr["getpid"]) == init.call(nr["getpid"]) == 1
    assert init.call(nr["close"], 999) == -errno.EBADF
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        init.syscall(nr["close"], 999)
    assert caught.value.errno == errno.EBADF
    with pytest.raises(FileNotFoundError):
        init.syscall(nr["chdir"], "/nowhere")


@pytest.mark.parametrize("number", [-1000, -1, 100_000, 2**63 - 1])
def test_numbers_that_are_no_system_call(init: _native.Process, number: int) -> None:
    assert init.call(number) == -errno.ENOSYS


def test_integers_of_64_bits(init: _native.Process, nr: dict[str, int]) -> None:
    for fd in (-1, 2**64 - 1, 999 - 2**63, False + 2**31 - 1):
        assert init.call(nr["close"], fd) == -errno.EBADF
    for beyond in (2**64, -(2**63) - 1):
        with pytest.raises(OverflowError, match="argument 2"):
            init.call(nr["read"], 0, beyond)


def test_strings_and_buffers(init: _native.Process, nr: dict[str, int], directory: str) -> None:
    names = ["plain", "umläut", "byte\udcff"]
    for name in names:
        init.syscall(nr["mkdir"], f"{directory}/{name}", True * 0o700)
    found = sorted(name for name, _, _ in init.listdir(directory))
    assert found == sorted(name.encode("utf-8", "surrogateescape") for name in names)
    room = bytearray(64)
    assert init.syscall(nr["getcwd"], room, len(room)) == 2
    assert room[:2] == b"/\0"
    init.syscall(nr["rmdir"], f"{directory}/plain".encode())
    assert init.call(nr["getcwd"], None, 64) == -errno.EFAULT


def test_arguments_that_cannot_be_passed(init: _native.Process, nr: dict[str, int]) -> None:
    with pytest.raises(TypeError, match=r"argument 2 .*float"):
        init.syscall(nr["read"], 0, 1.5)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(TypeError, match="at most 6"):
        init.syscall(nr["read"], *range(7))
    with pytest.raises(ValueError, match="null"):
        init.syscall(nr["chdir"], "a\0b")
    with pytest.raises(TypeError):
        init.syscall("read")  # type: ignore[arg-type]  # that is the test


def test_a_bad_pointer_is_an_error(init: _native.Process, nr: dict[str, int]) -> None:
    for address in (8, 2**47 - 4096, 2**63):
        assert init.call(nr["getcwd"], address, 64) == -errno.EFAULT


@pytest.fixture
def edge() -> Iterator[int]:
    """An address in front of which there is a page of memory, and behind which none can be touched."""
    pages = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    whole = ctypes.c_char.from_buffer(pages)
    address = ctypes.addressof(whole) + mmap.PAGESIZE
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(address), mmap.PAGESIZE, 0) == 0
    yield address
    assert libc.mprotect(ctypes.c_void_p(address), mmap.PAGESIZE, mmap.PROT_READ | mmap.PROT_WRITE) == 0
    del whole
    pages.close()


@pytest.mark.parametrize("size", [*range(1, 20), 64, 100])
def test_small_copies_end_where_memory_ends(init: _native.Process, nr: dict[str, int], edge: int, size: int) -> None:
    """All sizes that are copied in their own way, over an edge: what was there is copied, to the byte."""
    data, empty = bytes(range(1, size + 1)), bytes(size)
    file = init.syscall(nr["open"], b"/copied", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    for inside in range(size + 1):
        expected = inside or -errno.EFAULT
        ctypes.memmove(edge - inside, data, inside)
        assert init.syscall(nr["pwrite64"], file, empty, size, 0) == size
        assert init.call(nr["pwrite64"], file, edge - inside, size, 0) == expected
        room = bytearray(size)
        assert init.syscall(nr["pread64"], file, room, size, 0) == size
        assert room == data[:inside] + empty[inside:]
        ctypes.memset(edge - inside, 0, inside)
        assert init.syscall(nr["pwrite64"], file, data, size, 0) == size
        assert init.call(nr["pread64"], file, edge - inside, size, 0) == expected
        assert ctypes.string_at(edge - inside, inside) == data[:inside]
    init.syscall(nr["close"], file)
    init.syscall(nr["unlink"], b"/copied")


def test_buffers_are_held_only_for_the_call(init: _native.Process, nr: dict[str, int]) -> None:
    room = bytearray(64)
    init.call(nr["getcwd"], room, len(room))
    room.append(0)
    with pytest.raises(TypeError):
        init.call(nr["getcwd"], room, 1.5)  # type: ignore[arg-type]  # that is the test
    room.append(0)
