"""packetdrill scripts: those that ship with the kernel, as IPv4, beside the time that they are about."""

from __future__ import annotations

import time

from liblinux.packetdrill import parse, run
from liblinux.packetdrill._selftests import options_for, selftests
from measure import OURS, Row, medians
from subjects import Bench


def measure(bench: Bench) -> list[Row]:
    """One row. packetdrill itself, on a kernel of the host, cannot be faster than its scripts' clock."""
    scripts = [(path, parse(path.read_text(), path.name)) for path in selftests()]
    if bench.quick:
        scripts = scripts[:5]
    clock_ms: list[float] = []

    def play() -> float:
        started = time.perf_counter()
        outcomes = [run(script, "ipv4", directory=path.parent, options=options_for(path)) for path, script in scripts]
        taken = time.perf_counter() - started
        clock_ms.append(sum(outcome.duration_us for outcome in outcomes if outcome.passed) / 1e3)
        return taken * 1e3

    def clock() -> float:
        return clock_ms[-1]

    figures, skipped = medians({OURS: play, "the scripts' own clock": clock}, bench.rounds)
    return [
        Row(
            "packetdrill",
            f"{len(scripts)} packetdrill scripts of the kernel, IPv4, a kernel booted for each",
            "ms",
            "the scripts' own clock",
            figures,
            figures[OURS] < figures["the scripts' own clock"],
            skipped=skipped,
            note="a real run takes the scripts' clock and more",
        )
    ]
