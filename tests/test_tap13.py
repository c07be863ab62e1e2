"""The report in TAP version 13, of a small suite with one test of each kind."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

SUITE = """
import pytest

@pytest.fixture
def broken_at_the_end():
    yield
    raise OSError("in teardown")

def test_good(): pass
def test_bad(): assert "left" == "right"
def test_skipped(): pytest.skip("no # reason")
def test_teardown(broken_at_the_end): pass
@pytest.mark.parametrize("value", ["a#b"])
def test_parameter(value): pass
"""
DOCUMENT = re.compile(
    r"""TAP version 13\n(?:(?:not )?ok \d+ [^#\n]*(?:# SKIP .*)?\n(?:  ---\n(?:  .*\n)+?  \.\.\.\n)?)*1\.\.(\d+)\n"""
)


def test_report(tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    (tmp_path / "test_unreadable.py").write_text("1 +\n")
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["tap13"]\n')
    options = ["--tap13", "--continue-on-collection-errors", f"--rootdir={tmp_path}"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done
    document = DOCUMENT.fullmatch(done.stdout)
    assert document, done.stdout
    lines = re.findall(r"^(ok|not ok) (\d+) - (.*)$", done.stdout, re.MULTILINE)
    assert [int(number) for _, number, _ in lines] == list(range(1, int(document[1]) + 1))
    results = {(result, description.split("::")[-1]) for result, _, description in lines}
    assert results == {
        ("not ok", "collecting test_unreadable.py"),
        ("ok", "test_good"),
        ("not ok", "test_bad"),
        ("ok", "test_skipped # SKIP no # reason"),
        ("ok", "test_teardown"),
        ("not ok", "test_teardown (teardown)"),
        ("ok", "test_parameter[a♯b]"),
    }
    assert "test_bad(): assert" in done.stdout
