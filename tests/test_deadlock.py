"""Under the virtual clock a wait for nothing is an exception that names who waits, where, and in which call."""

from __future__ import annotations

import os
import threading

import pytest

import liblinux
from conftest import Images
from until import it_waits

FUTEX_WAIT_PRIVATE, FUTEX_WAKE_PRIVATE = 128, 129
FIFREEZE = 0xC0045877


@pytest.fixture
def virtual() -> liblinux.Kernel:
    return liblinux.Kernel(clock="virtual", seed=1)


def test_who_waits_for_what(virtual: liblinux.Kernel) -> None:
    with virtual as kernel:
        reading, writing = kernel.os.pipe()
        with pytest.raises(liblinux.Deadlock) as caught:
            kernel.os.read(reading, 1)
        (waiter,) = caught.value.waiters
        assert (waiter.task, waiter.pid, waiter.syscall, waiter.uninterruptible) == ("init", 1, "read", False)
        assert waiter.function == "pipe_read" or waiter.function.startswith("pipe_wait_readable")
        assert "ksys_read" in [frame.function for frame in waiter.backtrace]
        assert not caught.value.dead
        assert "task init, pid 1, waits in the system call read: pipe_" in str(caught.value)
        # And it goes on.
        kernel.os.write(writing, b"text")
        assert kernel.os.read(reading, 10) == b"text"


def test_two_that_wait_for_each_other(virtual: liblinux.Kernel) -> None:
    """Both are named to the one that is told; the other is told when it is alone."""
    with virtual as kernel:
        word = bytearray(4)
        reading, _ = kernel.os.pipe()
        ends: list[liblinux.Deadlock | int] = []

        def wait() -> None:
            try:
                ends.append(kernel.syscall("futex", word, FUTEX_WAIT_PRIVATE, 0, None, None, 0))
            except liblinux.Deadlock as deadlock:
                ends.append(deadlock)

        thread = threading.Thread(target=wait)
        thread.start()
        assert it_waits(thread)  # as long as it is outside, it may come with anything
        with pytest.raises(liblinux.Deadlock) as caught:
            kernel.os.read(reading, 1)
        # Now this thread is outside, and the other one waits for it.
        while thread.is_alive():
            kernel.syscall("futex", word, FUTEX_WAKE_PRIVATE, 1, None, None, 0)
            thread.join(0.01)
        told = [error for error in (caught.value, *ends) if isinstance(error, liblinux.Deadlock)]
        both = max(told, key=lambda error: len(error.waiters))
        assert sorted(str(waiter.syscall) for waiter in both.waiters) == ["futex", "read"]
        assert len({waiter.pid for waiter in both.waiters}) == 2
        assert kernel.os.uname().release == kernel.release


def test_what_cannot_be_interrupted_ends_the_kernel(virtual: liblinux.Kernel, images: Images) -> None:
    """A frozen file system: the writer waits without listening to signals, and nobody is left to thaw it."""
    with virtual as kernel:
        kernel.mount(kernel.attach(images.ext4()), "/mnt")
        kernel.syscall("ioctl", kernel.os.open("/mnt", os.O_RDONLY), FIFREEZE, 0)
        with pytest.raises(liblinux.Deadlock) as caught:
            kernel.os.mkdir("/mnt/directory")
        (waiter,) = caught.value.waiters
        assert (waiter.pid, waiter.uninterruptible, waiter.function) == (1, True, "percpu_rwsem_wait")
        assert waiter.syscall in {"mkdir", "mkdirat"}
        assert caught.value.dead
        assert "waits uninterruptibly in the system call mkdir" in str(caught.value)
        assert kernel.dead
        with pytest.raises(liblinux.KernelPanic, match="nothing can end") as later:
            kernel.os.uname()
        assert later.value.function == "percpu_rwsem_wait"


def test_a_deadlock_by_the_real_clock(images: Images) -> None:
    """The same without a clock that jumps: it is taken for one after some time, two minutes unless told otherwise."""
    functions: list[str | None] = []
    # What an interrupt has left on the stack was named once, in place of where it waits.
    while "percpu_rwsem_wait" not in functions and len(functions) < 3:
        with liblinux.Kernel(command_line="liblinux.hung_seconds=1") as kernel:
            kernel.mount(kernel.attach(images.ext4()), "/mnt")
            kernel.syscall("ioctl", kernel.os.open("/mnt", os.O_RDONLY), FIFREEZE, 0)
            with pytest.raises(liblinux.KernelPanic, match="waits for ever") as caught:
                kernel.os.mkdir("/mnt/directory")
            functions.append(caught.value.function)
            assert caught.value.syscall in {"mkdir", "mkdirat"}
            assert caught.value.pid == 1
    assert functions[-1] == "percpu_rwsem_wait"


def test_a_long_wait_is_no_deadlock() -> None:
    """One that a signal can end may last; and so may one that goes on."""
    with liblinux.Kernel(command_line="liblinux.hung_seconds=1") as kernel:
        kernel.syscall("nanosleep", (3).to_bytes(8, "little") + bytes(8), None)
        assert kernel.os.getpid() == 1
