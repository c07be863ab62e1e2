"""All seeds on the processors of this machine, until the lowest that fails is known.

Seeds go out in their order, in small units; when one fails, those below it are
waited for and those above are given up. So the answer does not depend on how many
processes there are.
"""

from __future__ import annotations

import itertools
import time
from multiprocessing.connection import wait
from typing import TYPE_CHECKING

from liblinux.explore._plan import Outcome, Plan, Untestable
from liblinux.explore._worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["run_seeds", "try_one", "units"]

_UNIT_SEEDS = 16


def units(seeds: range, size: int) -> Iterator[range]:
    """The seeds in parts."""
    for start in range(0, len(seeds), size):
        yield seeds[start : start + size]


def try_one(plan: Plan, seed: int) -> Outcome:
    """Try a seed in a fresh process."""
    with Worker(plan) as worker:
        worker.give(range(seed, seed + 1))
        return worker.take()


def run_seeds(
    plan: Plan, seeds: range, jobs: int, progress: Callable[[int], object] = lambda count: None
) -> tuple[Outcome | None, int]:
    """Try the seeds; returns the outcome of the lowest that fails, None without, and how many were tried.

    `progress` is told how many more have been tried. Untestable when the test cannot be tried.
    """
    waiting = units(seeds, max(1, min(_UNIT_SEEDS, len(seeds) // jobs)))
    workers: list[Worker] = []
    lowest: Outcome | None = None
    tried = 0
    try:
        for unit in itertools.islice(waiting, jobs):
            workers.append(Worker(plan))
            workers[-1].give(unit)
        while workers:
            for worker in _ready(workers):
                if (outcome := worker.look()) is None:
                    continue
                tried += 1
                progress(1)
                if outcome.result == "untestable":
                    raise Untestable(outcome.message)
                if outcome.failed:
                    worker.waiting.clear()
                    if lowest is None or outcome.seed < lowest.seed:
                        lowest = outcome
                if not worker.waiting:
                    workers.remove(worker)
                    _go_on(worker, plan, next(waiting, None) if lowest is None else None, workers)
            if lowest is not None:
                for worker in [one for one in workers if one.waiting[0] > lowest.seed]:
                    workers.remove(worker)
                    worker.end()
        return lowest, tried
    finally:
        for worker in workers:
            worker.end()


def _go_on(worker: Worker, plan: Plan, unit: range | None, workers: list[Worker]) -> None:
    if unit is None:
        worker.end()
        return
    if worker.ended:
        worker = Worker(plan)
    worker.give(unit)
    workers.append(worker)


def _ready(workers: list[Worker]) -> list[Worker]:
    """Those that have an outcome, have died, or take too long."""
    soonest = min(worker.deadline for worker in workers)
    answered = wait([worker.connection for worker in workers], max(0.0, soonest - time.monotonic()))
    now = time.monotonic()
    return [worker for worker in workers if worker.connection in answered or worker.deadline <= now]
