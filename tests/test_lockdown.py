"""The wall around an isolated kernel, tried from within: a program that locks itself down in the same way."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from conftest import run
from liblinux import _native

HERE = Path(__file__).resolve().parent
JAIL = HERE.parent / "kernel" / "jail"


@pytest.fixture(scope="module")
def locked_down(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that locks itself down as an isolated kernel's does, and then tries something."""
    made = tmp_path_factory.mktemp("jail") / "locked_down"
    flags = ("-O1", "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-iquote{JAIL}", f"-iquote{JAIL}/cell")
    run("cc", *flags, f"-iquote{JAIL.parent}/host", JAIL / "cell" / "lockdown.c", HERE / "host" / "locked_down.c",
        "-lpthread", "-o", made)  # fmt: skip
    return made


def test_locked_down_can_work(locked_down: Path) -> None:
    assert subprocess.run([locked_down, "work"], check=False).returncode == 0


@pytest.mark.parametrize(
    "attempt",
    [
        "open",
        "stat",
        "execve",
        "socket",
        "fork",
        "kill",
        "ptrace",
        "prctl-nothing",
        "memfd",
        "mprotect-exec",
        "ioctl",
        "x32",
    ],
)
def test_locked_down_is_killed(locked_down: Path, attempt: str) -> None:
    status = subprocess.run([locked_down, attempt], check=False).returncode
    # prctl is tried by the C library, and refused without harm.
    assert status == (0 if attempt == "prctl-nothing" else -signal.SIGSYS)


def test_the_program_knows_its_channel() -> None:
    """Started by anybody else it leaves at once."""
    program = Path(_native.__file__).with_name("_jail")
    assert subprocess.run([program], check=False).returncode == 1
