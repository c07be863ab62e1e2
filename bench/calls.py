"""The system call that does nothing, from C and from Python."""

from __future__ import annotations

import os
import timeit

import liblinux
from liblinux import _native
from measure import OURS, Row, medians, within
from programs import compiled, run
from subjects import HERE, Bench

_SECOND_NS = 1e9


def measure(bench: Bench) -> list[Row]:
    """Two rows."""
    count = 100_000 if bench.quick else 1_000_000
    with liblinux.Kernel() as kernel:
        process = kernel._process
        from_c, skipped = medians(
            {
                OURS: lambda: _native.null_call_nanoseconds(process, count),
                "native getpid": lambda: float(
                    run([compiled(HERE / "native.c", bench.images.directory), "getpid", str(count)])
                ),
            },
            bench.rounds,
        )
        from_python, _ = medians(
            {
                OURS: lambda: timeit.timeit(kernel.os.getpid, number=count) / count * _SECOND_NS,
                "os.getppid()": lambda: timeit.timeit(os.getppid, number=count) / count * _SECOND_NS,
            },
            bench.rounds,
        )
    return [
        Row(
            "calls",
            "null system call from C",
            "ns",
            "native / 5",
            from_c,
            within(from_c, "native getpid", 1 / 5),
            {"LKL": "45 ns (measured elsewhere)"},
            skipped,
        ),
        Row(
            "calls",
            "kernel.os.getpid() from Python",
            "ns",
            "os.getppid()",
            from_python,
            within(from_python, "os.getppid()", 1),
        ),
    ]
