"""Networks: TCP and echoes over one link, a torus of 100 hosts, a tree of 1,000; beside namespaces of the machine."""

from __future__ import annotations

import os
from collections.abc import Callable

from measure import OURS, Row, Skipped, all_of, at_most, medians, within
from programs import program, python, run
from subjects import HERE, Bench

HOST = "ip netns and veth"
PING_MICROSECONDS = 10.0
TORUS_SECONDS = 0.5
TREE_SECONDS = 5.0
HOST_KIB = 300.0
SEVERAL = 3  # rounds of what takes the machine some seconds


def measure(bench: Bench) -> list[Row]:
    """One link first, then many."""
    return [_tcp(bench), _ping(bench), _torus(bench), *_tree(bench)]


def _figures(whose: str, job: str, argument: int) -> list[float]:
    if whose == "host":
        program("ip")
        if os.geteuid():
            raise Skipped("network namespaces of the machine need root")
    return [float(word) for word in run(python(HERE / "networks.py", whose, job, str(argument))).split()]


def _players(job: str, argument: int, unit: float = 1) -> dict[str, Callable[[], float]]:
    return {
        OURS: lambda: _figures("ours", job, argument)[0] / unit,
        HOST: lambda: _figures("host", job, argument)[0] / unit,
    }


def _tcp(bench: Bench) -> Row:
    figures, skipped = medians(_players("tcp", 1, 1e9), bench.rounds)
    met = figures[OURS] >= figures[HOST] if {OURS, HOST} <= figures.keys() else None
    return Row(
        "network", "TCP between two hosts, from Python", "Gbit/s", "at least veth", figures, met, skipped=skipped
    )


def _ping(bench: Bench) -> Row:
    figures, skipped = medians(_players("ping", 2000 if bench.quick else 10_000), bench.rounds)
    return Row(
        "network",
        "round trip of an echo, from Python",
        "µs",
        f"{PING_MICROSECONDS:g} µs",
        figures,
        at_most(figures, PING_MICROSECONDS),
        {"rump kernel": "28 µs (published)"},
        skipped,
    )


def _torus(bench: Bench) -> Row:
    side = 4 if bench.quick else 10
    figures, skipped = medians(_players("torus", side), min(bench.rounds, SEVERAL), warm_up=not bench.quick)
    return Row(
        "network",
        f"torus of {side * side} hosts, configured and all reachable",
        "s",
        f"{TORUS_SECONDS:g} s",
        figures,
        all_of(at_most(figures, TORUS_SECONDS), within(figures, HOST, 1)) if not bench.quick else None,
        {"Mininet": "25.9 s (published)"},
        skipped,
    )


def _tree(bench: Bench) -> list[Row]:
    count = 50 if bench.quick else 1000
    kibibytes: dict[str, float] = {}

    def ours() -> float:
        seconds, _, kibibytes[OURS] = _figures("ours", "tree", count)
        return seconds

    players: dict[str, Callable[[], float]] = {OURS: ours, HOST: lambda: _figures("host", "tree", count)[0]}
    # Once: the machine takes half a minute to make it, and as long to take it down.
    figures, skipped = medians(players, 1, warm_up=False)
    return [
        Row(
            "network",
            f"tree of {count} hosts, configured, 100 random pairs have pinged",
            "s",
            f"{TREE_SECONDS:g} s",
            figures,
            at_most(figures, TREE_SECONDS) if not bench.quick else None,
            skipped=skipped,
        ),
        Row(
            "network",
            "memory of a host of it (RSS)",
            "KiB",
            f"{HOST_KIB:g} KiB",
            kibibytes,
            at_most(kibibytes, HOST_KIB) if not bench.quick else None,
        ),
    ]
