"""A selector over epoll of a kernel, in the shape of the standard library's `selectors`."""

from __future__ import annotations

import contextlib
import math
import select
import selectors
import struct
import time
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from liblinux._actor import Actor
    from liblinux.running import Turns

__all__ = ["KernelSelector"]

_ADD, _DELETE, _MODIFY = 1, 2, 3  # of epoll_ctl(2)
# struct epoll_event, which is packed on x86-64.
_EVENT = struct.Struct("<IQ")
_TIMER = struct.Struct("=qqqq")
_TFD_CLOEXEC = 0o2000000
_ONCE_EACH_TIME = select.EPOLLIN | select.EPOLLET
_AT_ONCE = 256
_SECOND_NS = 10**9
_NO_WRITING = ~select.EPOLLOUT
_NO_READING = ~select.EPOLLIN


class KernelSelector(selectors._BaseSelectorImpl):  # what those of the standard library derive from
    """Waits for descriptors of `actor`, a kernel or a process of one, by its clock.

    A descriptor is a number of its table of files, or an object with fileno().
    """

    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self._turns: Turns | None = None
        self._who: Callable[[], str] = str
        self._fd_to_key: dict[int, selectors.SelectorKey]
        self._syscall = actor.syscall
        self._now = actor.os._kernel.now
        self._due = -1  # when the timer ends
        self._closing = actor.os.close
        self._epoll = actor.syscall("epoll_create1", select.EPOLL_CLOEXEC)
        self._events = bytearray(_EVENT.size * _AT_ONCE)
        # The timeout of epoll_wait(2) may be late by a thousandth of itself; a timer is not.
        self._timer = actor.syscall("timerfd_create", time.CLOCK_MONOTONIC, _TFD_CLOEXEC)
        self._syscall("epoll_ctl", self._epoll, _ADD, self._timer, _EVENT.pack(_ONCE_EACH_TIME, self._timer))
        # The calls that every round of a loop makes, without looking their names up.
        call, numbers = actor._process.syscall, actor.os._numbers
        self._epoll_wait = partial(call, numbers["epoll_wait"], self._epoll, self._events, _AT_ONCE)
        self._set_timer = partial(call, numbers["timerfd_settime"], self._timer, 0)

    def take_turns(self, turns: Turns, who: Callable[[], str] = str) -> None:
        """Wait as one of the threads of a run from now on; `who` tells what goes round without waiting."""
        self._turns = turns
        self._who = who

    def fileno(self) -> int:
        """The kernel's descriptor."""
        return self._epoll

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Wait for events of a file from now on."""
        key = super().register(fileobj, events, data)
        try:
            self._control(_ADD, key.fd, events)
        except BaseException:
            super().unregister(fileobj)
            raise
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Wait for other events."""
        key = self.get_key(fileobj)
        if events != key.events:
            self._control(_MODIFY, key.fd, events)
        if (events, data) != (key.events, key.data):
            key = key._replace(events=events, data=data)
            self._fd_to_key[key.fd] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Wait for it no more; one that was closed is forgotten by the kernel already."""
        key = super().unregister(fileobj)
        try:
            self._control(_DELETE, key.fd, 0)
        except OSError as error:
            if not isinstance(error, FileNotFoundError) and error.errno != _EBADF:
                raise
        return key

    def mute(self, fd: int) -> None:
        """Do not wait for a file that stays registered."""
        with contextlib.suppress(OSError):  # it was closed
            self._control(_DELETE, fd, 0)

    def hear(self, fd: int) -> None:
        """Wait for it again, if it is registered still."""
        key = self._fd_to_key.get(fd)
        if key is not None:
            with contextlib.suppress(OSError):  # it was closed, or is another one by now
                self._control(_ADD, fd, key.events)

    def _control(self, operation: int, fd: int, events: int) -> None:
        mask = select.EPOLLIN * bool(events & selectors.EVENT_READ)
        mask |= select.EPOLLOUT * bool(events & selectors.EVENT_WRITE)
        self._syscall("epoll_ctl", self._epoll, operation, fd, _EVENT.pack(mask, fd))

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; waits for `timeout` seconds of the kernel's clock, for ever for None.

        It may return early, with nothing, when it has waited for less before.
        """
        if timeout is not None and timeout <= 0:
            count = self._poll(self._turns)
        elif self._turns is None:
            count = self._wait(timeout)
        else:
            count = self._wait_in_turn(self._turns, timeout)
        ready = []
        keys = self._fd_to_key
        for event, fd in _EVENT.iter_unpack(memoryview(self._events)[: count * _EVENT.size]):
            key = keys.get(fd)
            if key is not None:
                mask = selectors.EVENT_WRITE * bool(event & _NO_READING) | selectors.EVENT_READ * bool(
                    event & _NO_WRITING
                )
                ready.append((key, mask & key.events))
        return ready

    def _poll(self, turns: Turns | None) -> int:
        if turns is not None and turns.strands:
            turns.pause()
        count = self._epoll_wait(0)
        if turns is not None:
            if count:
                turns.clock.happened()
            else:
                turns.clock.round(self._who)
        return count

    def _wait(self, timeout: float | None) -> int:
        if timeout is not None:
            self._arm(timeout)
        return self._epoll_wait(-1)

    def _arm(self, timeout: float) -> None:
        """Set the timer, unless it is set to an earlier instant: programs mostly move their deadlines ahead."""
        now = self._now()
        wait = math.ceil(timeout * _SECOND_NS)  # up, so that what waits for it is due; 0 is no timer
        if not now < self._due <= now + wait:
            self._set_timer(_TIMER.pack(0, 0, *divmod(wait, _SECOND_NS)), None)
            self._due = now + wait

    def _wait_in_turn(self, turns: Turns, timeout: float | None) -> int:
        """The same while other threads have their turn; who is alone waits in the kernel itself."""
        turns.clock.happened()
        if not turns.strands:
            if timeout is not None:
                self._arm(timeout)
            return turns.inside(self._epoll_wait, -1)
        deadline = None if timeout is None else self._now() + math.ceil(timeout * _SECOND_NS)
        turns.wait_files(((self._epoll, select.EPOLLIN),), deadline, "the event loop")
        return self._epoll_wait(0)

    def close(self) -> None:
        """Close it; of a kernel that has ended nothing is left."""
        if self._epoll >= 0:
            fd, self._epoll = self._epoll, -1
            self._closing(fd)
            self._closing(self._timer)
        super().close()


_EBADF = 9
