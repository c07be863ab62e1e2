"""A selector over epoll of a kernel, in the shape of the standard library's `selectors`."""

from __future__ import annotations

import contextlib
import math
import select
import selectors
import struct
import time
from typing import TYPE_CHECKING, Any

from liblinux import _native

if TYPE_CHECKING:
    from collections.abc import Callable

    from liblinux._actor import Actor
    from liblinux.running import Turns

__all__ = ["KernelSelector"]

_ADD, _DELETE, _MODIFY = 1, 2, 3  # of epoll_ctl(2)
# struct epoll_event, which is packed on x86-64.
_EVENT = struct.Struct("<IQ")
_TFD_CLOEXEC = 0o2000000
_ONCE_EACH_TIME = select.EPOLLIN | select.EPOLLET
_SECOND_NS = 10**9


class KernelSelector(selectors._BaseSelectorImpl):  # what those of the standard library derive from
    """Waits for descriptors of `actor`, a kernel or a process of one, by its clock.

    A descriptor is a number of its table of files, or an object with fileno().
    """

    def __init__(self, actor: Actor) -> None:
        super().__init__()
        self._turns: Turns | None = None
        self._fd_to_key: dict[int, selectors.SelectorKey]
        self._syscall = actor.syscall
        self._now = actor.os._kernel.now
        self._closing = actor.os.close
        self._epoll = actor.syscall("epoll_create1", select.EPOLL_CLOEXEC)
        # The timeout of epoll_wait(2) may be late by a thousandth of itself; a timer is not.
        self._timer = actor.syscall("timerfd_create", time.CLOCK_MONOTONIC, _TFD_CLOEXEC)
        self._syscall("epoll_ctl", self._epoll, _ADD, self._timer, _EVENT.pack(_ONCE_EACH_TIME, self._timer))
        # What every round of a loop asks, in C: waits, sets the timer, finds the keys.
        self._process = actor._process
        self._ask_of(None)

    def take_turns(self, turns: Turns, who: Callable[[], str] = str) -> None:
        """Wait as one of the threads of a run from now on; `who` tells what goes round without waiting."""
        self._turns = turns
        if who is not str:
            turns.clock.who = who
        self._ask_of(turns.clock.monotonic)

    def _ask_of(self, clock: _native.Clock | None) -> None:
        poller = _native.Poller(self._process, self._epoll, self._timer, self._fd_to_key, clock)
        self._ask, self._wait = poller.poll, poller.wait

    def fileno(self) -> int:
        """The kernel's descriptor."""
        return self._epoll

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Wait for events of a file from now on."""
        key = super().register(fileobj, events, data)
        try:
            self._control(_ADD, key.fd, events)
        except BaseException as error:
            super().unregister(fileobj)
            if isinstance(error, OSError) and error.errno in _NOT_TO_WAIT_FOR:
                error.add_note(
                    f"{key.fd} is no descriptor of the network that can be waited for. If it is one of this machine: "
                    "start what needs the network as a host, by host.create_task(), host.run() or host.thread()"
                )
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
        turns = self._turns
        if timeout is not None and timeout <= 0:
            if turns is not None and turns.strands:
                turns.pause()
            return self._ask()
        if turns is None:
            return self._wait(timeout)
        if not turns.strands:
            return turns.inside(self._wait, timeout) or []
        # Other threads have their turn; who is alone waits in the kernel itself.
        turns.clock.happened()
        deadline = None if timeout is None else self._now() + math.ceil(timeout * _SECOND_NS)
        turns.wait_files(((self._epoll, select.EPOLLIN),), deadline, "the event loop")
        return self._ask()

    def close(self) -> None:
        """Close it; of a kernel that has ended nothing is left."""
        if self._epoll >= 0:
            fd, self._epoll = self._epoll, -1
            self._closing(fd)
            self._closing(self._timer)
        super().close()


_EBADF = 9
_NOT_TO_WAIT_FOR = (_EBADF, 1, 22)  # EPERM: a file that is always ready; EINVAL: the epoll itself
