"""`liblinux crashtest`: what it prints, and what it ends with."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conftest import Images
from liblinux.cli import cli
from until import has_ended, until

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "crash"


@pytest.fixture(autouse=True)
def _same_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command puts the workload's directory on the path, which is right for a command only."""
    monkeypatch.syspath_prepend(EXAMPLES)


def crashtest(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["crashtest", *map(str, arguments)])


def script(directory: Path, text: str) -> Path:
    path = directory / "workload.py"
    path.write_text(text)
    return path


GOOD = """
def workload(fs):
    fs.write("a", b"content", fsync=True)
    fs.fsync()
    fs.promise("a")

def check(fs, promises):
    for name in promises:
        assert fs.read(name) == b"content"
"""


def test_nothing_lost_is_0() -> None:
    result = crashtest(EXAMPLES / "replace.py", "--fs", "ext4", "--fs", "f2fs", "--points", "30", "--seed", "x")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert len(lines) == 2 and all("30 crash points" in line and "none failed" in line for line in lines)
    assert lines[0].startswith("ext4 on Linux ") and lines[1].startswith("f2fs on Linux ")


def test_something_lost_is_1_and_can_be_had_again(tmp_path: Path) -> None:
    arguments = (EXAMPLES / "forgetful.py", "--fs", "xfs", "--points", "30", "--keep-failures", tmp_path)
    result = crashtest(*arguments)
    assert result.exit_code == 1
    assert "FAILED" in result.output and "AssertionError: settings is b'" in result.output
    point = result.output.rpartition("add --point ")[2].strip()
    assert (tmp_path / f"{point.replace(':', '-')}.img").exists()
    again = crashtest(*arguments, "--point", point)
    assert again.exit_code == 1
    assert "1 crash points" in again.output and f"crash point {point}: check" in again.output


def test_json() -> None:
    result = crashtest(EXAMPLES / "forgetful.py", "--fs", "btrfs", "--points", "30", "--json")
    assert result.exit_code == 1
    (report,) = json.loads(result.stdout)
    assert report["filesystem"] == "btrfs" and report["points"] == 30 and not report["passed"]
    assert report["failures"][0]["kind"] == "check" and ":" in report["failures"][0]["point"]


def test_an_image(images: Images, tmp_path: Path) -> None:
    workload = script(tmp_path, GOOD)
    result = crashtest(workload, "--image", images.ext4(), "--points", "20", "--fsck", "--atomic", "4096")
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no function workload"),
        ("def workload(fs): pass", "no function check"),
        ("1 / 0", "ZeroDivisionError"),
        (GOOD.replace("fs.fsync()", "1 / 0"), "the workload itself failed"),
    ],
)
def test_what_cannot_be_tested_is_2(text: str, reason: str, tmp_path: Path) -> None:
    result = crashtest(script(tmp_path, text), "--points", "5")
    assert result.exit_code == 2
    assert reason in result.output


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["none.py"], "does not exist"),
        ([str(EXAMPLES / "replace.py"), "--fs", "fat"], "Invalid value"),
        ([str(EXAMPLES / "replace.py"), "--points", "0"], "Invalid value"),
        ([str(EXAMPLES / "replace.py"), "--point", "nonsense"], "is no crash point"),
        ([str(EXAMPLES / "replace.py"), "--atomic", "1000"], "power of two"),
        ([str(EXAMPLES / "replace.py"), "--time-limit", "0"], "Invalid value"),
        ([str(EXAMPLES / "replace.py"), "--fs", "ext4", "--image", str(EXAMPLES / "replace.py")], "one of them"),
        ([str(EXAMPLES / "replace.py"), "--kernel", "0.1"], "0.1"),
    ],
)
def test_wrong_usage_is_2(arguments: list[str], reason: str) -> None:
    result = crashtest(*arguments)
    assert result.exit_code == 2
    assert reason in result.output


def test_ctrl_c_ends_it_and_its_workers() -> None:
    command = [sys.executable, "-m", "liblinux.cli", "crashtest", str(EXAMPLES / "fsynced.py"), "--points", "10000"]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=_default_signals)  # noqa: PLW1509
    children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
    until(children.read_text, "its workers begin")
    workers = children.read_text().split()
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130 and "liblinux: interrupted" in errors
    until(lambda: all(has_ended(int(worker)) for worker in workers), "its workers end")


def _default_signals() -> None:
    """A shell that runs the tests in the background has switched Ctrl-C off for its children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_help_has_examples() -> None:
    result = crashtest("--help")
    assert result.exit_code == 0
    assert "liblinux crashtest examples/crash/fsynced.py" in result.output
