"""What the user sees while the kernel is built.

The steps report to a :class:`Progress`. Here are the plain ones; the one that
draws on a terminal is in :mod:`liblinux.builder._terminal`, apart, because it
needs rich and the rest of the builder needs only the standard library.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Protocol, Self, TextIO

__all__ = ["LineProgress", "Progress", "SilentProgress"]

_LINE_INTERVAL_SECONDS = 10.0


class Progress(Protocol):
    """What the builder reports."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def step(self, text: str) -> None:
        """A new step begins."""

    def compiling(self, what: str, done: int, total: int) -> None:
        """``what`` is compiled now; ``done`` of about ``total`` objects exist."""


class SilentProgress:
    """Says nothing: for use as a library."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def step(self, text: str) -> None:
        """See :class:`Progress`."""

    def compiling(self, what: str, done: int, total: int) -> None:
        """See :class:`Progress`."""


class LineProgress(SilentProgress):
    """Plain lines: every step, and now and then how far the compiler is."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._start = self._last = time.monotonic()

    def step(self, text: str) -> None:
        """See :class:`Progress`."""
        self._last = time.monotonic()
        print(f"[{self._last - self._start:6.1f} s] {text}", file=self._stream, flush=True)

    def compiling(self, what: str, done: int, total: int) -> None:
        """See :class:`Progress`."""
        if time.monotonic() - self._last >= _LINE_INTERVAL_SECONDS:
            self.step(f"compiling: {done} of about {total} objects, {what}")
