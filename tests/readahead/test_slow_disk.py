"""A disk that does not answer: reads of it are under way for as long as the test likes.

The image lies in another image, which `liblinux mount` shows, and its server is stopped.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import fuse_mounts
import liblinux
from big_files import ENVIRONMENT, MIB, Big, read_cold, read_on
from test_fork import in_child
from until import it_waits


def server_of(directory: Path) -> int:
    """The process that serves a mount."""
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit() and os.fsencode(directory) in (process / "cmdline").read_bytes().split(b"\0"):
                return int(process.name)
    raise AssertionError(f"no process has {directory} among its arguments")


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
def slow(big: Big) -> Iterator[tuple[Path, int]]:
    """The image on a mount, and the process that serves it."""
    files = big.path.parent / "outer"
    files.mkdir()
    os.link(big.path, files / "inner.img")
    outer = big.path.parent / "outer.img"
    with outer.open("wb") as file:
        file.truncate(128 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-d", files, outer], check=True, env=ENVIRONMENT)
    with fuse_mounts.mounted(outer) as directory:
        yield directory / "inner.img", server_of(directory)


def test_fork_does_not_wait_for_a_disk(slow: tuple[Path, int], kernel: liblinux.Kernel, big: Big) -> None:
    """Whoever serves the disk may need what the thread that forks is holding, such as the GIL."""
    path, server = slow
    kernel.mount(kernel.attach(path, readonly=True), "/mnt")
    descriptor = kernel.os.open("/mnt/a", os.O_RDONLY)
    assert read_on(kernel, descriptor, 3 * MIB) == big.content["a"][: 3 * MIB]
    rest: list[bytes] = []
    thread = threading.Thread(target=lambda: rest.append(read_on(kernel, descriptor)))

    def child() -> None:
        with pytest.raises(liblinux.KernelPanic, match="another thread was inside"):
            kernel.os.getpid()
        with liblinux.Kernel() as fresh:
            fresh.mount(fresh.attach(big.path, readonly=True), "/mnt")
            assert read_cold(fresh, "/mnt/b") == big.content["b"]

    with stopped(server):
        thread.start()
        assert it_waits(thread)
        assert rest == []
        in_child(child)
        with pytest.raises(BlockingIOError):
            kernel.snapshot()
        assert rest == []
    thread.join(60)
    assert rest == [big.content["a"][3 * MIB :]]
