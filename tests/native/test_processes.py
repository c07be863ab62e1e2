"""Processes, threads, signal handlers and waits."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from liblinux import _native
from liblinux._errors import Deadlock, KernelClosed
from native.kernels import Boot, make_pipe
from until import LONG_SECONDS, it_waits


def test_a_process_of_its_own(init: _native.Process, nr: dict[str, int]) -> None:
    child = init.spawn()
    assert child.pid == child.getpid() > 1
    assert child.kernel is init.kernel
    child.syscall(nr["setresuid"], 1000, 1000, 1000)
    assert (child.syscall(nr["getuid"]), init.syscall(nr["getuid"])) == (1000, 0)
    child.exit()
    child.exit()
    with pytest.raises(KernelClosed, match="exited"):
        child.getpid()
    assert init.getpid() == 1


def test_init_cannot_exit(init: _native.Process) -> None:
    with pytest.raises(PermissionError, match="init"):
        init.exit()


def test_tasks_are_threads(init: _native.Process, nr: dict[str, int]) -> None:
    tids: list[int] = []
    thread = threading.Thread(target=lambda: tids.append(init.syscall(nr["gettid"])))
    thread.start()
    thread.join()
    assert tids != [init.syscall(nr["gettid"])]


def test_one_thread_wakes_another(shared: _native.Kernel) -> None:
    reader, writer = make_pipe(shared)
    got: list[bytes] = []
    thread = threading.Thread(target=lambda: got.append(shared.init.read(reader, 10)))
    thread.start()
    it_waits(thread)
    shared.init.write(writer, b"wake up")
    thread.join(LONG_SECONDS)
    assert got == [b"wake up"]
    shared.init.close(reader)
    shared.init.close(writer)


class Alarmed(Exception):
    """Raised by the handler of SIGALRM."""


@pytest.fixture
def alarm() -> Iterator[Callable[[Callable[[], None]], None]]:
    """Run a function in a signal handler in a moment."""
    before = signal.getsignal(signal.SIGALRM)

    def arm(action: Callable[[], None]) -> None:
        def handle(number: int, frame: FrameType | None) -> None:
            action()

        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.1)

    yield arm
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def test_a_signal_handler_that_raises_ends_the_call(
    shared: _native.Kernel, alarm: Callable[[Callable[[], None]], None]
) -> None:
    def fail() -> None:
        raise Alarmed

    reader, writer = make_pipe(shared)
    with pytest.raises(Alarmed):
        alarm(fail)
        shared.init.read(reader, 1)
    assert shared.init.getpid() == 1
    shared.init.close(reader)
    shared.init.close(writer)


def test_a_signal_handler_that_returns_does_not(
    shared: _native.Kernel, alarm: Callable[[Callable[[], None]], None]
) -> None:
    reader, writer = make_pipe(shared)
    seen: list[bool] = []
    handled = threading.Event()

    def handle() -> None:
        seen.append(True)
        handled.set()

    def write() -> None:
        handled.wait(LONG_SECONDS)
        it_waits(threading.main_thread())  # again
        shared.init.write(writer, b"x")

    thread = threading.Thread(target=write)
    thread.start()
    alarm(handle)
    assert shared.init.read(reader, 1) == b"x"
    assert seen == [True]
    thread.join()
    shared.init.close(reader)
    shared.init.close(writer)


def test_a_wait_for_nothing_under_the_virtual_clock(boot: Boot) -> None:
    kernel = boot(virtual=True)
    reader, writer = make_pipe(kernel)
    with pytest.raises(Deadlock):
        kernel.init.read(reader, 1)
    assert kernel.init.getpid() == 1
    kernel.init.close(writer)
    assert kernel.init.read(reader, 1) == b""


def test_the_virtual_clock_jumps(boot: Boot) -> None:
    kernel = boot(virtual=True, realtime=10**18)
    before, started = kernel.now(), time.monotonic()
    hour = memoryview(bytearray(16)).cast("q")
    hour[0] = 3600
    kernel.init.syscall(kernel.syscalls["nanosleep"], hour, None)
    assert time.monotonic() - started < LONG_SECONDS
    assert 3600 * 10**9 <= kernel.now() - before < 3601 * 10**9
    now = memoryview(bytearray(16)).cast("q")
    kernel.init.syscall(kernel.syscalls["clock_gettime"], 0, now)
    assert now[0] // 86400 == (10**9 + 3600) // 86400
