"""What touches the memory of a kernel from outside, between two parts of a file that is being read ahead.

After a read of some mebibytes the next ones have been fetched, but the kernel has not been told: that is what is
copied, put back, or thrown away here. And the same while another thread is in the midst of reading.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator

import pytest

import liblinux
import planted
from big_files import BIG_BYTES, CALL_BYTES, Big, forget, read_cold, read_on, until_counted
from conftest import MIB
from test_fork import in_child

MANY = 12
# Of reads: through the page cache, and past it.
SIZES = (CALL_BYTES, MIB, CALL_BYTES, 4 * MIB)


def open_and_read(kernel: liblinux.Kernel, path: str, most: int) -> int:
    """A descriptor whose file has been read so far, with more fetched behind it."""
    descriptor = kernel.os.open(path, os.O_RDONLY)

    def read() -> None:
        forget(kernel)
        kernel.os.lseek(descriptor, 0, os.SEEK_SET)
        read_on(kernel, descriptor, most)

    until_counted(kernel, "started_reads", read)
    return descriptor


@contextlib.contextmanager
def reading(kernel: liblinux.Kernel, big: Big) -> Iterator[list[str]]:
    """Another thread reads the files, cold, until the end of the `with`. The list names what went wrong."""
    wrong: list[str] = []
    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.is_set():
                for name, size in zip("abcd", SIZES, strict=True):
                    if read_cold(kernel, f"/mnt/{name}", size) != big.content[name]:
                        wrong.append(name)
        except (liblinux.KernelPanic, liblinux.KernelClosed) as error:
            wrong.append(type(error).__name__)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield wrong
    finally:
        stop.set()
        thread.join(60)
        assert not thread.is_alive()


def test_fork_with_more_fetched_than_told(mounted: liblinux.Kernel, big: Big) -> None:
    """Parent and child each read on, and each is told once."""
    for number in range(MANY):
        name, done = "abcd"[number % 4], (number % 7 + 1) * MIB
        descriptor = open_and_read(mounted, f"/mnt/{name}", done)

        def read(name: str = name, done: int = done, descriptor: int = descriptor) -> None:
            assert read_on(mounted, descriptor) == big.content[name][done:]

        in_child(read)
        read()
        mounted.os.close(descriptor)


def test_a_child_has_a_second_thread_of_its_own(mounted: liblinux.Kernel, big: Big) -> None:
    def read() -> None:
        for name in "abcd":
            assert read_cold(mounted, f"/mnt/{name}") == big.content[name]

    read()
    in_child(read)
    in_child(lambda: in_child(read))


def test_fork_while_another_thread_reads(mounted: liblinux.Kernel, big: Big) -> None:
    """In the child that kernel is dead, or whole if nobody was inside; a fresh one reads."""

    def child() -> None:
        with contextlib.suppress(liblinux.KernelPanic):
            assert read_cold(mounted, "/mnt/a") == big.content["a"]
        with liblinux.Kernel() as fresh:
            fresh.mount(fresh.attach(big.path, readonly=True), "/mnt")
            assert read_cold(fresh, "/mnt/b") == big.content["b"]

    with reading(mounted, big) as wrong:
        for _ in range(MANY):
            in_child(child)
            time.sleep(0.003)
    assert wrong == []


def test_snapshots_with_more_fetched_than_told(mounted: liblinux.Kernel, big: Big) -> None:
    descriptor = open_and_read(mounted, "/mnt/c", 3 * MIB)
    state = mounted.snapshot()
    for number in range(MANY):
        assert read_on(mounted, descriptor, number * MIB) == big.content["c"][3 * MIB : (3 + number) * MIB][: 9 * MIB]
        mounted.restore(state)
    assert read_on(mounted, descriptor) == big.content["c"][3 * MIB :]
    assert read_cold(mounted, "/mnt/d") == big.content["d"]


def test_snapshots_while_another_thread_reads(mounted: liblinux.Kernel, big: Big) -> None:
    """They are refused, or hold a state in which nothing is under way."""
    taken: list[liblinux.Snapshot] = []
    with reading(mounted, big) as wrong:
        deadline = time.monotonic() + 20
        while len(taken) < 3 and time.monotonic() < deadline:
            with contextlib.suppress(BlockingIOError):
                taken.append(mounted.snapshot())
    assert wrong == []
    for state in taken:
        mounted.restore(state)
        for name in "abcd":
            assert read_cold(mounted, f"/mnt/{name}") == big.content[name]


@pytest.mark.in_process("faults are planted in this process's memory")
def test_panic_in_the_midst_and_back(mounted: liblinux.Kernel, big: Big) -> None:
    """It dies with pages under way that it started itself; put back, it reads them again."""
    descriptor = open_and_read(mounted, "/mnt/a", 2 * MIB)
    state = mounted.snapshot()
    for function in ("copy_page_to_iter", "filemap_get_pages"):
        undo = planted.plant(mounted, function, planted.NULL_READ)
        with pytest.raises(liblinux.KernelPanic):
            read_on(mounted, descriptor)
        undo()
        mounted.restore(state)
        assert read_on(mounted, descriptor) == big.content["a"][2 * MIB :]
        mounted.restore(state)


def test_panic_while_another_thread_reads(mounted: liblinux.Kernel, big: Big) -> None:
    with reading(mounted, big) as wrong:
        time.sleep(0.05)
        mounted.abort()
    assert wrong == ["KernelPanic"]


def test_closing_while_another_thread_reads(big: Big) -> None:
    """It is refused as long as somebody is inside; the memory is gone when it has succeeded."""
    for _ in range(6):
        kernel = liblinux.Kernel()
        kernel.mount(kernel.attach(big.path, readonly=True), "/mnt")
        descriptor = open_and_read(kernel, "/mnt/b", 2 * MIB)
        assert read_on(kernel, descriptor, MIB) == big.content["b"][2 * MIB : 3 * MIB]
        kernel.close()


def test_processes_that_are_copies(mounted: liblinux.Kernel, big: Big) -> None:
    """kernel.fork(), many of which read what was under way when they were made."""
    descriptor = open_and_read(mounted, "/mnt/d", 4 * MIB)

    def read() -> None:
        assert read_on(mounted, descriptor) == big.content["d"][4 * MIB : BIG_BYTES]

    for _ in range(4):
        in_child(read, mounted.fork)
    read()
