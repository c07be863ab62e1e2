"""A kernel that computes for ever is given up: by itself, because its caller wants to, or because somebody kills it."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Literal

import pytest
from typing_extensions import Buffer

import liblinux
import planted
from until import LONG_SECONDS, it_waits, when_it_waits

pytestmark = pytest.mark.in_process("endless loops are planted in the memory of this process")


class Enough(Exception):
    """Raised by the handler of a signal."""


@pytest.fixture(params=["real", "virtual"])
def kernel(request: pytest.FixtureRequest) -> Iterator[liblinux.Kernel]:
    clock: Literal["real", "virtual"] = request.param
    with liblinux.Kernel(clock=clock) as booted:
        yield booted


@pytest.fixture
def alarm() -> Iterator[Callable[[], None]]:
    """Sets an alarm: a signal in 0.3 seconds."""

    def handle(number: int, frame: FrameType | None) -> None:
        raise Enough

    def begin() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.3)

    before = signal.signal(signal.SIGALRM, handle)
    yield begin
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def waiting(kernel: liblinux.Kernel, count: int) -> tuple[list[threading.Thread], list[liblinux.KernelPanic]]:
    """Threads in a read that does not end, and the panics that they have been told of."""
    reader, _ = kernel.os.pipe()
    told: list[liblinux.KernelPanic] = []

    def wait() -> None:
        try:
            kernel.os.read(reader, 1)
        except liblinux.KernelPanic as panic:
            told.append(panic)

    threads = [threading.Thread(target=wait) for _ in range(count)]
    for thread in threads:
        thread.start()
    assert all(map(it_waits, threads))
    return threads, told


def test_the_caller_gives_up(kernel: liblinux.Kernel, alarm: Callable[[], None]) -> None:
    planted.plant(kernel, "vfs_statx", planted.endless(kernel, "vfs_statx", "lib_irq_poll"))
    with pytest.raises(Enough):
        alarm()
        kernel.os.stat("/dev")
    assert kernel.dead is not None
    assert "computes on although" in kernel.dead
    with pytest.raises(liblinux.KernelPanic) as caught:
        kernel.os.getpid()
    assert "vfs_statx" in [frame.function for frame in caught.value.backtrace]
    with liblinux.Kernel() as other:
        assert other.os.stat("/dev").st_mode


def test_a_long_call_that_listens_ends(kernel: liblinux.Kernel, alarm: Callable[[], None]) -> None:
    """Reading /dev/zero looks for signals: the kernel lives on."""
    file = kernel.os.open("/dev/zero", 0)
    buffer = bytearray(64 << 20)
    with pytest.raises(Enough):
        alarm()
        while True:
            kernel.os.readinto(file, buffer)
    assert kernel.os.getpid() == 1
    assert kernel.dead is None


def test_nobody_gives_up(kernel: liblinux.Kernel) -> None:
    """It is found out after some seconds of computing; a thread that waits is told too."""
    threads, told = waiting(kernel, 1)
    planted.plant(kernel, "vfs_statx", planted.endless(kernel, "vfs_statx", "lib_irq_poll"))
    with pytest.raises(liblinux.KernelPanic, match="computes without an end"):
        kernel.os.stat("/dev")
    threads[0].join(LONG_SECONDS)
    assert len(told) == 1


LOOP = bytes.fromhex("ebfe")  # jump to itself


@contextlib.contextmanager
def soon(function: Callable[[], object]) -> Iterator[None]:
    """Call it when this thread computes in what follows, from another one, which has ended behind the `with`."""
    watching = when_it_waits(function, computes=True)
    try:
        yield
    finally:
        watching.join()


def test_abort_of_a_loop_that_looks_at_nothing(kernel: liblinux.Kernel) -> None:
    planted.plant(kernel, "vfs_statx", LOOP)
    with soon(kernel.abort), pytest.raises(liblinux.KernelPanic, match="aborted") as caught:
        kernel.os.stat("/dev")
    assert caught.value.function == "vfs_statx"
    with pytest.raises(liblinux.KernelPanic, match="aborted"):
        kernel.os.getpid()


def test_abort_of_a_kernel_that_does_not_come_to_die(kernel: liblinux.Kernel) -> None:
    """It is told what to die of, and computes for ever while it reports that."""
    planted.plant(kernel, "vfs_statx", LOOP)
    planted.plant(kernel, "show_stack", LOOP)
    with soon(kernel.abort), pytest.raises(liblinux.KernelPanic, match="aborted") as caught:
        kernel.os.stat("/dev")
    assert caught.value.function == "vfs_statx"


def test_abort_of_a_wait(kernel: liblinux.Kernel) -> None:
    threads, told = waiting(kernel, 3)
    kernel.abort()
    for thread in threads:
        thread.join(LONG_SECONDS)
    assert len(told) == 3
    kernel.abort()  # twice does nothing


def test_abort_of_a_kernel_that_does_nothing_and_back(kernel: liblinux.Kernel) -> None:
    state = kernel.snapshot()
    for _ in range(3):
        kernel.abort()
        with pytest.raises(liblinux.KernelPanic, match="aborted"):
            kernel.os.getpid()
        kernel.restore(state)
        assert kernel.os.getpid() == 1


def test_abort_in_the_midst_of_calls() -> None:
    """At any point of entering and leaving."""
    for _ in range(30):
        with liblinux.Kernel(memory="16M") as kernel:
            soon_ = threading.Timer(0.005, kernel.abort)
            soon_.start()
            with pytest.raises(liblinux.KernelPanic, match="aborted"):
                while True:
                    kernel.os.getpid()
            soon_.join()


def test_abort_of_an_isolated_kernel() -> None:
    with liblinux.Kernel(isolated=True) as kernel:
        kernel.abort()
        with pytest.raises(liblinux.KernelDied, match="aborted"):
            kernel.os.getpid()


def test_abort_by_a_disk() -> None:
    """The code that serves a request kills the kernel that waits for it."""

    class Disk(io.BytesIO):
        def readinto(self, buffer: Buffer, /) -> int:
            if armed:
                kernel.abort()
            return super().readinto(buffer)

    armed = False
    with liblinux.Kernel() as kernel:
        kernel.attach(Disk(bytes(1 << 20)), readonly=True)
        device = kernel.os.open("/dev/lda", 0)
        armed = True
        with pytest.raises(liblinux.KernelPanic, match="aborted"):
            kernel.os.pread(device, 4096, 512 << 10)
