"""Threads of a run: what `threading` starts in one takes turns in it, and ends with its network."""

from __future__ import annotations

import contextlib
import threading
import weakref
from typing import TYPE_CHECKING, Any

from liblinux.running._turns import strand_here

if TYPE_CHECKING:
    from collections.abc import Callable

    from liblinux.running._turns import Strand

__all__ = ["choose_start", "is_alive", "join"]

_SECOND_NS = 1e9
_of_threads: weakref.WeakKeyDictionary[threading.Thread, Strand] = weakref.WeakKeyDictionary()
_real_join = threading.Thread.join
_real_is_alive = threading.Thread.is_alive


def choose_start(real: Callable[..., Any]) -> Callable[..., Any]:
    """In place of `_thread.start_new_thread` and its kind."""

    def start(function: Callable[..., Any], *rest: Any, **options: Any) -> Any:
        here = strand_here()
        if here is None:
            return real(function, *rest, **options)
        thread = getattr(function, "__self__", None)
        name = thread.name if isinstance(thread, threading.Thread) else getattr(function, "__qualname__", "thread")
        if isinstance(thread, threading.Thread):
            _end_quietly(thread)
            # What it waits for comes when the network runs again, if ever: Python shall not wait for it at its end.
            thread._daemonic = True  # type: ignore[attr-defined]
        started: list[Any] = []

        def really(run: Callable[..., Any], *arguments: Any, **named: Any) -> None:
            started.append(real(run, *arguments, **named))

        strand = here.turns.start(really, name, None, function, *rest, **options)
        if isinstance(thread, threading.Thread):
            _of_threads[thread] = strand
        return started[0]

    return start


def _end_quietly(thread: threading.Thread) -> None:
    """SystemExit is how a network ends its threads: not for `threading.excepthook`, which some have replaced."""
    run = thread.run

    def quiet() -> None:
        with contextlib.suppress(SystemExit):
            run()

    thread.run = quiet  # type: ignore[method-assign]  # of this one


def join(self: threading.Thread, timeout: float | None = None) -> None:
    """Thread.join(), by turns for threads that take them."""
    here, strand = strand_here(), _of_threads.get(self)
    if here is None or strand is None or strand is here:
        _real_join(self, timeout)
        return
    deadline = None if timeout is None else here.turns.now() + int(max(timeout, 0) * _SECOND_NS)
    if here.turns.join(strand, deadline):
        _real_join(self)  # what is left of it needs no turn


def is_alive(self: threading.Thread) -> bool:
    """Thread.is_alive(), which does not depend on how soon the host ends a thread."""
    strand = _of_threads.get(self)
    if strand is not None and strand.finished and strand_here() not in (None, strand):
        _real_join(self)
    return _real_is_alive(self)
