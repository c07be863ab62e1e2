"""Exploring seeds and faults: the example's store, its mistake put right, so that all seeds pass."""

from __future__ import annotations

import logging
import socket
import time
from pathlib import Path

from liblinux import Network
from liblinux.explore import Plan, explore
from liblinux.explore._trial import Trials
from measure import OURS, Row, medians
from subjects import Bench

_STORE = Path(__file__).parent.parent / "examples" / "explore" / "store.py"
_MISTAKE, _RIGHT = "QUORUM = len(HOSTS) // 2 ", "QUORUM = len(HOSTS) // 2 + 1 "
_KINDS = ("partition", "kill", "pause", "link")
_SEEDS = 200
_HOSTS = 100
_FRAMES = 2000
_LOOP = "one process, in a loop"
_STRAIGHT = "straight to its host"


def measure(bench: Bench) -> list[Row]:
    """Seeds by the second, a partition, frames in the hands of Python."""
    return [_seeds(bench), _partition(bench), _frames(bench)]


def _seeds(bench: Bench) -> Row:
    count = _SEEDS // 10 if bench.quick else _SEEDS
    path = bench.images.directory / "store.py"
    path.write_text(_STORE.read_text().replace(_MISTAKE, _RIGHT))
    plan = Plan(f"{path}::keeps_what_it_promised", kinds=_KINDS)

    def by_explore() -> float:
        started = time.perf_counter()
        report = explore(plan, range(count))
        if report.failure is not None:
            raise RuntimeError(f"the example is not right: {report}")
        return count / (time.perf_counter() - started)

    def in_a_loop() -> float:
        logging.getLogger("liblinux.kernel").setLevel(logging.ERROR)
        trials = Trials(plan.identified())
        started = time.perf_counter()
        for seed in range(count):
            trials.run(seed)
        return count / (time.perf_counter() - started)

    figures, _ = medians({OURS: by_explore, _LOOP: in_a_loop}, 1 if bench.quick else 3, warm_up=False)
    ratio = figures[OURS] / figures[_LOOP]
    what = f"explore {count} seeds of a replicated store, 25 s each, with faults; on all processors"
    return Row("explore", what, "seeds/s", "", figures, note=f"{ratio:.2f} times the loop, with starting the processes")


def _partition(bench: Bench) -> Row:
    with Network(clock="virtual", seed=1) as net:
        switch = net.switch("switch")
        for number in range(_HOSTS):
            net.link(net.host(f"h{number}"), switch)
        net.up()
        half = list(net.hosts)[1 : 1 + _HOSTS // 2]

        def part() -> float:
            started = time.perf_counter()
            net.partition(*half)
            net.heal()
            return (time.perf_counter() - started) * 1e3

        figures, _ = medians({OURS: part}, bench.rounds)
    return Row("explore", f"part {_HOSTS} hosts in halves, and heal", "ms", "", figures)


def _frames(bench: Bench) -> Row:
    with Network(clock="virtual", seed=1) as net:
        a, b = net.host("a"), net.host("b")
        link = net.link(a, b)

        def send() -> float:
            address = (b.address, 7)
            with a.socket.socket(type=socket.SOCK_DGRAM) as sending, b.socket.socket(type=socket.SOCK_DGRAM) as taking:
                taking.bind(address)
                started = time.clock_gettime(time.CLOCK_MONOTONIC)  # of this machine, in a run too
                for _ in range(_FRAMES):
                    sending.sendto(b"x", address)
                    taking.recv(10)
                return (time.clock_gettime(time.CLOCK_MONOTONIC) - started) * 1e6 / _FRAMES

        def by_python() -> float:
            with link.intercept(lambda frame: frame, toward=b):
                return a.run_blocking(send)

        figures, _ = medians({OURS: by_python, _STRAIGHT: lambda: a.run_blocking(send)}, bench.rounds)
    return Row("explore", "a datagram whose frame goes through a function of Python", "us", "", figures)
