"""A selector for descriptors of several kernels, whose numbers do not overlap.

The loop waits in the first kernel. Of every other one there is an epoll, and what
tells the first that it has something: an eventfd there, written by a wire of the
group (kernel/host/group.c) or, with real clocks, by a pump.
"""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import struct
from typing import TYPE_CHECKING, Any

from liblinux import _native
from liblinux.asyncio._selector import KernelSelector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liblinux._kernel import Kernel

__all__ = ["DESCRIPTORS", "Bell", "KernelsSelector", "shift_descriptors"]

# The numbers of a kernel's descriptors begin at a multiple of this.
DESCRIPTORS = 1 << 14
_RLIMIT_NOFILE = 7
_NEWS = 3  # HOST_PUMP_NEWS of kernel/host/host.h
_EVENT = struct.Struct("<IQ")
_ADD = 1


def shift_descriptors(kernel: Kernel, place: int) -> None:
    """Let the descriptors of a kernel, the `place`th beside the first, have numbers that no other has.

    Linux gives the lowest number that is free: so those below are taken.
    """
    first = place * DESCRIPTORS
    limit = struct.pack("=QQ", first + DESCRIPTORS, first + DESCRIPTORS)
    kernel.syscall("prlimit64", 0, _RLIMIT_NOFILE, limit, None)
    call = kernel.os.call
    taken = kernel.os.open("/dev/null", os.O_RDONLY)
    while taken < first - 1:
        taken = call("dup", taken)
        if taken < 0:
            raise OSError(-taken, f"descriptors of a kernel cannot begin at {first}: {os.strerror(-taken)}")


class KernelsSelector(KernelSelector):
    """Waits for descriptors of several kernels, by the clock of the first."""

    def __init__(self, first: Kernel, bells: Sequence[Bell]) -> None:
        super().__init__(first)
        # By the place of their kernels, as of shift_descriptors().
        self._others = {place: bell.selector() for place, bell in enumerate(bells, 1)}
        self._bells = {bell.fd: bell for bell in bells}
        for fd in self._bells:
            super().register(fd, selectors.EVENT_READ)

    def _of(self, fileobj: Any) -> KernelSelector | None:
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        return self._others.get(fd // DESCRIPTORS)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Wait for events of a file from now on."""
        other = self._of(fileobj)
        if other is None:
            return super().register(fileobj, events, data)
        key = other.register(fileobj, events, data)
        self._fd_to_key[key.fd] = key
        return key

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Wait for other events."""
        other = self._of(fileobj)
        if other is None:
            return super().modify(fileobj, events, data)
        key = other.modify(fileobj, events, data)
        self._fd_to_key[key.fd] = key
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Wait for it no more."""
        key = self.get_key(fileobj)
        other = self._others.get(key.fd // DESCRIPTORS)
        if other is None:
            return super().unregister(fileobj)
        del self._fd_to_key[key.fd]
        return other.unregister(fileobj)

    def mute(self, fd: int) -> None:
        """Do not wait for a file that stays registered."""
        other = self._others.get(fd // DESCRIPTORS)
        super().mute(fd) if other is None else other.mute(fd)

    def hear(self, fd: int) -> None:
        """Wait for it again, if it is registered still."""
        other = self._others.get(fd // DESCRIPTORS)
        super().hear(fd) if other is None else other.hear(fd)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What is ready; see :class:`KernelSelector`."""
        # What was ready before rings no bell again.
        found = self._look()
        ready = []
        rung = False
        for key, events in super().select(0 if found else timeout):
            if key.fd in self._bells:
                self._bells[key.fd].hush()
                rung = True
            else:
                ready.append((key, events))
        return ready + (self._look() if rung else found)

    def _look(self) -> list[tuple[selectors.SelectorKey, int]]:
        return [one for other in self._others.values() if other.get_map() for one in other.select(0)]

    def close(self) -> None:
        """Close it."""
        for other in self._others.values():
            other.close()
        super().close()


class Bell:
    """What tells the first kernel that an epoll of another one has something. One for each kernel, for ever."""

    def __init__(self, first: Kernel, kernel: Kernel) -> None:
        self._first, self._kernel = first, kernel
        self.fd = first.syscall("eventfd2", 0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # Its events are edges: news, once each time.
        self._edges = kernel.syscall("epoll_create1", select.EPOLL_CLOEXEC)
        if first.clock == "virtual":
            _native.group_wire(kernel._process, self._edges, True, first._process, self.fd)
            return
        stop = kernel.syscall("eventfd2", 0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        source, target = (kernel._process, self._edges, stop, _NEWS), (first._process, self.fd, -1, 0)
        pump = _native.Pump(source, target, (None, -1, 0, b""))
        for one in (first, kernel):
            one._pumps.append(pump)

    def selector(self) -> KernelSelector:
        """A selector of the other kernel that rings it. (It is heard no more when it is closed.)"""
        selector = KernelSelector(self._kernel)
        event = _EVENT.pack(select.EPOLLIN | select.EPOLLET, 0)
        self._kernel.syscall("epoll_ctl", self._edges, _ADD, selector.fileno(), event)
        return selector

    def hush(self) -> None:
        """Hear the next ringing."""
        # Another loop may have been quicker; each looks at its own before it waits.
        with contextlib.suppress(BlockingIOError):
            self._first.os.read(self.fd, 8)
