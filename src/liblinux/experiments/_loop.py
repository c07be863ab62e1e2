"""What drives the flows of an experiment: one selector and one heap of instants, on one thread.

Not asyncio: a flow is a few callbacks, and hundreds of them shall cost less than the kernel's own work.
"""

from __future__ import annotations

import heapq
import itertools
import selectors
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liblinux.network import Network

__all__ = ["READ", "WRITE", "Loop"]

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_SECOND_NS = 10**9


class Loop:
    """Calls functions when sockets are ready, and at instants, which are seconds since it began."""

    def __init__(self, network: Network) -> None:
        self._clock = network.kernel.now
        self._selector = network.selector()
        self._begin = self._clock()
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()

    @property
    def now(self) -> float:
        """Seconds since it began."""
        return (self._clock() - self._begin) / _SECOND_NS

    def at(self, seconds: float, function: Callable[[], None]) -> None:
        """Call `function` then; of several of one instant the first that was asked for first."""
        heapq.heappush(self._due, (round(seconds * _SECOND_NS), next(self._order), function))

    def watch(self, sock: Any, events: int, function: Callable[[int], None]) -> None:
        """Call `function` with the events that have come, from now on; instead of what was called before."""
        if sock in self._selector.get_map():
            self._selector.modify(sock, events, function)
        else:
            self._selector.register(sock, events, function)

    def forget(self, sock: Any) -> None:
        """Call nothing more for a socket, which may be closed afterwards."""
        if sock in self._selector.get_map():
            self._selector.unregister(sock)

    def run(self, until: float) -> None:
        """Go on until then; what is due at that very instant is done."""
        end = round(until * _SECOND_NS)
        clock, begin, due, select = self._clock, self._begin, self._due, self._selector.select
        while True:
            now = clock() - begin
            while due and due[0][0] <= min(now, end):
                heapq.heappop(due)[2]()
            if now >= end:
                return
            wake = min(due[0][0], end) if due else end
            # What is due may have taken time, and what it has made ready comes first.
            for key, events in select(max(0, wake - (clock() - begin)) / _SECOND_NS):
                key.data(events)

    def close(self) -> None:
        """Give up what it waits with."""
        self._selector.close()
