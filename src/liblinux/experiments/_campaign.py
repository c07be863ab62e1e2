"""All runs of an experiment: every combination of what is swept, with every seed, on all cores.

Each run is in a kernel of its own, and runs know nothing of each other: so they are shared out to
processes, and come back in the order of the file whichever was done first.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from liblinux.experiments._once import Outcome, run_once
from liblinux.observing import Recording

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

    from liblinux.experiments._model import Experiment

__all__ = ["Job", "Moment", "jobs_of", "run_all"]

# Forked, as those of crash tests: processes that are started afresh would run the caller's script again.
_CONTEXT = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Job:
    """One run that is to be done."""

    experiment: Experiment
    parameters: dict[str, Any]
    seed: int


class Moment(NamedTuple):
    """How far a run is: its number, virtual seconds, frames; `done` when it is over."""

    number: int
    time: float
    frames: int
    done: bool


def jobs_of(experiments: Sequence[tuple[dict[str, Any], Experiment]]) -> list[Job]:
    """All runs, in the order of the file."""
    return [
        Job(experiment, parameters, experiment.seed + repetition)
        for parameters, experiment in experiments
        for repetition in range(experiment.repetitions)
    ]


def run_all(
    jobs: Sequence[Job],
    *,
    workers: int | None = None,
    samples: bool = True,
    progress: Callable[[Moment], None] | None = None,
) -> list[Outcome]:
    """Do them in so many processes (None: one for each processor that this one may use); results in their order.

    Without `samples` the series of the runs are not kept. `progress` is called often, in this process. What a run
    raises is raised, and the others are given up.
    """
    count = min(len(jobs), workers or len(os.sched_getaffinity(0)))
    if count <= 1:
        return [_kept(_run(job, number, progress), samples) for number, job in enumerate(jobs)]
    queue: SimpleQueue[Moment] = _CONTEXT.SimpleQueue()
    outcomes: dict[int, Outcome] = {}
    with ProcessPoolExecutor(count, _CONTEXT, _begin, (queue,)) as pool:
        futures = {pool.submit(_work, job, number, samples): number for number, job in enumerate(jobs)}
        try:
            waiting = set(futures)
            while waiting:
                done = {future for future in waiting if future.done()}
                for future in done:
                    outcomes[futures[future]] = future.result()
                waiting -= done
                _tell(queue, progress)
                _wait(waiting)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        _tell(queue, progress)
    return [outcomes[number] for number in range(len(jobs))]


def _wait(waiting: Any, seconds: float = 0.1) -> None:
    try:
        next(as_completed(waiting, seconds), None)
    except TimeoutError:
        return


def _tell(queue: SimpleQueue[Moment], progress: Callable[[Moment], None] | None) -> None:
    while not queue.empty():
        moment = queue.get()
        if progress is not None:
            progress(moment)


def _kept(outcome: Outcome, samples: bool) -> Outcome:
    return outcome if samples else replace(outcome, recording=Recording())


def _run(job: Job, number: int, progress: Callable[[Moment], None] | None) -> Outcome:
    if progress is None:
        return run_once(job.experiment, job.seed, job.parameters)
    tell = progress
    outcome = run_once(
        job.experiment, job.seed, job.parameters, lambda time, frames: tell(Moment(number, time, frames, False))
    )
    tell(Moment(number, job.experiment.duration, outcome.frames, True))
    return outcome


# ---- in a worker ---------------------------------------------------------------------

_queue: SimpleQueue[Moment] | None = None


def _begin(queue: SimpleQueue[Moment]) -> None:
    global _queue  # noqa: PLW0603 - an initializer of a pool has no other place
    _queue = queue


def _work(job: Job, number: int, samples: bool) -> Outcome:
    assert _queue is not None
    return _kept(_run(job, number, _queue.put), samples)
