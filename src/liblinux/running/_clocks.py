"""`time` in a run, and programs that only wait for it to pass.

While anything runs, virtual time stands still: a program that reads the clock
again and again until it is late enough would do so for ever. It is found out by
reading the clock very often, in one and the same frame, while nothing else
happens. Then time is moved on, or it is an error that names it.
"""

from __future__ import annotations

import _thread
import logging
import sys
import time
import traceback
from typing import TYPE_CHECKING, Literal

from liblinux import _native
from liblinux._errors import BusyWait
from liblinux.running._skew import Skews
from liblinux.running._turns import _strands

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from liblinux._kernel import Kernel
    from liblinux.running._turns import Turns

__all__ = ["CLOCKS", "Clock", "choose_clock"]

_SECOND_NS = 10**9
_SUSPICIOUS_READS = 20_000  # while nothing happens
_SURE_READS = 20_000  # of them in one frame
_SURE_ROUNDS = 200_000  # of an event loop in which nothing came and no time passed
_log = logging.getLogger("liblinux.time")


class Clock:
    """The time of a run. `reaction` to a program that only waits for it: "step" by `step` nanoseconds, or "error"."""

    def __init__(self, kernel: Kernel, turns: Turns, reaction: Literal["step", "error"], step: int) -> None:
        self.who: Callable[[], str] = str  # what an event loop goes round for
        self._now = kernel._native.now
        self._turns = turns
        self._virtual = kernel.clock == "virtual"
        self.reaction = reaction
        self._step = step
        self.monotonic = clock = _native.Clock(
            kernel._process, self._suspect, _SUSPICIOUS_READS, self._crawl, _SURE_ROUNDS
        )
        self.monotonic_ns, self.realtime, self.realtime_ns = clock.monotonic_ns, clock.time, clock.time_ns
        # Something has come from outside of the program, or time has passed.
        self.happened = clock.happened
        self._same = self._seen = 0
        self._events = -1
        self._frame: FrameType | None = None
        self.skews = Skews()

    def shown(self, *, date: bool) -> int:
        """What a clock of the acting host, which may go wrong, shows in nanoseconds: its date, or the monotonic one."""
        skew = self.skews.here()
        true: int = self.monotonic_ns()
        ahead = skew.monotonic(true) - true if skew is not None else 0
        if not date:
            return true + ahead
        date_ns: int = self.realtime_ns()
        return date_ns + ahead + (skew.step if skew is not None else 0)

    # ---- who only waits ------------------------------------------------------------

    def _crawl(self) -> None:
        """An event loop goes round because there is something to do; `who` says what."""
        if not self._virtual:
            return
        if self.monotonic.rounds == _SURE_ROUNDS:
            self._tell(f"{_SURE_ROUNDS} rounds of the event loop, and no time passed, by", self.who())
        self._turns.sleep(self._step)

    def restart(self) -> None:
        """The clock was put back."""
        self.happened()

    def _start_again(self, now: int) -> None:
        self._seen, self._events = now, self.monotonic.events
        self.monotonic.reads = self._same = 0
        self._frame = None

    def _suspect(self) -> None:
        now = self._now()
        if (
            self._events != self.monotonic.events
            or now - self._seen > self.monotonic.reads * _CHARGE_NS
            or not self._virtual
        ):
            self._start_again(now)
            return
        frame: FrameType | None = sys._getframe(1)
        if frame is not None and frame.f_code.co_name == "_run_once":
            return  # the loop itself, in each round
        while frame is not None and frame.f_globals.get("__name__", "").startswith(_PASSED_OVER):
            frame = frame.f_back
        if frame is not self._frame:
            self._frame, self._same = frame, 0
        self._same += 1
        if self._same < _SURE_READS:
            return
        # It goes on where it is, and needs no second proof. (Logging reads the clock too.)
        state = self.monotonic.reads, self._same, self._frame
        self.monotonic.reads = 0
        if state[1] == _SURE_READS:
            self._tell("the clock was read again and again, and nothing else was done, by", _stack(frame))
        self._turns.sleep(self._step)
        self._seen = self._now()
        self.monotonic.reads, self._same, self._frame = state

    def _tell(self, what: str, who: str) -> None:
        if self.reaction == "error":
            self._start_again(self._now())
            self.monotonic.rounds = 0
            raise BusyWait(
                f"virtual time stands still while anything runs: {what}\n{who.rstrip()}\n"
                'sleep or wait instead; or Network(busy_wait="step") moves time on'
            )
        _log.warning("%s\n%s\ntime is moved on by %g ms each time", what, who.rstrip(), self._step / 1e6)


# System calls move the clock a little: less than this for each time it is read is not time that passes.
_CHARGE_NS = 1000
_PASSED_OVER = ("liblinux.running", "liblinux.asyncio", "asyncio")


def _stack(frame: FrameType | None) -> str:
    return "".join(traceback.format_stack(frame)[-_SHOWN:]) if frame else "somebody unknown"


_SHOWN = 6


# By the names of `time`, the attribute of a :class:`Clock`.
CLOCKS = {
    "monotonic": "monotonic",
    "monotonic_ns": "monotonic_ns",
    "perf_counter": "monotonic",
    "perf_counter_ns": "monotonic_ns",
    "time": "realtime",
    "time_ns": "realtime_ns",
}


def choose_clock(name: str) -> Callable[[], float]:
    """What takes the place of a function of `time`."""
    real: Callable[[], float] = getattr(time, name)
    ours = CLOCKS[name]

    is_date, unit = name.startswith("time"), 1 if name.endswith("_ns") else _SECOND_NS
    strand_of, here = _strands.get, _thread.get_ident  # strand_here(), without the call: it is asked very often

    def choice() -> float:
        strand = strand_of(here())
        if strand is None:
            return real()
        clock = strand.turns.clock
        if clock.skews:
            shown = clock.shown(date=is_date)
            return shown if unit == 1 else shown / unit
        answer: float = getattr(clock, ours)()
        return answer

    choice.__name__ = choice.__qualname__ = name
    choice.__doc__ = real.__doc__
    return choice
