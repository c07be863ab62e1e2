"""What can be wrong with an experiment's file.

LiblinuxError
└── ExperimentError   it cannot be run; all that is wrong, each at its line
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from liblinux._errors import LiblinuxError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["ExperimentError", "Path", "Problem"]

# Keys and indices that lead to a place in the file: ("link", 0, "rate").
Path = tuple[str | int, ...]


class Problem(NamedTuple):
    """One thing that is wrong: where, what, and its line, from 1; 0 where it is not known yet."""

    path: Path
    message: str
    line: int = 0


class ExperimentError(LiblinuxError):
    """An experiment that cannot be run. `name` is the file's, `problems` are in the order of their lines."""

    def __init__(self, name: str, problems: Sequence[Problem]) -> None:
        self.name = name
        self.problems = sorted(problems, key=lambda problem: problem.line)
        super().__init__("\n".join(f"{_place(name, problem)}: {problem.message}" for problem in self.problems))


def _place(name: str, problem: Problem) -> str:
    return f"{name}:{problem.line}" if problem.line else name
