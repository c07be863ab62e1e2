"""Going into the background, as servers do: the shell goes on when the work has begun, not before."""

from __future__ import annotations

import os
import signal
import sys

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["into_background"]


def into_background() -> Callable[[], None]:
    """Go on in a child process of its own session; returns what the child calls when it is ready.

    The parent does not come back: it ends with 0 when the child is ready, or as
    the child ends that does not get there, whose messages still come to this
    terminal. Before a kernel is booted and before there are threads.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        _end_as(child, reading)
    os.close(reading)

    def ready() -> None:
        os.setsid()  # not before: until now a pass phrase may be asked for, and Ctrl-C is for both
        os.write(writing, b"\0")
        os.close(writing)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in range(3):
            os.dup2(nowhere, standard)
        os.close(nowhere)

    return ready


def _end_as(child: int, reading: int) -> None:
    sys.stdout.flush()
    try:
        if os.read(reading, 1):
            os._exit(0)
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF or 1)
    except KeyboardInterrupt:
        os.kill(child, signal.SIGTERM)
        os._exit(130)
