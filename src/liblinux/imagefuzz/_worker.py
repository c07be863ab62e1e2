"""A process that tries seed after seed; what happens to it happens to nobody else.

It is told seeds over a pipe, answers with outcomes, and leaves the step that it
is in where its parent can read it after its death.

A program of its own, not one of `multiprocessing`'s: those run the main module
of their parent once more.
"""

from __future__ import annotations

import contextlib
import faulthandler
import mmap
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from pathlib import Path

from liblinux.imagefuzz._areas import Areas
from liblinux.imagefuzz._mutation import Mutator, apply
from liblinux.imagefuzz._target import Target
from liblinux.imagefuzz._trial import STEPS, Outcome, try_image

__all__ = ["Worker", "work"]

_PROGRAM = "import sys; from liblinux.imagefuzz._worker import work; work(int(sys.argv[1]), int(sys.argv[2]))"
_STOP_SECONDS = 10.0
_LINES_SAID = 6


@dataclass(frozen=True)
class _Job:
    target: Target
    areas: Areas


class Worker:
    """The parent's side of one worker process; `log` takes what it says when it dies."""

    def __init__(self, target: Target, areas: Areas, log: Path) -> None:
        self._log = log
        self.connection, theirs = Pipe()
        step = os.memfd_create("step")
        try:
            os.ftruncate(step, mmap.PAGESIZE)
            self._step = mmap.mmap(step, mmap.PAGESIZE)
            with log.open("wb") as said:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _PROGRAM, str(theirs.fileno()), str(step)],
                    pass_fds=(theirs.fileno(), step),
                    stdin=subprocess.DEVNULL,
                    stderr=said,
                )
        finally:
            os.close(step)
            theirs.close()
        self.connection.send(_Job(target, areas))
        self.seed: int | None = None
        self.since = time.monotonic()

    def start(self, seed: int) -> None:
        """Let it try a seed."""
        self.seed = seed
        self.since = time.monotonic()
        with contextlib.suppress(ConnectionError):  # dead already: finish() says so
            self.connection.send(seed)

    def finish(self) -> Outcome:
        """The outcome that has come; if the process died instead, that is the outcome."""
        assert self.seed is not None
        try:
            outcome: Outcome = self.connection.recv()
        except (EOFError, ConnectionError):
            return self._death()
        self.seed = None
        return outcome

    def kill(self) -> Outcome:
        """End a process that takes too long, and say where it was."""
        assert self.seed is not None
        seconds = time.monotonic() - self.since
        self._process.kill()
        self._process.wait()
        outcome = Outcome(self.seed, "hang", self._reached(), f"no end after {seconds:.1f} s", seconds=seconds)
        self._forget()
        return outcome

    def stop(self) -> None:
        """End a process that has nothing to do."""
        self.connection.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._forget()

    def _death(self) -> Outcome:
        assert self.seed is not None
        code = self._process.wait()
        said = self._log.read_text(errors="replace").strip().splitlines()
        detail = " | ".join((f"exit status {code}", *said[:_LINES_SAID]))
        outcome = Outcome(self.seed, "death", self._reached(), detail, seconds=time.monotonic() - self.since)
        self._forget()
        return outcome

    def _reached(self) -> str:
        return STEPS[self._step[0]]

    def _forget(self) -> None:
        self.connection.close()
        self._step.close()


def work(pipe: int, step: int) -> None:
    """The whole life of the process: seeds in, outcomes out; `pipe` and `step` are descriptors."""
    faulthandler.enable()
    shown = mmap.mmap(step, mmap.PAGESIZE)

    def tell(name: str) -> None:
        shown[0] = STEPS.index(name)

    with Connection(pipe) as connection:
        job: _Job = connection.recv()
        with job.target.buffer() as buffer:
            mutator = Mutator(buffer, job.areas, job.target.type)
            while (seed := _next(connection)) is not None:
                start = time.monotonic()
                undo = apply(buffer, mutator.changes(seed))
                outcome = try_image(job.target, buffer, seed, tell)
                apply(buffer, undo)
                outcome.seconds = time.monotonic() - start
                connection.send(outcome)


def _next(connection: Connection) -> int | None:
    try:
        seed: int = connection.recv()
    except EOFError:
        return None
    return seed
