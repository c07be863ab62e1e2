"""One byte to and fro over two pipes: a write, a read and a switch each time."""

from __future__ import annotations

import liblinux
from liblinux import _native
from measure import OURS, Row, medians, within
from programs import compiled, run
from subjects import HERE, Bench


def measure(bench: Bench) -> list[Row]:
    """Two tasks of one kernel on one host thread, and two native threads on one processor."""
    count = 50_000 if bench.quick else 300_000
    with liblinux.Kernel() as kernel:
        process = kernel._process
        figures, skipped = medians(
            {
                OURS: lambda: _native.switch_nanoseconds(process, count),
                "native threads": lambda: float(
                    run([compiled(HERE / "native.c", bench.images.directory), "switch", str(count)])
                ),
            },
            bench.rounds,
        )
    return [
        Row(
            "switch",
            "pipe ping-pong between two tasks, per switch",
            "ns",
            "native / 10",
            figures,
            within(figures, "native threads", 1 / 10),
            {"LKL": "20,000 ns (measured elsewhere)"},
            skipped,
        )
    ]
