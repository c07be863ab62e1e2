"""Rows as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from measure import OURS, Row

__all__ = ["processor", "show", "write_json"]

_VERDICTS = {True: "[green]met[/]", False: "[red]missed[/]", None: ""}


def processor() -> str:
    """Model and number of the processors, without anything that names the machine."""
    with Path("/proc/cpuinfo").open() as lines:
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} x {model}"


def number(value: float) -> str:
    """Three digits that mean something."""
    if value >= 100 or value == int(value):
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def show(console: Console, rows: Sequence[Row], rounds: int) -> None:
    """Print the table, and below it what could not be measured."""
    load = os.getloadavg()[0]
    table = Table(
        title=f"medians of {rounds} rounds and more · {processor()} · load {load:.1f}",
        title_justify="left",
        expand=False,
    )
    for column in ("what", "liblinux", "others (x ours)", "target", ""):
        table.add_column(column, justify="right" if column == "liblinux" else "left")
    for row in rows:
        table.add_row(_what(row), _ours(row), _others(row), row.target, _VERDICTS[row.met], end_section=True)
    console.print(table)
    reasons = {f"{name}: {reason}" for row in rows for name, reason in row.skipped.items()}
    for line in sorted(reasons):
        console.print(f"skipped {line}", style="yellow", markup=False)


def _what(row: Row) -> str:
    note = f"\n[dim]{row.note}[/]" if row.note else ""
    return f"{row.what}{note}"


def _ours(row: Row) -> str:
    return "not measured" if row.ours is None else f"{number(row.ours)} {row.unit}".strip()


def _others(row: Row) -> str:
    lines = []
    for name, value in row.figures.items():
        if name != OURS:
            ratio = f" ({number(value / row.ours)}x)" if row.ours else ""
            lines.append(f"{name} {number(value)} {row.unit}{ratio}")
    lines += [f"{name} {text}" for name, text in row.published.items()]
    return "\n".join(lines)


def write_json(path: Path, rows: Sequence[Row], rounds: int) -> None:
    """All figures, with the machine they are from."""
    answer = {
        "processor": processor(),
        "load": os.getloadavg()[0],
        "rounds": rounds,
        "rows": [asdict(row) for row in rows],
    }
    path.write_text(json.dumps(answer, indent=2) + "\n")
