"""Hosts that are paused: what their tasks would do next is held back until they go on.

All that a loop is to do stands in its queue, each with the context that it runs
in, and that knows the host. Descriptors of a paused host are no longer waited for:
what is ready there would be ready again and again, and no time would pass.
"""

from __future__ import annotations

from asyncio import Handle
from collections import deque
from typing import TYPE_CHECKING, Any

from liblinux.asyncio._current import acting

if TYPE_CHECKING:
    from collections.abc import Iterable

    from liblinux.asyncio._current import Acting
    from liblinux.asyncio._loop import EventLoop

__all__ = ["hold", "release"]


class _Held(deque[Handle]):
    """The queue of a loop, with what it holds back for each paused host."""

    def __init__(self) -> None:
        super().__init__()
        self.of: dict[Acting, list[Handle]] = {}
        self.descriptors: dict[Acting, list[int]] = {}

    def append(self, handle: Handle, /) -> None:
        """To be done next; of a paused host when it goes on."""
        super().append(handle) if (held := self.of.get(_host(handle))) is None else held.append(handle)  # type: ignore[arg-type]  # nobody is paused


def _host(handle: Handle) -> Acting | None:
    context: Any = handle._context  # type: ignore[attr-defined]  # typeshed does not tell
    host: Acting | None = context.get(acting)
    return host


def hold(loop: EventLoop, host: Acting) -> None:
    """Hold back all that a loop would do as this host."""
    held = loop._ready if isinstance(loop._ready, _Held) else _Held()
    nothing = Handle(lambda: None, (), loop)
    nothing.cancel()
    mine: list[Handle] = []
    waiting = list(loop._ready)
    held.clear()
    held.of[host] = mine
    for handle in waiting:
        if _host(handle) is host:
            mine.append(handle)
            handle = nothing  # noqa: PLW2901 - the loop has counted them for this round
        deque.append(held, handle)
    loop._ready = held
    held.descriptors[host] = list(_quiet(loop, host))


def release(loop: EventLoop, host: Acting) -> None:
    """Do it now, in the order in which it came."""
    held = loop._ready
    if not isinstance(held, _Held) or host not in held.of:
        return
    waiting = held.of.pop(host)
    for fd in held.descriptors.pop(host):
        loop._selector.hear(fd)
    for handle in waiting:
        if not handle.cancelled():
            held.append(handle)
    if not held.of:
        loop._ready = deque(held)


def _quiet(loop: EventLoop, host: Acting) -> Iterable[int]:
    for key in sorted(loop._selector.get_map().values(), key=lambda key: key.fd):
        handles = key.data if isinstance(key.data, tuple) else ()
        if any(handle is not None and _host(handle) is host for handle in handles):
            loop._selector.mute(key.fd)
            yield key.fd
