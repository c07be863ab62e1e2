"""Progress on a terminal: a bar drawn by rich."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars

from liblinux.builder._progress import LineProgress, Progress

__all__ = ["RichProgress", "progress_for"]


class RichProgress:
    """A bar with what is compiled, how far it is, and how long it takes."""

    def __init__(self, console: Console) -> None:
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("[dim]{task.fields[what]}", markup=True),
            console=console,
            transient=True,
        )
        self._console = console
        # Shown only while something is compiled: the other steps have no measure.
        self._task = self._bars.add_task("compiling", total=None, what="", visible=False)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def step(self, text: str) -> None:
        """See :class:`Progress`."""
        self._console.print(f"• {text}", highlight=False, markup=False)
        self._bars.reset(self._task, visible=False)

    def compiling(self, what: str, done: int, total: int) -> None:
        """See :class:`Progress`."""
        self._bars.update(self._task, what=what, completed=done, total=max(done, total), visible=True)


def progress_for(stream: TextIO = sys.stderr) -> Progress:
    """The progress display that suits ``stream``."""
    console = Console(file=stream)
    return RichProgress(console) if console.is_terminal else LineProgress(stream)
