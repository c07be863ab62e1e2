"""A process that tries seed after seed; what happens to it happens to nobody else.

It is told seeds over a pipe, answers with outcomes, and leaves the step that it
is in where its parent can read it after its death.
"""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from liblinux.imagefuzz._areas import Areas
from liblinux.imagefuzz._mutation import Mutator, apply
from liblinux.imagefuzz._target import Target
from liblinux.imagefuzz._trial import STEPS, Outcome, try_image

__all__ = ["Worker"]

_context = multiprocessing.get_context("spawn")
_JOIN_SECONDS = 10.0


@dataclass(frozen=True)
class _Job:
    target: Target
    areas: Areas
    log: str


class Worker:
    """The parent's side of one worker process."""

    def __init__(self, target: Target, areas: Areas, log: Path) -> None:
        log.write_bytes(b"")  # a process may die before it opens it
        self._job = _Job(target, areas, str(log))
        self._step: Any = _context.RawValue("i", 0)
        self.connection, theirs = _context.Pipe()
        self._process = _context.Process(target=_work, args=(self._job, theirs, self._step), daemon=True)
        self._process.start()
        theirs.close()
        self.seed: int | None = None
        self.since = time.monotonic()

    def start(self, seed: int) -> None:
        """Let it try a seed."""
        self.seed = seed
        self.since = time.monotonic()
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
        step = STEPS[self._step.value]
        self._process.kill()
        self._process.join()
        self.connection.close()
        return Outcome(self.seed, "hang", step, f"no end after {seconds:.1f} s", seconds=seconds)

    def stop(self) -> None:
        """End a process that has nothing to do."""
        self.connection.close()
        self._process.join(_JOIN_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _death(self) -> Outcome:
        assert self.seed is not None
        self._process.join()
        self.connection.close()
        code = self._process.exitcode or 0
        said = Path(self._job.log).read_text(errors="replace").strip().splitlines()
        detail = f"exit status {code}; " + " | ".join(said[:6])
        return Outcome(self.seed, "death", STEPS[self._step.value], detail, seconds=time.monotonic() - self.since)


def _work(job: _Job, connection: Connection, step: Any) -> None:
    """The whole life of the process: seeds in, outcomes out."""
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 2)  # what a dying process says
    faulthandler.enable(2)

    def tell(name: str) -> None:
        step.value = STEPS.index(name)

    with job.target.buffer() as buffer:
        mutator = Mutator(buffer, job.areas, job.target.type)
        while True:
            try:
                seed = connection.recv()
            except EOFError:
                return
            start = time.monotonic()
            undo = apply(buffer, mutator.changes(seed))
            outcome = try_image(job.target, buffer, seed, tell)
            apply(buffer, undo)
            outcome.seconds = time.monotonic() - start
            connection.send(outcome)
