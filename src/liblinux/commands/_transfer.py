"""What the commands that copy have in common: progress on a terminal, and telling what was lost."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager

from liblinux._typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from liblinux.copying import CopyProgress, CopyReport, Loss

__all__ = ["Losses", "own_mode_mask", "printable", "show_progress", "tell", "tell_report"]

# What is done by then needs no bar.
_PATIENCE_SECONDS = 0.5
_REFRESH_SECONDS = 0.1
_CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def printable(text: str) -> str:
    """The text without what would command a terminal: names come from images that may mean no good."""
    return text.translate(_CONTROLS)


def tell(text: str) -> None:
    """A line on standard error that may hold names, as the bytes that they are."""
    sys.stderr.flush()
    sys.stderr.buffer.write(os.fsencode(f"liblinux: {printable(text)}\n"))


class Losses:
    """What several copies have lost, each kind told once, when all of them are done."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Loss] = {}

    def add(self, report: CopyReport) -> None:
        """Take those of one copy."""
        for loss in report.losses:
            before = self._found.get((loss.what, loss.why))
            count, first = (before.count, before.first) if before else (0, loss.first)
            self._found[loss.what, loss.why] = type(loss)(loss.what, count + loss.count, loss.why, first)

    def tell(self) -> None:
        """Say what was lost, on standard error, the most frequent first."""
        for loss in sorted(self._found.values(), key=lambda loss: -loss.count):
            tell(f"warning: {loss}")


def tell_report(report: CopyReport, losses: Losses | None = None) -> bool:
    """Say what was lost and what was not copied, on standard error; whether all was copied.

    With `losses` what was lost is added to them, and not told yet.
    """
    gathered = Losses() if losses is None else losses
    gathered.add(report)
    if losses is None:
        gathered.tell()
    for error in report.errors:
        tell(str(error))
    return not report.errors


def own_mode_mask() -> int:
    """The bits of a mode that this process gives to new files: without setuid bits and its umask."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith("Umask:"):
                return 0o777 & ~int(line.split()[1], 8)
    raise OSError("/proc/self/status tells no umask; is /proc mounted?")


@contextmanager
def show_progress(progress: CopyProgress, what: str) -> Iterator[None]:
    """A bar on standard error while the block runs, if that is a terminal and it takes long."""
    if not sys.stderr.isatty():
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_draw, args=(progress, what, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _draw(progress: CopyProgress, what: str, ended: threading.Event) -> None:
    if ended.wait(_PATIENCE_SECONDS):
        return
    from rich.console import Console  # noqa: PLC0415 - slow, and only long work on a terminal needs it
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (TextColumn(what), BarColumn(), DownloadColumn(binary_units=True), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, auto_refresh=False) as bars:
        task = bars.add_task("", total=progress.total)
        while not ended.wait(_REFRESH_SECONDS):
            bars.update(task, total=progress.total, completed=progress.done)
            bars.refresh()
