"""The report: one HTML file with all that was seen of a run; nothing of it is fetched from anywhere."""

from __future__ import annotations

import html
import json
import math
import os
from importlib import resources
from typing import TYPE_CHECKING, Any

from liblinux._arrival import arriving
from liblinux.observing._captures import read_capture
from liblinux.observing._extras import need
from liblinux.observing._panels import Panel, capture_panels, name_of_flow, recording_panels
from liblinux.observing._plotly import draw_lanes, draw_panel, draw_topology

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from liblinux.observing._captures import Capture
    from liblinux.observing._recording import Event, Recording

__all__ = ["write_report"]

_PANEL_HEIGHT, _SEQUENCE_HEIGHT = 210, 300
_MOST_LINES = 5000
_MOST_ROWS = 200
_FACTS = {"seed": "seed", "kernel": "Linux", "duration": "virtual time", "interval": "sampled every"}
# Numbers of the recorder's own.
_HIDDEN = {"clock", "begin", "epoch", "missed"}


def write_report(
    path: str | os.PathLike[str],
    recording: Recording | None = None,
    *,
    capture: str | os.PathLike[str] | None = None,
    title: str | None = None,
) -> None:
    """Write a report of a recording, of a capture file, or of a recording and a capture of the same run.

    `path` of the HTML file; `capture` of a pcap or pcapng file (None: that of the
    recording, if it has one); `title` at the head of the page. Raises ImportError
    when the libraries of liblinux[plots] are missing, ValueError when there is
    nothing to show or the capture is none, OSError when a file cannot be read or written.
    """
    need("plotly", "a report")
    source = capture if capture is not None else recording.capture if recording is not None else None
    begin = recording.metadata.get("epoch") if recording is not None else None
    packets = read_capture(source, begin) if source is not None else None
    if recording is None and packets is None:
        raise ValueError("a report is of a recording or of a capture file; give one of them")
    page = _Page(recording, packets, title)
    text = page.html()
    with arriving(path) as name, open(name, "w", encoding="utf-8") as file:
        file.write(text)


class _Page:
    """The parts of a report, in the order in which they are read."""

    def __init__(self, recording: Recording | None, capture: Capture | None, title: str | None) -> None:
        self._recording, self._capture = recording, capture
        self._events: Sequence[Event] = recording.events if recording is not None else ()
        self._figures: list[str] = []
        if title is None:
            title = os.path.basename(capture.path) if recording is None and capture else "A run of a network"
        self._title = title
        self._addresses = _addresses(recording)
        end = self._end()
        self._range = [-0.008 * end, 1.008 * end]  # what is at the edge is seen as well

    def _end(self) -> float:
        ends = [self._recording.duration] if self._recording is not None else []
        if self._capture is not None:
            ends += [times[-1] for times, _ in self._capture.packets.values() if times]
        return max(ends, default=0.0) or 1.0

    def html(self) -> str:
        """All of it."""
        offline = need("plotly.offline", "a report")
        parts = [self._facts(), self._topology(), self._connections(), self._lanes(), *self._panels(), self._log()]
        place = resources.files("liblinux.observing") / "page"
        style, script = ((place / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
        body = "\n".join(part for part in parts if part)
        figures = "\n".join(self._figures)
        return (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta name="generator" content="liblinux">\n<link rel="icon" href="data:,">\n'
            f"<title>{html.escape(self._title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
            f"<h1>{html.escape(self._title)}</h1>\n{body}\n</main>\n{figures}\n"
            f"<script>{offline.get_plotlyjs()}</script>\n<script>\n{script}</script>\n</body>\n</html>\n"
        )

    # ---- parts -------------------------------------------------------------------

    def _facts(self) -> str:
        facts: dict[str, Any] = {}
        recording, capture = self._recording, self._capture
        if recording is not None:
            for key, value in recording.metadata.items():
                if key not in _HIDDEN and value is not None:
                    facts[_FACTS.get(key, key)] = _seconds(value) if key in ("duration", "interval") else value
            facts["hosts"] = sum(host.kind != "device" for host in recording.topology.hosts)
            facts["links"] = len(recording.topology.links)
            sent = sum(series.values[-1] - series.values[0] for series in _of(recording, "sent_packets") if len(series))
            facts["packets on links"] = f"{round(sent):,}"
        if capture is not None:
            facts["packets captured"] = f"{capture.count:,}"
            if recording is None:
                facts |= {"time": _seconds(self._end()), "TCP flows": len(capture.flows)}
        rows = "".join(f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in facts.items())
        return f'<dl class="facts">{rows}</dl>'

    def _topology(self) -> str:
        if self._recording is None or not self._recording.topology.hosts:
            return ""
        figure = draw_topology(self._recording.topology)
        return self._section("Topology", figure, height=240, axis="", note="point at a host or a link for more")

    def _connections(self) -> str:
        rows = list(self._rows_of_recording() if self._recording is not None else self._rows_of_capture())
        if not rows:
            return ""
        note = f"{_MOST_ROWS} of {len(rows)}" if len(rows) > _MOST_ROWS else ""
        head = ("connection", "data", "goodput", "sent again", "RTT, least", "RTT, median")
        cells = "".join(f'<th class="{"number" if place else ""}">{name}</th>' for place, name in enumerate(head))
        lines = [
            "<tr>"
            + "".join(f'<td class="{"number" if place else ""}">{_text(cell)}</td>' for place, cell in enumerate(row))
            for row in rows[:_MOST_ROWS]
        ]
        return (
            f"<section><header><h2>TCP connections</h2>{_note(note)}</header>"
            f'<div class="scroll log"><table><tr>{cells}</tr>{"".join(lines)}</table></div></section>'
        )

    def _rows_of_recording(self) -> Iterable[tuple[str, ...]]:
        recording = self._recording
        assert recording is not None
        for acked in sorted(_of(recording, "acked"), key=lambda one: one.values[0] - one.values[-1]):
            name = acked.name
            rtts = sorted(value for value in recording["rtt", name].values if value)
            time = acked.times[-1] - acked.times[0] + recording.metadata.get("interval", 0.0)
            yield (
                name,
                _bytes(acked.values[-1] - acked.values[0]),
                _rate(8 * (acked.values[-1] - acked.values[0]) / time if time else math.nan),
                f"{recording['retransmits', name].values[-1]:,.0f}",
                _seconds(rtts[0]) if rtts else "",
                _seconds(rtts[len(rtts) // 2]) if rtts else "",
            )

    def _rows_of_capture(self) -> Iterable[tuple[str, ...]]:
        assert self._capture is not None
        for flow in self._capture.flows:
            time = flow.times[-1] - flow.times[0]
            yield (
                name_of_flow(flow, self._addresses),
                _bytes(flow.sent),
                _rate(8 * flow.sent / time) if time else "",
                f"{sum(flow.again):,}",
                "",
                "",
            )

    def _lanes(self) -> str:
        recording = self._recording
        if recording is None or not (recording.events or recording.logs):
            return ""
        hosts = {
            one.host for one in (*recording.events, *(line for lines in recording.logs.values() for line in lines))
        }
        return self._section("Events and logs", draw_lanes(recording), height=60 + 34 * len(hosts))

    def _panels(self) -> Iterable[str]:
        panels = recording_panels(self._recording) if self._recording is not None else []
        if self._capture is not None:
            panels += capture_panels(self._capture, self._addresses, alone=self._recording is None)
        for panel in panels:
            yield self._panel(panel)

    def _panel(self, panel: Panel) -> str:
        height = _SEQUENCE_HEIGHT if panel.title.startswith("Sequence") else _PANEL_HEIGHT
        names = [curve.name for curve in panel.curves]
        note = ", ".join(part for part in (names[0] if len(names) == 1 else "", panel.note) if part)
        return self._section(panel.title, draw_panel(panel, self._events), height=height, note=note)

    def _section(self, title: str, figure: Any, *, height: int, axis: str = "time", note: str = "") -> str:
        name = f"figure-{len(self._figures)}"
        if axis:
            figure.update_xaxes(range=self._range, ticksuffix=" s", showticksuffix="all")
        hosts = self._recording.topology.hosts if self._recording is not None else ()
        # All axes of time begin at the same place, also where names of hosts stand beside one.
        left = min(max((len(host.name) for host in hosts), default=0), 18)
        # The template is the page's own.
        figure.update_layout(template=None)
        # Nothing in a text may end the script.
        content = figure.to_json().replace("<", "\\u003c")
        self._figures.append(f'<script type="application/json" id="{name}">{content}</script>')
        return (
            f"<section><header><h2>{_text(title)}</h2>{_note(note)}</header>"
            f'<div class="plot" data-figure="{name}" data-axis="{axis}" data-height="{height}" '
            f'data-range="{json.dumps(self._range)}" data-left="{left}"></div></section>'
        )

    def _log(self) -> str:
        recording = self._recording
        if recording is None or not (recording.events or recording.logs):
            return ""
        lines = [(event.time, event.host, event.text, "text event") for event in recording.events]
        lines += [(line.time, line.host, line.text, "text") for host in recording.logs.values() for line in host]
        lines.sort(key=lambda line: line[0])
        note = f"the first {_MOST_LINES:,} of {len(lines):,}" if len(lines) > _MOST_LINES else ""
        hosts = sorted({host for _, host, _, _ in lines})
        choices = "".join(f'<option value="{_text(host)}">{_text(host or "network")}</option>' for host in hosts)
        rows = "".join(
            f'<tr data-host="{_text(host)}"><td class="number">{time:.6f}</td><td>{_text(host or "network")}</td>'
            f'<td class="{kind}">{_text(text)}</td></tr>'
            for time, host, text, kind in lines[:_MOST_LINES]
        )
        every = '<option value="*">all hosts</option>'
        head = '<thead><tr><th class="number">s</th><th>host</th><th>what</th></tr></thead>'
        return (
            f'<section><header><h2>Log</h2>{_note(note)}</header><div class="tools">'
            f'<select id="host" aria-label="host">{every}{choices}</select>'
            '<input id="text" type="search" placeholder="lines that contain" aria-label="lines that contain"></div>'
            f'<div class="log"><table id="log">{head}<tbody>{rows}</tbody></table></div></section>'
        )


def _addresses(recording: Recording | None) -> dict[str, str]:
    hosts = recording.topology.hosts if recording is not None else ()
    return {address.partition("/")[0]: host.name for host in hosts for address in host.addresses}


def _of(recording: Recording, kind: str) -> list[Any]:
    return [recording[kind, name] for name in recording.names(kind)]


def _text(value: object) -> str:
    return html.escape(str(value))


def _note(text: str) -> str:
    return f'<span class="note">{_text(text)}</span>' if text else ""


def _seconds(value: float) -> str:
    return f"{value:,.3f} s".replace(".000 s", " s") if value >= 1 else f"{value * 1e3:.3g} ms"


def _bytes(value: float) -> str:
    return _scaled(value, "B")


def _rate(value: float) -> str:
    return _scaled(value, "bit/s")


def _scaled(value: float, unit: str) -> str:
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"
