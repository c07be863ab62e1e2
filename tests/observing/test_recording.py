"""What a recorder sees of a network."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import struct
from typing import TYPE_CHECKING

import pytest

from full_disk import full_disk
from liblinux import Deadlock, Network
from liblinux.observing import Recorder, Recording

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def net() -> Iterator[Network]:
    with Network(clock="virtual", seed=1) as net:
        a, r, b = net.host("a"), net.router("r"), net.host("b")
        net.link(a, r)
        net.link(r, b, rate="2Mbit", delay="50ms", queue=20)
        yield net


@pytest.fixture
def recording(net: Network) -> Recording:
    with Recorder(net, interval=0.1) as recorder:
        recorder.event("it begins", "a")
        net.iperf("a", "b", seconds=10)
    return recorder.recording


def test_equal_steps(recording: Recording) -> None:
    times = recording["queue", "r -> b"].times
    assert len(times) >= 100
    assert [round(time * 10) for time in times] == list(range(len(times)))
    assert all(abs(time * 10 - round(time * 10)) < 1e-3 for time in times)
    assert recording.metadata["missed"] == 0
    assert recording.duration == pytest.approx(10.1, abs=0.2)


def test_connection(recording: Recording) -> None:
    cwnd = recording["cwnd", "a -> b"]
    assert cwnd.values[0] == 10 and max(cwnd.values) > 20
    # Two ways of 50 ms, a queue of 20 frames of 1514 bytes at 2 Mbit/s, and acknowledgements that are delayed.
    rtt = sorted(value for value in recording["rtt", "a -> b"].values if value)
    assert rtt[0] > 0.1 and rtt[len(rtt) // 2] < 0.1 + 30 * 1514 * 8 / 2e6
    assert recording["retransmits", "a -> b"].values[-1] > 0
    # The receiver of a stream sends nothing, and is no flow.
    assert recording.names("cwnd") == ["a -> b"]


def test_link(recording: Recording) -> None:
    assert max(recording["queue", "r -> b"].values) == 20
    assert recording["queue_drops", "r -> b"].values[-1] > 0
    rates = recording["sent_bytes", "r -> b"].rate(8)
    assert rates.unit == "bytes/s" and len(rates) == len(recording["sent_bytes", "r -> b"]) - 1
    assert 1.9e6 < sum(rates.values) / len(rates) < 2.01e6
    assert set(recording["queue", "b -> r"].values) <= {0, 1}


def test_losses_on_the_line(net: Network) -> None:
    net.links[1].set(loss=(0.1, 0))
    with Recorder(net) as recorder:
        net.ping("a", "b", count=100, interval=0.1)
    lost = recorder.recording["line_losses", "r -> b"].values[-1]
    assert 1 <= lost <= 30
    assert recorder.recording["line_losses", "b -> r"].values[-1] == 0


def test_changes_of_links_are_events(net: Network) -> None:
    link = net.links[1]
    link.set(delay="10ms")
    with Recorder(net) as recorder:
        link.set(loss="1%", rate=(1e6, 2e6))
        link.down()
        net.run(asyncio.sleep(1))
        link.up()
    events = recorder.recording.events
    assert [event.text for event in events] == [
        "r - b: loss 1%, rate (1000000.0, 2000000.0)",
        "r - b: down",
        "r - b: up",
    ]
    assert [round(event.time, 1) for event in events] == [0, 0, 1]


def test_the_same_again() -> None:
    def run() -> Recording:
        with Network(clock="virtual", seed=7) as net:
            net.link(net.host("a"), net.host("b"), rate="1Mbit", delay="10ms", loss=0.01)
            with Recorder(net, 0.05) as recorder:
                net.iperf("a", "b", seconds=3)
            return recorder.recording

    first, second = run(), run()
    assert repr(first.series) == repr(second.series)  # NaN is equal to nothing, not even to itself
    assert first.metadata == second.metadata


def test_connections_that_come_and_go(net: Network) -> None:
    a, b = net.hosts["a"], net.hosts["b"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1000))
        await writer.drain()
        writer.close()

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("b", 80)
        writer.write(bytes(1000))
        assert await reader.read() == bytes(1000)
        writer.close()

    async def main() -> None:
        async with await b.create_task(asyncio.start_server(answer, "", 80)):
            for _ in range(5):
                await a.create_task(ask())
                await asyncio.sleep(1)

    with Recorder(net, interval=0.02) as recorder:
        net.run(main())
    names = recorder.recording.names("cwnd")
    assert sorted(names) == sorted(
        ["a -> b:80", "b:80 -> a", *(f"{name} #{i}" for i in range(2, 6) for name in ("a -> b:80", "b:80 -> a"))]
    )
    # One after the other, each for as long as it was there.
    starts = [recorder.recording["cwnd", name].times[0] for name in names if name.startswith("a")]
    assert starts == sorted(starts) and all(1 < b - a < 1.5 for a, b in itertools.pairwise(starts))


def test_no_effect_on_deadlocks() -> None:
    with Network(clock="virtual", seed=1, ipv6=None) as other:
        a = other.host("a")
        other.up()
        with Recorder(other, 60, hosts=[a]), a.socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            with pytest.raises(Deadlock):
                sock.accept()


def test_logs_and_events(net: Network) -> None:
    log = logging.getLogger("service")

    async def work() -> None:
        await asyncio.sleep(1)
        log.info("half of %s", "it")

    async def main() -> None:
        await net.hosts["b"].create_task(work())
        log.warning("done")

    with Recorder(net, log_level=logging.INFO) as recorder:
        recorder.event("it begins", net.hosts["a"])
        net.run(main())
    recording = recorder.recording
    (event,) = recording.events
    assert (event.host, event.text) == ("a", "it begins")
    (line,) = recording.logs["b"]
    assert line.text == "info: service: half of it" and line.time == pytest.approx(1, abs=0.01)
    assert [line.text for line in recording.logs[""]] == ["warning: service: done"]


def test_files(recording: Recording, tmp_path: Path) -> None:
    recording.metadata["note"] = "mine"
    recording.to_json(tmp_path / "run.json")
    again = Recording.from_json(tmp_path / "run.json")
    # ssthresh begins with NaN, which is equal to nothing.
    for key, series in recording.series.items():
        assert [str(value) for value in series.values] == [str(value) for value in again[key].values]
        assert series.times == again[key].times
    assert (again.events, again.logs, again.topology) == (recording.events, recording.logs, recording.topology)
    assert again.metadata == recording.metadata
    recording.to_csv(tmp_path / "run.csv")
    lines = (tmp_path / "run.csv").read_text().splitlines()
    assert lines[0] == "time,kind,name,unit,value"
    assert len(lines) == 1 + sum(map(len, recording.series.values()))


@pytest.mark.parametrize("form", ["json", "csv"])
def test_a_full_disk_keeps_what_was_there(form: str, recording: Recording, tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_text("before")
    with pytest.raises(OSError, match="too large"), full_disk(100):
        getattr(recording, f"to_{form}")(path)
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["run"]


def test_parquet(recording: Recording, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    recording.to_parquet(tmp_path / "run.parquet")
    table = parquet.read_table(tmp_path / "run.parquet").to_pandas()
    chosen = table[(table.kind == "cwnd") & (table.name == "a -> b")]
    assert list(chosen.value) == list(recording["cwnd", "a -> b"].values)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text, why in (("{", "no recording"), ("[1]", "no recording"), ('{"format": "other"}', "no recording")):
        path.write_text(text)
        with pytest.raises(ValueError, match=why):
            Recording.from_json(path)
    path.write_text('{"format": "liblinux recording", "version": 9}')
    with pytest.raises(ValueError, match="version 9"):
        Recording.from_json(path)
    path.write_text('{"format": "liblinux recording", "version": 1}')
    with pytest.raises(ValueError, match="damaged"):
        Recording.from_json(path)


def test_refusals(net: Network) -> None:
    with pytest.raises(ValueError, match="interval"):
        Recorder(net, 0)
    with Recorder(net), pytest.raises(RuntimeError, match="recorded already"):
        Recorder(net)
    with Recorder(net), pytest.raises(RuntimeError, match="recorded"):
        net.snapshot()
    with Network(clock="real") as real, pytest.raises(ValueError, match="virtual"):
        real.host("a")
        Recorder(real)
    with Network(clock="virtual") as two, pytest.raises(RuntimeError, match="several kernels"):
        two.host("a")
        two.host("b", kernel="6.12:other")
        Recorder(two)
    recording = Recording()
    with pytest.raises(KeyError, match="cwnd"):
        _ = recording["cwnd", "x"]
    with pytest.raises(ValueError, match="1 times and 2 values"):
        recording.add("mine", "x", "s", [1], [2, 3])


def test_snapshots_before_and_after(net: Network) -> None:
    state = net.snapshot()
    lengths = []
    for _ in range(3):
        with Recorder(net) as recorder:
            net.iperf("a", "b", seconds=1)
        lengths.append(recorder.recording["acked", "a -> b"].values.tolist())
        net.restore(state)
    assert lengths[0] == lengths[1] == lengths[2]


def test_all_counters_are_the_kernels_own(net: Network) -> None:
    """The last sample against what the kernel says itself, asked in another way."""
    with Recorder(net, 0.5) as recorder:
        net.iperf("a", "b", seconds=5)
        net.run(asyncio.sleep(2))
    (link,) = net.hosts["r"].ip.get_links(ifname="eth1")
    stats = link.get_attr("IFLA_STATS64")
    recording = recorder.recording
    assert recording["sent_bytes", "r -> b"].values[-1] == stats["tx_bytes"]
    assert recording["sent_packets", "r -> b"].values[-1] == stats["tx_packets"]


def test_step_of_a_single_call(net: Network) -> None:
    """Time passes in one call that waits: it is sampled all the same."""
    net.up()
    with Recorder(net, 1) as recorder:
        net.kernel.syscall("clock_nanosleep", 0, 0, struct.pack("=QQ", 100, 0), None)
    assert len(recorder.recording["queue", "r -> b"]) == 101
