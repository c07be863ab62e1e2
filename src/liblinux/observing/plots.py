"""The diagrams of a report by matplotlib, for papers and notebooks; several runs with confidence intervals.

    from liblinux.observing import plots

    figure = plots.overview(recording)                 # throughput, windows, RTT, queues, drops: one axis of time
    figure.savefig("run.svg")
    plots.plot(recording, "cwnd")                      # one kind, all names; returns matplotlib's Axes
    plots.plot([run1, run2, run3], "rtt", "a -> b:80") # the mean of runs, and the band it is in with 95 %
    plots.sequence(read_capture("run.pcapng").flows[0])
    plots.topology(recording)

matplotlib comes with liblinux[plots]. Figures are made without a window; in a
notebook they show themselves.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from liblinux.observing._extras import need
from liblinux.observing._panels import Curve, Panel, _sequence, recording_panels
from liblinux.observing._plotly import COLORS, place_hosts
from liblinux.observing._recording import Recording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from liblinux.observing._captures import Flow

__all__ = ["confidence", "overview", "plot", "sequence", "topology"]

_WHAT = "a plot"
_STEPS = {"queue", "backlog", "cwnd", "unacked", "ssthresh"}
_MARKERS = {"host": "o", "router": "D", "switch": "s", "device": "^"}


def _axes(ax: Axes | None, size: tuple[float, float] = (8, 3)) -> Axes:
    if ax is not None:
        return ax
    need("matplotlib", _WHAT)
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    # Not by pyplot, which keeps every figure and may want a screen.
    made: Axes = Figure(figsize=size, layout="constrained").add_subplot()
    return made


def confidence(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """The mean of repeated runs, and how far to both sides of it the true one is, with this probability.

    By Student's distribution; 0 to both sides for a single value that is no
    sample of anything. NaN is left out; (NaN, NaN) when nothing else is there.
    """
    finite = [value for value in values if math.isfinite(value)]
    n = len(finite)
    if not n:
        return math.nan, math.nan
    mean = math.fsum(finite) / n
    if n == 1:
        return mean, 0.0
    variance = math.fsum((value - mean) ** 2 for value in finite) / (n - 1)
    t = float(need("scipy.stats", "a confidence interval").t.ppf((1 + level) / 2, n - 1))
    return mean, t * math.sqrt(variance / n)


def plot(
    recordings: Recording | Sequence[Recording],
    kind: str,
    name: str | Sequence[str] | None = None,
    *,
    rate: bool = False,
    ax: Axes | None = None,
    label: str | None = None,
    level: float = 0.95,
) -> Axes:
    """Draw series of one kind over time: of one run, or of several the mean with its confidence band.

    `name` of one series or several (None: all that the first run has); `rate` draws
    how fast a counter grows; `ax` to draw into (None: a new figure, `ax.figure`);
    `label` instead of the name. Values of several runs are taken at the times of the
    first, each the last one that was seen by then. Raises KeyError for a series that there is not.
    """
    runs = [recordings] if isinstance(recordings, Recording) else list(recordings)
    if not runs:
        raise ValueError("there is no recording to plot")
    names = [name] if isinstance(name, str) else list(name) if name is not None else runs[0].names(kind)
    if not names:
        raise KeyError(f"no series of kind {kind!r}; there are {', '.join(runs[0].kinds()) or 'none'}")
    ax = _axes(ax)
    for one in names:
        series = [run[kind, one].rate() if rate else run[kind, one] for run in runs]
        times = series[0].times
        text = label or one
        if len(runs) == 1:
            style = "steps-post" if kind in _STEPS and not rate else "default"
            ax.plot(times, series[0].values, label=text, linewidth=1.2, drawstyle=style)
            continue
        rows = [[_at(each.times, each.values, time) for each in series] for time in times]
        bands = [confidence(row, level) for row in rows]
        (line,) = ax.plot(times, [mean for mean, _ in bands], label=text, linewidth=1.2)
        low, high = [mean - half for mean, half in bands], [mean + half for mean, half in bands]
        ax.fill_between(times, low, high, color=line.get_color(), alpha=0.25, linewidth=0)
    ax.set_xlabel("s")
    ax.set_ylabel(f"{kind} ({series[0].unit})")
    ax.grid(alpha=0.3)
    if len(names) > 1 or label:
        ax.legend(fontsize="small")
    return ax


def _at(times: Sequence[float], values: Sequence[float], time: float) -> float:
    """The last value at or before a time; half a nanosecond is none."""
    place = bisect_right(times, time + 5e-10)
    return values[place - 1] if place else math.nan


def overview(recording: Recording, *, size: tuple[float, float] | None = None) -> Figure:
    """The diagrams of a report, one below the other over one axis of time; `size` in inches.

    ValueError when nothing moved in the run.
    """
    panels = recording_panels(recording)
    if not panels:
        raise ValueError("there is nothing to draw: no connection and no packet were recorded")
    need("matplotlib", _WHAT)
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra

    figure = Figure(figsize=size or (9, 2.1 * len(panels)), layout="constrained")
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)
    for (ax,), panel in zip(rows, panels, strict=True):
        _draw(ax, panel)
        for event in recording.events:
            ax.axvline(event.time, color="0.6", linestyle=":", linewidth=0.8)
    rows[-1][0].set_xlabel("s")
    return figure


def sequence(flow: Flow, ax: Axes | None = None) -> Axes:
    """Sequence numbers of one direction of a TCP connection of a capture: sent, acknowledged, allowed."""
    ax = _axes(ax, (8, 4))
    _draw(ax, _sequence(flow, flow.name))
    ax.set_xlabel("s")
    return ax


def _draw(ax: Axes, panel: Panel) -> None:
    for curve in panel.curves:
        _draw_curve(ax, curve)
    ax.set_title(panel.title, loc="left", fontsize="medium")
    ax.set_ylabel(panel.unit)
    ax.set_ylim(bottom=0)
    ax.grid(alpha=0.3)
    ax.legend(fontsize="x-small", ncols=2)


def _draw_curve(ax: Axes, curve: Curve) -> None:
    options: dict[str, Any] = {"color": COLORS[curve.color % len(COLORS)], "label": curve.name}
    if curve.style == "bars":
        ax.vlines(curve.times, 0, curve.values, linewidth=1, **{**options, "colors": options.pop("color")})
    elif curve.style == "points":
        ax.plot(curve.times, curve.values, ".", markersize=2, **options)
    elif curve.style == "dashed":
        ax.plot(curve.times, curve.values, ":", linewidth=1, drawstyle="steps-post", **options)
    else:
        style = "steps-post" if curve.style == "step" else "default"
        ax.plot(curve.times, curve.values, linewidth=1.2, drawstyle=style, **options)


def topology(recording: Recording, ax: Axes | None = None) -> Axes:
    """Hosts and links; what a link does to frames stands at it."""
    ax = _axes(ax, (8, 3.5))
    network = recording.topology
    places = place_hosts(network)
    for link in network.links:
        (ax1, ay1), (bx1, by1) = (places[end.rpartition(":")[0]] for end in (link.a, link.b))
        ax.plot([ax1, bx1], [ay1, by1], color="0.6", linewidth=1.2, zorder=1)
        text = link.there if link.there == link.back else f"{link.there}\n{link.back}"
        middle = ((ax1 + bx1) / 2, (ay1 + by1) / 2)
        ax.annotate(text, middle, ha="center", va="bottom", fontsize="x-small", color="0.4")
    for color, (kind, marker) in enumerate(_MARKERS.items()):
        hosts = [host.name for host in network.hosts if host.kind == kind]
        if hosts:
            xs, ys = [places[host][0] for host in hosts], [places[host][1] for host in hosts]
            ax.scatter(xs, ys, s=90, marker=marker, color=COLORS[color], zorder=2, label=kind)
    for host, place in places.items():
        ax.annotate(host, place, textcoords="offset points", xytext=(0, -14), ha="center", fontsize="small")
    ax.set_axis_off()
    ax.margins(0.15)
    return ax
