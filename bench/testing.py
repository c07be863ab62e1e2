"""Fixtures of pytest: what a test costs that has a kernel or a network of its own, put back or made anew."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from liblinux import Kernel, Network
from liblinux.testing._pool import Pool
from measure import OURS, Row, medians
from subjects import Bench

_OPTIONS: dict[str, Any] = {"clock": "virtual", "seed": 1}
_TESTS = 50

_Maker = Callable[[], AbstractContextManager[Any]]


def measure(bench: Bench) -> list[Row]:
    """The fixtures `kernel` and `network`, and what they would be without putting back."""
    with Pool() as pool:
        return [
            _row(bench, "a kernel and a call", lambda: pool.kernel(_OPTIONS), lambda: Kernel(**_OPTIONS), _call),
            _row(bench, "two hosts and a ping", lambda: pool.network(_OPTIONS, None), _network, _ping),
            _row(bench, "the same with network_setup", lambda: pool.network(_OPTIONS, _set_up), _network, _ping),
        ]


def _network() -> Network:
    return Network(**_OPTIONS)


def _set_up(net: Network) -> None:
    net.link(net.host("a"), net.host("b"), delay="10ms")


def _call(kernel: Kernel) -> None:
    kernel.os.getpid()


def _ping(net: Network) -> None:
    if not net.hosts:
        _set_up(net)
    net.ping("a", "b")


def _row(bench: Bench, what: str, lend: _Maker, make: _Maker, use: Callable[[Any], None]) -> Row:
    def tests(maker: _Maker) -> float:
        """Milliseconds for one."""
        count = _TESTS // 10 if bench.quick else _TESTS
        started = time.perf_counter()
        for _ in range(count):
            with maker() as lent:
                use(lent)
        return (time.perf_counter() - started) * 1e3 / count

    tests(lend)  # what is asked for twice is kept
    figures, skipped = medians({OURS: lambda: tests(lend), "made anew": lambda: tests(make)}, bench.rounds)
    faster = figures["made anew"] / figures[OURS]
    return Row(
        "testing",
        f"a test of its own: {what}",
        "ms",
        "made anew",
        figures,
        faster >= 1,
        {},
        skipped,
        note=f"{faster:.1f} times as fast as booting",
    )
