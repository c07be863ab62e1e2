"""The memory of one kernel, and how many there can be in a process."""

from __future__ import annotations

from measure import OURS, Row, at_most, medians
from programs import python, run
from subjects import HERE, Bench, job

MEMORY_MIB = 6.0
KERNELS = 500
QUICK_KERNELS = 50


def measure(bench: Bench) -> list[Row]:
    """Memory first; the many only once, for they take as long as they take."""
    figures, _ = medians({OURS: job("memory_of_one", "64M"), "with 24 MiB": job("memory_of_one", "24M")}, bench.rounds)
    smaller = figures.pop("with 24 MiB", None)
    note = f"{smaller:.2f} MiB with memory=24M" if smaller is not None else ""
    return [
        Row(
            "memory",
            "memory of one booted kernel (RSS without text)",
            "MiB",
            f"{MEMORY_MIB:g} MiB",
            figures,
            at_most(figures, MEMORY_MIB),
            {"rump kernel": "1.5 MiB (published)", "LKL": "10.9 MiB (measured elsewhere)"},
            note=note,
        ),
        *_many(bench),
    ]


def _many(bench: Bench) -> list[Row]:
    wanted = QUICK_KERNELS if bench.quick else KERNELS
    boot, memory, close = map(float, run(python(HERE / "jobs.py", "many_kernels", str(wanted))).split())
    return [
        Row(
            "memory",
            "kernels in one process, all alive and answering",
            "",
            f"{KERNELS}",
            {OURS: wanted},
            wanted >= KERNELS or None,
            {"LKL": "1", "dlmopen": "11"},
            note=f"each: boot {boot * 1e3:.1f} ms, {memory:.1f} MiB, close {close * 1e3:.1f} ms",
        )
    ]
