"""Strict runs: what reaches for the machine's own network or clock by mistake is an error.

Python tells of each such call to audit hooks (PEP 578), by whatever name the
program has it. A hook cannot be taken away again: this one looks only at threads
that are in a strict run.
"""

from __future__ import annotations

import sys
import traceback
from types import FrameType
from typing import Any

from liblinux._errors import HostAccess
from liblinux._sockets.sock import Socket
from liblinux.running._turns import strand_here

__all__ = ["ADVICE", "refuse_sleep", "refuse_socket", "watch"]

_EVENTS = {
    "socket.__new__": "a socket of this machine was made",
    "socket.getaddrinfo": "a name was looked up by this machine",
    "socket.gethostbyname": "a name was looked up by this machine",
    "socket.gethostbyaddr": "an address was looked up by this machine",
    "time.sleep": "time.sleep() of this machine was called",
}
ADVICE = "start what needs the network as a host: host.create_task(), host.run(), host.thread()"
_ADVICE = {
    "socket": ADVICE,
    "time": "await asyncio.sleep() in coroutines, or start what blocks with host.thread() or asyncio.to_thread()",
}
_BETWEEN = ("socket", "liblinux.running._patches")
_OURS = "liblinux._sockets."
_watching: list[bool] = []


def watch() -> None:
    """From now on strict runs are."""
    if not _watching:
        _watching.append(True)
        sys.addaudithook(_hook)


def refuse_sleep() -> None:
    """time.sleep() in a coroutine of a strict run."""
    _refuse("time.sleep", "time.sleep() was called in a coroutine, and stops its whole event loop", sys._getframe(2))


def refuse_socket() -> None:
    """A socket that an event loop makes as no host, strict or not: it could wait for those of hosts only."""
    stack = "".join(traceback.format_stack(sys._getframe(2))[-_SHOWN:])
    raise HostAccess(f"the event loop was to wait for a socket of this machine, by\n{stack.rstrip()}\n{ADVICE}")


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event not in _EVENTS:
        return
    strand = strand_here()
    if strand is None or not strand.turns.strict or (arguments and isinstance(arguments[0], Socket)):
        return
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__") in _BETWEEN:
        frame = frame.f_back
    if frame is not None and frame.f_globals.get("__name__", "").startswith(_OURS):
        return  # numbers are parsed by the C library
    _refuse(event, _EVENTS[event], frame)


def _refuse(event: str, what: str, frame: FrameType | None) -> None:
    stack = "".join(traceback.format_stack(frame)[-_SHOWN:])
    raise HostAccess(f"{what} in a strict run, by\n{stack.rstrip()}\n{_ADVICE[event.partition('.')[0]]}")


_SHOWN = 6
