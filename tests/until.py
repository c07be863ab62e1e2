"""Waiting for what must have happened, instead of for as long as it takes as a rule; and limits on real time.

A machine may give its processors to others for seconds at any moment. So a test waits until it sees that the other
side is where it is to be. It gives up after LONG_SECONDS, which nothing takes that works; and of real time it asks
that something was quick enough once in several tries.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["LONG_SECONDS", "has_ended", "it_waits", "once_in_some_tries", "until", "when_it_waits"]

LONG_SECONDS = 60.0
_PAUSE_SECONDS = 0.01
# Who is seen asleep so many times in a row waits for something that takes longer than a lock of Python's.
_LOOKS = 5
_ASLEEP = "SD"  # and what no signal disturbs, such as a disk, proc_pid_stat(5)
# More than it takes to come to what is tested.
_COMPUTES_SECONDS = 0.2
_TRIES = 20


def until(condition: Callable[[], object], what: str, seconds: float = LONG_SECONDS) -> None:
    """Return as soon as the condition holds; AssertionError with `what` when it does not in `seconds`."""
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, f"{what}: not within {seconds:g} s"
        time.sleep(_PAUSE_SECONDS)


def it_waits(thread: threading.Thread, *, or_computes: float = math.inf) -> bool:
    """Until a thread of this process sleeps, or has computed for so many seconds; False when it does neither.

    It must have been started. What it sleeps in is what it was last about to do: it is the machine that says so.
    """
    begin = _state(thread)
    limit = time.monotonic() + LONG_SECONDS
    looks = 0
    while begin is not None and looks < _LOOKS:
        time.sleep(_PAUSE_SECONDS)
        now = _state(thread)
        if now is None or time.monotonic() > limit:
            return False
        if now[1] - begin[1] >= or_computes:
            return True
        looks = looks + 1 if now[0] in _ASLEEP else 0
    return begin is not None


def _state(thread: threading.Thread) -> tuple[str, float] | None:
    """What the machine says of a thread, a letter, and the seconds that it has computed; None when it has ended."""
    try:
        stat = Path(f"/proc/self/task/{thread.native_id}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # from the third on, proc_pid_stat(5)
    return fields[0], (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def when_it_waits(action: Callable[[], object], *, computes: bool = False) -> threading.Thread:
    """Start a thread that does something when the main thread waits; or, if that `computes`, is in the midst of it.

    What is raised there by it belongs into a `with pytest.raises()`, together with this call: it may be early. Not
    much: where an object is taken away Python prints what a signal handler has raised, and goes on.
    """

    def watch() -> None:
        it_waits(threading.main_thread(), or_computes=_COMPUTES_SECONDS if computes else math.inf)
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
