"""The same on a Dask cluster: units of work go to its workers, which start a process for each.

A unit is the plan (which names the commit, the kernel and the test) and a range of
seeds. The scheduler gives the units of a worker that is lost to others; if it gives
up on one, since it lost several workers in a row, it is given out anew.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from liblinux.explore._plan import Outcome, Plan, Untestable
from liblinux.explore._pool import units
from liblinux.explore._worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Gathered", "run_on_cluster", "run_unit"]

_UNIT_SEEDS = 100
_UNITS_A_WORKER = 4  # at least, so that none waits long for the last one
_MOST_REPEATS = 20
_CONNECT_SECONDS = 10


class Gathered:
    """What the workers have told: the lowest seed that fails, how many were tried, by whom."""

    def __init__(self) -> None:
        self.lowest: Outcome | None = None
        self.tried = 0
        self.workers: set[str] = set()
        self.repeated = 0


def run_unit(plan: dict[str, Any], first: int, stop: int) -> tuple[list[Outcome], int, str]:
    """On a worker: try a range of seeds; returns what did not pass, how many were tried, and the worker's address."""
    from distributed import get_worker  # noqa: PLC0415 - an extra

    here = Plan.from_json(plan)
    here.check_here()
    address = str(get_worker().address)
    tried = 0
    with Worker(here) as worker:
        worker.give(range(first, stop))
        while worker.waiting:
            outcome = worker.take()
            tried += 1
            if outcome.result != "passed":
                return [outcome], tried, address
    return [], tried, address


def run_on_cluster(
    plan: Plan, seeds: range, address: str | None, jobs: int, progress: Callable[[int], object] = lambda count: None
) -> Gathered:
    """Try the seeds on a cluster, a local one without an address; see :func:`run_seeds`.

    Untestable without Dask, when the cluster does not answer, and as there.
    """
    gathered = Gathered()
    with _client(address, jobs) as client:
        workers = max(len(client.scheduler_info()["workers"]), 1)
        size = max(1, min(_UNIT_SEEDS, len(seeds) // (workers * _UNITS_A_WORKER)))
        _gather(client, plan, [(unit.start, unit.stop) for unit in units(seeds, size)], gathered, progress)
    return gathered


def _gather(
    client: Any, plan: Plan, ranges: list[tuple[int, int]], gathered: Gathered, progress: Callable[[int], object]
) -> None:
    from distributed import KilledWorker, as_completed  # noqa: PLC0415 - as above

    # The lowest first; a unit is no pure function, for it is to be done again when it was lost.
    waiting = {
        client.submit(run_unit, plan.as_json(), *one, pure=False, priority=-number): one
        for number, one in enumerate(ranges)
    }
    # In the client's own loop: else it would be that of another client, if there is a default one.
    done = as_completed(list(waiting), loop=client.loop)
    for future in done:
        unit = waiting.pop(future)
        if future.cancelled():
            continue
        try:
            failed, tried, worker = future.result()
        except KilledWorker:
            gathered.repeated += 1
            if gathered.repeated > _MOST_REPEATS:
                raise Untestable(f"workers are lost again and again, by seeds {unit[0]} to {unit[1] - 1}") from None
            again = client.submit(run_unit, plan.as_json(), *unit, pure=False)
            waiting[again] = unit
            done.add(again)
            continue
        gathered.tried += tried
        gathered.workers.add(worker)
        progress(tried)
        for outcome in failed:
            if outcome.result == "untestable":
                raise Untestable(outcome.message)
            if gathered.lowest is None or outcome.seed < gathered.lowest.seed:
                gathered.lowest = outcome
                client.cancel([other for other, one in waiting.items() if one[0] > outcome.seed])


@contextlib.contextmanager
def _client(address: str | None, jobs: int) -> Iterator[Any]:
    try:
        import distributed  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise Untestable("--dask needs Dask: pip install 'liblinux[dask]'") from error
    if address is not None:
        try:
            client = distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            text = f"no Dask scheduler answers at {address}: {error}; start one by 'dask scheduler'"
            raise Untestable(text) from error
        with client:
            if not client.scheduler_info()["workers"]:
                raise Untestable(f"the cluster at {address} has no workers; start some by 'dask worker {address}'")
            yield client
        return
    # Its HTTP server is there also without a dashboard: at any port, or a second cluster would warn of the first.
    cluster = distributed.LocalCluster(
        n_workers=jobs, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0", silence_logs=50
    )
    with cluster, distributed.Client(cluster, set_as_default=False) as client:
        yield client
