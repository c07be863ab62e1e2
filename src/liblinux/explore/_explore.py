"""Exploring: the seeds, the first failure, once more, and less of it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from liblinux.explore._pool import run_seeds, try_one
from liblinux.explore._report import Failure, Report
from liblinux.explore._shrink import shrink
from liblinux.explore._worker import Worker
from liblinux.network.faults import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from liblinux.explore._plan import Outcome, Plan

__all__ = ["explore"]


def explore(
    plan: Plan,
    seeds: range,
    *,
    jobs: int | None = None,
    dask: str | None = None,
    smaller: bool = True,
    progress: Callable[[int], object] = lambda count: None,
) -> Report:
    """Try a test under many seeds, until the lowest that fails is known; returns a :class:`Report`.

    `jobs` processes (None: one for each processor), or the Dask cluster at `dask`
    ("" for a local one). The seed that fails is tried once more in a process of its
    own, and with `smaller` its schedule of faults is shrunk. `progress` is told how
    many more seeds have been tried. Raises Untestable when the test cannot be tried.
    """
    plan = plan.identified()
    jobs = jobs or len(os.sched_getaffinity(0))
    start = time.monotonic()
    workers: tuple[str, ...] = ()
    repeated = 0
    if dask is None:
        found, tried = run_seeds(plan, seeds, jobs, progress)
    else:
        from liblinux.explore._cluster import run_on_cluster  # noqa: PLC0415 - only where it is asked for

        gathered = run_on_cluster(plan, seeds, dask or None, jobs, progress)
        found, tried, repeated = gathered.lowest, gathered.tried, gathered.repeated
        workers = tuple(sorted(gathered.workers))
    seconds = time.monotonic() - start
    failure = None if found is None else _look_into(plan, found, smaller=smaller)
    return Report(plan, seeds, tried, seconds, failure, workers, repeated)


def _look_into(plan: Plan, found: Outcome, *, smaller: bool) -> Failure:
    """Whether it fails again, and with how little."""
    # The seed alone, as who looks into it will try it.
    reproduced = try_one(plan, found.seed).is_like(found)
    if not smaller or not reproduced or found.schedule is None:
        return Failure(found, reproduced)
    candidates = _Candidates(plan, found)
    try:
        schedule = Schedule.from_json(found.schedule)
        smallest = shrink(schedule, candidates.fails)
        return Failure(found, reproduced, smallest, candidates.runs)
    finally:
        candidates.worker.end()


class _Candidates:
    """Tries schedules with the seed that fails."""

    def __init__(self, plan: Plan, found: Outcome) -> None:
        self._plan = plan
        self._found = found
        self.worker = Worker(plan)
        self.runs = 0

    def fails(self, schedule: Schedule) -> bool:
        """Whether the test fails as it did, under these faults."""
        self.runs += 1
        if self.worker.ended:
            self.worker = Worker(self._plan)
        self.worker.give(range(self._found.seed, self._found.seed + 1), self._plan.with_schedule(schedule))
        return self.worker.take().is_like(self._found)
