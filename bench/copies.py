"""Putting a kernel back to a snapshot, and forking a process that has one."""

from __future__ import annotations

from measure import OURS, Row, at_most, medians
from subjects import Bench, job

RESTORE_MS = 0.5
FORK_MS = 0.5


def measure(bench: Bench) -> list[Row]:
    """Medians over many restores and forks of one process each; a kernel of 64 MiB with ext4 mounted."""
    image = bench.images.full
    restored, _ = medians(
        {
            OURS: job("restore_liblinux", image),
            "and the first call": job("restore_and_call", image),
            "a snapshot": job("snapshot_liblinux", image),
        },
        bench.rounds,
    )
    first, taken = restored.pop("and the first call", None), restored.pop("a snapshot", None)
    forked, _ = medians({OURS: job("fork_liblinux", image), "without a kernel": job("fork_bare")}, bench.rounds)
    return [
        Row(
            "copies",
            "restore() after a file was written and synced",
            "ms",
            f"{RESTORE_MS:g} ms",
            restored,
            at_most(restored, RESTORE_MS),
            {"elsewhere": "nobody has it"},
            note=f"with the first stat after it {first:.2f} ms; taking a snapshot {taken:.1f} ms"
            if first is not None and taken is not None
            else "",
        ),
        Row(
            "copies",
            "os.fork() to the first system call in the child",
            "ms",
            f"without a kernel + {FORK_MS:g} ms",
            forked,
            at_most(forked, forked.get("without a kernel", 0) + FORK_MS),
        ),
    ]
