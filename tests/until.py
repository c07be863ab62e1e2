"""Waiting for what must have happened, instead of for as long as it takes as a rule; and limits on real time.

A machine may give its processors to others for seconds at any moment. So a test waits until it sees that the other
side is where it is to be. It gives up after LONG_SECONDS, which nothing takes that works; and of real time it asks
that something was quick enough once in several tries.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["LONG_SECONDS", "has_ended", "it_waits", "once_in_some_tries", "until", "when_it_waits"]

LONG_SECONDS = 60.0
_PAUSE_SECONDS = 0.01
# Who is seen asleep so many times in a row waits for something that takes longer than a lock of Python's.
_LOOKS = 5
_TRIES = 20


def until(condition: Callable[[], object], what: str, seconds: float = LONG_SECONDS) -> None:
    """Return as soon as the condition holds; AssertionError with `what` when it does not in `seconds`."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"{what}: not within {seconds:g} s"
        time.sleep(_PAUSE_SECONDS)


def it_waits(thread: threading.Thread, seconds: float = LONG_SECONDS) -> bool:
    """Until a thread of this process sleeps; whether it did, False when it has ended or runs on after `seconds`.

    It must have been started. What it sleeps in is what it was last about to do: it is the machine that says so.
    """
    limit = time.monotonic() + seconds
    looks = 0
    while looks < _LOOKS:
        time.sleep(_PAUSE_SECONDS)
        try:
            stat = Path(f"/proc/self/task/{thread.native_id}/stat").read_text(encoding="ascii", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return False
        looks = looks + 1 if stat.rpartition(")")[2].split()[0] == "S" else 0
        if time.monotonic() > limit:
            return False
    return True


def when_it_waits(action: Callable[[], object], thread: threading.Thread | None = None) -> threading.Thread:
    """Start a thread that does something to one (the main thread) that waits by then, or has computed for a second.

    An action that raises something there belongs into the `with pytest.raises()` together with what it interrupts.
    """

    def watch() -> None:
        it_waits(thread or threading.main_thread(), seconds=1)
        action()

    watching = threading.Thread(target=watch)
    watching.start()
    return watching


def once_in_some_tries(measure: Callable[[], float], limit: float, tries: int = _TRIES) -> None:
    """What `measure` returns, seconds as a rule, is below the limit at least once; AssertionError when it never is."""
    found: list[float] = []
    while not found or found[-1] >= limit:
        assert len(found) < tries, f"never below {limit}: {found}"
        found.append(measure())


def has_ended(pid: int) -> bool:
    """Whether that process is no more, or dead and not yet collected by whoever has inherited it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] in "ZX"
