"""What is asked of, and shown to, whoever sits at the terminal while an image is opened."""

from __future__ import annotations

import contextlib
import os
import sys
import time

import click

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from liblinux.volumes import Passphrase

    Progress = Callable[[int, int], object]

__all__ = ["passphrase_from", "unpacking"]

# Before that nobody waits, and the bar takes time to import.
_PATIENCE_SECONDS = 1.0


def passphrase_from(path: str | None) -> Passphrase:
    """The content of a file; without one, a question on the terminal, if there is a terminal.

    One newline at the end is taken off, all else counts, as in what is typed.
    """
    if path is not None:
        with click.open_file(path, "rb") as file:
            text: bytes = file.read()
        return text.removesuffix(b"\n")
    if "_LIBLINUX_COMPLETE" in os.environ:
        return None  # a shell asks what may come next, and nobody sees a question
    return _ask if sys.stdin.isatty() and sys.stderr.isatty() else None


def _ask(what: str) -> str:
    answer: str = click.prompt(f"Pass phrase of {what}", hide_input=True, err=True)
    return answer


@contextlib.contextmanager
def unpacking(name: str) -> Iterator[Progress | None]:
    """Gives what to tell how far unpacking has come; a bar on standard error if that is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with contextlib.ExitStack() as stack:
        start = time.monotonic()
        show: list[Progress] = []

        def progress(done: int, total: int) -> None:
            if not show and time.monotonic() - start > _PATIENCE_SECONDS:
                show.append(stack.enter_context(_bar(name)))
            if show:
                show[0](done, total)

        yield progress


@contextlib.contextmanager
def _bar(name: str) -> Iterator[Progress]:
    from rich.console import Console  # noqa: PLC0415 - slow to import
    from rich.progress import Progress as Bars  # noqa: PLC0415

    with Bars(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(f"unpacking {name}")
        yield lambda done, total: bars.update(task, completed=done, total=total)
