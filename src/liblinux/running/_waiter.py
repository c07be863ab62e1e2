"""How sockets, polls and epolls of hosts wait: by turns in threads of a run, else in the kernel."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from liblinux.running._turns import strand_here

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liblinux._os import Os

__all__ = ["Waiter"]

_POLLFD = struct.Struct("=ihh")
_TIMESPEC = struct.Struct("=qq")
_SECOND_NS = 10**9


class Waiter:
    """For one process of a network's kernel."""

    def __init__(self, system: Os) -> None:
        self._os = system

    def __call__(self, fd: int, events: int, nanoseconds: int) -> int:
        """Wait for events of poll(2), for ever when the time is negative; returns what is left of it, or TimeoutError.

        Called by sockets, see _native/socket.c.
        """
        strand = strand_here()
        if strand is None:
            return self._wait_inside(fd, events, nanoseconds)
        turns = strand.turns
        deadline = None if nanoseconds < 0 else turns.now() + nanoseconds
        if not turns.wait_files(((fd, events),), deadline, f"socket {fd}"):
            raise TimeoutError("timed out")
        return -1 if deadline is None else max(deadline - turns.now(), 1)

    def wait(self, files: Sequence[tuple[int, int]], seconds: float | None, what: str) -> None:
        """Wait until one of the files may be ready, if the calling thread takes turns; the kernel is asked after it."""
        strand = strand_here()
        if strand is not None and (seconds is None or seconds > 0):
            deadline = None if seconds is None else strand.turns.now() + int(seconds * _SECOND_NS) + 1
            strand.turns.wait_files(files, deadline, what)

    def here(self) -> bool:
        """Whether the calling thread takes turns."""
        return strand_here() is not None

    def _wait_inside(self, fd: int, events: int, nanoseconds: int) -> int:
        poll = bytearray(_POLLFD.pack(fd, events, 0))
        left = None if nanoseconds < 0 else bytearray(_TIMESPEC.pack(*divmod(nanoseconds, _SECOND_NS)))
        if not self._os._call("ppoll", poll, 1, left, None, 0):
            raise TimeoutError("timed out")
        if left is None:
            return -1
        seconds, rest = _TIMESPEC.unpack(left)
        return int(seconds) * _SECOND_NS + int(rest)
