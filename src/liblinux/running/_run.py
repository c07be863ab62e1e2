"""What one network gives to all that runs on it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any, Literal

from liblinux.running import _strict
from liblinux.running._chance import Chance
from liblinux.running._clocks import Clock
from liblinux.running._patches import in_place
from liblinux.running._turns import Turns, strand_here
from liblinux.running._waiter import Waiter

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator
    from contextvars import Context

    from liblinux._actor import Actor
    from liblinux._kernel import Kernel
    from liblinux.asyncio._selector import KernelSelector

__all__ = ["Run"]

_STEP_NS = 1_000_000


class Run:
    """The turns, the clock and the chance of one network, and the runs on it, one after the other."""

    def __init__(
        self,
        kernel: Kernel,
        seed: int | str | bytes | None,
        selector: Callable[[], KernelSelector],
        *,
        strict: bool = False,
        busy_wait: Literal["step", "error"] | None = None,
    ) -> None:
        self._unstarted: list[tuple[Context, threading.Thread]] = []
        chance = Chance(seed)
        self.turns = Turns(kernel, chance.turns, selector)
        self.turns.chance = chance
        self.turns.clock = Clock(kernel, self.turns, busy_wait or ("error" if strict else "step"), _STEP_NS)
        self.turns.strict = strict
        if strict:
            _strict.watch()

    @contextlib.contextmanager
    def entered(self) -> Iterator[None]:
        """The calling thread is the main one of a run during a `with` statement."""
        turns = self.turns
        turns.enter()
        try:
            turns.chance.enter()
            try:
                with in_place():
                    self._start_threads()
                    yield
            finally:
                turns.chance.leave()
        finally:
            turns.leave()

    def start_thread(self, context: Context, thread: threading.Thread) -> None:
        """Start a thread that takes turns, when the network runs next."""
        self._unstarted.append((context, thread))
        if strand_here() is not None:
            self._start_threads()

    def _start_threads(self) -> None:
        while self._unstarted:
            context, thread = self._unstarted.pop(0)
            context.run(thread.start)

    def takes_part(self) -> bool:
        """Whether the calling thread is one of this run."""
        strand = strand_here()
        return strand is not None and strand.turns is self.turns

    def attach(self, actor: Actor) -> None:
        """Sockets of a process wait by turns from now on, also those that there are already."""
        system = actor.os
        if system._waiter is None:
            system._waiter = Waiter(system)
            for sock in actor._socket._sockets if actor._socket is not None else []:
                if sock.fileno() >= 0:
                    sock._take_turns()

    def close(self) -> None:
        """End all threads."""
        if self.turns.strands and self.turns.main is None:
            with self.entered():
                self.turns.end_all()

    def state(self) -> tuple[Any, ...]:
        """What is kept in a snapshot of the network; RuntimeError while something runs."""
        self._check_still("taken")
        self.turns.open()  # so that what it waits with is in the kernel's snapshot too
        return self.turns.chance.state(), dict(self.turns.clock.skews)

    def restore(self, state: tuple[Any, ...]) -> None:
        """Be again as then; the kernel is already."""
        self.turns.chance.restore(state[0])
        self.turns.clock.restart()
        self.turns.clock.skews.clear()
        for host, clock in state[1].items():
            self.turns.clock.skews[host] = clock

    def check_restorable(self) -> None:
        """RuntimeError while something runs."""
        self._check_still("put back")

    def _check_still(self, done: str) -> None:
        names = [strand.name for strand in self.turns.strands]
        names += [thread.name for _, thread in self._unstarted]
        if self.turns.main is not None:
            names.append("main")
        if names:
            raise RuntimeError(f"a snapshot cannot be {done} while threads run: {', '.join(names)}; end them first")
