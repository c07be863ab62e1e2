"""Errors that do not end a command: they are told, the rest is done, and the exit code is 1."""

from __future__ import annotations

import click

from liblinux._errors import LiblinuxError
from liblinux._typing import TYPE_CHECKING
from liblinux.cli import describe

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

__all__ = ["EXIT_FAILED", "Problems"]

EXIT_FAILED = 1


class Problems:
    """Counts what went wrong with single files.

        with problems:              # an OSError is told, and is over
            show(path)
        ...
        problems.finish()           # exit code 1 if there was one

    Its `note` can be given to scantree() and walk() as `onerror`. While an image is
    changed its `explain` puts into an error what the image has to do with it.
    """

    def __init__(self) -> None:
        self.count = 0
        self.explain: Callable[[OSError], None] | None = None

    def note(self, error: OSError) -> None:
        """Tell of an error, on one line."""
        self.count += 1
        if self.explain is not None:
            self.explain(error)
        click.echo(f"liblinux: {describe(error)}", err=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> bool:
        # A reader of our output that is gone is none of ours, and a dead kernel can do nothing more.
        if not isinstance(value, OSError) or isinstance(value, LiblinuxError | BrokenPipeError):
            return False
        self.note(value)
        return True

    def finish(self) -> None:
        """End the command with exit code 1 if there was a problem."""
        if self.count:
            raise click.exceptions.Exit(EXIT_FAILED)
