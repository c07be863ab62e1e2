"""Panels and topologies as figures of plotly."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from liblinux.observing._extras import need

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liblinux.observing._panels import Curve, Panel
    from liblinux.observing._recording import Event, Recording, Topology

__all__ = ["COLORS", "draw_lanes", "draw_panel", "draw_topology", "place_hosts"]

# Light enough on black and dark enough on white, and different to those who see no red or no green.
COLORS = ("#3b82d6", "#e0812f", "#2fa36b", "#d64e4e", "#9a6fd0", "#b8912a", "#2ba3b5", "#8a8f98", "#d065a8", "#7f9c3a")
_LEVELS = {"debug": "#8a8f98", "info": "#3b82d6", "warning": "#e0812f", "error": "#d64e4e", "critical": "#d64e4e"}
_SYMBOLS = {"host": "circle", "router": "diamond", "switch": "square", "device": "triangle-up"}
_MOST_MARKS = 60
_MOST_LABELS = 24
_MOST_NAMES = 60
_MOST_PLACED = 60  # hosts of which the better way to place them takes less than a second
_WIDE = 5000  # points from which a canvas of WebGL is quicker than SVG


def draw_panel(panel: Panel, events: Sequence[Event]) -> Any:
    """A figure; events are vertical lines."""
    go = need("plotly.graph_objects", "a report")
    np = need("numpy", "a report")
    figure = go.Figure()
    for curve in panel.curves:
        _add_curve(go, np, figure, curve)
    figure.update_yaxes(title_text=panel.unit, rangemode="tozero")
    figure.update_layout(barmode="overlay")
    _mark_events(figure, events)
    return figure


def _add_curve(go: Any, np: Any, figure: Any, curve: Curve) -> None:
    color = COLORS[curve.color % len(COLORS)]
    x = np.asarray(curve.times, "float64").round(6)
    y = np.asarray(curve.values, "float32")
    named = {"x": x, "y": y, "name": curve.name}
    if curve.style == "bars":
        figure.add_trace(go.Bar(**named, marker={"color": color, "line": {"color": color, "width": 1}}))
        return
    kind = go.Scattergl if len(x) > _WIDE else go.Scatter
    if curve.style == "points":
        symbol = "x" if "again" in curve.name else "circle"
        figure.add_trace(kind(**named, mode="markers", marker={"color": color, "size": 4, "symbol": symbol}))
        return
    line = {"color": color, "width": 1.6}
    if curve.style == "dashed":
        line |= {"dash": "dot", "width": 1.2}
    if curve.style in ("step", "dashed"):
        line["shape"] = "hv"
    figure.add_trace(kind(**named, mode="lines", line=line))


def _mark_events(figure: Any, events: Sequence[Event]) -> None:
    for event in events[:_MOST_MARKS]:
        figure.add_vline(event.time, line={"width": 1, "dash": "dot", "color": "#8a8f98"})


def draw_lanes(recording: Recording) -> Any:
    """Events and lines of logs, a lane for each host."""
    go = need("plotly.graph_objects", "a report")
    figure = go.Figure()
    events = recording.events
    if events:
        figure.add_trace(
            go.Scatter(
                x=[event.time for event in events],
                y=[event.host or "network" for event in events],
                text=[event.text for event in events],
                name="events",
                mode="markers+text" if len(events) <= _MOST_MARKS else "markers",
                textposition="top right",
                marker={"symbol": "diamond", "size": 10, "color": COLORS[4]},
                hovertemplate="%{x:.3f} s %{y}: %{text}<extra></extra>",
                cliponaxis=False,
            )
        )
    lines = [line for host in recording.logs.values() for line in host]
    if lines:
        figure.add_trace(
            go.Scatter(
                x=[line.time for line in lines],
                y=[line.host or "network" for line in lines],
                text=[_short(line.text) for line in lines],
                name="log",
                mode="markers",
                marker={"size": 7, "color": [_LEVELS.get(line.text.partition(":")[0], "#8a8f98") for line in lines]},
                hovertemplate="%{x:.3f} s %{y}: %{text}<extra></extra>",
            )
        )
    hosts = [host.name for host in recording.topology.hosts]
    seen = {one.host or "network" for one in (*events, *lines)}
    order = [name for name in ["network", *hosts, *sorted(seen)] if name in seen]
    figure.update_yaxes(
        type="category", tickmode="linear", categoryorder="array", categoryarray=list(dict.fromkeys(order))[::-1]
    )
    figure.update_layout(hovermode="closest")
    return figure


def _short(text: str) -> str:
    first = text.partition("\n")[0]
    return first if len(first) <= 120 else first[:117] + "..."


# ---- the topology ---------------------------------------------------------------------


def place_hosts(topology: Topology) -> dict[str, tuple[float, float]]:
    """Where hosts are drawn, from -1 to 1 each, wider than high; the same every time."""
    nx = need("networkx", "a picture of a topology")
    graph = nx.Graph()
    graph.add_nodes_from(host.name for host in topology.hosts)
    graph.add_edges_from((link.a.rpartition(":")[0], link.b.rpartition(":")[0]) for link in topology.links)
    if len(graph) <= _MOST_PLACED:
        found = nx.kamada_kawai_layout(graph) if graph.edges else nx.circular_layout(graph)
    else:
        found = nx.spring_layout(graph, seed=1)
    return _lie_down({name: (float(x), float(y)) for name, (x, y) in found.items()})


def _lie_down(places: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    """Turn the longest extent to the horizontal: pages are wider than high."""
    if len(places) < 2:
        return places
    n = len(places)
    mx, my = (sum(place[axis] for place in places.values()) / n for axis in (0, 1))
    xx = sum((x - mx) ** 2 for x, _ in places.values())
    yy = sum((y - my) ** 2 for _, y in places.values())
    xy = sum((x - mx) * (y - my) for x, y in places.values())
    angle = 0.5 * math.atan2(2 * xy, xx - yy)
    cos, sin = math.cos(angle), math.sin(angle)
    turned = {
        name: ((x - mx) * cos + (y - my) * sin, (y - my) * cos - (x - mx) * sin) for name, (x, y) in places.items()
    }
    first = next(iter(turned))
    # The host that was declared first is at the left, and at the top.
    sign_x = -1 if turned[first][0] > 0 else 1
    sign_y = -1 if turned[first][1] < 0 else 1
    return {name: (sign_x * x, sign_y * y) for name, (x, y) in turned.items()}


def draw_topology(topology: Topology) -> Any:
    """Hosts by their kinds, links with what they do to frames."""
    go = need("plotly.graph_objects", "a report")
    places = place_hosts(topology)
    figure = go.Figure()
    ends = [(link.a.rpartition(":")[0], link.b.rpartition(":")[0]) for link in topology.links]
    xs: list[float | None] = []
    ys: list[float | None] = []
    for a, b in ends:
        xs += [places[a][0], places[b][0], None]
        ys += [places[a][1], places[b][1], None]
    line = {"color": "#8a8f98", "width": 1.5}
    figure.add_trace(go.Scatter(x=xs, y=ys, mode="lines", line=line, hoverinfo="skip", showlegend=False))
    middles = [[(places[a][axis] + places[b][axis]) / 2 for a, b in ends] for axis in (0, 1)]
    texts = [_link_text(link) for link in topology.links]
    figure.add_trace(
        go.Scatter(
            x=middles[0],
            y=middles[1],
            hovertext=texts,
            hoverinfo="text",
            mode="markers",
            marker={"size": 9, "color": "#8a8f98", "opacity": 0.01},
            showlegend=False,
            cliponaxis=False,
        )
    )
    if len(texts) <= _MOST_LABELS:
        for x, y, link in zip(*middles, topology.links, strict=True):
            label = (
                _short_of(link.there)
                if link.there == link.back
                else f"{_short_of(link.there)} | {_short_of(link.back)}"
            )
            figure.add_annotation(x=x, y=y, text=label, showarrow=False, borderpad=1)
    for color, (kind, symbol) in enumerate(_SYMBOLS.items()):
        hosts = [host for host in topology.hosts if host.kind == kind]
        if hosts:
            figure.add_trace(
                go.Scatter(
                    x=[places[host.name][0] for host in hosts],
                    y=[places[host.name][1] for host in hosts],
                    text=[host.name for host in hosts],
                    hovertext=["<br>".join((host.name, *host.addresses)) for host in hosts],
                    hoverinfo="text",
                    name=f"{kind}s" if kind != "switch" else "switches",
                    mode="markers+text" if len(places) <= _MOST_NAMES else "markers",
                    textposition="bottom center",
                    marker={"size": 16 if len(places) <= _MOST_NAMES else 8, "symbol": symbol, "color": COLORS[color]},
                    cliponaxis=False,
                )
            )
    for axis, update in ((0, figure.update_xaxes), (1, figure.update_yaxes)):
        low, high = min(place[axis] for place in places.values()), max(place[axis] for place in places.values())
        room = max(0.15 * (high - low), 0.2)
        update(visible=False, range=[low - room, high + room])
    figure.update_layout(hovermode="closest")
    return figure


def _short_of(line: str) -> str:
    """Without the queue, which is in the text that is shown when a link is pointed at."""
    return ", ".join(part for part in line.split(", ") if not part.startswith("queue"))


def _link_text(link: Any) -> str:
    return f"{link.a} to {link.b}: {link.there}<br>{link.b} to {link.a}: {link.back}"
