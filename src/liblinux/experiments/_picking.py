"""Which numbers of the runs a [[plot]] shows."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any, NamedTuple

from liblinux.experiments._results import UNITS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from liblinux.experiments._model import Experiment, Plot
    from liblinux.experiments._once import Outcome
    from liblinux.observing import Series

__all__ = ["Curve", "base_name", "pick"]

_MOST_POINTS = 2000


class Curve(NamedTuple):
    """One line: for each run its points, (place, value)."""

    label: str
    unit: str
    runs: list[list[tuple[Any, float]]]
    over_time: bool


def pick(plot: Plot, experiment: Experiment, outcomes: Sequence[Outcome]) -> list[Curve]:
    """The lines of a panel, in the order of the file."""
    outcomes = [one for one in outcomes if plot.where.items() <= {"seed": one.seed, **one.parameters}.items()]
    if plot.over == "time" and (plot.kind != "bar"):
        return _over_time(plot, experiment, outcomes)
    return _over_values(plot, outcomes)


# ---- over time ---------------------------------------------------------------------


def _over_time(plot: Plot, experiment: Experiment, outcomes: Sequence[Outcome]) -> list[Curve]:
    groups: dict[str, list[list[tuple[Any, float]]]] = defaultdict(list)
    unit = ""
    for outcome in outcomes:
        series = [one for one in outcome.recording.series.values() if one.kind == plot.show and _wanted(plot, one.name)]
        if not series:
            continue
        unit = series[0].unit
        for name, points in _named(plot, experiment, series):
            groups[_label(plot, outcome, name, several=len(series) > 1 and not plot.total)].append(points)
    return [Curve(label, unit, runs, over_time=True) for label, runs in groups.items()]


def _named(
    plot: Plot, experiment: Experiment, series: Sequence[Series]
) -> Iterator[tuple[str, list[tuple[Any, float]]]]:
    if plot.total and plot.kind == "cdf":
        yield "total", [point for one in series for point in one]
        return
    if plot.total:
        yield "total", _stepped(_sum(series), plot, experiment)
        return
    for one in series:
        points = list(one)
        # Samples at their own instants have no means over seeds: they are put into steps.
        yield one.name, points if plot.kind == "cdf" else _stepped(points, plot, experiment)


def _sum(series: Iterable[Series]) -> list[tuple[Any, float]]:
    sums: defaultdict[float, float] = defaultdict(float)
    for one in series:
        for time, value in one:
            sums[round(time, 6)] += value
    return sorted(sums.items())


def _stepped(points: list[tuple[float, float]], plot: Plot, experiment: Experiment) -> list[tuple[Any, float]]:
    """Means in steps of time: as long as asked for, else as many as can be seen."""
    step = plot.step or max(experiment.record.interval, experiment.duration / _MOST_POINTS)
    found: defaultdict[int, list[float]] = defaultdict(list)
    for time, value in points:
        # A sample is about the time before it: one at the border belongs to the step that has ended.
        found[max(0, math.ceil(time / step - 1e-6) - 1)].append(value)
    return [(round((number + 0.5) * step, 9), math.fsum(values) / len(values)) for number, values in found.items()]


def _wanted(plot: Plot, name: str) -> bool:
    """Whether a series, "bulk-3" of the flow "bulk", is asked for."""
    return plot.of is None or any(
        name == one or name.startswith(f"{one} #") or _is_numbered(name, one) for one in plot.of
    )


def _is_numbered(name: str, base: str) -> bool:
    head, _, number = name.rpartition("-")
    return head == base and number.isdigit()


# ---- over values of a sweep ----------------------------------------------------------


def _over_values(plot: Plot, outcomes: Sequence[Outcome]) -> list[Curve]:
    groups: dict[str, dict[int, list[tuple[Any, float]]]] = {}
    for number, outcome in enumerate(outcomes):
        rows = [row for row in outcome.flows if _wanted(plot, row["flow"]) and row.get(plot.show) is not None]
        if not rows:
            continue
        bases = dict.fromkeys(base_name(row["flow"]) for row in rows)
        for base in bases:
            values = [float(row[plot.show]) for row in rows if base_name(row["flow"]) == base]
            value = sum(values) if plot.total else sum(values) / len(values)
            place = base if plot.over == "flow" else outcome.parameters.get(plot.over)
            shown = len(bases) > 1 and plot.over != "flow"
            label = _label(plot, outcome, base, several=shown)
            groups.setdefault(label, {}).setdefault(number, []).append((_place(place), value))
    unit = UNITS.get(plot.show, "")
    return [Curve(label, unit, list(runs.values()), over_time=False) for label, runs in groups.items()]


def _place(value: Any) -> Any:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def base_name(name: str) -> str:
    """ "bulk" of "bulk-3": what it is called in the file."""
    head, _, last = name.rpartition("-")
    return head if head and last.isdigit() else name


def _label(plot: Plot, outcome: Outcome, name: str, *, several: bool) -> str:
    parts = [name] if several or plot.by is None else []
    if plot.by is not None:
        value = outcome.parameters.get(plot.by)
        text = str(value.get("kind", value)) if isinstance(value, dict) else str(value)
        parts.append(f"{plot.by.rpartition('.')[2]} {text}" if isinstance(value, int | float) else text)
    return ", ".join(parts)
