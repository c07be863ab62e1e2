"""The examples about networks, as a reader starts them: in an empty directory, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_EXAMPLES = Path(__file__).resolve().parent.parent / "examples/networks"
_BUILT = os.environ.get("LIBLINUX_BUILT", "6.12").split()
_SAID = {
    "first_network.py": ["3 of 3 answered", "b'still there?' after 360"],
    "router_with_nat.py": ["inside, as 192.168.1.2 heard: you are 203.0.113.1"],
    "two_kernels.py": ["new is Linux 6.", "6 FROM KERNEL", "132 FROM KERNEL", "262 FROM KERNEL"],
}


def test_all_are_tried() -> None:
    assert {path.name for path in _EXAMPLES.glob("*.py")} == _SAID.keys()


@pytest.mark.parametrize("name", _SAID)
def test_runs(name: str, tmp_path: Path) -> None:
    arguments = [_BUILT[-1]] if name == "two_kernels.py" else []
    program = [sys.executable, "-W", "error", str(_EXAMPLES / name), *arguments]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    for text in _SAID[name]:
        assert text in done.stdout
