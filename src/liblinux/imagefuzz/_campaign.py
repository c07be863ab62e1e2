"""Many seeds of one image, in worker processes that are watched.

A worker that dies or hangs is an outcome of its seed; another takes its place.
Every finding is tried once more, alone in a new process.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from pathlib import Path

from liblinux.imagefuzz._areas import Areas, find_areas
from liblinux.imagefuzz._mutation import Change, mutate
from liblinux.imagefuzz._target import Target
from liblinux.imagefuzz._trial import FINDINGS, Outcome, Result
from liblinux.imagefuzz._worker import Worker

__all__ = ["TIMEOUT_SECONDS", "Campaign", "Tally"]

TIMEOUT_SECONDS = 10.0


@dataclass
class Tally:
    """The sum of outcomes; `findings` and `warned` are kept whole."""

    results: Counter[Result] = field(default_factory=Counter)
    findings: list[Outcome] = field(default_factory=list)
    warned: list[Outcome] = field(default_factory=list)
    slowest: float = 0.0
    seconds: float = 0.0

    @property
    def tried(self) -> int:
        """How many images there were."""
        return self.results.total()

    @property
    def mounted(self) -> int:
        """How many could be mounted, as far as is known of those that ended badly."""
        late = ("walk", "read", "write", "unmount", "detach", "close")
        return self.results["passed"] + sum(outcome.step in late for outcome in self.findings)

    def add(self, outcome: Outcome) -> None:
        """Count one more."""
        self.results[outcome.result] += 1
        self.slowest = max(self.slowest, outcome.seconds)
        if outcome.result in FINDINGS:
            self.findings.append(outcome)
        if outcome.warnings:
            self.warned.append(outcome)


class Campaign:
    """Fuzzing one image.

    Arguments: the `target`; `jobs`, how many processes at once; `timeout_seconds`
    after which an image counts as a hang. `run()` yields outcomes as they come.
    Raises MountError when the image cannot be mounted as it is.
    """

    def __init__(self, target: Target, *, jobs: int = 1, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._target = target
        self._jobs = jobs
        self._timeout = timeout_seconds
        with target.buffer() as buffer:
            self.areas: Areas = find_areas(buffer, target)

    def changes(self, seed: int) -> list[Change]:
        """What a seed changes in the image."""
        with self._target.buffer() as buffer:
            return mutate(buffer, self.areas, self._target.type, seed)

    def run(self, seeds: Iterable[int], *, confirm: bool = True) -> Iterator[Outcome]:
        """Try all seeds; with `confirm` every finding twice, see :attr:`Outcome.reproduced`."""
        with tempfile.TemporaryDirectory(prefix="liblinux-imagefuzz-") as directory:
            for outcome in self._run(iter(seeds), Path(directory), self._jobs):
                if confirm and outcome.result in FINDINGS:
                    (again,) = self._run(iter((outcome.seed,)), Path(directory) / "again", 1)
                    outcome.reproduced = again.result == outcome.result
                yield outcome

    def _run(self, seeds: Iterator[int], log: Path, jobs: int) -> Iterator[Outcome]:
        workers: list[Worker] = []
        number = 0
        try:
            while True:
                while len(workers) < jobs and (seed := next(seeds, None)) is not None:
                    number += 1
                    workers.append(Worker(self._target, self.areas, log.with_name(f"{log.name}-{number}.log")))
                    workers[-1].start(seed)
                if not workers:
                    return
                for worker, outcome, alive in self._wait(workers):
                    yield outcome
                    seed = next(seeds, None) if alive else None
                    if seed is not None:
                        worker.start(seed)
                        continue
                    workers.remove(worker)
                    if alive:
                        worker.stop()
        finally:
            for worker in workers:
                if worker.seed is None:
                    worker.stop()
                else:
                    worker.kill()

    def _wait(self, workers: list[Worker]) -> list[tuple[Worker, Outcome, bool]]:
        """Those that are ready or late: (worker, outcome, whether it can go on)."""
        oldest = min(worker.since for worker in workers)
        ready = wait([worker.connection for worker in workers], max(0.0, oldest + self._timeout - time.monotonic()))
        done = []
        for worker in workers:
            if worker.connection in ready:
                outcome = worker.finish()
                done.append((worker, outcome, worker.seed is None))
            elif time.monotonic() - worker.since > self._timeout:
                done.append((worker, worker.kill(), False))
        return done
