"""Threads that take turns on virtual time: the clock waits for whoever is outside of the kernel."""

from __future__ import annotations

import struct
import threading
import time

import liblinux

SECOND = 1_000_000_000
MONOTONIC = 1


def sleep(kernel: liblinux.Kernel, nanoseconds: int) -> None:
    kernel.syscall("clock_nanosleep", MONOTONIC, 0, struct.pack("=qq", *divmod(nanoseconds, SECOND)), None)


def run(*, lockstep: bool) -> tuple[list[int], int]:
    """A thread that sleeps a virtual second, then dawdles outside, five times; the times when it woke up.

    Out of lockstep it dawdles until the other thread has slept; in lockstep that would be for ever.
    """
    woke: list[int] = []
    with liblinux.Kernel(clock="virtual", seed=1, isolated=False) as kernel:
        kernel._native.lockstep(lockstep)
        ready, slept = threading.Event(), threading.Event()
        reading, writing = kernel.os.pipe()

        def work() -> None:
            kernel.syscall("gettid")
            ready.set()
            for _ in range(5):
                sleep(kernel, SECOND)
                if lockstep:
                    kernel._native.settle(False)
                woke.append(kernel.now())
                time.sleep(0.02) if lockstep else slept.wait()
            kernel.os.read(reading, 1)

        thread = threading.Thread(target=work)
        thread.start()
        ready.wait()
        if lockstep:
            kernel._native.settle(True)  # else it is a race who comes in first
        sleep(kernel, 100 * SECOND)
        slept.set()
        if lockstep:
            kernel._native.settle(True)
        end = kernel.now()
        kernel.os.write(writing, b"x")
        thread.join()
    return woke, end


def test_the_clock_waits_for_a_thread_outside() -> None:
    """In lockstep it wakes after one second, two, three ..., however long it stays away; else time runs off."""
    woke, _ = run(lockstep=True)
    assert len(woke) == 5
    start = woke[0] - SECOND
    for count, instant in enumerate(woke, 1):
        assert 0 <= instant - start - count * SECOND < 100_000 * count  # the slack of a task's timers
    loose, _ = run(lockstep=False)
    assert loose[-1] > 50 * SECOND  # it should be five: the other thread's sleep is all that is left


def test_the_same_again_to_the_nanosecond() -> None:
    assert run(lockstep=True) == run(lockstep=True)


def test_a_thread_that_ends_is_not_waited_for() -> None:
    with liblinux.Kernel(clock="virtual", seed=1, isolated=False) as kernel:
        kernel._native.lockstep(True)
        thread = threading.Thread(target=lambda: kernel.syscall("gettid"))
        thread.start()
        thread.join()
        before = kernel.now()
        sleep(kernel, 3600 * SECOND)
        assert kernel.now() - before >= 3600 * SECOND


def test_settling_ends_with_the_kernel() -> None:
    with liblinux.Kernel(clock="virtual", seed=1, isolated=False) as kernel:
        kernel._native.lockstep(True)
        kernel.abort()
        kernel._native.settle(True)
