"""Tests of `explore` on a Dask cluster; test_explore.py runs them, in a process of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import distributed
import pytest
from test_explore import plan

from liblinux.explore import Untestable, explore

Start = Callable[..., subprocess.Popen[bytes]]
_START_SECONDS = 60


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a program of Dask, as its users do, in a directory of its own: start("scheduler", ...)."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*words: str) -> subprocess.Popen[bytes]:
        directory = tmp_path / f"{words[0]}{len(started)}"
        directory.mkdir()
        command = [sys.executable, "-m", "dask", *words, "--host", "127.0.0.1", "--no-dashboard"]
        with (directory / "log").open("wb") as log:
            started.append(subprocess.Popen(command, cwd=directory, stdout=log, stderr=log))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def address(start: Start, tmp_path: Path) -> str:
    """That of a scheduler."""
    file = tmp_path / "scheduler.json"
    start("scheduler", "--port", "0", "--scheduler-file", str(file))
    end = time.monotonic() + _START_SECONDS
    while not file.exists() or not file.read_text():
        assert time.monotonic() < end, "no scheduler"
        time.sleep(0.05)
    return str(json.loads(file.read_text())["address"])


def test_a_cluster_and_a_worker_that_dies(start: Start, address: str) -> None:
    workers = [start("worker", address, "--no-nanny", "--nthreads", "1") for _ in range(2)]
    told: list[int] = []

    def progress(count: int) -> None:
        told.append(count)
        if len(told) == 1:
            workers[0].kill()

    with distributed.Client(address, set_as_default=False) as client:
        client.wait_for_workers(len(workers), timeout=_START_SECONDS)
        reached = set(client.scheduler_info()["workers"])
    report = explore(plan("takes_its_time"), range(400), dask=address, progress=progress)
    # All the seeds below the one that fails have been tried, those of the lost worker by the other.
    assert report.failure is not None and report.failure.reproduced
    assert report.failure.outcome.seed == 390
    assert report.tried >= 391 and sum(told) == report.tried
    assert report.workers and set(report.workers) <= reached
    assert report.as_json()["workers"] == list(report.workers)
    assert workers[0].wait() == -9 and workers[1].poll() is None


def test_a_local_cluster() -> None:
    report = explore(plan("from_37"), range(60), dask="", jobs=2)
    assert report.failure is not None and report.failure.outcome.seed == 37
    assert len(report.workers) == 2


def test_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("liblinux.explore._cluster._CONNECT_SECONDS", 1)
    with pytest.raises(Untestable, match="no Dask scheduler answers at"):
        explore(plan("passes"), range(5), dask="tcp://127.0.0.1:9", jobs=1)
