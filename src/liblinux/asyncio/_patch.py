"""What programs call `socket` and `time` leads to the host that they act as.

asyncio itself, and the programs on it, make sockets with `socket.socket()` and read
`time.monotonic()`. While :func:`in_place_of_host` is in force, these look at
`current_host()` first: for a task of a host they are that host's, for all others
they are what they were.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from typing import TYPE_CHECKING, Any

from liblinux._sockets.module import SocketModule  # noqa: F401 - it must see the machine's own functions
from liblinux._sockets.sock import Socket
from liblinux.asyncio._current import acting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from liblinux._kernel import Kernel

__all__ = ["in_place_of_host"]

_REAL = socket.socket
_FUNCTIONS = (
    "create_connection",
    "create_server",
    "getaddrinfo",
    "getfqdn",
    "gethostbyaddr",
    "gethostbyname",
    "gethostbyname_ex",
    "gethostname",
    "getnameinfo",
    "if_indextoname",
    "if_nameindex",
    "if_nametoindex",
    "socketpair",
)
_SECOND_NS = 10**9
_TIMESPEC = struct.Struct("=qq")


class _Kind(type(_REAL)):  # type: ignore[misc]  # whatever the metaclass of sockets is
    """Makes `socket.socket(...)` a choice, and isinstance() true for both kinds."""

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        host = acting.get()
        if cls is _Either and host is not None:
            return host.socket.socket(*arguments, **named)
        return super().__call__(*arguments, **named)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Socket | _REAL) if cls is _Either else super().__instancecheck__(instance)


class _Either(_REAL, metaclass=_Kind):
    """A socket of the acting host, or of the machine."""


def _choose(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def choice(*arguments: Any, **named: Any) -> Any:
        host = acting.get()
        return real(*arguments, **named) if host is None else getattr(host.socket, name)(*arguments, **named)

    choice.__name__ = name
    choice.__doc__ = real.__doc__
    return choice


@contextlib.contextmanager
def in_place_of_host(kernel: Kernel) -> Iterator[None]:
    """Put the choices in place during a `with` statement."""
    changes: list[tuple[Any, str, Any]] = [(socket, "socket", _Either)]
    changes += [(socket, name, _choose(name, getattr(socket, name))) for name in _FUNCTIONS]
    changes += [(time, name, _clock(getattr(time, name), read)) for name, read in _clocks(kernel).items()]
    before = [(module, name, getattr(module, name)) for module, name, _ in changes]
    try:
        for module, name, value in changes:
            setattr(module, name, value)
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def _clocks(kernel: Kernel) -> dict[str, Callable[[], float]]:
    def now() -> float:
        return kernel.now() / _SECOND_NS

    moment = bytearray(_TIMESPEC.size)

    def realtime_ns() -> int:
        kernel.syscall("clock_gettime", time.CLOCK_REALTIME, moment)
        seconds, nanoseconds = _TIMESPEC.unpack(moment)
        return int(seconds) * _SECOND_NS + int(nanoseconds)

    return {
        "monotonic": now,
        "monotonic_ns": kernel.now,
        "perf_counter": now,
        "perf_counter_ns": kernel.now,
        "time": lambda: realtime_ns() / _SECOND_NS,
        "time_ns": realtime_ns,
    }


def _clock(real: Callable[[], float], ours: Callable[[], float]) -> Callable[[], float]:
    def choice() -> float:
        return real() if acting.get() is None else ours()

    choice.__name__ = real.__name__
    return choice
