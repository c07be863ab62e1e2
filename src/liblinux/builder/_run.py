"""Runs the tools of the link, and explains their failure."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from liblinux._errors import BuildError
from liblinux.builder._make import clean_environment, error_lines

__all__ = ["output_of", "run"]


def run(command: Sequence[str], directory: Path, log: Path) -> None:
    """Run a tool in `directory`; what it says goes into the log.

    :raises BuildError: it failed; carries its last lines.
    """
    with log.open("a") as output:
        print("+", *command, file=output, flush=True)
        done = subprocess.run(
            command, cwd=directory, env=clean_environment(), stdout=output, stderr=subprocess.STDOUT, check=False
        )
    if done.returncode != 0:
        raise BuildError(f"{command[0]} failed:\n{error_lines(log)}\nthe whole output is in {log}")


def output_of(*command: str | Path, directory: Path) -> list[str]:
    """The lines that a tool prints, run in `directory`.

    :raises BuildError: it failed; carries what it said.
    """
    done = subprocess.run(command, cwd=directory, env=clean_environment(), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{' '.join(map(str, command[:2]))} failed in {directory}:\n{done.stderr}")
    return done.stdout.splitlines()
