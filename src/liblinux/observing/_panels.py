"""What is in a report, before any library draws it: panels of curves over one time axis."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from liblinux.observing._captures import Capture, Flow
    from liblinux.observing._recording import Recording, Series

__all__ = ["Curve", "Panel", "capture_panels", "name_of_flow", "recording_panels"]

# More curves than this nobody can tell apart.
MOST_CURVES = 10
MOST_LINKS = 6
MOST_FLOWS = 4
_BINS = 400
_MOST_POINTS = 20_000


@dataclass(frozen=True)
class Curve:
    """`style` is "line", "dashed", "step", "bars" or "points"; `color` a number, that some share."""

    name: str
    times: Sequence[float]
    values: Sequence[float]
    color: int
    style: str = "line"


@dataclass(frozen=True)
class Panel:
    """One diagram. `unit` is what its axis says, `note` what a reader has to know."""

    title: str
    unit: str
    curves: list[Curve] = field(default_factory=list)
    note: str = ""


def recording_panels(recording: Recording) -> list[Panel]:
    """What a recording has to show; panels without anything are left out."""
    panels = [
        _over_links(recording, "Throughput of links", "Mbit/s", "sent_bytes", lambda one: one.rate(8e-6)),
        _over_links(recording, "Packets", "packets/s", "sent_packets", lambda one: one.rate()),
        _congestion(recording),
        _rtt(recording),
        _over_links(recording, "Queues", "packets", "queue", lambda one: one, style="step"),
        _drops(recording),
    ]
    return [panel for panel in panels if panel.curves]


def _busiest(
    series: Iterable[Series], weight: Callable[[Series], float], most: int = MOST_CURVES
) -> tuple[list[Series], str]:
    """As many as a panel may have, and what was left out."""
    moved = [one for one in series if weight(one) > 0]
    moved.sort(key=lambda one: -weight(one))
    note = f"the {most} busiest of {len(moved)}" if len(moved) > most else ""
    return moved[:most], note


def _of(recording: Recording, kind: str) -> list[Series]:
    return [recording[kind, name] for name in recording.names(kind)]


def _span(series: Series) -> float:
    finite = [value for value in series.values if math.isfinite(value)]
    return max(finite) - min(finite) if finite else 0.0


def _over_links(
    recording: Recording, title: str, unit: str, kind: str, shape: Callable[[Series], Series], style: str = "line"
) -> Panel:
    colors = _link_colors(recording)
    chosen, note = _busiest(_of(recording, kind), _span, MOST_LINKS)
    curves: list[Curve] = []
    for one in chosen:
        shaped = shape(one)
        # There are fewer colors than links: the next one that no other curve here has.
        taken = {curve.color % MOST_CURVES for curve in curves}
        color = next(place for place in range(colors[one.name], 1 << 30) if place % MOST_CURVES not in taken)
        curves.append(Curve(one.name, shaped.times, shaped.values, color, style))
    return Panel(title, unit, curves, note)


def _link_colors(recording: Recording) -> dict[str, int]:
    """The same color for a direction of a link in all panels; the busiest have the first ones."""
    by_bytes = sorted(_of(recording, "sent_bytes"), key=lambda one: -_span(one))
    return {one.name: place for place, one in enumerate(by_bytes)}


def _flows(recording: Recording) -> tuple[list[str], str]:
    chosen, note = _busiest(_of(recording, "acked"), lambda one: one.values[-1] if len(one) else 0)
    return [one.name for one in chosen], note


def _congestion(recording: Recording) -> Panel:
    names, note = _flows(recording)
    curves = []
    for color, name in enumerate(names):
        cwnd, ssthresh = recording["cwnd", name], recording["ssthresh", name]
        curves.append(Curve(name, cwnd.times, cwnd.values, color, "step"))
        if len(names) <= MOST_FLOWS and any(map(math.isfinite, ssthresh.values)):
            curves.append(Curve(f"{name}, ssthresh", ssthresh.times, ssthresh.values, color, "dashed"))
    return Panel("Congestion window", "segments", curves, note)


def _rtt(recording: Recording) -> Panel:
    names, note = _flows(recording)
    curves = []
    for color, name in enumerate(names):
        series = recording["rtt", name]
        # 0 is before the first measurement.
        values = array("d", (1e3 * value or math.nan for value in series.values))
        curves.append(Curve(name, series.times, values, color))
    return Panel("Round-trip time", "ms", curves, note)


def _drops(recording: Recording) -> Panel:
    """What was lost in each step."""
    curves = []
    colors = _link_colors(recording)
    for kind, what, shift in (("queue_drops", "queue full", 0), ("line_losses", "lost on the line", 3)):
        for one in _busiest(_of(recording, kind), _span)[0]:
            lost = array("d", (after - before for before, after in zip(one.values, one.values[1:], strict=False)))
            curves.append(Curve(f"{one.name}, {what}", one.times[1:], lost, colors[one.name] + shift, "bars"))
    for color, one in enumerate(_busiest(_of(recording, "retransmits"), _span)[0]):
        again = array("d", (after - before for before, after in zip(one.values, one.values[1:], strict=False)))
        curves.append(Curve(f"{one.name}, sent again", one.times[1:], again, color, "points"))
    return Panel("Drops and retransmissions", "packets", [_without_zeros(curve) for curve in curves])


def _without_zeros(curve: Curve) -> Curve:
    """Bars and points are drawn where there is something."""
    kept = [(time, value) for time, value in zip(curve.times, curve.values, strict=True) if value]
    times, values = (array("d", column) for column in zip(*kept, strict=True)) if kept else (array("d"), array("d"))
    return Curve(curve.name, times, values, curve.color, curve.style)


# ---- captures ---------------------------------------------------------------------------


def name_of_flow(flow: Flow, addresses: dict[str, str]) -> str:
    """With names of hosts where they are known."""
    ends = (end.partition(" ") for end in (flow.source, flow.target))
    a, b = (f"{addresses.get(address, address)}:{port}" for address, _, port in ends)
    return f"{a} -> {b}"


def capture_panels(capture: Capture, addresses: dict[str, str], *, alone: bool) -> list[Panel]:
    """What a capture has to show; `alone`: there is no recording that shows rates and round-trip times."""
    panels = _rates(capture) if alone else []
    flows = capture.flows[:MOST_FLOWS]
    if alone and (rtt := _measured_rtt(flows, addresses)).curves:
        panels.append(rtt)
    for flow in flows:
        panels.append(_sequence(flow, name_of_flow(flow, addresses)))
    if flows:
        panels.append(_window(flows, addresses))
    if panels and len(capture.flows) > MOST_FLOWS:
        last = panels.pop()
        panels.append(Panel(last.title, last.unit, last.curves, f"the {MOST_FLOWS} largest of {len(capture.flows)}"))
    return panels


def _rates(capture: Capture) -> list[Panel]:
    end = max((times[-1] for times, _ in capture.packets.values() if times), default=0.0)
    step = max(end / _BINS, 1e-6)
    bits, packets = [], []
    busiest = sorted(capture.packets.items(), key=lambda pair: -sum(pair[1][1]))[:MOST_CURVES]
    for color, (interface, (times, lengths)) in enumerate(busiest):
        counts, sums = array("d", bytes(8 * (_BINS + 1))), array("d", bytes(8 * (_BINS + 1)))
        for time, length in zip(times, lengths, strict=True):
            place = min(max(int(time / step), 0), _BINS)
            counts[place] += 1 / step
            sums[place] += 8e-6 * length / step
        middles = array("d", ((place + 0.5) * step for place in range(_BINS + 1)))
        name = interface or "packets"
        bits.append(Curve(name, middles, sums, color))
        packets.append(Curve(name, middles, counts, color))
    return [Panel("Throughput", "Mbit/s", bits), Panel("Packets", "packets/s", packets)]


def _thin(*columns: Sequence[float]) -> list[Sequence[float]]:
    """Every so many of them, when there are more than a browser draws quickly."""
    step = -(-len(columns[0]) // _MOST_POINTS) or 1
    return [column[::step] for column in columns]


def _sequence(flow: Flow, name: str) -> Panel:
    """What is allowed, sent and acknowledged: the diagram of Jacobson and of Wireshark's tcptrace."""
    times, ends, again = _thin(flow.times, flow.ends, flow.again)
    first = [(time, end / 1e6) for time, end, twice in zip(times, ends, again, strict=True) if not twice]
    second = [(time, end / 1e6) for time, end, twice in zip(flow.times, flow.ends, flow.again, strict=True) if twice]
    ack_times, acks, limits = _thin(flow.ack_times, flow.acks, flow.limits)
    curves = [
        Curve("receiver's limit", ack_times, [limit / 1e6 for limit in limits], 7, "step"),
        Curve("sent", *_columns(first), 0, "points"),
        Curve("sent again", *_columns(second[:_MOST_POINTS]), 3, "points"),
        Curve("acknowledged", ack_times, [ack / 1e6 for ack in acks], 2, "step"),
    ]
    note = f"every {-(-len(flow.times) // _MOST_POINTS)}th segment" if len(flow.times) > _MOST_POINTS else ""
    return Panel(f"Sequence numbers, {name}", "MB", [curve for curve in curves if len(curve.times)], note)


def _columns(pairs: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [time for time, _ in pairs], [value for _, value in pairs]


def _window(flows: Sequence[Flow], addresses: dict[str, str]) -> Panel:
    """Bytes that are under way, and how many the receiver takes."""
    curves = []
    for color, flow in enumerate(flows):
        name = name_of_flow(flow, addresses)
        times, values = _thin(*_in_flight(flow))
        curves.append(Curve(f"{name}, in flight", times, values, color, "step"))
        windows = [(limit - ack) / 1e3 for limit, ack in zip(flow.limits, flow.acks, strict=True)]
        if windows:
            times, values = _thin(flow.ack_times, windows)
            curves.append(Curve(f"{name}, window", times, values, color, "dashed"))
    return Panel("In flight, and the receiver's window", "kB", curves)


def _in_flight(flow: Flow) -> tuple[list[float], list[float]]:
    marks: list[tuple[float, int, int]] = [(time, end, -1) for time, end in zip(flow.times, flow.ends, strict=True)]
    marks += [(time, -1, ack) for time, ack in zip(flow.ack_times, flow.acks, strict=True)]
    marks.sort()
    sent = acked = 0
    times, values = [], []
    for time, end, ack in marks:
        sent, acked = max(sent, end), max(acked, ack)
        times.append(time)
        values.append(max(sent - acked, 0) / 1e3)
    return times, values


def _measured_rtt(flows: Sequence[Flow], addresses: dict[str, str]) -> Panel:
    """From a segment to the acknowledgement of all of it, where nothing was sent twice (Karn)."""
    curves = []
    for color, flow in enumerate(flows):
        times, values = [], []
        place, acks = 0, flow.acks
        for time, end, twice in zip(flow.times, flow.ends, flow.again, strict=True):
            while place < len(acks) and (acks[place] < end or flow.ack_times[place] < time):
                place += 1
            if place == len(acks):
                break
            if not twice:
                times.append(time)
                values.append(1e3 * (flow.ack_times[place] - time))
        if times:
            thin_times, thin_values = _thin(times, values)
            curves.append(Curve(name_of_flow(flow, addresses), thin_times, thin_values, color, "points"))
    return Panel("Time until acknowledged", "ms", curves)
