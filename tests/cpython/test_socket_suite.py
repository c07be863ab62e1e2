"""CPython's own test_socket passes over sockets of a kernel; what does not is in socket_suite.toml, with the reason.

In several processes at a time, since most of it is waiting for timeouts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SHARDS = 6


def expected() -> dict[str, str]:
    """What is known of cases that are not "ok"."""
    table = tomllib.loads((HERE / "socket_suite.toml").read_text())
    return {name: group["outcome"] for group in table["cases"] for name in group["names"]}


def run(place: str, *choices: list[str]) -> dict[str, tuple[str, str]]:
    """Outcome and reason of each case, from processes with these choices of cases, beside each other."""
    command = [sys.executable, str(HERE / "socket_suite.py"), *(["--isolated"] if place == "isolated" else [])]
    processes = [
        subprocess.Popen([*command, *choice], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for choice in choices
    ]
    seen: dict[str, tuple[str, str]] = {}
    for process in processes:
        output, complaints = process.communicate()
        assert process.returncode == 0, complaints
        for line in output.splitlines():
            case = json.loads(line)
            # Of several subtests one that fails counts.
            if seen.get(case["case"], ("ok", ""))[0] == "ok":
                seen[case["case"]] = (case["outcome"], case["reason"])
    return seen


@pytest.mark.timeout(900)
@pytest.mark.in_process("it makes its own kernels")
@pytest.mark.parametrize("place", ["here", "isolated"])
def test_cpythons_own_tests(place: str) -> None:
    seen = run(place, *(["--shard", f"{shard}/{SHARDS}"] for shard in range(1, SHARDS + 1)))
    assert len(seen) > 600
    known = expected()
    wrong = {name: what for name, what in seen.items() if what[0] != known.get(name, "ok")}
    for _ in range(2):
        # Alone, as CPython's own runner does it (--rerun): many of them want something within a second or two.
        if wrong:
            again = run(place, list(wrong))
            wrong = {name: again[name] for name in wrong if again[name][0] != known.get(name, "ok")}
    assert not wrong, "\n".join(
        f"{name}: {outcome}, expected {known.get(name, 'ok')}: {reason}" for name, (outcome, reason) in wrong.items()
    )
