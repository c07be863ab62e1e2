"""What `liblinux simulate` shows: progress while it runs, and a table of means."""

from __future__ import annotations

import math
import sys
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from liblinux.experiments._confidence import interval
from liblinux.experiments._picking import base_name
from liblinux.experiments._results import UNITS

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from liblinux.experiments import Loaded, Moment, Outcome

__all__ = ["Display", "print_results"]

_COLUMNS = ("throughput", "delay_p50", "delay_p95", "retransmits", "loss", "seconds")
_MOST_ROWS = 60
_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "u"))


class Display:
    """Virtual time, how much faster than real time it passes, and frames, on standard error of a terminal."""

    def __init__(self, loaded: Loaded) -> None:
        self._total = sum(job.experiment.duration for job in loaded.jobs)
        self._times: dict[int, float] = {}
        self._frames: dict[int, int] = {}
        self._done = 0
        self._runs = len(loaded.jobs)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("runs, {task.fields[text]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
            # By a thread of its own it could be refreshed more often; but runs are forked.
            auto_refresh=False,
        )
        self._task = self._progress.add_task(loaded.title, total=self._runs, text="0 s")

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()
        if kind is None:
            print(f"{self._done} runs: {self.text()}", file=sys.stderr)

    def show(self, moment: Moment) -> None:
        """Show how far it is."""
        self._times[moment.number] = moment.time
        self._frames[moment.number] = max(moment.frames, self._frames.get(moment.number, 0))
        self._done += moment.done
        self._progress.update(self._task, completed=self._done, text=self.text(), refresh=True)

    def text(self) -> str:
        """The line."""
        seconds = max(time.monotonic() - self._began, 1e-9)
        simulated = sum(self._times.values())
        frames = sum(self._frames.values())
        return (
            f"{simulated:,.0f} of {self._total:,.0f} s of virtual time, {simulated / seconds:,.1f} times real time, "
            f"{frames:,} frames ({frames / seconds:,.0f}/s)"
        )


def print_results(loaded: Loaded, outcomes: list[Outcome]) -> None:
    """Means over the seeds, and over flows of one name, with half of their 95 % confidence intervals."""
    groups: defaultdict[tuple[Any, ...], list[dict[str, Any]]] = defaultdict(list)
    for outcome in outcomes:
        for row in outcome.flows:
            groups[*(str(value) for value in outcome.parameters.values()), base_name(row["flow"])].append(row)
    shown = [name for name in _COLUMNS if any(name in row for rows in groups.values() for row in rows)]
    table = Table(title=loaded.title)
    for name in (*outcomes[0].parameters, "flow"):
        table.add_column(name)
    for name in shown:
        table.add_column(name.replace("_", " "), justify="right")
    for key, rows in list(groups.items())[:_MOST_ROWS]:
        table.add_row(*key, *(_cell(name, [row[name] for row in rows if name in row]) for name in shown))
    console = Console() if sys.stdout.isatty() else Console(width=160)
    console.print(table)
    if len(groups) > _MOST_ROWS:
        console.print(f"and {len(groups) - _MOST_ROWS} rows more: --output has them all")


def _cell(name: str, values: list[float]) -> str:
    if not values:
        return ""
    mean, half = interval(values)
    unit = UNITS.get(name, "")
    text = _with_prefix(mean, unit)
    return text if math.isnan(half) or half == 0 else f"{text} ± {_with_prefix(half, unit)}"


def _with_prefix(value: float, unit: str) -> str:
    if unit not in ("s", "bit/s", "bytes") or value == 0:
        return f"{value:.4g} {unit}".rstrip()
    for factor, prefix in _PREFIXES:
        if abs(value) >= factor and not (unit == "s" and factor > 1):
            return f"{value / factor:.4g} {prefix}{unit}"
    return f"{value:.3g} {unit}"
