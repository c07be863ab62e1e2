"""trio on a network: what it needs besides the standard library's names.

trio asks for `socket.socket` itself, by its exact type, and calls its methods; it keeps worker threads
for later runs, which would belong to a network that is gone; it shuffles its tasks
with numbers of its own; and it gives the number of a socket to the host's signals.
All of it is of trio's inside, as of trio 0.27 to 0.35; where a later one has other
names, :func:`changes` says so.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from liblinux._sockets.sock import Socket
from liblinux.running._turns import strand_here

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["changes"]


def changes() -> list[tuple[Any, str, Any]]:
    """Places, names and values to put there for a run; RuntimeError for a trio that has other insides."""
    import trio  # noqa: PLC0415 - it is loaded already

    try:
        from trio import _socket  # noqa: PLC0415
        from trio._core import _run, _thread_cache, _wakeup_socketpair  # noqa: PLC0415

        return [
            (_socket._SocketType, "__init__", _choose_init(_socket._SocketType.__init__)),
            (_socket._SocketType, _HELPER, _choose_helper(_socket._SocketType._nonblocking_helper)),
            (_thread_cache, "THREAD_CACHE", _thread_cache.ThreadCache()),
            (_run, "_r", _Random()),
            (_run, "_ALLOW_DETERMINISTIC_SCHEDULING", True),
            (_wakeup_socketpair.WakeupSocketpair, _WAKE, _choose_wake(_wakeup_socketpair.WakeupSocketpair)),
        ]
    except (AttributeError, ImportError) as problem:
        raise RuntimeError(
            f"trio {trio.__version__} is not known to liblinux ({problem}); with trio 0.27 to 0.35 it works"
        ) from problem


_HELPER = "_nonblocking_helper"
_WAKE = "wakeup_thread_and_signal_safe"


class _Random(random.Random):
    """In a run the run's, which are those of `random` itself."""

    def random(self) -> float:
        return super().random() if strand_here() is None else random.random()  # noqa: S311 - no secret


def _choose_init(real: Callable[..., None]) -> Callable[..., None]:
    def init(self: Any, sock: Any) -> None:
        if not isinstance(sock, Socket):
            real(self, sock)
            return
        self._sock = sock
        sock.setblocking(False)
        self._did_shutdown_SHUT_WR = False

    return init


def _choose_helper(real: Callable[..., Any]) -> Callable[..., Any]:
    def helper(self: Any, wait: Any, function: Any, *arguments: Any, **named: Any) -> Any:
        if isinstance(self._sock, Socket):  # `function` is a method of the standard library's class
            function = getattr(type(self._sock), function.__name__)
        return real(self, wait, function, *arguments, **named)

    return helper


def _choose_wake(kind: Any) -> Callable[[Any], None]:
    real: Callable[[Any], None] = getattr(kind, _WAKE)

    def wake(self: Any) -> None:
        strand = strand_here()
        if strand is None or not strand.turns.interrupt(lambda: real(self)):
            real(self)

    return wake
