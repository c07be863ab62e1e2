"""Live progress."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import pty
import re
import threading
import time
from typing import TYPE_CHECKING

import pytest

from liblinux import Network
from liblinux.observing.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def net() -> Iterator[Network]:
    with Network(clock="virtual", seed=1) as net:
        net.link(net.host("a"), net.host("b"), rate="1Mbit", delay="10ms")
        yield net


def test_one_line_where_there_is_no_terminal(net: Network) -> None:
    file = io.StringIO()
    with net.record(), Progress(net, until=20, title="ping", file=file):
        net.ping("a", "b", count=10)
    (line,) = file.getvalue().splitlines()
    found = re.fullmatch(r"ping: (.+) s of virtual time in \d+\.\d s, [\d,]+x, (\d+) packets", line)
    assert found and float(found[1]) == pytest.approx(9, abs=0.1)
    # Ten each way, and what finding one another takes.
    assert 20 <= int(found[2]) <= 40


def test_without_a_recorder(net: Network) -> None:
    file = io.StringIO()
    with Progress(net, file=file):
        net.run(asyncio.sleep(100))
    assert re.fullmatch(r"100\.0 s of virtual time in \d+\.\d s, [\d,]+x, \d+ packets", file.getvalue().strip())


def test_packets_are_those_of_now(net: Network) -> None:
    """A thread that looks on sees more and more of them, and the last look has all that a capture has."""
    net.run(asyncio.sleep(100))  # what hosts say when they come up has arrived
    seen: list[int] = []
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            seen.append(net.frames)

    thread = threading.Thread(target=look)
    with net.capture(os.devnull, host="a") as capture:
        before = net.frames
        thread.start()
        net.iperf("a", "b", seconds=600)
        net.run(asyncio.sleep(1))  # what is on the line arrives
        over.set()
        thread.join()
        sent = net.frames - before
    assert sorted(set(seen)) == list(dict.fromkeys(seen)), "it never goes back"
    assert len({count for count in seen if before < count < before + sent}) >= 3
    assert sent == capture.packets  # of a cable's two ends one hears what both send


def test_on_a_terminal(net: Network) -> None:
    """It is drawn while the network runs, and leaves a line."""
    ours, theirs = pty.openpty()
    try:
        with open(theirs, "w", closefd=False) as terminal, net.record():
            with Progress(net, until=1000, title="run", file=terminal) as progress:
                for _ in range(5):
                    net.run(asyncio.sleep(100))
                    time.sleep(0.2)  # of this machine: so that there is something to see
            assert progress.line.startswith("500.0 s")
        os.set_blocking(ours, False)
        parts = []
        with contextlib.suppress(BlockingIOError):
            while True:
                parts.append(os.read(ours, 1 << 16))
        text = b"".join(parts).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    shown = [float(value.replace(",", "")) for value in re.findall(r"([\d,.]+) s of virtual time", text)]
    assert len(shown) >= 3 and shown == sorted(shown) and shown[0] < 500
    assert "run: 500.0 s of virtual time" in text


def test_it_has_no_effect() -> None:
    """With a display and without one the run is the same."""

    def run(*, shown: bool) -> list[float]:
        with Network(clock="virtual", seed=3) as net:
            net.link(net.host("a"), net.host("b"), rate="1Mbit", delay="10ms", loss=0.05)
            with net.record() as recorder:
                if shown:
                    with Progress(net, file=io.StringIO()):
                        net.iperf("a", "b", seconds=5)
                else:
                    net.iperf("a", "b", seconds=5)
            return recorder.recording["acked", "a -> b"].values.tolist()

    assert run(shown=True) == run(shown=False)
