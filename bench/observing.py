"""Looking at networks: what a recording costs, and how long a report takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from liblinux import Network
from liblinux.observing import Recording, plots, read_capture, write_report
from measure import OURS, Row, at_most, medians
from programs import module
from subjects import Bench

_SECONDS = 400
_WHOLE_S = 0.5


def measure(bench: Bench) -> list[Row]:
    """The dumbbell with and without being looked at; capture files; the page."""
    directory = bench.images.directory
    return [_recording(bench, directory), _reading(bench, directory), _page(bench, directory)]


def _dumbbell() -> Network:
    net = Network(clock="virtual", seed=1)
    left, right = net.router("left"), net.router("right")
    for number in range(2):
        net.link(net.host(f"a{number}"), left, rate="10Mbit", delay="1ms")
        net.link(right, net.host(f"b{number}"), rate="10Mbit", delay="1ms")
    net.link(left, right, rate="2Mbit", delay="100ms", queue=50)
    net.up()
    return net


def _timed(play: Callable[[], object]) -> Callable[[], float]:
    def timed() -> float:
        started = time.perf_counter()
        play()
        return time.perf_counter() - started

    return timed


def _run(net: Network, seconds: float) -> None:
    net.iperf("a0", "b0", seconds=seconds)


def _recorded(net: Network, seconds: float, capture: Path | None = None) -> Recording:
    with net.record(capture=capture) as recorder:
        _run(net, seconds)
    return recorder.recording


def _captured(net: Network, seconds: float, path: Path) -> None:
    with net.capture(path):
        _run(net, seconds)


def _recording(bench: Bench, directory: Path) -> Row:
    seconds = _SECONDS / 10 if bench.quick else _SECONDS
    with _dumbbell() as net:
        players = {
            OURS: _timed(lambda: _recorded(net, seconds)),
            "not looked at": _timed(lambda: _run(net, seconds)),
            "captured": _timed(lambda: _captured(net, seconds, directory / "run.pcapng")),
        }
        figures, skipped = medians(players, bench.rounds)
    return Row(
        "observing",
        f"{seconds:g} virtual seconds of a dumbbell, one stream, recorded every 0.1 s",
        "s",
        f"{_WHOLE_S:g} s",
        figures,
        at_most(figures, _WHOLE_S) if not bench.quick else None,
        skipped=skipped,
        note="with the answers taken apart into series",
    )


def _reading(bench: Bench, directory: Path) -> Row:
    path = directory / "some.pcapng"
    with _dumbbell() as net:
        _captured(net, 5, path)
    count = read_capture(path).count

    def scapy() -> object:
        module("scapy")
        from scapy.all import rdpcap  # noqa: PLC0415 - slow

        return rdpcap(str(path))

    players = {
        name: (lambda play=play: play() / count * 1e6)
        for name, play in {OURS: _timed(lambda: read_capture(path)), "scapy's rdpcap": _timed(scapy)}.items()
    }
    figures, skipped = medians(players, 1 if bench.quick else 3)
    return Row("observing", "TCP connections out of a capture, for each packet", "us", "", figures, skipped=skipped)


def _page(bench: Bench, directory: Path) -> Row:
    with _dumbbell() as net:
        recording = _recorded(net, 20, directory / "page.pcapng")
    players = {
        OURS: _timed(lambda: write_report(directory / "page.html", recording)),
        "matplotlib's overview": _timed(lambda: plots.overview(recording).savefig(directory / "page.svg")),
    }
    figures, skipped = medians(players, 1 if bench.quick else 3)
    size = (directory / "page.html").stat().st_size / 1e6
    return Row(
        "observing",
        "a report of 20 virtual seconds, with its capture",
        "s",
        "",
        figures,
        skipped=skipped,
        note=f"{size:.1f} MB of HTML",
    )
