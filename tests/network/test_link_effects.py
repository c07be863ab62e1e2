"""Each parameter of a link by its effect: what crossed the wire, when, how often and in which order."""

from __future__ import annotations

import contextlib
import socket
import statistics
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.utils import rdpcap

from liblinux import Network

DATAGRAMS = 400
EVERY_NS = 1_000_000


@contextlib.contextmanager
def _linked(**line: Any) -> Iterator[Network]:
    """Hosts a and b, which know each other's hardware address: what is lost is nobody's question for that."""
    with Network(clock="virtual", seed=5, ipv6=None) as net:
        link = net.link(net.host("a"), net.host("b"))
        net.ping("a", "b")
        link.set(**line)
        yield net


def _send(net: Network, source: str, count: int = DATAGRAMS, every_ns: int = EVERY_NS, size: int = 4) -> None:
    """Datagrams with their number in front, one every so many nanoseconds, to the other host."""
    host, other = net.hosts[source], net.hosts["b" if source == "a" else "a"]
    with host.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(count):
            sock.sendto(number.to_bytes(4, "big").ljust(size, b"\0"), (other.address, 9))
            if every_ns:
                host.syscall("nanosleep", bytes(8) + every_ns.to_bytes(8, "little"), None)
        host.syscall("nanosleep", (3).to_bytes(8, "little") + bytes(8), None)


def _crossed(path: Path, net: Network, source: str, **sending: int) -> tuple[dict[int, float], list[tuple[int, float]]]:
    """When each number was sent, and the numbers that arrived with their times, in order; all seen on the wire."""
    names = source, "b" if source == "a" else "a"
    with contextlib.ExitStack() as captures:
        for name in names:
            captures.enter_context(net.capture(path / f"{name}.pcapng", host=name))
        _send(net, source, **sending)
    sent, arrived = (
        [
            (int.from_bytes(packet[UDP].load[:4], "big"), float(packet.time))
            for packet in rdpcap(str(path / f"{name}.pcapng"))
            if UDP in packet
        ]
        for name in names
    )
    assert len(sent) == len(dict(sent))
    return dict(sent), arrived


@pytest.mark.parametrize("source", ["a", "b"])
def test_jitter_is_even_to_both_sides(source: str, tmp_path: Path) -> None:
    """20 ms from a, 50 from b; 5 ms to either side, and half a millisecond."""
    with _linked(delay=("20ms", "50ms"), jitter=("5ms", "500us")) as net:
        sent, arrived = _crossed(tmp_path, net, source)
    delay, jitter = (0.020, 0.005) if source == "a" else (0.050, 0.0005)
    took = [when - sent[number] for number, when in arrived]
    assert len(took) == DATAGRAMS
    assert delay - jitter - 1e-5 <= min(took) < delay - 0.95 * jitter
    assert delay + 0.95 * jitter < max(took) <= delay + jitter + 1e-5
    # Evenly: the deviation is that of a uniform distribution, jitter / sqrt(3).
    assert statistics.fmean(took) == pytest.approx(delay, abs=0.1 * jitter)
    assert statistics.stdev(took) == pytest.approx(jitter / 3**0.5, rel=0.1)


@pytest.mark.parametrize("source", ["a", "b"])
def test_duplicates_arrive_twice(source: str, tmp_path: Path) -> None:
    with _linked(delay="1ms", duplicate=("25%", 0)) as net:
        sent, arrived = _crossed(tmp_path, net, source)
    times = Counter(number for number, _ in arrived)
    assert len(sent) == len(times) == DATAGRAMS, "nothing is lost"
    twice = sum(1 for count in times.values() if count == 2)
    assert set(times.values()) <= {1, 2}
    assert 70 < twice < 130 if source == "a" else twice == 0


@pytest.mark.parametrize("source", ["a", "b"])
def test_reordered_frames_overtake_others(source: str, tmp_path: Path) -> None:
    with _linked(delay="20ms", reorder=("10%", 0)) as net:
        sent, arrived = _crossed(tmp_path, net, source)
    assert sorted(number for number, _ in arrived) == list(range(DATAGRAMS)), "each once"
    at_once = [number for number, when in arrived if when - sent[number] < 1e-4]
    others = [when - sent[number] for number, when in arrived if number not in at_once]
    assert others == pytest.approx([0.020] * len(others), abs=1e-5)
    if source == "b":
        assert not at_once and [number for number, _ in arrived] == list(range(DATAGRAMS))
        return
    assert 20 < len(at_once) < 65
    order = [number for number, _ in arrived]
    assert all(order.index(number) < order.index(number - 1) for number in at_once if number - 1 not in at_once)


@pytest.mark.parametrize("source", ["a", "b"])
def test_losses_of_a_direction(source: str, tmp_path: Path) -> None:
    with _linked(loss=("25%", 0)) as net:
        sent, arrived = _crossed(tmp_path, net, source)
    assert len(sent) == DATAGRAMS, "what is lost has been sent"
    assert 260 < len(arrived) < 340 if source == "a" else len(arrived) == DATAGRAMS


@pytest.mark.parametrize("queue", [1, 10, 40])
def test_a_queue_holds_so_many_frames(queue: int, tmp_path: Path) -> None:
    """Of a burst those that find no room are dropped, and the last of the others has waited for all before it."""
    with Network(clock="virtual", seed=5, ipv6=None) as net:
        link = net.link(net.host("a"), net.host("b"), queue=queue)
        net.ping("a", "b")
        link.set(rate="1Mbit")
        sent, arrived = _crossed(tmp_path, net, "a", count=60, every_ns=0, size=958)
    # One is being sent, one waits in the card (kernel/arch/lib/drivers/cable.c), the others in the queue.
    assert len(arrived) == queue + 2
    assert len(sent) == len(arrived), "the others never came to the wire"
    first, last = arrived[0][1], arrived[-1][1]
    assert last - first == pytest.approx((len(arrived) - 1) * 1000 * 8 / 1e6, rel=1e-3), "8 ms for each frame"


@pytest.mark.parametrize("mtu", [1500, 700, 9000])
def test_no_frame_is_longer_than_the_mtu(mtu: int, tmp_path: Path) -> None:
    with Network(clock="virtual", seed=5, ipv6=None) as net:
        net.link(net.host("a"), net.host("b"), mtu=mtu, delay="1ms")
        with net.capture(tmp_path / "x.pcapng"):
            _send(net, "a", count=1, size=20_000)
            net.iperf("a", "b", seconds=0.01)
    packets = [packet[IP] for packet in rdpcap(str(tmp_path / "x.pcapng"), count=200) if IP in packet]
    pieces = [packet for packet in packets if packet.proto == socket.IPPROTO_UDP]
    # A fragment's data, but for the last one's, are a multiple of eight; RFC 791.
    assert len(pieces) == -(-20_008 // ((mtu - 20) // 8 * 8))
    assert max(packet.len for packet in packets if TCP in packet) == mtu
    assert all(packet.len <= mtu for packet in packets)
    assert {dict(packet[TCP].options)["MSS"] for packet in packets if TCP in packet and packet[TCP].flags.S} == {
        mtu - 40
    }
