"""Worker processes: each with a kernel of its own, given one crash point at a time.

They are forked, so that the workload's functions, the recording and the base image
need not be sent. The parent knows which point each one is at and since when; one
that does not answer is killed, one that died is replaced, and either is a failure of
that point and not the end of the test.
"""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import signal
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING

from liblinux.crash._points import CrashPoint
from liblinux.crash._report import Failure
from liblinux.crash._trial import Plan, Result, Trials

if TYPE_CHECKING:
    from multiprocessing.context import ForkProcess

__all__ = ["run_points"]

# A call that does not return to Python cannot be interrupted there: how much longer it is waited for.
_GRACE_SECONDS = 5.0
_FORK = multiprocessing.get_context("fork")


class _Worker:
    def __init__(self, plan: Plan, others: Sequence[_Worker]) -> None:
        self._plan = plan
        self.connection, theirs = _FORK.Pipe()
        inherited = [self.connection, *(other.connection for other in others)]
        self._process: ForkProcess = _FORK.Process(target=_serve, args=(theirs, inherited, plan), daemon=True)
        self._process.start()
        theirs.close()
        self.point: CrashPoint | None = None
        self.deadline = 0.0

    def give(self, point: CrashPoint) -> None:
        """Begin with a point; a worker that has died in the meantime is found out when it is asked."""
        self.point = point
        self.deadline = time.monotonic() + self._plan.time_limit + _GRACE_SECONDS
        with contextlib.suppress(BrokenPipeError):
            self.connection.send(point)

    def take(self) -> Result | None:
        """The result that has arrived, or None if the worker has died."""
        try:
            result = self.connection.recv()
        except (EOFError, ConnectionResetError):
            return None
        assert isinstance(result, Result)
        return result

    def end(self) -> int | None:
        """End it now; returns its exit code."""
        self._process.kill()
        self._process.join()
        self.connection.close()
        return self._process.exitcode

    def failed(self, kind: str, message: str) -> Result:
        """The result of a point that the worker cannot tell any more."""
        assert self.point is not None
        recording = self._plan.recording
        failure = Failure(self.point, kind, message, under_way=recording.under_way(self.point.position))
        return Result(failure, hash(self.point), booted=False)


def _serve(connection: Connection, inherited: Sequence[Connection], plan: Plan) -> None:
    """The life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    for end in inherited:
        end.close()  # else nobody would notice that the parent is gone
    trials = Trials(plan)
    while True:
        try:
            point = connection.recv()
        except EOFError:
            return
        result = trials.try_point(point)
        try:
            connection.send(result)
        except BrokenPipeError:  # the parent was killed
            return


def run_points(plan: Plan, points: Sequence[CrashPoint], workers: int) -> Iterator[Result]:
    """Try all points with so many processes; results come as they are done."""
    waiting = iter(points)
    pool: list[_Worker] = []
    try:
        for point in itertools.islice(waiting, workers):
            pool.append(_Worker(plan, pool))
            pool[-1].give(point)
        while pool:
            for worker in _ready(pool):
                result = _result_of(worker)
                pool.remove(worker)
                _go_on(worker, result, plan, waiting, pool)
                yield result
    finally:
        for worker in pool:
            worker.end()


def _go_on(worker: _Worker, result: Result, plan: Plan, waiting: Iterator[CrashPoint], pool: list[_Worker]) -> None:
    """Give the worker, or one in its place, the next point; or end it."""
    lost = result.failure is not None and result.failure.kind in ("hang", "died")
    point = next(waiting, None)
    if lost or point is None:
        worker.end()
    if point is not None:
        pool.append(_Worker(plan, pool) if lost else worker)
        pool[-1].give(point)


def _ready(pool: Sequence[_Worker]) -> list[_Worker]:
    """The workers that have answered, died, or run out of time."""
    soonest = min(worker.deadline for worker in pool)
    answered = wait([worker.connection for worker in pool], max(0.0, soonest - time.monotonic()))
    now = time.monotonic()
    return [worker for worker in pool if worker.connection in answered or worker.deadline <= now]


def _result_of(worker: _Worker) -> Result:
    if not worker.connection.poll():
        return worker.failed("hang", "the kernel did not come back, and its process was killed")
    result = worker.take()
    if result is not None:
        return result
    return worker.failed("died", f"the worker process ended with code {worker.end()}")
