"""The same seed gives the same run: another time, on a busy machine, with another hash seed.

Each program runs in processes of its own, and what is compared is a hash of the
capture file and of its log.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from service_programs import ENCRYPTED, PROGRAMS
from service_run import run

RUNNER = Path(__file__).with_name("service_run.py")
_LOAD = "while True: pass"


def hashes(names: list[str], seed: int, hash_seed: str) -> dict[str, str]:
    """What each of the programs left, in a process of its own."""
    done = subprocess.run(
        [sys.executable, RUNNER, str(seed), *names],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.fixture(scope="module")
def load() -> Iterator[None]:
    """Other programs that want the processors."""
    busy = [subprocess.Popen([sys.executable, "-c", _LOAD]) for _ in range(max((os.cpu_count() or 1) - 1, 1))]
    yield
    for process in busy:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def runs(load: None) -> list[dict[str, str]]:
    """Of all programs: two runs beside each other, under load, with different hash seeds."""
    names = [name for name in PROGRAMS if name not in ENCRYPTED]
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda how: hashes(names, *how), [(1, "1"), (1, "4711")]))


@pytest.mark.parametrize("name", [name for name in PROGRAMS if name not in ENCRYPTED])
def test_the_same_seed_gives_the_same_bytes(name: str, runs: list[dict[str, str]]) -> None:
    first, again = (run[name] for run in runs)
    assert first == again


def test_another_seed_is_another_run(runs: list[dict[str, str]], tmp_path: Path) -> None:
    """Chance has a part in it: loss, jitter, ports, sequence numbers."""
    assert run("streams", 1, tmp_path / "1.pcapng") == runs[0]["streams"], "and here it is the same as elsewhere"
    assert run("streams", 2, tmp_path / "2.pcapng") != runs[0]["streams"]
