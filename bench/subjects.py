"""What a subject gets, and how it runs jobs in processes of their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from programs import module, python, run
from workplace import Images

__all__ = ["HERE", "Bench", "job"]

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Bench:
    """The images, how many rounds there are, and what was asked for on the command line."""

    images: Images
    rounds: int
    quick: bool
    build: bool

    @property
    def mount_point(self) -> Path:
        """Where the host mounts, one thing at a time."""
        return self.images.directory / "mounted"


def job(name: str, *arguments: str | Path, needs: str | None = None) -> Callable[[], float]:
    """A player that runs a job of jobs.py; Skipped when the module it needs is missing."""

    def play() -> float:
        if needs is not None:
            module(needs)
        return float(run(python(HERE / "jobs.py", name, *arguments)))

    return play
