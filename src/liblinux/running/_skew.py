"""Clocks of hosts that go wrong: ahead, behind, fast, slow.

The kernel has one clock; what is different is what programs of a host read, and
how long their timers take. Timeouts inside of the kernel (TCP's retransmissions,
timeouts of sockets) go by the true one.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from liblinux.asyncio._current import acting

if TYPE_CHECKING:
    from liblinux.asyncio._current import Acting

__all__ = ["HostClock", "Skews"]


@dataclass(frozen=True)
class HostClock:
    """Of one host, in nanoseconds: since `start` of the true clock it has gone `rate` times as fast."""

    start: int = 0
    shown: int = 0
    rate: float = 1.0
    step: int = 0

    def monotonic(self, true: int) -> int:
        """What its monotonic clock shows."""
        return self.shown + int((true - self.start) * self.rate)

    def true(self, shown: int) -> int:
        """When its monotonic clock will show that."""
        return self.start + int((shown - self.shown) / self.rate)

    def at_rate(self, now: int, rate: float) -> HostClock:
        """The clock that goes at this rate from now on."""
        return HostClock(now, self.monotonic(now), rate, self.step)

    def stepped(self, nanoseconds: int) -> HostClock:
        """The clock whose date is by so much later; as after clock_settime(2) the monotonic one does not notice."""
        return HostClock(self.start, self.shown, self.rate, self.step + nanoseconds)


class _Watcher(Protocol):
    def clock_went_wrong(self) -> None: ...


class Skews(dict["Acting", HostClock]):
    """The clocks that are not right, by their hosts; empty, and so false, when all are."""

    def __init__(self) -> None:
        super().__init__()
        self._watchers: weakref.WeakSet[_Watcher] = weakref.WeakSet()

    def __setitem__(self, host: Acting, clock: HostClock) -> None:
        """This host's clock is not right from now on."""
        super().__setitem__(host, clock)
        for watcher in self._watchers:
            watcher.clock_went_wrong()

    def watch(self, watcher: _Watcher) -> None:
        """Tell it when a clock goes wrong, and now if one has."""
        self._watchers.add(watcher)
        if self:
            watcher.clock_went_wrong()

    def here(self) -> HostClock | None:
        """That of the acting host, if it is not right."""
        host = acting.get()
        return self.get(host) if host is not None else None
