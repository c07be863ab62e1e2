"""Runs the kernel's make in a clean environment, watches it, explains its failure."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from liblinux._errors import BuildError
from liblinux.builder._progress import Progress

__all__ = ["Maker", "count_objects", "error_lines"]

_COMPILED = re.compile(r"  (?:CC|AS|HOSTCC)\s+(?:\[M\]\s+)?(?P<object>\S+)")
_ERROR = re.compile(
    r"error:|undefined (?:reference|symbol)|No rule to make|\b(?:can't|cannot|not found)\b"
    r"|^ld:|: \*\*\* (?!\[|Waiting)",
    re.IGNORECASE,
)
_SHOWN_LINES = 15
# By what name the source is known in the object directory. The compiler makes file names part of what it
# calls functions in a profile (kernel/arch/lib/profile), so they must not tell where the source is.
_SOURCE = "tree"
# What part of the objects may be missing from a build that was finished: those of another configuration.
_COMPLETE = 0.9


def clean_environment() -> dict[str, str]:
    """The environment of every tool: nothing of the user's reaches the kernel's makefiles.

    Variables such as ARCH, CROSS_COMPILE, CFLAGS, MAKEFLAGS or KCONFIG_* would
    change what is built without changing its hash.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True)
class Maker:
    """Make for one tree, one object directory, one log."""

    tree: Path
    objects: Path
    log: Path
    variables: Sequence[str]

    def run(self, *targets: str, jobs: int = 1, environment: Mapping[str, str] | None = None) -> None:
        """Make ``targets`` without showing anything."""
        with self.log.open("a") as log:
            process = self._start(targets, jobs, environment or {}, log)
            process.communicate()
        self._check(process.returncode, targets)

    def compile(
        self, *targets: str, jobs: int, progress: Progress, expected: int, environment: Mapping[str, str]
    ) -> None:
        """Make ``targets`` and report every object.

        :param expected: about how many objects there will be in the end.
        :param environment: what compilers are to have as well.
        """
        existing = _objects(self.objects)
        # Where nearly all are there they are made again, nobody knows how many of them: count from nothing.
        if len(existing) > expected * _COMPLETE:
            existing = set()
        done = len(existing)
        with self.log.open("a") as log:
            process = self._start(targets, jobs, environment, subprocess.PIPE)
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                if match := _COMPILED.match(line):
                    # One compiled again was counted before.
                    done += match["object"] not in existing
                    progress.compiling(match["object"], done, expected)
            process.wait()
        self._check(process.returncode, targets)

    def _start(
        self, targets: Sequence[str], jobs: int, environment: Mapping[str, str], output: TextIO | int
    ) -> subprocess.Popen[str]:
        link = self.objects / _SOURCE
        if not link.is_symlink() or link.readlink() != self.tree:
            link.unlink(missing_ok=True)
            link.symlink_to(self.tree)
        arguments = ["-C", str(self.tree), f"O={self.objects}", f"srctree={_SOURCE}", "ARCH=lib", f"-j{jobs}"]
        return subprocess.Popen(
            ["make", "--no-print-directory", *arguments, *self.variables, *targets],
            env={**clean_environment(), **environment},
            # A configuration that wants to ask something fails instead of waiting.
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def _check(self, status: int, targets: Sequence[str]) -> None:
        if status != 0:
            raise BuildError(
                f"`make {' '.join(targets)}` failed:\n{error_lines(self.log, self.tree)}\n"
                f"the whole output is in {self.log}"
            )


def error_lines(log: Path, tree: Path | None = None) -> str:
    """The last lines of ``log`` that say what went wrong, or simply its last lines.

    :param tree: paths below it are shown relative to it.
    """
    # What came before the last command that was logged had succeeded.
    text = log.read_text(errors="replace").rpartition("\n+ ")[2]
    text = re.sub(rf"(^|[\s`']){_SOURCE}/", r"\1", text)
    lines = (text.replace(f"{tree}/", "") if tree else text).splitlines()
    # One bad header is reported once for every file that includes it.
    wrong = list(dict.fromkeys(line for line in lines if _ERROR.search(line)))
    return "\n".join(f"  {line}" for line in (wrong or lines)[-_SHOWN_LINES:])


def count_objects(directory: Path) -> int:
    """How many compiled objects there are in an object directory."""
    return len(_objects(directory))


def _objects(directory: Path) -> set[str]:
    return {
        os.path.relpath(os.path.join(here, name), directory)
        for here, _, names in os.walk(directory)
        for name in names
        if name.endswith(".o")
    }
