"""Live progress in a terminal: virtual time, how much faster than real it passes, packets.

    from liblinux.observing.progress import Progress

    with Progress(net, until=400, title="dumbbell"):   # virtual seconds from now on; None: open
        net.run(main())

On something that is no terminal nothing is drawn but one line at the end. A
thread of its own looks, some times a second of real time, and takes no part in
the run: the network's programs, its chance and its clock know nothing of it. Packets
are those that cables have been given, which the kernel counts anyway.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Display
from rich.text import Text

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from liblinux.network import Network

__all__ = ["Progress"]

_SECOND_NS = 10**9
_LOOKS_PER_SECOND = 8
# A run has clocks of its own in its threads; this is the machine's.
_CLOCK = time.CLOCK_MONOTONIC


class _Shown(ProgressColumn):
    """What the network is at."""

    def render(self, task: Any) -> Text:
        return Text(task.fields["shown"], style="dim")


class Progress:
    """Shows how far a network is during a `with` statement.

    `until` in seconds of virtual time from now on, for a bar; `title` in front;
    `file` to write to (None: standard error). `line` says it in one line.
    """

    def __init__(
        self, net: Network, until: float | None = None, *, title: str = "", file: IO[str] | None = None
    ) -> None:
        net.up()
        self._now = net.kernel._native.now
        self._net = net
        self._until = until
        self._title = title
        self._console = Console(file=file or sys.stderr)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._last: tuple[float, float, int] | None = None

    def __enter__(self) -> Self:
        self._begin, self._began = self._now(), time.clock_gettime(_CLOCK)
        self._packets_before = self._net.frames
        self._last = None
        if self._console.is_terminal:
            self._thread = threading.Thread(target=self._show, name="progress", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._ended.set()
            self._thread.join()
        self._last = self._look() if not self._net.closed else self._last
        self._console.print(f"{self._title + ': ' if self._title else ''}{self.line}", highlight=False, soft_wrap=True)

    # ---- the thread ---------------------------------------------------------------

    def _show(self) -> None:
        columns = [SpinnerColumn(), TextColumn("{task.description}"), _Shown()]
        if self._until is not None:
            columns.insert(2, BarColumn(bar_width=16))
        # Refreshed here: a second thread would be one too many.
        with Display(*columns, console=self._console, auto_refresh=False, transient=True) as display:
            task = display.add_task(self._title, total=self._until, shown="")
            while not self._ended.wait(1 / _LOOKS_PER_SECOND):
                self._last = self._look()
                display.update(task, completed=self._last[0], shown=self.line, refresh=True)

    # ---- looking ------------------------------------------------------------------

    def _look(self) -> tuple[float, float, int]:
        """Virtual and real seconds since the beginning, and packets."""
        virtual = (self._now() - self._begin) / _SECOND_NS
        return virtual, time.clock_gettime(_CLOCK) - self._began, self._net.frames - self._packets_before

    @property
    def line(self) -> str:
        """ "12.5 s of virtual time in 0.3 s, 42x, 12,345 packets"."""
        virtual, real, packets = self._last or self._look()
        return f"{virtual:,.1f} s of virtual time in {real:.1f} s, {virtual / (real or 1):,.0f}x, {packets:,} packets"
