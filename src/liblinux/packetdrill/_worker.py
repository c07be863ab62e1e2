"""System calls that block: each on a thread of its own, while the script goes on.

The kernel's clock does not move while a thread of the kernel is outside of it
(`lockstep`), so a thread that comes back can say when, and nothing depends on
how soon the host lets it run.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import liblinux

if TYPE_CHECKING:
    from collections.abc import Iterator

    from liblinux.packetdrill._calls import Prepared, Result
    from liblinux.packetdrill._machine import Machine
    from liblinux.packetdrill._script import Event, SystemCall

__all__ = ["Pending", "Workers"]


@dataclass
class Pending:
    """A call that is being made."""

    prepared: Prepared
    event: Event
    call: SystemCall
    script_us: int
    result: Result | None = None
    error: BaseException | None = None
    reported: bool = False


class _Worker:
    """A thread of the kernel. When it has nothing to do it waits inside, so that time can pass."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._reading, self._writing = machine.kernel.os.pipe()
        self._jobs: queue.SimpleQueue[Pending] = queue.SimpleQueue()
        self.job: Pending | None = None
        ready = threading.Event()
        self.thread = threading.Thread(target=self._serve, args=(ready,), daemon=True)
        self.thread.start()
        ready.wait()

    def give(self, job: Pending) -> None:
        self.job = job
        self._jobs.put(job)
        self._machine.kernel.os.write(self._writing, b"j")

    def end(self) -> None:
        """Let it end. Its call, if any, must be over."""
        # With the kernel dead its wait is over as well.
        with contextlib.suppress(liblinux.KernelPanic):
            self._machine.kernel.os.write(self._writing, b"e")
        self.thread.join()

    def _serve(self, ready: threading.Event) -> None:
        kernel = self._machine.kernel
        kernel.syscall("gettid")  # from now on the clock waits for this thread
        ready.set()
        while True:
            try:
                if kernel.os.read(self._reading, 1) == b"e":
                    return
                job = self._jobs.get()
                job.result = job.prepared.make(self._machine)
            except liblinux.Deadlock as deadlock:
                job.error = deadlock
            except (liblinux.KernelPanic, liblinux.KernelClosed) as end:
                if self.job is not None:
                    self.job.error = end
                return


class Workers:
    """The threads of a run, and the calls that they make."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._workers: list[_Worker] = []
        self._pending: list[Pending] = []

    def start(self, prepared: Prepared, event: Event, call: SystemCall, script_us: int) -> None:
        """Make a call on another thread; it is inside of it when settle() returns."""
        self._machine.begin_lockstep()
        worker = next((one for one in self._workers if one.job is None or _is_over(one.job)), None)
        if worker is None:
            worker = _Worker(self._machine)
            self._workers.append(worker)
        pending = Pending(prepared, event, call, script_us)
        self._pending.append(pending)
        worker.give(pending)

    def settle(self) -> None:
        """Let the other threads run until they wait; afterwards what has ended is known."""
        if self._workers:
            self._machine.settle()

    def ended(self) -> Iterator[Pending]:
        """Calls that are over, each of them once."""
        for pending in self._pending:
            if _is_over(pending) and not pending.reported:
                pending.reported = True
                yield pending

    def pending(self) -> Iterator[Pending]:
        """Calls that have not been looked at."""
        for pending in self._pending:
            if not pending.reported:
                pending.reported = True
                yield pending

    def wait(self, pending: Pending, deadline: int) -> None:
        """Let time pass until the call is over, or the deadline. Raises liblinux.Deadlock as the call does."""
        if not _is_over(pending):
            self._machine.wait_until(deadline)
        if pending.error is not None:
            raise pending.error

    def close(self) -> None:
        """End the threads; calls that still block are ended with the kernel."""
        if not self._workers:
            return
        if any(not _is_over(pending) for pending in self._pending):
            self._machine.kernel.abort()
        for worker in self._workers:
            worker.end()


def _is_over(pending: Pending) -> bool:
    return pending.result is not None or pending.error is not None
