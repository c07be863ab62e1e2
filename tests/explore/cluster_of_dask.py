"""Tests of `explore` on a Dask cluster; test_explore.py runs them, in a process of their own."""

from __future__ import annotations

import os
import signal

import distributed
import pytest
from test_explore import plan

from liblinux.explore import Untestable, explore


def test_a_cluster_and_a_worker_that_dies() -> None:
    options = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1", "dashboard_address": None}
    with distributed.LocalCluster(**options, silence_logs=50) as cluster, distributed.Client(cluster) as client:
        victims = sorted(client.run(os.getpid).values())
        told: list[int] = []

        def progress(count: int) -> None:
            told.append(count)
            if len(told) == 1:
                os.kill(victims[0], signal.SIGKILL)

        report = explore(plan("takes_its_time"), range(400), dask=cluster.scheduler_address, progress=progress)
    # All the seeds below the one that fails have been tried, those of the lost worker by others.
    assert report.failure is not None and report.failure.reproduced
    assert report.failure.outcome.seed == 390
    assert report.tried >= 391 and sum(told) == report.tried
    assert report.workers and report.as_json()["workers"] == list(report.workers)


def test_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liblinux.explore._cluster._CONNECT_SECONDS", 1)
    with pytest.raises(Untestable, match="no Dask scheduler answers at"):
        explore(plan("passes"), range(5), dask="tcp://127.0.0.1:9", jobs=1)
