"""`time` in a run, and programs that only wait for it to pass.

While anything runs, virtual time stands still: a program that reads the clock
again and again until it is late enough would do so for ever. It is found out by
reading the clock very often, in one and the same frame, while nothing else
happens. Then time is moved on, or it is an error that names it.
"""

from __future__ import annotations

import _thread
import logging
import struct
import sys
import time
import traceback
from functools import partial
from typing import TYPE_CHECKING, Literal

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
_TIMESPEC = struct.Struct("=qq")
_SUSPICIOUS_READS = 20_000  # while nothing happens
_SURE_READS = 20_000  # of them in one frame
_SURE_ROUNDS = 200_000  # of an event loop in which nothing came and no time passed
_log = logging.getLogger("liblinux.time")


class Clock:
    """The time of a run. `reaction` to a program that only waits for it: "step" by `step` nanoseconds, or "error"."""

    def __init__(self, kernel: Kernel, turns: Turns, reaction: Literal["step", "error"], step: int) -> None:
        self._now = kernel._native.now
        self._turns = turns
        self._virtual = kernel.clock == "virtual"
        self.reaction = reaction
        self._step = step
        self._moment = bytearray(_TIMESPEC.size)
        number = kernel.syscalls["clock_gettime"]
        self._read_realtime = partial(kernel._process.syscall, number, time.CLOCK_REALTIME, self._moment)
        self.monotonic: Callable[[], float] = self.reader()
        self._reads = self._rounds = self._same = 0
        self._seen = -1
        self._frame: FrameType | None = None
        self.skews = Skews()

    # ---- reading -----------------------------------------------------------------

    def monotonic_ns(self) -> int:
        """Nanoseconds since the kernel was booted."""
        self._reads += 1
        if self._reads > _SUSPICIOUS_READS:
            self._suspect()
        return self._now()

    def reader(self) -> Callable[[], float]:
        """What monotonic_ns() does, in seconds, in one call: event loops look at the clock in every round."""
        now, suspect = self._now, self._suspect

        def read() -> float:
            self._reads += 1
            if self._reads > _SUSPICIOUS_READS:
                suspect()
            return now() / _SECOND_NS

        return read

    def realtime_ns(self) -> int:
        """Nanoseconds since 1970, as the kernel sees it."""
        self.monotonic_ns()
        self._read_realtime()
        seconds, nanoseconds = _TIMESPEC.unpack(self._moment)
        return int(seconds) * _SECOND_NS + int(nanoseconds)

    def shown(self, *, date: bool) -> int:
        """What a clock of the acting host, which may go wrong, shows in nanoseconds: its date, or the monotonic one."""
        skew = self.skews.here()
        true = self.monotonic_ns()
        ahead = skew.monotonic(true) - true if skew is not None else 0
        if not date:
            return true + ahead
        return self.realtime_ns() + ahead + (skew.step if skew is not None else 0)

    # ---- who only waits ------------------------------------------------------------

    def happened(self) -> None:
        """Something has come from outside of the program, or time has passed."""
        self._rounds = self._reads = 0
        self._seen = -1

    def round(self, who: Callable[[], str]) -> None:
        """An event loop goes round because there is something to do; `who` says what."""
        self._rounds += 1
        if self._rounds < _SURE_ROUNDS or not self._virtual:
            return
        if self._rounds == _SURE_ROUNDS:
            self._tell(f"{_SURE_ROUNDS} rounds of the event loop, and no time passed, by", who())
        self._turns.sleep(self._step)

    def restart(self) -> None:
        """The clock was put back."""
        self.happened()

    def _start_again(self, now: int) -> None:
        self._seen = now
        self._reads = self._same = 0
        self._frame = None

    def _suspect(self) -> None:
        now = self._now()
        if self._seen < 0 or now - self._seen > self._reads * _CHARGE_NS or not self._virtual:
            self._start_again(now)
            return
        frame: FrameType | None = sys._getframe(2)
        loop = frame.f_back if frame is not None and frame.f_code.co_name == "time" else None
        if loop is not None and loop.f_code.co_name == "_run_once":
            return  # the loop itself, in each round
        while frame is not None and frame.f_globals.get("__name__", "").startswith(_PASSED_OVER):
            frame = frame.f_back
        if frame is not self._frame:
            self._frame, self._same = frame, 0
        self._same += 1
        if self._same < _SURE_READS:
            return
        # It goes on where it is, and needs no second proof. (Logging reads the clock too.)
        state = self._reads, self._same, self._frame
        self._reads = 0
        if state[1] == _SURE_READS:
            self._tell("the clock was read again and again, and nothing else was done, by", _stack(frame))
        self._turns.sleep(self._step)
        self._seen = self._now()
        self._reads, self._same, self._frame = state

    def _tell(self, what: str, who: str) -> None:
        if self.reaction == "error":
            self._start_again(self._now())
            self._rounds = 0
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

CLOCKS: dict[str, Callable[[Clock], float]] = {
    "monotonic": lambda clock: clock.monotonic(),
    "monotonic_ns": Clock.monotonic_ns,
    "perf_counter": lambda clock: clock.monotonic(),
    "perf_counter_ns": Clock.monotonic_ns,
    "time": lambda clock: clock.realtime_ns() / _SECOND_NS,
    "time_ns": Clock.realtime_ns,
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
        return ours(clock)

    choice.__name__ = choice.__qualname__ = name
    choice.__doc__ = real.__doc__
    return choice
