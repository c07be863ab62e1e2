"""Results as tables: a row for each flow of each run, as CSV or Parquet."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from liblinux._arrival import arriving

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from liblinux.experiments._once import Outcome

__all__ = ["UNITS", "rows", "write_results", "write_samples"]

# What the columns are in; numbers without a unit are counts and shares from 0 to 1.
UNITS = {
    "started": "s", "seconds": "s", "bytes": "bytes", "throughput": "bit/s", "retransmits": "segments", "rtt_min": "s",
    "complete": "", "failures": "", "sent": "", "arrived": "", "answers": "", "loss": "", "jitter": "s",
    **{f"delay_{which}": "s" for which in ("mean", "p50", "p95", "p99", "max")},
}  # fmt: skip
_SAMPLES = ("time", "kind", "name", "unit", "value")


def rows(outcomes: Iterable[Outcome]) -> list[dict[str, Any]]:
    """One for each flow: the parameters of its run, the seed, and what came of it; None where there is nothing."""
    found = [{**outcome.parameters, "seed": outcome.seed, **flow} for outcome in outcomes for flow in outcome.flows]
    parameters = dict.fromkeys(key for row in found for key in row if key not in UNITS)
    columns = [*parameters, *(name for name in UNITS if any(name in row for row in found))]
    return [{name: row.get(name) for name in columns} for row in found]


def write_results(path: str | Path, outcomes: Sequence[Outcome]) -> None:
    """Write them as Parquet (a name that ends with .parquet), or CSV. OSError when that fails."""
    _write(Path(path), rows(outcomes))


def write_samples(path: str | Path, outcomes: Sequence[Outcome]) -> None:
    """Write all series of all runs: parameters, seed, time, kind, name, unit, value."""
    found = []
    for outcome in outcomes:
        run = {**outcome.parameters, "seed": outcome.seed}
        for series in outcome.recording.series.values():
            same = {"kind": series.kind, "name": series.name, "unit": series.unit}
            found += [{**run, "time": time, **same, "value": value} for time, value in series]
    _write(Path(path), found)


def _write(path: Path, table: Sequence[dict[str, Any]]) -> None:
    if path.suffix == ".parquet":
        _write_parquet(path, table)
        return
    with arriving(path) as name, open(name, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table[0]) if table else ["seed", "flow"])
        writer.writeheader()
        writer.writerows(table)


def _write_parquet(path: Path, table: Sequence[dict[str, Any]]) -> None:
    try:
        import pyarrow as pa  # noqa: PLC0415 - optional
        from pyarrow import parquet  # noqa: PLC0415 - as above
    except ImportError as error:
        raise ImportError("Parquet needs pyarrow: pip install pyarrow; or write a file .csv") from error
    columns = {name: [row[name] for row in table] for name in (table[0] if table else ())}
    # A swept value may be of any kind, and a column is of one.
    tidy = {
        name: values if len({type(value) for value in values if value is not None} - {int, float}) <= 1
        and not any(isinstance(value, list | dict) for value in values)
        else [str(value) for value in values]
        for name, values in columns.items()
    }  # fmt: skip
    with arriving(path) as name:
        parquet.write_table(pa.table(tidy), name)
