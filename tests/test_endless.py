"""A kernel that computes for ever is given up, by itself or because its caller wants to."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import Literal

import pytest

import liblinux
import planted


class Enough(Exception):
    """Raised by the handler of a signal."""


@pytest.fixture(params=["real", "virtual"])
def kernel(request: pytest.FixtureRequest) -> Iterator[liblinux.Kernel]:
    clock: Literal["real", "virtual"] = request.param
    with liblinux.Kernel(clock=clock) as booted:
        yield booted


@pytest.fixture
def alarm() -> Iterator[None]:
    """A signal after 0.3 seconds."""

    def handle(number: int, frame: FrameType | None) -> None:
        raise Enough

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_the_caller_gives_up(kernel: liblinux.Kernel, alarm: None) -> None:
    planted.plant(kernel, "vfs_statx", planted.endless(kernel, "vfs_statx", "lib_irq_poll"))
    with pytest.raises(Enough):
        kernel.os.stat("/dev")
    assert kernel.dead is not None
    assert "computes on although" in kernel.dead
    with pytest.raises(liblinux.KernelPanic) as caught:
        kernel.os.getpid()
    assert "vfs_statx" in [frame.function for frame in caught.value.backtrace]
    with liblinux.Kernel() as other:
        assert other.os.stat("/dev").st_mode


def test_a_long_call_that_listens_ends(kernel: liblinux.Kernel, alarm: None) -> None:
    """Reading /dev/zero looks for signals: the kernel lives on."""
    file = kernel.os.open("/dev/zero", 0)
    buffer = bytearray(64 << 20)
    with pytest.raises(Enough):
        while True:
            kernel.os.readinto(file, buffer)
    assert kernel.os.getpid() == 1
    assert kernel.dead is None


def test_nobody_gives_up(kernel: liblinux.Kernel) -> None:
    """It is found out after some seconds of computing; a thread that waits is told too."""
    reader, _ = kernel.os.pipe()
    told: list[BaseException] = []

    def wait() -> None:
        try:
            kernel.os.read(reader, 1)
        except liblinux.KernelPanic as panic:
            told.append(panic)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.1)
    planted.plant(kernel, "vfs_statx", planted.endless(kernel, "vfs_statx", "lib_irq_poll"))
    with pytest.raises(liblinux.KernelPanic, match="computes without an end"):
        kernel.os.stat("/dev")
    thread.join(10)
    assert len(told) == 1
