"""TCP connections out of capture files."""

from __future__ import annotations

import gzip
import itertools
from typing import TYPE_CHECKING

import pytest
from observed import observed_run

from liblinux import Network
from liblinux.observing import Flow, Recording, read_capture

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run() -> tuple[Recording, Path]:
    return observed_run()


def test_a_capture_of_ours(run: tuple[Recording, Path]) -> None:
    recording, path = run
    capture = read_capture(path, recording.metadata["epoch"])
    assert set(capture.packets) == {"a:eth0", "r:eth0", "r:eth1", "b:eth0"}
    flow = next(flow for flow in capture.flows if flow.times[0] < 2)
    # As much as the sender's own counter says that was acknowledged.
    acked = recording["acked", "a -> b"].values[-1]
    assert abs(max(flow.acks) - acked) <= 3 * 1448
    assert sum(flow.again) > 0 and flow.starts[0] == 0
    assert all(limit >= ack for limit, ack in zip(flow.limits, flow.acks, strict=True))
    # Nothing is sent beyond what was allowed.
    assert max(flow.ends) <= max(flow.limits)
    # Times are those of the recording.
    assert 1 < flow.times[0] < 1.5 and flow.times[-1] < recording.duration


def test_what_scapy_says(tmp_path: Path) -> None:
    """The same numbers by scapy's own dissection, of IPv4 and IPv6."""
    scapy = pytest.importorskip("scapy.all")
    for name, address in (("4", "10.0.0.2"), ("6", "fd00::2")):
        path = tmp_path / f"{name}.pcapng"
        with Network(clock="virtual", seed=2) as net:
            a, b = net.host("a"), net.host("b")
            net.link(a, b, delay="5ms", rate="10Mbit")
            with net.capture(path, host=a), b.socket.create_server((address, 80), family=2 if name == "4" else 10) as s:
                client = a.socket.create_connection((address, 80))
                server, _ = s.accept()
                client.setsockopt(1, 7, 1 << 20)  # so that one thread can send all of it
                client.sendall(bytes(100_000))
                client.close()
                while server.recv(65536):
                    pass
        capture = read_capture(path)
        (flow,) = capture.flows
        sent = {
            packet[scapy.TCP].seq: len(packet[scapy.TCP].payload)
            for packet in scapy.rdpcap(str(path))
            if scapy.TCP in packet and packet[scapy.TCP].dport == 80
        }
        data = {number: length for number, length in sent.items() if length}
        first = min(data)
        assert sorted(number - first for number in data) == sorted(set(flow.starts))
        assert flow.sent == 100_000 == sum(data.values())


@pytest.mark.parametrize("nanoseconds", [False, True])
def test_pcap(run: tuple[Recording, Path], tmp_path: Path, nanoseconds: bool) -> None:
    """The older format too, with both of its clocks."""
    scapy = pytest.importorskip("scapy.all")
    path = tmp_path / "old.pcap"
    with (
        scapy.PcapWriter(str(path), nano=nanoseconds, linktype=1) as writer,
        scapy.RawPcapReader(str(run[1])) as reader,
    ):
        writer.write_header(None)
        for packet, about in itertools.islice(reader, 200):
            time = divmod((about.tshigh << 32) + about.tslow, 10**9)
            writer.write_packet(packet, time[0], time[1] if nanoseconds else time[1] // 1000)
    path = tmp_path / "old.pcap.gz"
    path.write_bytes(gzip.compress((tmp_path / "old.pcap").read_bytes()))
    capture = read_capture(path)
    assert capture.count == 200 and list(capture.packets) == [""]
    assert capture.flows and 0 < capture.flows[0].times[-1] < 5


def test_numbers_that_wrap(tmp_path: Path) -> None:
    scapy = pytest.importorskip("scapy.all")
    start = 2**32 - 3000
    ends = scapy.Ether() / scapy.IP(src="1.1.1.1", dst="2.2.2.2")
    numbers = [(start + at) % 2**32 for at in range(0, 10_000, 1000)]
    packets = [ends / scapy.TCP(sport=1, dport=2, seq=number, flags="A") / bytes(1000) for number in numbers]
    path = tmp_path / "wrap.pcap"
    scapy.wrpcap(str(path), packets)
    (flow,) = read_capture(path).flows
    assert flow.starts.tolist() == list(range(0, 10_000, 1000)) and flow.sent == 10_000
    assert not any(flow.again) and isinstance(flow, Flow) and flow.name == "1.1.1.1 1 -> 2.2.2.2 2"


def test_what_is_no_capture(tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("text", b"no capture at all, but longer than a header")):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ValueError, match="no capture"):
            read_capture(path)
    with pytest.raises(FileNotFoundError):
        read_capture(tmp_path / "nowhere")


def test_cut_off_and_garbage(run: tuple[Recording, Path], tmp_path: Path) -> None:
    """A file whose writer died, and packets of nonsense, are read as far as they go."""
    scapy = pytest.importorskip("scapy.all")
    whole = run[1].read_bytes()
    path = tmp_path / "cut.pcapng"
    path.write_bytes(whole[: len(whole) // 2 + 1])
    assert 0 < read_capture(path).count < read_capture(run[1]).count
    path = tmp_path / "garbage.pcap"
    good = bytes(scapy.Ether() / scapy.IP() / scapy.TCP(options=[("WScale", 7)], flags="S"))
    scapy.wrpcap(str(path), [scapy.Raw(good[:length]) for length in range(1, len(good) + 1)], linktype=1)
    assert read_capture(path).count == len(good)
