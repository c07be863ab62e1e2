"""`kernel.select`: what the `select` module is, for descriptors of one process of a kernel.

Objects are waited for by number, or as anything that has one of the kernel's: sockets
and files of the kernel. A socket of the host is a TypeError, since its number is that
of some other file here. Timeouts are by the kernel's clock.
"""

from __future__ import annotations

import _socket
import select
import selectors
import struct

from liblinux._sockets.files import kernel_descriptor
from liblinux._typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

    from liblinux._os import Os

__all__ = ["Epoll", "Poll", "SelectModule"]

_POLLFD = struct.Struct("=iHH")
_EVENT = struct.Struct("=Ii4x")  # packed, as x86-64 has it
_TIME = struct.Struct("=qq")
_EPOLL_EVENTS = 1024
_ADD, _DELETE, _MODIFY = 1, 2, 3


def descriptor(thing: Any) -> int:
    """The kernel's descriptor of a number, a socket or a file of the kernel."""
    if isinstance(thing, int):
        fd = thing
    elif isinstance(thing, _socket.socket):
        raise TypeError("a socket of the host cannot be waited for inside a kernel; use select.select() for it")
    elif (found := kernel_descriptor(thing)) is not None:
        fd = found
    elif hasattr(thing, "fileno"):
        fd = thing.fileno()
        if not isinstance(fd, int):
            raise TypeError("fileno() returned a non-integer")
    else:
        raise TypeError("argument must be an int, or have a fileno() method")
    if fd < 0:
        raise ValueError(f"file descriptor cannot be a negative integer ({fd})")
    return fd


def _time(seconds: float | None) -> bytearray | None:
    """A struct timespec; None waits for ever."""
    if seconds is None:
        return None
    nanoseconds = int(seconds * 1e9)
    if nanoseconds < seconds * 1e9:
        nanoseconds += 1  # not earlier than was asked for
    return bytearray(_TIME.pack(*divmod(nanoseconds, 10**9)))


class Poll:
    """Polling as of poll(2); made by `kernel.select.poll()`."""

    def __init__(self, system: Os) -> None:
        self._os = system
        self._wanted: dict[int, int] = {}

    def register(self, fd: Any, eventmask: int = select.POLLIN | select.POLLPRI | select.POLLOUT, /) -> None:
        """Wait for these events of a descriptor; again replaces them."""
        self._wanted[descriptor(fd)] = _mask(eventmask)

    def modify(self, fd: Any, eventmask: int, /) -> None:
        """Wait for other events; FileNotFoundError when it is not registered."""
        number = descriptor(fd)
        if number not in self._wanted:
            raise FileNotFoundError(2, "No such file or directory")
        self._wanted[number] = _mask(eventmask)

    def unregister(self, fd: Any, /) -> None:
        """Wait for it no more; KeyError when it is not registered."""
        del self._wanted[descriptor(fd)]

    def poll(self, timeout: float | None = None, /) -> list[tuple[int, int]]:
        """Wait for so many milliseconds, for ever (None, negative); returns descriptors with their events."""
        seconds = None if timeout is None or timeout < 0 else timeout / 1e3
        return wait(self._os, list(self._wanted.items()), seconds)


def wait(system: Os, wanted: list[tuple[int, int]], seconds: float | None) -> list[tuple[int, int]]:
    """One ppoll(2)."""
    array = bytearray(b"".join(_POLLFD.pack(fd, events, 0) for fd, events in wanted))
    waiter = system._waiter if system._waiter is not None and system._waiter.here() else None
    found = system._call("ppoll", array or None, len(wanted), _time(seconds if waiter is None else 0), None, 0)
    if not found and waiter is not None:
        waiter.wait([(fd, events) for fd, events in wanted if events], seconds, "poll()")
        found = system._call("ppoll", array or None, len(wanted), _time(0), None, 0)
    if not found:
        return []
    return [(fd, events) for fd, _, events in _POLLFD.iter_unpack(array) if events]


def _mask(events: int) -> int:
    if not 0 <= events <= 0xFFFF:
        raise OverflowError("the events of poll(2) have 16 bits")
    return events


class Epoll:
    """Polling as of epoll(7); made by `kernel.select.epoll()`."""

    def __init__(self, system: Os, fd: int) -> None:
        self._os = system
        self._fd = fd
        system._files += 1
        self._number = system._files

    def __enter__(self) -> Self:
        if self._fd < 0:
            raise ValueError("I/O operation on closed epoll object")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._fd < 0

    def fileno(self) -> int:
        """The kernel's descriptor."""
        if self._fd < 0:
            raise ValueError("I/O operation on closed epoll object")
        return self._fd

    def close(self) -> None:
        """Close it; twice does nothing."""
        fd, self._fd = self._fd, -1
        if fd >= 0 and not self._os.closed and not any(self._number in lost for lost in self._os._lost_files):
            self._os.close(fd)

    def register(self, fd: Any, eventmask: int = select.EPOLLIN | select.EPOLLPRI | select.EPOLLOUT) -> None:
        """Wait for these events of a descriptor; FileExistsError when it is registered already."""
        self._control(_ADD, fd, eventmask)

    def modify(self, fd: Any, eventmask: int) -> None:
        """Wait for other events; FileNotFoundError when it is not registered."""
        self._control(_MODIFY, fd, eventmask)

    def unregister(self, fd: Any) -> None:
        """Wait for it no more; FileNotFoundError when it is not registered."""
        self._control(_DELETE, fd, 0)

    def poll(self, timeout: float | None = None, maxevents: int = -1) -> list[tuple[int, int]]:
        """Wait for so many seconds, for ever (None, negative); returns descriptors with their events."""
        if maxevents == -1:
            maxevents = _EPOLL_EVENTS
        elif maxevents < 1:
            raise ValueError(f"maxevents must be greater than 0, got {maxevents}")
        seconds = None if timeout is None or timeout < 0 else timeout
        events = bytearray(_EVENT.size * maxevents)
        waiter = self._os._waiter
        if waiter is not None and waiter.here():
            waiter.wait([(self.fileno(), select.EPOLLIN)], seconds, "epoll")
            seconds = 0
        count = self._os._call("epoll_pwait2", self.fileno(), events, maxevents, _time(seconds), None, 0)
        return [(fd, mask) for mask, fd in _EVENT.iter_unpack(memoryview(events)[: count * _EVENT.size])]

    def _control(self, operation: int, fd: Any, events: int) -> None:
        number = descriptor(fd)
        self._os._call("epoll_ctl", self.fileno(), operation, number, bytearray(_EVENT.pack(events, number)))


class SelectModule:
    """The standard library's `select` for descriptors of one process of a kernel.

    `DefaultSelector()`, `EpollSelector()` and `PollSelector()` are those of the
    `selectors` module over it.
    """

    error = OSError

    def __init__(self, system: Os) -> None:
        self._os = system
        self.EpollSelector = _bound(selectors.EpollSelector, self.epoll)
        self.PollSelector = _bound(selectors.PollSelector, self.poll)
        self.DefaultSelector = self.EpollSelector

    def __getattr__(self, name: str) -> Any:
        if name.isupper():
            return getattr(select, name)
        raise AttributeError(f"kernel.select has no {name!r}")

    def __repr__(self) -> str:
        return f"<liblinux select of process {self._os._native.pid}>"

    def poll(self) -> Poll:
        """An object that waits as of poll(2)."""
        return Poll(self._os)

    def epoll(self, sizehint: int = -1, flags: int = 0) -> Epoll:
        """An object that waits as of epoll(7)."""
        if sizehint < -1 or sizehint == 0:
            raise ValueError("negative sizehint")
        return Epoll(self._os, self._os._call("epoll_create1", select.EPOLL_CLOEXEC))

    def select(
        self, rlist: Iterable[Any], wlist: Iterable[Any], xlist: Iterable[Any], timeout: float | None = None, /
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """Wait until one can be read, written, or has something urgent; returns those that can.

        `timeout` in seconds, None for ever. Unlike select(2) it knows no largest
        descriptor. OSError (EBADF) when one of them is not open.
        """
        if timeout is not None and timeout < 0:
            raise ValueError("timeout must be non-negative")
        groups = [[(descriptor(thing), thing) for thing in things] for things in (rlist, wlist, xlist)]
        wanted: dict[int, int] = {}
        for group, events in zip(groups, _SELECT_EVENTS, strict=True):
            for fd, _ in group:
                wanted[fd] = wanted.get(fd, 0) | events
        ready = dict(wait(self._os, list(wanted.items()), timeout))
        if any(events & select.POLLNVAL for events in ready.values()):
            raise OSError(9, "Bad file descriptor")
        first, second, third = (
            [thing for fd, thing in group if ready.get(fd, 0) & events]
            for group, events in zip(groups, _SELECT_ANSWERS, strict=True)
        )
        return first, second, third


def _bound(selector: type[Any], polling: Callable[[], object]) -> type[Any]:
    """A class of the `selectors` module over a polling object of ours."""
    return type(selector.__name__, (selector,), {"_selector_cls": staticmethod(polling)})


# As the kernel's own select(2) maps them.
_SELECT_EVENTS = (select.POLLIN, select.POLLOUT, select.POLLPRI)
_SELECT_ANSWERS = (
    select.POLLIN | select.POLLHUP | select.POLLERR,
    select.POLLOUT | select.POLLERR,
    select.POLLPRI,
)
