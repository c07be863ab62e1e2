"""Recordings as files: CSV, Parquet, JSON."""

from __future__ import annotations

import csv
import json
import math
from array import array
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from liblinux._arrival import arriving
from liblinux.observing._recording import Event, LinkEntry, Node, Recording, Series, Topology

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

__all__ = ["read_json", "write_csv", "write_json", "write_parquet"]

_FORMAT, _VERSION = "liblinux recording", 1
_COLUMNS = ("time", "kind", "name", "unit", "value")
_R = TypeVar("_R", bound=Recording)


def write_csv(recording: Recording, path: str | os.PathLike[str]) -> None:
    """See :meth:`Recording.to_csv`."""
    with arriving(path) as name, open(name, "w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(_COLUMNS)
        for series in recording.series.values():
            rows.writerows((time, series.kind, series.name, series.unit, value) for time, value in series)


def write_parquet(recording: Recording, path: str | os.PathLike[str]) -> None:
    """See :meth:`Recording.to_parquet`."""
    try:
        import pyarrow as pa  # noqa: PLC0415 - optional
        from pyarrow import parquet  # noqa: PLC0415 - as above
    except ImportError as error:
        raise ImportError("Recording.to_parquet() needs pyarrow: pip install pyarrow") from error
    all_series = list(recording.series.values())
    times, values = array("d"), array("d")
    for series in all_series:
        times.extend(series.times)
        values.extend(series.values)
    texts = {name: [getattr(one, name) for one in all_series for _ in one.times] for name in ("kind", "name", "unit")}
    columns = {
        "time": pa.array(times),
        **{name: pa.array(text, pa.string()).dictionary_encode() for name, text in texts.items()},
        "value": pa.array(values),
    }
    with arriving(path) as name:
        parquet.write_table(pa.table(columns), name)


def write_json(recording: Recording, path: str | os.PathLike[str]) -> None:
    """See :meth:`Recording.to_json`."""
    # Series that were sampled together share their times: each is written once.
    times: list[list[float]] = []
    places: dict[int, int] = {}
    series = []
    for one in recording.series.values():
        if id(one.times) not in places:
            places[id(one.times)] = len(times)
            times.append(one.times.tolist())
        series.append([one.kind, one.name, one.unit, places[id(one.times)], _nullable(one.values)])
    whole = {
        "format": _FORMAT,
        "version": _VERSION,
        "metadata": recording.metadata,
        "topology": asdict(recording.topology),
        "events": [[event.time, event.host, event.text] for event in recording.events],
        "logs": {host: [[line.time, line.text] for line in lines] for host, lines in recording.logs.items()},
        "capture": recording.capture,
        "times": times,
        "series": series,
    }
    with arriving(path) as name, open(name, "w", encoding="utf-8") as file:
        json.dump(whole, file, allow_nan=False, default=str)


def read_json(kind: type[_R], path: str | os.PathLike[str]) -> _R:
    """See :meth:`Recording.from_json`."""
    with open(path, encoding="utf-8") as file:
        try:
            whole = json.load(file)
        except ValueError as error:
            raise ValueError(f"{path} is no recording: {error}") from None
    if not isinstance(whole, dict) or whole.get("format") != _FORMAT:
        raise ValueError(f"{path} is no recording; Recording.to_json() writes one")
    if whole.get("version") != _VERSION:
        raise ValueError(f"{path} is a recording of version {whole.get('version')}; this liblinux reads {_VERSION}")
    try:
        return _build(kind, whole)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise ValueError(f"{path} is a damaged recording: {error!r}") from error


def _build(kind: type[_R], whole: dict[str, Any]) -> _R:
    times = [array("d", one) for one in whole["times"]]
    series = {
        (what, name): Series(what, name, unit, times[place], array("d", map(_number, values)))
        for what, name, unit, place, values in whole["series"]
    }
    topology = Topology(
        tuple(Node(node["name"], node["kind"], tuple(node["addresses"])) for node in whole["topology"]["hosts"]),
        tuple(LinkEntry(**link) for link in whole["topology"]["links"]),
    )
    events = [Event(*event) for event in whole["events"]]
    logs = {host: [Event(time, host, text) for time, text in lines] for host, lines in whole["logs"].items()}
    return kind(series, events, logs, topology, whole["metadata"], whole["capture"])


def _nullable(values: Sequence[float]) -> list[float | None]:
    # Of NaN and infinity JSON knows nothing.
    return [value if math.isfinite(value) else None for value in values]


def _number(value: float | None) -> float:
    return math.nan if value is None else value
