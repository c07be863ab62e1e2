"""Pictures of experiments: a panel for each [[plot]], lines over time or over a swept value, bars, distributions."""

from __future__ import annotations

import math
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from liblinux._arrival import arriving
from liblinux.experiments._confidence import interval
from liblinux.experiments._errors import ExperimentError, Problem
from liblinux.experiments._picking import Curve, pick

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liblinux.experiments._model import Experiment, Plot
    from liblinux.experiments._once import Outcome

__all__ = ["draw_all"]

_WIDTH_INCHES, _HEIGHT_INCHES = 8.0, 2.9
_DPI = 110
# What a value is multiplied with to be shown in a unit; by default as it is.
_SCALES = {
    "Mbit/s": 1e-6, "kbit/s": 1e-3, "Gbit/s": 1e-9, "ms": 1e3, "us": 1e6, "MB": 1e-6, "kB": 1e-3, "%": 100.0,
}  # fmt: skip
_MOST_IN_LEGEND = 12
_BAND_ALPHA = 0.2
_DASHES = ("-", "--", ":", "-.")


def draw_all(title: str, experiment: Experiment, outcomes: Sequence[Outcome], path: str | Path) -> None:
    """See :func:`liblinux.experiments.draw`."""
    try:
        from matplotlib import rc_context  # noqa: PLC0415 - slow, and an extra
        from matplotlib.figure import Figure  # noqa: PLC0415 - as above
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'liblinux[experiments]'") from error
    plots = experiment.plot
    if not plots:
        raise ExperimentError(title, [Problem((), "there is nothing to draw; add a [[plot]] with show = 'throughput'")])
    # The same bytes for the same results.
    with rc_context({"svg.hashsalt": "liblinux", "font.size": 9}):
        figure = Figure(figsize=(_WIDTH_INCHES, 0.5 + _HEIGHT_INCHES * len(plots)), layout="constrained", dpi=_DPI)
        figure.suptitle(title, fontweight="bold")
        panels = figure.subplots(len(plots), 1, squeeze=False)[:, 0]
        for plot, panel in zip(plots, panels, strict=True):
            _draw(panel, plot, experiment, outcomes)
        form = Path(path).suffix.lower().removeprefix(".") or "png"
        with arriving(path) as name:
            figure.savefig(name, format=form, metadata={"Date": None} if form == "svg" else None)


def _draw(panel: Any, plot: Plot, experiment: Experiment, outcomes: Sequence[Outcome]) -> None:
    curves = pick(plot, experiment, outcomes)
    if not curves:
        panel.text(0.5, 0.5, f"no {plot.show} was recorded", ha="center", transform=panel.transAxes)
    unit = plot.unit or (curves[0].unit if curves else "")
    scale = _SCALES.get(unit, 1.0) if plot.unit else 1.0
    if plot.kind == "cdf":
        _distributions(panel, curves, scale)
    elif plot.kind == "bar":
        _bars(panel, curves, scale)
    else:
        _lines(panel, curves, scale)
    _label(panel, plot, unit, experiment)
    if plot.over == "time" and plot.kind == "line":
        for event in experiment.event:
            panel.axvline(event.at, color="0.4", linestyle=":", linewidth=1)
            panel.annotate(
                _describe(event), (event.at, 1), xycoords=("data", "axes fraction"), xytext=(3, -3),
                textcoords="offset points", va="top", fontsize=7, color="0.3",
            )  # fmt: skip
    if 1 < len(curves) <= _MOST_IN_LEGEND or (len(curves) == 1 and plot.by):
        panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8, frameon=False)


def _describe(event: Any) -> str:
    changes = event.model_dump(exclude_none=True, exclude={"at", "link", "state"})
    return (
        f"{event.link} {event.state or ', '.join(f'{name} {_short(name, value)}' for name, value in changes.items())}"
    )


def _short(name: str, pair: tuple[float, float]) -> str:
    texts = [_shown(name, value) for value in dict.fromkeys(pair)]
    return " / ".join(texts)


def _shown(name: str, value: float) -> str:
    if name == "rate":
        return f"{value / 1e6:g} Mbit/s"
    return f"{1e3 * value:g} ms" if name in ("delay", "jitter") else f"{100 * value:g} %"


def _label(panel: Any, plot: Plot, unit: str, experiment: Experiment) -> None:
    what = plot.show.replace("_", " ")
    if plot.kind == "cdf":
        panel.set_xlabel(f"{what} [{unit}]" if unit else what)
        panel.set_ylabel("share of the samples")
        panel.set_ylim(0, 1)
    else:
        panel.set_ylabel(f"{what} [{unit}]" if unit else what)
        panel.set_xlabel("virtual time [s]" if plot.over == "time" else "" if plot.over == "flow" else plot.over)
        if not plot.log or "y" not in plot.log:
            panel.set_ylim(bottom=0)
        if plot.over == "time":
            panel.set_xlim(0, experiment.duration)
    if plot.log and "x" in plot.log:
        panel.set_xscale("log")
    if plot.log and "y" in plot.log:
        panel.set_yscale("log")
    panel.set_title(plot.title or "", fontsize=9)
    panel.grid(visible=True, color="0.9")
    panel.set_axisbelow(True)


class _Band(NamedTuple):
    """A line with its confidence interval."""

    x: list[Any]
    mean: list[float]
    half: list[float]


def _average(curve: Curve, scale: float) -> _Band:
    """The mean over the seeds at each place."""
    values: defaultdict[Any, list[float]] = defaultdict(list)
    for run in curve.runs:
        for place, value in run:
            if not math.isnan(value):
                values[place].append(scale * value)
    places = sorted(values) if all(isinstance(place, int | float) for place in values) else list(values)
    found = [interval(values[place]) for place in places]
    return _Band(places, [mean for mean, _ in found], [half for _, half in found])


def _lines(panel: Any, curves: Sequence[Curve], scale: float) -> None:
    for number, curve in enumerate(curves):
        band = _average(curve, scale)
        numbers = all(isinstance(place, int | float) for place in band.x)
        x = band.x if numbers else [str(place) for place in band.x]
        if curve.over_time:
            (line,) = panel.plot(x, band.mean, label=curve.label, linewidth=1.1)
            _fill(panel, x, band, line.get_color())
        else:
            panel.errorbar(
                x, band.mean, [0 if math.isnan(half) else half for half in band.half], label=curve.label,
                marker="o", markersize=4, capsize=3, linestyle=_DASHES[number // 10 % len(_DASHES)],
            )  # fmt: skip


def _fill(panel: Any, x: Sequence[Any], band: _Band, color: Any) -> None:
    if any(not math.isnan(half) for half in band.half):
        pairs = list(zip(band.mean, band.half, strict=True))
        low = [mean - half for mean, half in pairs]
        high = [mean + half for mean, half in pairs]
        panel.fill_between(x, low, high, alpha=_BAND_ALPHA, color=color, linewidth=0)


def _bars(panel: Any, curves: Sequence[Curve], scale: float) -> None:
    bands = [_average(curve, scale) for curve in curves]
    places = list(dict.fromkeys(str(place) for band in bands for place in band.x))
    width = 0.8 / len(bands) if bands else 0
    for number, (curve, band) in enumerate(zip(curves, bands, strict=True)):
        x = [places.index(str(place)) + (number - (len(bands) - 1) / 2) * width for place in band.x]
        errors = [0 if math.isnan(half) else half for half in band.half]
        panel.bar(x, band.mean, width, yerr=errors, capsize=3, label=curve.label)
    panel.set_xticks(range(len(places)), places)


def _distributions(panel: Any, curves: Sequence[Curve], scale: float) -> None:
    for curve in curves:
        values = sorted(scale * value for run in curve.runs for _, value in run if not math.isnan(value))
        if values:
            shares = [(number + 1) / len(values) for number in range(len(values))]
            panel.step(values, shares, where="post", label=curve.label, linewidth=1.2)
