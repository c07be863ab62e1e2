"""The same seed gives the same bytes: several kernels, address translation, many links and captures."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from repeat_scenarios import SCENARIOS, run

SCRIPT = Path(__file__).with_name("repeat_scenarios.py")


def _elsewhere(seed: int, hash_seed: str) -> dict[str, str]:
    """All of them in another process."""
    done = subprocess.run(
        [sys.executable, SCRIPT, str(seed), *SCENARIOS],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, burning: Callable[[], None]) -> None:
    """Here, in another process, on a busy machine, with other hash seeds."""
    here = {name: run(name, 1, tmp_path) for name in SCENARIOS}
    burning()
    assert _elsewhere(1, "4711") == here


@pytest.mark.parametrize("name", SCENARIOS)
def test_another_seed_is_another_run(name: str, tmp_path: Path) -> None:
    assert run(name, 1, tmp_path) != run(name, 2, tmp_path)
