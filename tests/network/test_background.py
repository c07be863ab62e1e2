"""background=True: a kernel with a real clock goes on while nobody is inside."""

from __future__ import annotations

import os
import struct
import time

import pytest

from liblinux import Kernel, Network
from until import LONG_SECONDS


def _goes_on(kernel: Kernel, seconds: float) -> bool:
    """Whether a timer, of a tenth of a second, brings somebody in while we are outside for so long at most."""
    fd = kernel.syscall("timerfd_create", 1, os.O_NONBLOCK)
    kernel.syscall("timerfd_settime", fd, 0, struct.pack("=qqqq", 0, 0, 0, 10**8), None)
    before = kernel.statistics()["entries"]
    limit = time.monotonic() + seconds
    while kernel.statistics()["entries"] == before and time.monotonic() < limit:
        time.sleep(0.01)
    entered = kernel.statistics()["entries"] > before
    kernel.os.close(fd)
    return entered


def test_timers_fire_while_nobody_calls() -> None:
    with Kernel(background=True) as kernel:
        assert _goes_on(kernel, LONG_SECONDS), "the thread that is inside serves them"
    with Kernel() as kernel:
        assert not _goes_on(kernel, 0.3), "without it they wait"


def test_it_is_for_real_clocks() -> None:
    with pytest.raises(ValueError, match="virtual"):
        Kernel(clock="virtual", background=True)
    with pytest.raises(ValueError, match="isolated"):
        Kernel(isolated=True, background=True)
    with Network(background=True) as net:
        net.link(net.host("a"), net.host("b"), delay="1ms")
        assert net.ping("a", "b", timeout=LONG_SECONDS).received == 1


def test_no_snapshot_of_a_kernel_that_somebody_is_inside_of() -> None:
    with Kernel(background=True) as kernel, pytest.raises(BlockingIOError):
        kernel.snapshot()
