"""Where names of the standard library lead while a network runs.

Sockets, and what waits for them, are those of the host that the calling task or
thread acts as; clocks, chance, locks and threads those of the run. For all other
threads they stay what they are. Functions that a program has taken for itself
(`from time import monotonic`) are found in its modules, once, and replaced there
for good by the same choice.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import random
import select
import selectors
import signal
import socket
import ssl
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from liblinux._sockets.module import SocketModule  # noqa: F401 - it must see the machine's own functions
from liblinux._sockets.sock import Socket
from liblinux._sockets.tls import TlsSocket
from liblinux.asyncio._current import acting
from liblinux.running import _probes, _strict, _trio
from liblinux.running._chance import choose_bytes, choose_seed
from liblinux.running._clocks import CLOCKS, choose_clock
from liblinux.running._locks import Lock
from liblinux.running._threads import choose_start, is_alive, join
from liblinux.running._turns import strand_here

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

__all__ = ["in_place", "translate"]

_SECOND_NS = 1e9
_REAL = socket.socket
_SOCKET_FUNCTIONS = (
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


class _Kind(type(_REAL)):  # type: ignore[misc]  # whatever the metaclass of sockets is
    """Makes `socket.socket(...)` a choice, and isinstance() true for both kinds."""

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        host = acting.get()
        if cls is _Either and host is not None:
            return host.socket.socket(*arguments, **named)
        if cls is _Either and strand_here() is not None and _is_of_a_loop(sys._getframe(1)):
            _strict.refuse_socket()
        return super().__call__(*arguments, **named)

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Socket | _REAL) if cls is _Either else super().__instancecheck__(instance)


def _is_of_a_loop(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).startswith("asyncio.")


class _Either(_REAL, metaclass=_Kind):
    """A socket of the acting host, or of the machine."""


def _of_host(module: str, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def choice(*arguments: Any, **named: Any) -> Any:
        host = acting.get()
        if host is None:
            try:
                return real(*arguments, **named)
            except socket.gaierror as error:
                if strand_here() is not None:
                    error.add_note(f"It was asked for as no host, so this machine looked for it; {_strict.ADVICE}")
                raise
        return getattr(getattr(host, module), name)(*arguments, **named)

    choice.__name__ = choice.__qualname__ = name
    choice.__doc__ = real.__doc__
    return choice


def _in_run(real: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    def choice(*arguments: Any, **named: Any) -> Any:
        return (real if strand_here() is None else ours)(*arguments, **named)

    choice.__name__ = choice.__qualname__ = real.__name__
    choice.__doc__ = real.__doc__
    return choice


def _sleep(seconds: float, /) -> None:
    """time.sleep() in a run: of its time."""
    strand = strand_here()
    assert strand is not None
    if seconds < 0:
        raise ValueError("sleep length must be non-negative")
    if strand.turns.strict and asyncio._get_running_loop() is not None:
        _strict.refuse_sleep()
    if seconds == 0:
        strand.turns.pause()
    else:
        skews = strand.turns.clock.skews
        skew = skews.here() if skews else None
        strand.turns.sleep(int(seconds * _SECOND_NS / (skew.rate if skew is not None else 1.0)))


_wrap_socket = ssl.SSLContext.wrap_socket


def _wrap(
    self: ssl.SSLContext,
    sock: Any,
    server_side: bool = False,
    do_handshake_on_connect: bool = True,
    suppress_ragged_eofs: bool = True,
    server_hostname: str | bytes | None = None,
    session: ssl.SSLSession | None = None,
) -> Any:
    if isinstance(sock, Socket):
        options = (do_handshake_on_connect, suppress_ragged_eofs, server_hostname, session)
        return TlsSocket._wrap(self, sock, server_side, *options)
    return _wrap_socket(
        self, sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, server_hostname, session
    )


def _changes() -> list[tuple[Any, str, Any]]:
    changes: list[tuple[Any, str, Any]] = [(socket, "socket", _Either), (ssl.SSLContext, "wrap_socket", _wrap)]
    changes += [(socket, name, _of_host("socket", name, getattr(socket, name))) for name in _SOCKET_FUNCTIONS]
    for name in ("select", "poll", "epoll"):
        choice = _of_host("select", name, getattr(select, name))
        changes.append((select, name, choice))
        if name != "select":
            changes.append((getattr(selectors, f"{name.capitalize()}Selector"), "_selector_cls", staticmethod(choice)))
        else:
            changes.append((selectors.SelectSelector, "_select", staticmethod(choice)))
    changes += [(time, name, choose_clock(name)) for name in CLOCKS]
    changes.append((time, "sleep", _in_run(time.sleep, _sleep)))
    changes += [(os, name, choose_bytes(getattr(os, name))) for name in ("urandom", "getrandom")]
    changes.append((random.Random, "seed", choose_seed(random.Random.seed)))
    lock = _in_run(threading.Lock, Lock)
    changes += [(threading, "Lock", lock), (threading, "_allocate_lock", lock)]
    changes.append((threading, "RLock", _in_run(threading.RLock, threading._PyRLock)))  # type: ignore[attr-defined]
    changes.append((queue, "SimpleQueue", _in_run(queue.SimpleQueue, queue._PySimpleQueue)))  # type: ignore[attr-defined]
    changes += [(threading.Thread, "join", join), (threading.Thread, "is_alive", is_alive)]
    # A descriptor of the kernel would be some other file to the host. (Handlers are called all the same.)
    changes.append((signal, "set_wakeup_fd", _in_run(signal.set_wakeup_fd, lambda fd, **options: -1)))
    for name in ("_start_new_thread", "_start_joinable_thread"):  # the second since Python 3.13
        if hasattr(threading, name):
            changes.append((threading, name, choose_start(getattr(threading, name))))
    return changes


_CHANGES = _changes()
_BEFORE = [vars(place)[name] for place, name, _ in _CHANGES]
# Functions that programs take for themselves. (Not classes, which they may have derived from.)
_TAKEN = {
    id(before): after
    for (place, name, after), before in zip(_CHANGES, _BEFORE, strict=True)
    if (place in (time, socket, os, select) and not isinstance(before, type)) or name in ("Lock", "RLock")
}
_OURS = (
    "liblinux",
    "_pytest",
    "pytest",
    "xdist",
    "time",
    "socket",
    "os",
    "posix",
    "select",
    "importlib",
    "threading",
    "_thread",
)
_seen: set[str] = set()
_before: list[tuple[Any, str, Any]] = []  # what is to be put back
_runs = 0
_counting = threading.Lock()


def _change(place: Any, name: str, value: Any) -> None:
    _before.append((place, name, vars(place)[name]))
    setattr(place, name, value)


_finder = _probes.Finder(_change)


@contextlib.contextmanager
def in_place() -> Iterator[None]:
    """The choices are in place during a `with` statement, of as many threads as like."""
    global _runs  # noqa: PLW0603 - there is one standard library
    with _counting:
        _runs += 1
        if _runs == 1:
            changes = _CHANGES + _probes.changes()
            if "trio" in sys.modules:
                changes += _trio.changes()
            for change in changes:
                _change(*change)
            _replace_taken()
            sys.meta_path.insert(0, _finder)
    try:
        yield
    finally:
        with _counting:
            _runs -= 1
            if _runs == 0:
                sys.meta_path.remove(_finder)
                while _before:
                    setattr(*_before.pop())


def translate(function: Callable[..., Any]) -> Callable[..., Any]:
    """What leads to the run, for a function of the standard library that was taken before it."""
    translated: Callable[..., Any] = _TAKEN.get(id(function), function)
    return translated


def _replace_taken() -> None:
    if len(_seen) == len(sys.modules):
        return
    for module_name, module in list(sys.modules.items()):
        if module_name in _seen:
            continue
        _seen.add(module_name)
        if module_name.partition(".")[0] in _OURS or module_name.startswith("_frozen"):
            continue
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if id(value) in _TAKEN:
                setattr(module, name, _TAKEN[id(value)])
