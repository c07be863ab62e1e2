"""background=True: a kernel with a real clock goes on while nobody is inside."""

from __future__ import annotations

import os
import struct
import time

import pytest

from liblinux import Kernel, Network


def _goes_on(kernel: Kernel) -> bool:
    """Whether a timer brings somebody in while we are outside."""
    fd = kernel.syscall("timerfd_create", 1, os.O_NONBLOCK)
    kernel.syscall("timerfd_settime", fd, 0, struct.pack("=qqqq", 0, 0, 0, 10**8), None)
    before = kernel.statistics()["entries"]
    time.sleep(0.3)
    entered = kernel.statistics()["entries"] - before
    kernel.os.close(fd)
    return entered > 0


def test_timers_fire_while_nobody_calls() -> None:
    with Kernel(background=True) as kernel:
        assert _goes_on(kernel), "the thread that is inside serves them"
    with Kernel() as kernel:
        assert not _goes_on(kernel), "without it they wait"


def test_it_is_for_real_clocks() -> None:
    with pytest.raises(ValueError, match="virtual"):
        Kernel(clock="virtual", background=True)
    with pytest.raises(ValueError, match="isolated"):
        Kernel(isolated=True, background=True)
    with Network(background=True) as net:
        net.link(net.host("a"), net.host("b"), delay="1ms")
        assert net.ping("a", "b", timeout=5).received == 1


def test_no_snapshot_of_a_kernel_that_somebody_is_inside_of() -> None:
    with Kernel(background=True) as kernel, pytest.raises(BlockingIOError):
        kernel.snapshot()
