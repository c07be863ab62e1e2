"""Locks of `threading` that take part in turns.

A lock has the standard library's inside, which is locked or not; what is different
is only how one waits for it: by giving one's turn away.
"""

from __future__ import annotations

import _thread
from collections import deque
from typing import TYPE_CHECKING

from liblinux.running._turns import strand_here

if TYPE_CHECKING:
    from liblinux.running._turns import Wait

__all__ = ["Lock"]

_SECOND_NS = 1e9


class Lock:
    """What `threading.Lock()` makes in a run; usable by all other threads too."""

    __slots__ = ("__weakref__", "_real", "_waiting")

    def __init__(self) -> None:
        self._real = _thread.allocate_lock()
        self._waiting: deque[Wait] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it; False when it is not to be had in time."""
        if not blocking and timeout != -1:
            raise ValueError("can't specify a timeout for a non-blocking call")
        if timeout < 0 and timeout != -1:
            raise ValueError("timeout value must be a non-negative number")
        if self._real.acquire(False):
            return True
        strand = strand_here()
        if strand is None:
            return self._real.acquire(blocking, timeout)
        if not blocking:
            return False
        turns = strand.turns
        deadline = None if timeout == -1 else turns.now() + int(timeout * _SECOND_NS)
        while True:
            try:
                in_time = turns.wait_in(self._waiting, deadline, "a lock")
            except BaseException:
                self._wake_another()  # which may have been meant for this one
                raise
            if self._real.acquire(False):
                return True
            if not in_time:
                return False

    def release(self) -> None:
        """Give it back; RuntimeError when it is not locked."""
        self._real.release()
        self._wake_another()

    def _wake_another(self) -> None:
        if self._waiting and not self._real.locked():
            wait = self._waiting.popleft()
            wait.strand.turns.wake(wait)

    def locked(self) -> bool:
        """Whether somebody has it."""
        return self._real.locked()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *unused: object) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<{'locked' if self.locked() else 'unlocked'} liblinux lock at {id(self):#x}>"

    acquire_lock = acquire
    release_lock = release

    def _at_fork_reinit(self) -> None:
        self.__init__()  # type: ignore[misc]  # as it was made
